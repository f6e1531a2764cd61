/* SPDX-License-Identifier: MIT */
/* init: plan, show, ask, write. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "edit/diff.h"
#include "init.h"
#include "out.h"

enum {
	DIFF_MAX = 1 << 20
};

static const char *
action_of(const struct init_file *f)
{
	if (f->before == NULL)
		return f->after == NULL ? "unchanged" : "create";
	if (f->after == NULL)
		return "delete";
	return strcmp(f->before, f->after) == 0 ? "unchanged" : "change";
}

/* ---- the list of tools ------------------------------------------------------------------- */

/* What the worktree has of the tool. Static. */
static const char *
state_of(const struct init_tool *tool, const struct repo *repo)
{
	if (init_tool_is_set_up(tool, repo))
		return "set up";
	return init_tool_detected(tool, repo) ? "found" : "-";
}

static bool
list_tools(const struct cmd_ctx *ctx, const struct repo *repo)
{
	static const char *const headings[] = {"TOOL", "HERE", "FILE", "WHAT IT DOES", NULL};
	cJSON *o = out_object(), *list = cJSON_AddArrayToObject(o, "tools");
	struct table table;

	table_init(&table, headings);
	for (const struct init_tool *t = init_tools; t->name != NULL; t++) {
		const char *state = state_of(t, repo);
		const char *const cells[] = {t->name, state, t->file, t->summary};
		cJSON *item = cJSON_CreateObject();

		table_add(&table, cells);
		out_add_text(item, "name", t->name);
		(void)cJSON_AddBoolToObject(item, "detected", state[0] != '-');
		(void)cJSON_AddBoolToObject(item, "set_up", state[0] == 's');
		out_add_text(item, "file", t->file);
		out_add_text(item, "summary", t->summary);
		(void)cJSON_AddItemToArray(list, item);
	}
	if (ctx->line->json) {
		out_json(o);
	} else {
		table_print(&table);
		cJSON_Delete(o);
	}
	table_release(&table);
	return true;
}

/* ---- one tool ---------------------------------------------------------------------------- */

static void
diff_of(const struct init_file *f, struct dm_str *out)
{
	if (strcmp(action_of(f), "unchanged") != 0)
		diff_unified(f->name, f->before, f->after, out);
}

static void
print_json(const struct init *in, const struct init_tool *tool, bool dry_run)
{
	cJSON *o = out_object(), *files, *hints;

	out_add_text(o, "tool", tool->name);
	(void)cJSON_AddBoolToObject(o, "dry_run", dry_run);
	(void)cJSON_AddBoolToObject(o, "remove", in->remove);
	(void)cJSON_AddBoolToObject(o, "changed", init_changes(in));
	files = cJSON_AddArrayToObject(o, "files");
	for (size_t i = 0; i < in->count; i++) {
		const struct init_file *f = &in->files[i];
		DM_AUTO_STR struct dm_str diff = dm_str_make(DIFF_MAX);
		cJSON *item = cJSON_CreateObject();

		diff_of(f, &diff);
		out_add_text(item, "path", f->path);
		out_add_text(item, "action", action_of(f));
		(void)cJSON_AddBoolToObject(item, "written", f->written);
		(void)cJSON_AddStringToObject(item, "diff", diff.data);
		(void)cJSON_AddItemToArray(files, item);
	}
	hints = cJSON_AddArrayToObject(o, "hints");
	for (size_t i = 0; i < in->hint_count; i++)
		(void)cJSON_AddItemToArray(hints, cJSON_CreateString(in->hints[i]));
	out_json(o);
}

/* The answer of --dry-run; else what is said before the question. */
static void
print_diffs(const struct init *in, FILE *to)
{
	for (size_t i = 0; i < in->count; i++) {
		DM_AUTO_STR struct dm_str diff = dm_str_make(DIFF_MAX);

		diff_of(&in->files[i], &diff);
		(void)fputs(diff.data, to);
		if (diff.overflow)
			(void)fputs("(the rest is too long to show)\n", to);
	}
	(void)fflush(to);
}

