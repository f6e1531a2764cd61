/* SPDX-License-Identifier: MIT */
/* history: how a service has been, as devmeshd has noted it. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "base/str.h"
#include "cmd.h"
#include "out.h"

enum {
	HOURS_USUAL = 24,
	HOURS_MAX = 720,
	LEVELS = 9 /* of a bar: 0 to 8 eighths */
};

/* How a terminal shows a sixtieth of the time. */
struct signs {
	const char *unknown, *levels[LEVELS], *help;
};

static const struct signs blocks = {"\xc2\xb7",
    {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84", "\xe2\x96\x85",
	"\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"},
    "\xe2\x96\x88 up  \xe2\x96\x81 not up  \xc2\xb7 not known"};
static const struct signs ascii = {
    ".", {"_", "-", "-", "-", "-", "=", "=", "=", "#"}, "# up  _ not up  . not known"};

/* Whether the terminal takes more than ASCII: by the variables of setlocale(3), in its order. */
static const struct signs *
signs_here(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < 3; i++) {
		const char *value = getenv(names[i]);

		if (value == NULL || value[0] == '\0')
			continue;
		return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL ||
			       strstr(value, "utf-8") != NULL || strstr(value, "UTF8") != NULL
			   ? &blocks
			   : &ascii;
	}
	return &ascii;
}

static double
number_of(const cJSON *o, const char *key)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsNumber(m) ? m->valuedouble : -1;
}

static void
print_bars(const cJSON *answer)
{
	const struct signs *signs = signs_here();
	const cJSON *bar;

	cJSON_ArrayForEach (bar, cJSON_GetObjectItemCaseSensitive(answer, "bars")) {
		double share = cJSON_IsNumber(bar) ? bar->valuedouble : -1;
		/* only what was up all the time looks like it */
		int level = share >= 1 ? LEVELS - 1 : share <= 0 ? 0 : 1 + (int)(share * 7);

		(void)fputs(
		    share < 0
			? signs->unknown
			: signs->levels[level < LEVELS - 1 || share >= 1 ? level : LEVELS - 2],
		    stdout);
	}
	(void)printf("\n%s\n", signs->help);
}

static void
print_segments(const cJSON *answer)
{
	static const char *const headings[] = {"FROM", "FOR", "STATE", NULL};
	struct table table;
	const cJSON *segment;

	table_init(&table, headings);
	cJSON_ArrayForEach (segment, cJSON_GetObjectItemCaseSensitive(answer, "segments")) {
		double from = number_of(segment, "from"), to = number_of(segment, "to");
		const char *state =
		    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(segment, "state"));
		DM_AUTO_FREE char *shown = dm_printable(state == NULL ? "?" : state);
		char when[32] = "-", length[16];
		const char *cells[] = {when, length, shown};
		time_t t = (time_t)from;
		struct tm local;

		if (from < 0 || from >= 253402300800.0 || to < from)
			continue;
		if (localtime_r(&t, &local) == NULL ||
		    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &local) == 0)
			when[0] = '\0';
		format_age((int64_t)(to - from), length, sizeof(length));
		table_add(&table, cells);
	}
	if (table.rows > 1)
		table_print(&table);
	table_release(&table);
}

static void
print_text(const cJSON *answer, const char *id, uint64_t hours)
{
	double uptime = number_of(answer, "uptime");

	if (uptime < 0)
		(void)printf("%s: nothing is known of the last %u h\n", id, (unsigned)hours);
	else
		(void)printf("%s: up %.1f %% of what is known of the last %u h\n", id, uptime * 100,
		    (unsigned)hours);
	print_bars(answer);
	print_segments(answer);
}

/* Of the worktree; or the name as given, which nobody needs to have any more. */
static bool
find_id(struct cmd_ctx *ctx, struct slug *id, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;

	if (cmd_claim(ctx, &claim, err)) {
		*id = claim->id;
		return true;
	}
	return cmd_arg(ctx, 0) != NULL && err->code == DM_NOT_FOUND &&
	       slug_parse(cmd_arg(ctx, 0), id, err);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *wanted = cmd_value(ctx, "hours");
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct ask_status status;
	dm_auto(ctl) ctl = NULL;
	uint64_t hours = HOURS_USUAL;
	struct slug id;
	char path[128];

	if (wanted != NULL && !dm_parse_uint(wanted, 1, HOURS_MAX, &hours)) {
		(void)dm_fail(err, DM_USAGE, "--hours: \"%.40s\" is not a number of hours", wanted);
		return dm_hint(err, "a whole number from 1 to %d", HOURS_MAX);
	}
	if (!session_need_registry(ctx->session, err) || !find_id(ctx, &id, err) ||
	    (ctl = ask_open(ctx->session, &status, err)) == NULL ||
	    !dm_snprintf(path, sizeof(path), "/api/v1/services/%s/history?hours=%u", id.s,
		(unsigned)hours) ||
	    !ask_get(ctl, path, &reply, err))
		return false;
	if (ctx->line->json) {
		out_json(reply.body);
		reply.body = NULL;
	} else {
		print_text(reply.body, id.s, hours);
	}
	return true;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"hours", 0, "N", false, "of the last N hours, 1 to 720; 24 unless given"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_history;
const struct cmd cmd_history = {
    .name = "history",
    .args = "[ID]",
    .max_args = 1,
    .summary = "show how a service has been: how much of the time it was up, and each change",
    .help =
	"As devmeshd has noted it; what it has not seen is not known. A sixtieth of the time is\n"
	"one character. Also of a service whose name was given back meanwhile.",
    .opts = opts,
    .run = run,
};
