/* SPDX-License-Identifier: MIT */
/*
 * Samples, quantiles and the one table that `make bench` prints. Knows nothing of what is measured.
 */
#include "bench.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	COLS = 8,
	ROWS_MAX = 96,
	NOTES_MAX = 32,
	CELL = 72
};

static struct {
	char cell[ROWS_MAX][COLS][CELL];
	size_t rows;
	char notes[NOTES_MAX][240];
	size_t nnotes;
	unsigned reached, asked;
} table;

void
samples_add(struct samples *s, double value)
{
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 64 : s->cap * 2;
		double *v = realloc(s->v, cap * sizeof *v);

		if (v == NULL)
			abort();
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = value;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double
samples_at(struct samples *s, double q)
{
	size_t i;

	if (s->n == 0)
		return (double)NAN;
	qsort(s->v, s->n, sizeof *s->v, compare);
	i = (size_t)ceil(q * (double)s->n);
	return s->v[i == 0 ? 0 : i - 1];
}

void
samples_release(struct samples *s)
{
	free(s->v);
	memset(s, 0, sizeof *s);
}

static void
number(char *cell, double value, const char *unit)
{
	if (isnan(value))
		snprintf(cell, CELL, "-");
	else if (strcmp(unit, "ms") == 0)
		snprintf(cell, CELL, value < 1 ? "%.3f" : "%.2f", value);
	else if (strcmp(unit, "MB") == 0)
		snprintf(cell, CELL, "%.1f", value);
	else if (strcmp(unit, "%") == 0)
		snprintf(cell, CELL, "%.2f", value);
	else
		snprintf(cell, CELL, "%.0f", value);
}

static void
append(char *cell, const char *fmt, double value)
{
	size_t n = strlen(cell);
	int saved;

	if (n > 0 && n + 2 < CELL) {
		memcpy(cell + n, ", ", 3);
		n += 2;
	}
	/* The format is one of the literals of table_add(). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	saved = snprintf(cell + n, CELL - n, fmt, value);
#pragma GCC diagnostic pop
	(void)saved;
}

void
table_add(const struct row *r)
{
	const struct limit *l = &r->limit;
	double ratio = r->ours / r->theirs;
	char(*c)[CELL];
	bool ok, asked = l->below > 0 || l->max_ratio > 0 || l->min_ratio > 0 || l->none || l->all;

	if (table.rows == ROWS_MAX)
		return;
	c = table.cell[table.rows++];
	snprintf(c[0], CELL, "%s%s%s", r->what, r->unit[0] != '\0' ? ", " : "", r->unit);
	number(c[1], r->ours, r->unit);
	number(c[2], r->tail, r->unit);
	snprintf(c[3], CELL, "%s", r->peer != NULL ? r->peer : "-");
	number(c[4], r->theirs, r->unit);
	if (isfinite(ratio) && r->unit[0] != '\0')
		snprintf(c[5], CELL, ratio < 0.1 ? "%.3f" : "%.2f", ratio);
	else
		snprintf(c[5], CELL, "-");

	c[6][0] = '\0';
	if (l->below > 0)
		append(c[6], "< %g", l->below);
	if (l->max_ratio > 0)
		append(c[6], "ratio <= %g", l->max_ratio);
	if (l->min_ratio > 0)
		append(c[6], "ratio >= %g", l->min_ratio);
	if (l->none)
		append(c[6], "%g", 0);
	if (l->all)
		append(c[6], "%g", r->of);
	/* A comparison with NAN is false: what was not measured is never ok. */
	ok = (l->below <= 0 || r->ours < l->below) &&
	     (l->max_ratio <= 0 || isnan(r->theirs) || ratio <= l->max_ratio) &&
	     (l->min_ratio <= 0 || isnan(r->theirs) || ratio >= l->min_ratio) &&
	     (!l->none || r->ours <= 0) && (!l->all || (r->ours >= r->of && r->ours <= r->of));
	if (!asked) {
		snprintf(c[6], CELL, "-");
		snprintf(c[7], CELL, "-");
	} else if (isnan(r->ours) || (isnan(r->theirs) && l->below <= 0 && !l->none && !l->all)) {
		snprintf(c[7], CELL, "n/a");
	} else {
		snprintf(c[7], CELL, "%s", ok ? "ok" : "miss");
		table.asked++;
		table.reached += ok ? 1U : 0U;
	}
	if (r->note != NULL && r->note[0] != '\0')
		table_note("%s: %s", r->what, r->note);
}

void
table_add_samples(const char *what, struct samples *ours, const char *peer, struct samples *theirs,
    struct limit limit)
{
	struct row r = {.what = what, .unit = "ms", .peer = peer, .limit = limit};

	r.ours = samples_at(ours, 0.5);
	r.tail = samples_at(ours, 0.95);
	r.theirs = theirs != NULL ? samples_at(theirs, 0.5) : (double)NAN;
	table_add(&r);
}

void
table_note(const char *fmt, ...)
{
	char text[sizeof table.notes[0]];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < table.nnotes; i++)
		if (strcmp(table.notes[i], text) == 0)
			return;
	if (table.nnotes < NOTES_MAX)
		memcpy(table.notes[table.nnotes++], text, sizeof text);
}

void
table_print(void)
{
	static const char *const head[COLS] = {
	    "what", "devmesh", "p95", "peer", "peer's", "ratio", "target", ""};
	static const bool right[COLS] = {false, true, true, false, true, true, false, false};
	size_t width[COLS];

	for (size_t c = 0; c < COLS; c++) {
		width[c] = strlen(head[c]);
		for (size_t r = 0; r < table.rows; r++)
			if (strlen(table.cell[r][c]) > width[c])
				width[c] = strlen(table.cell[r][c]);
	}
	for (size_t r = 0; r <= table.rows; r++) {
		for (size_t c = 0; c < COLS; c++) {
			const char *text = r == 0 ? head[c] : table.cell[r - 1][c];

			if (c == COLS - 1)
				printf("%s", text);
			else
				printf("%*s  ", right[c] ? (int)width[c] : -(int)width[c], text);
		}
		printf("\n");
		for (size_t c = 0; r == 0 && c < COLS; c++)
			for (size_t i = 0; i < width[c] + (c == COLS - 1 ? 4 : 2); i++)
				putchar('-');
		if (r == 0)
			printf("\n");
	}
	printf("\nTimes in milliseconds, medians; all of a row's figures are from this run, taken "
	       "in turn.\n"
	       "%u of %u targets reached.\n",
	    table.reached, table.asked);
	for (size_t i = 0; i < table.nnotes; i++)
		printf("- %s\n", table.notes[i]);
}