/* Asks on the terminal. Whoever cannot be asked has to say --yes. */
static bool
may_write(struct cmd_ctx *ctx, struct dm_err *err)
{
	char answer[16] = "";

	if (cmd_value(ctx, "yes") != NULL)
		return true;
	if (ctx->line->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		(void)dm_fail(err, DM_DENIED, "nothing is written: there is nobody to ask");
		return dm_hint(err, "--yes writes without asking, --dry-run only shows");
	}
	(void)fprintf(stderr, "Write this? [y/N] ");
	(void)fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
		return dm_fail(err, DM_DENIED, "nothing is written: the answer was no");
	return true;
}

static void
print_written(const struct init_file *f)
{
	DM_AUTO_FREE char *shown = dm_printable(f->path);

	(void)printf("%s %s\n", f->after == NULL ? "removed" : "wrote", shown);
}

static void
report(const struct init *in)
{
	for (size_t i = 0; i < in->count; i++) {
		const struct init_file *f = &in->files[i];

		if (f->written)
			print_written(f);
	}
	for (size_t i = 0; i < in->hint_count; i++) {
		const char *p = in->hints[i];

		/* line by line: dm_note() makes a newline visible instead of printing it */
		while (*p != '\0') {
			size_t n = strcspn(p, "\n");

			dm_note("%s%.*s", p == in->hints[i] ? "" : "    ", (int)n, p);
			p += n;
			p += *p == '\n' ? 1 : 0;
		}
	}
}

static bool
init_tool_run(
    struct cmd_ctx *ctx, struct init *in, const struct init_tool *tool, struct dm_err *err)
{
	bool dry_run = cmd_value(ctx, "dry-run") != NULL;

	if (!init_plan(in, tool, err))
		return false;
	if (!ctx->line->json && init_changes(in))
		print_diffs(in, dry_run ? stdout : stderr);
	if (init_changes(in) && !dry_run && (!may_write(ctx, err) || !init_write(in, err)))
		return false;
	if (ctx->line->json) {
		print_json(in, tool, dry_run);
		return true;
	}
	if (!init_changes(in))
		(void)printf("unchanged: %s %s\n", tool->name,
		    in->remove ? "has nothing of devmesh here" : "is set up here");
	else if (!dry_run)
		report(in);
	return true;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *name = cmd_arg(ctx, 0), *dir = cmd_value(ctx, "directory");
	dm_auto(repo) repo = repo_open(dir != NULL ? dir : ".", err);
	const struct init_tool *tool;
	struct init in = {.repo = repo,
	    .command = cmd_value(ctx, "command"),
	    .script = cmd_value(ctx, "script"),
	    .port = cmd_value(ctx, "port"),
	    .remove = cmd_value(ctx, "remove") != NULL,
	    .gitignore = cmd_value(ctx, "gitignore") != NULL,
	    .skill = cmd_value(ctx, "skill") != NULL};
	bool ok;

	if (repo == NULL)
		return false;
	if (name == NULL)
		return list_tools(ctx, repo);
	if ((tool = init_tool_find(name)) == NULL) {
		(void)dm_fail(err, DM_USAGE, "init knows no tool \"%.60s\"", name);
		return dm_hint(err, "devmesh init lists them");
	}
	if (in.command != NULL && (in.command[0] == '\0' || dm_has_control(in.command)))
		return dm_fail(err, DM_USAGE, "--command is empty, or holds a control character");
	ok = init_tool_run(ctx, &in, tool, err);
	init_release(&in);
	return ok;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"dry-run", 0, NULL, false, "only show what would be written"},
    {"yes", 0, NULL, false, "write without asking"},
    {"remove", 0, NULL, false, "take out again what init has written"},
    {"command", 0, "CMD", false, "the command that starts the dev server"},
    {"script", 0, "NAME", false, "the npm script, process or service that is meant"},
    {"port", 0, "N", false, "the port that the compose service listens on"},
    {"skill", 0, NULL, false, "claude: write the guide for agents as a skill, too"},
    {"gitignore", 0, NULL, false, "ignore .id in .gitignore instead of .git/info/exclude"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_init;
const struct cmd cmd_init = {
    .name = "init",
    .args = "[TOOL]",
    .max_args = 1,
    .summary = "make a tool call devmesh: worktrunk, git, direnv, claude, npm and others",
    .help = "Shows what it would change as a diff, and writes it when you agree. What is in a\n"
	    "file already stays as it is, and a second run changes nothing. Without TOOL it\n"
	    "lists the tools, and which of them are used here.",
    .opts = opts,
    .without_session = true,
    .run = run,
};
