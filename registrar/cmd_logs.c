/* SPDX-License-Identifier: MIT */
/* logs: what services have written, as devmesh run has kept it. Works without devmeshd. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cmd.h"
#include "model/ansi.h"
#include "out.h"
#include "outputs.h"

enum {
	LINES = 100,
	LINES_MAX = 1000000,
	POLL_MS = 100,
	LATE_MS = 2000,
	TEXT_MAX = OUTPUT_LINE_MAX * 4
};

/* The last line that was shown of a service: several may be of one millisecond. */
struct shown {
	struct slug id;
	uint64_t number;
};

struct viewer {
	const struct cmd_ctx *ctx;
	struct outputs_query query;
	bool colours, times;
	struct shown *shown;
	size_t shown_count;
};

static struct shown *
shown_of(struct viewer *v, const struct slug *id)
{
	for (size_t i = 0; i < v->shown_count; i++) {
		if (strcmp(v->shown[i].id.s, id->s) == 0)
			return &v->shown[i];
	}
	v->shown = dm_reallocarray(v->shown, v->shown_count + 1, sizeof(*v->shown));
	v->shown[v->shown_count] = (struct shown){.id = *id};
	return &v->shown[v->shown_count++];
}

static void
print_text(const struct viewer *v, const struct outputs_entry *e)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(TEXT_MAX);
	time_t seconds = (time_t)(e->time_ms / 1000);
	struct tm local;
	char when[16];

	ansi_clean(e->text, e->len, v->colours, &text);
	if (v->times && localtime_r(&seconds, &local) != NULL &&
	    strftime(when, sizeof(when), "%H:%M:%S", &local) > 0)
		(void)printf("%s.%03d  ", when, (int)(e->time_ms % 1000));
	if (v->query.id == NULL)
		(void)printf("%-24s | ", e->id.s);
	(void)printf("%s%s\n", e->stream == OUTPUT_NOTE ? "-- " : "", text.data);
}

static void
print_json(const struct outputs_entry *e)
{
	cJSON *o = out_object(), *line = outputs_json(e);

	while (line->child != NULL) {
		cJSON *m = cJSON_DetachItemViaPointer(line, line->child);
		DM_AUTO_FREE char *name = dm_strdup(m->string);

		(void)cJSON_AddItemToObject(o, name, m);
	}
	cJSON_Delete(line);
	out_json(o);
}

/* What is new; false: whoever reads has gone. */
static bool
show(struct viewer *v, const struct outputs *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		const struct outputs_entry *e = &lines->list[i];
		struct shown *last = shown_of(v, &e->id);

		if (e->number <= last->number)
			continue;
		last->number = e->number;
		/* of all, one may be written a little after another's that is newer */
		if (v->query.id != NULL)
			v->query.after = e->number;
		else if (e->time_ms - LATE_MS > v->query.since_ms)
			v->query.since_ms = e->time_ms - LATE_MS;
		if (v->ctx->line->json)
			print_json(e);
		else
			print_text(v, e);
	}
	return fflush(stdout) == 0;
}

/* Nothing yet is nothing wrong, when it is waited for. */
static bool
follow(struct viewer *v, struct dm_err *err)
{
	uint64_t mark = 0, now;

	for (;;) {
		OUTPUTS_AUTO struct outputs lines = {.count = 0};

		while ((now = outputs_mark(&v->query)) == mark)
			dm_pause_ms(POLL_MS);
		mark = now;
		v->query.max = LINES_MAX;
		if (outputs_read(&v->query, &lines, err)) {
			if (!show(v, &lines))
				return true;
		} else if (err->code != DM_NOT_FOUND) {
			return false;
		}
	}
}

static bool
view(struct viewer *v, bool following, struct dm_err *err)
{
	OUTPUTS_AUTO struct outputs lines = {.count = 0};

	if (outputs_read(&v->query, &lines, err))
		return show(v, &lines) && following ? follow(v, err) : true;
	if (err->code != DM_NOT_FOUND)
		return false;
	if (following)
		return follow(v, err);
	return dm_hint(err, "it is kept of what devmesh run starts: devmesh run -- npm run dev");
}

/* The service that is meant, also after it has ended: its output is still there. */
static bool
get_id(const struct cmd_ctx *ctx, struct slug *id, struct dm_err *err)
{
	struct name_flags flags = cmd_name_flags(ctx);
	dm_auto(claim) claim = NULL;
	dm_auto(repo) repo = NULL;
	struct name name;
	bool held;

	if (session_claim(ctx->session, cmd_arg(ctx, 0), &flags, &claim, err)) {
		*id = claim->id;
		return true;
	}
	if (err->code != DM_NOT_FOUND)
		return false;
	if (cmd_arg(ctx, 0) != NULL)
		return slug_parse(cmd_arg(ctx, 0), id, err);
	return session_name(ctx->session, &flags, &repo, &name, err) &&
	       registry_resolve(
		   ctx->session->registry, &name, repo->worktree, false, id, &held, err);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *lines = cmd_value(ctx, "lines"), *no_color = getenv("NO_COLOR");
	struct viewer v = {.ctx = ctx, .times = cmd_value(ctx, "time") != NULL};
	bool all = cmd_value(ctx, "all") != NULL, ok;
	DM_AUTO_FREE char *dir = NULL;
	uint64_t max = LINES;
	struct slug id;

	if (lines != NULL && !dm_parse_uint(lines, 1, LINES_MAX, &max))
		return dm_fail(err, DM_USAGE, "--lines: \"%.40s\" is no number from 1 to %d", lines,
		    LINES_MAX);
	if (all && cmd_arg(ctx, 0) != NULL)
		return dm_fail(err, DM_USAGE, "--all is of all services: give no ID with it");
	if (!session_need_registry(ctx->session, err) ||
	    !session_need_state_dir(ctx->session, err) || (!all && !get_id(ctx, &id, err)))
		return false;
	v.colours = isatty(STDOUT_FILENO) == 1 && (no_color == NULL || *no_color == '\0');
	dir = outputs_dir(ctx->session);
	v.query = (struct outputs_query){.dir = dir, .id = all ? NULL : id.s, .max = (size_t)max};
	ok = view(&v, cmd_value(ctx, "follow") != NULL, err);
	free(v.shown);
	return ok;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"follow", 'f', NULL, false, "go on showing what is added, until interrupted"},
    {"lines", 'n', "N", false, "begin with the last N lines (default 100)"},
    {"all", 0, NULL, false, "of all services, each line with its name in front"},
    {"time", 't', NULL, false, "show when each line was written"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_logs;
const struct cmd cmd_logs = {
    .name = "logs",
    .args = "[ID]",
    .max_args = 1,
    .summary = "show what a service has written, also after it has ended",
    .help =
	"Kept is what devmesh run starts, up to [run] log_kb of it, for a month after the last\n"
	"line. What it says of itself begins with \"--\". Colours are shown on a terminal, unless\n"
	"NO_COLOR is set; nothing else that could drive one is. With --json each line is an\n"
	"object on a line of its own.",
    .opts = opts,
    .run = run,
};
