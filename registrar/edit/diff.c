/* SPDX-License-Identifier: MIT */
#include "edit/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	CONTEXT = 3,
	CELLS_MAX = 1 << 20
};

/* Lines of a text, each with its newline if it has one. */
struct lines {
	const char **at; /* owned; count + 1 pointers: the last is the end */
	size_t count;
};

static struct lines
split(const char *text)
{
	struct lines l = {.at = dm_calloc(strlen(text) + 2, sizeof(char *))};
	const char *p = text;

	while (*p != '\0') {
		const char *end = strchr(p, '\n');

		l.at[l.count++] = p;
		p = end == NULL ? p + strlen(p) : end + 1;
	}
	l.at[l.count] = p;
	return l;
}

static void
release(struct lines *l)
{
	free(l->at);
}

#define LINES_AUTO __attribute__((cleanup(release)))

static size_t
length(const struct lines *l, size_t i)
{
	return (size_t)(l->at[i + 1] - l->at[i]);
}

static bool
same(const struct lines *a, size_t i, const struct lines *b, size_t j)
{
	return length(a, i) == length(b, j) && memcmp(a->at[i], b->at[j], length(a, i)) == 0;
}

static void
put(struct dm_str *out, char sign, const struct lines *l, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		size_t n = length(l, i);

		(void)dm_str_add(out, &sign, 1);
		(void)dm_str_add(out, l->at[i], n);
		if (l->at[i][n - 1] != '\n')
			(void)dm_str_addf(out, "\n\\ No newline at end of file\n");
	}
}

/* The middle, where the texts differ: a[i..n) and b[j..m). */
struct middle {
	const struct lines *a, *b;
	size_t i, n, j, m;
};

/*
 * Keeps the longest common subsequence of the middle as it is. table[r][c] is its length for what
 * is left from r and c on. Where that would be too much work, everything counts as changed.
 */
static void
put_middle(struct dm_str *out, const struct middle *x)
{
	size_t rows = x->n - x->i, columns = x->m - x->j, w = columns + 1, r = 0, c = 0;
	DM_AUTO_FREE unsigned *table = NULL;

	if (rows == 0 || columns == 0 || rows > CELLS_MAX / w) {
		put(out, '-', x->a, x->i, x->n);
		put(out, '+', x->b, x->j, x->m);
		return;
	}
	table = dm_calloc((rows + 1) * w, sizeof(*table));
	for (size_t y = rows; y-- > 0;) {
		for (size_t z = columns; z-- > 0;) {
			unsigned down = table[(y + 1) * w + z], right = table[y * w + z + 1];

			table[y * w + z] = same(x->a, x->i + y, x->b, x->j + z)
					       ? table[(y + 1) * w + z + 1] + 1
					   : down > right ? down
							  : right;
		}
	}
	while (r < rows || c < columns) {
		size_t ai = x->i + r, bi = x->j + c;

		if (r < rows && c < columns && same(x->a, ai, x->b, bi)) {
			put(out, ' ', x->a, ai, ai + 1);
			r++;
			c++;
		} else if (c == columns ||
			   (r < rows && table[(r + 1) * w + c] >= table[r * w + c + 1])) {
			put(out, '-', x->a, ai, ai + 1);
			r++;
		} else {
			put(out, '+', x->b, bi, bi + 1);
			c++;
		}
	}
}

/* diff(1) numbers an empty range by the line before it. */
static void
put_range(struct dm_str *out, size_t first, size_t count)
{
	(void)dm_str_addf(out, "%zu,%zu", count == 0 ? first : first + 1, count);
}

static void
put_names(struct dm_str *out, const char *name, const char *before, const char *after)
{
	DM_AUTO_FREE char *shown = dm_printable(name);

	(void)dm_str_addf(out, before == NULL ? "--- /dev/null\n" : "--- a/%s\n", shown);
	(void)dm_str_addf(out, after == NULL ? "+++ /dev/null\n" : "+++ b/%s\n", shown);
}

void
diff_unified(const char *name, const char *before, const char *after, struct dm_str *out)
{
	LINES_AUTO struct lines a = split(before == NULL ? "" : before);
	LINES_AUTO struct lines b = split(after == NULL ? "" : after);
	size_t head = 0, tail = 0, from, a_to, b_to;

	while (head < a.count && head < b.count && same(&a, head, &b, head))
		head++;
	while (tail < a.count - head && tail < b.count - head &&
	       same(&a, a.count - tail - 1, &b, b.count - tail - 1))
		tail++;
	if (head == a.count && head == b.count && (before == NULL) == (after == NULL))
		return;
	put_names(out, name, before, after);
	if (head == a.count && head == b.count)
		return;
	from = head > CONTEXT ? head - CONTEXT : 0;
	a_to = a.count - (tail > CONTEXT ? tail - CONTEXT : 0);
	b_to = b.count - (tail > CONTEXT ? tail - CONTEXT : 0);
	(void)dm_str_addf(out, "@@ -");
	put_range(out, from, a_to - from);
	(void)dm_str_addf(out, " +");
	put_range(out, from, b_to - from);
	(void)dm_str_addf(out, " @@\n");
	put(out, ' ', &a, from, head);
	put_middle(out, &(struct middle){&a, &b, head, a.count - tail, head, b.count - tail});
	put(out, ' ', &a, a.count - tail, a_to);
}
