/* SPDX-License-Identifier: MIT */
#include "cmd.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/str.h"
#include "version.h"

extern const struct cmd cmd_up;
extern const struct cmd cmd_run;
extern const struct cmd cmd_down;
extern const struct cmd cmd_status;
extern const struct cmd cmd_list;
extern const struct cmd cmd_ps;
extern const struct cmd cmd_url;
extern const struct cmd cmd_name;
extern const struct cmd cmd_env;
extern const struct cmd cmd_wait;
extern const struct cmd cmd_assert;
extern const struct cmd cmd_logs;
extern const struct cmd cmd_events;
extern const struct cmd cmd_history;
extern const struct cmd cmd_requests;
extern const struct cmd cmd_graph;
extern const struct cmd cmd_open;
extern const struct cmd cmd_share;
extern const struct cmd cmd_unshare;
extern const struct cmd cmd_qr;
extern const struct cmd cmd_phone;
extern const struct cmd cmd_gc;
extern const struct cmd cmd_init;
extern const struct cmd cmd_hook;
extern const struct cmd cmd_skill;
extern const struct cmd cmd_doctor;
extern const struct cmd cmd_system;
extern const struct cmd cmd_record;
extern const struct cmd cmd_setup;
extern const struct cmd cmd_start;
extern const struct cmd cmd_stop;
extern const struct cmd cmd_restart;
extern const struct cmd cmd_trust;
extern const struct cmd cmd_daemon;
extern const struct cmd cmd_service;
extern const struct cmd cmd_dns;
extern const struct cmd cmd_config;
extern const struct cmd cmd_completion;
extern const struct cmd cmd_help;

const struct cmd *const cmds[] = {
    &cmd_up,
    &cmd_run,
    &cmd_down,
    &cmd_status,
    &cmd_list,
    &cmd_ps,
    &cmd_url,
    &cmd_name,
    &cmd_env,
    &cmd_wait,
    &cmd_assert,
    &cmd_logs,
    &cmd_events,
    &cmd_history,
    &cmd_requests,
    &cmd_graph,
    &cmd_open,
    &cmd_share,
    &cmd_unshare,
    &cmd_qr,
    &cmd_phone,
    &cmd_gc,
    &cmd_init,
    &cmd_hook,
    &cmd_skill,
    &cmd_doctor,
    &cmd_system,
    &cmd_record,
    &cmd_setup,
    &cmd_start,
    &cmd_stop,
    &cmd_restart,
    &cmd_trust,
    &cmd_daemon,
    &cmd_service,
    &cmd_dns,
    &cmd_config,
    &cmd_completion,
    &cmd_help,
    NULL,
};

enum global {
	GLOBAL_JSON,
	GLOBAL_CONFIG,
	GLOBAL_VERBOSE,
	GLOBAL_QUIET,
	GLOBAL_HELP,
	GLOBAL_VERSION
};

const struct cmd_opt cmd_global_opts[] = {
    [GLOBAL_JSON] = {"json", 0, NULL, false, "print one JSON object, also for errors"},
    [GLOBAL_CONFIG] = {"config", 0, "FILE", false, "read this configuration file as well"},
    [GLOBAL_VERBOSE] = {"verbose", 'v', NULL, false, "say what is being done"},
    [GLOBAL_QUIET] = {"quiet", 'q', NULL, false, "say nothing but errors"},
    [GLOBAL_HELP] = {"help", 'h', NULL, false, "print this help"},
    [GLOBAL_VERSION] = {"version", 0, NULL, false, "print the version"},
    {NULL, 0, NULL, false, NULL},
};

const struct cmd *
cmd_find(const char *name)
{
	for (size_t i = 0; cmds[i] != NULL; i++) {
		if (strcmp(cmds[i]->name, name) == 0)
			return cmds[i];
	}
	return NULL;
}

const struct cmd *
cmd_nearest(const char *name)
{
	const struct cmd *best = NULL;
	/* one slip in a short word, two in a longer one: "x" must not become "up" */
	unsigned best_distance = strlen(name) <= 3 ? 2 : 3;

	for (size_t i = 0; cmds[i] != NULL; i++) {
		unsigned d = dm_edit_distance(cmds[i]->name, name);

		if (d < best_distance) {
			best_distance = d;
			best = cmds[i];
		}
	}
	return best;
}

static size_t
count_opts(const struct cmd_opt *opts)
{
	size_t n = 0;

	while (opts != NULL && opts[n].name != NULL)
		n++;
	return n;
}

/* What getopt_long(3) wants, made from the tables: the global options, then the verb's. */
struct getopt_tables {
	struct option longs[CMD_OPTS_MAX * 2];
	char shorts[CMD_OPTS_MAX * 4];
	size_t count;
};

static void
add_opts(struct getopt_tables *t, const struct cmd_opt *opts)
{
	size_t n = strlen(t->shorts);

	for (size_t i = 0; opts != NULL && opts[i].name != NULL; i++) {
		struct option *o = &t->longs[t->count];

		o->name = opts[i].name;
		o->has_arg = opts[i].value == NULL ? no_argument
			     : opts[i].optional	   ? optional_argument
						   : required_argument;
		o->val = 256 + (int)t->count++;
		if (opts[i].letter != 0) {
			t->shorts[n++] = opts[i].letter;
			if (opts[i].value != NULL)
				t->shorts[n++] = ':';
		}
	}
	t->shorts[n] = '\0';
}

/* The index, in the joined table, of a short option; -1: none. */
static int
index_of_letter(const struct cmd *cmd, int letter)
{
	size_t globals = count_opts(cmd_global_opts);

	for (size_t i = 0; i < globals; i++) {
		if (cmd_global_opts[i].letter == letter)
			return (int)i;
	}
	for (size_t i = 0; cmd != NULL && i < count_opts(cmd->opts); i++) {
		if (cmd->opts[i].letter == letter)
			return (int)(globals + i);
	}
	return -1;
}

static void
set_global(struct cmd_line *line, int which, const char *value)
{
	switch ((enum global)which) {
	case GLOBAL_JSON:
		line->json = true;
		break;
	case GLOBAL_CONFIG:
		line->config = value;
		break;
	case GLOBAL_VERBOSE:
		line->verbose = true;
		break;
	case GLOBAL_QUIET:
		line->quiet = true;
		break;
	case GLOBAL_HELP:
		line->help = true;
		break;
	case GLOBAL_VERSION:
		line->version = true;
		break;
	}
}

/* The option that a misspelt one was meant to be; NULL if none is near. */
static const char *
nearest_opt(const struct getopt_tables *t, const char *text)
{
	const char *best = NULL;
	unsigned best_distance = 3;

	for (size_t i = 0; i < t->count; i++) {
		unsigned d = dm_edit_distance(t->longs[i].name, text);

		if (d < best_distance) {
			best_distance = d;
			best = t->longs[i].name;
		}
	}
	return best;
}

static bool
fail_option(const struct cmd *cmd, const struct getopt_tables *t, int code, const char *text,
    struct dm_err *err)
{
	DM_AUTO_FREE char *program =
	    cmd == NULL ? dm_strdup("devmesh") : dm_asprintf("devmesh %s", cmd->name);
	char word[64];
	const char *near;

	if (code == ':') {
		(void)dm_fail(err, DM_USAGE, "the option %.80s needs a value", text);
		return dm_hint(err, "%s --help", program);
	}
	(void)dm_fail(err, DM_USAGE, "%s has no option %.80s", program, text);
	if (dm_starts_with(text, "--") &&
	    dm_snprintf(word, sizeof(word), "%.*s", (int)strcspn(text + 2, "="), text + 2) &&
	    (near = nearest_opt(t, word)) != NULL)
		return dm_hint(err, "perhaps --%s? %s --help lists them", near, program);
	if (cmd == NULL)
		return dm_hint(err, "options of a verb stand after it: devmesh up -C DIR; devmesh "
				    "--help lists the others");
	return dm_hint(err, "%s --help lists them", program);
}

/* Parses options up to the end, or (cmd NULL) up to the verb. */
static bool
parse_options(
    int argc, char **argv, const struct cmd *cmd, struct cmd_line *line, struct dm_err *err)
{
	/* "+": stop at what is no option; ":": tell a missing value from an unknown option */
	bool stop = cmd == NULL || cmd->takes_command;
	struct getopt_tables t = {.shorts = {stop ? '+' : ':', stop ? ':' : '\0'}};
	size_t globals = count_opts(cmd_global_opts);
	int code;

	add_opts(&t, cmd_global_opts);
	if (cmd != NULL)
		add_opts(&t, cmd->opts);
	dm_os_getopt_reset();
	opterr = 0;
	while ((code = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		int i = code >= 256 ? code - 256 : index_of_letter(cmd, code);

		if (code == '?' || code == ':') {
			const char letter[] = {'-', (char)optopt, '\0'};

			/* getopt leaves a letter in optopt; a word is the one just passed */
			return fail_option(cmd, &t, code,
			    optopt > 0 && optopt < 256 ? letter : argv[optind - 1], err);
		}
		if (i < (int)globals)
			set_global(line, i, optarg);
		else
			line->values[i - (int)globals] = optarg == NULL ? "" : optarg;
	}
	return true;
}

static bool
fail_verb(const char *name, struct dm_err *err)
{
	const struct cmd *near = cmd_nearest(name);

	(void)dm_fail(err, DM_USAGE, "there is no verb \"%.60s\"", name);
	if (near != NULL)
		return dm_hint(err, "perhaps devmesh %s?", near->name);
	return dm_hint(err, "devmesh help lists them");
}

bool
cmd_parse(int argc, char **argv, struct cmd_line *line, struct dm_err *err)
{
	int verb;

	memset(line, 0, sizeof(*line));
	if (!parse_options(argc, argv, NULL, line, err))
		return false;
	verb = optind;
	if (verb >= argc)
		return true;
	line->cmd = cmd_find(argv[verb]);
	if (line->cmd == NULL)
		return fail_verb(argv[verb], err);
	if (!parse_options(argc - verb, argv + verb, line->cmd, line, err))
		return false;
	if (line->cmd->takes_command) {
		line->command = (const char *const *)argv + verb + optind;
		return true;
	}
	for (int i = optind; i < argc - verb; i++) {
		if (line->arg_count >= line->cmd->max_args) {
			(void)dm_fail(err, DM_USAGE,
			    "devmesh %s: \"%.60s\" is one argument too many", line->cmd->name,
			    argv[verb + i]);
			return dm_hint(err, "devmesh %s --help", line->cmd->name);
		}
		line->args[line->arg_count++] = argv[verb + i];
	}
	return true;
}

const char *
cmd_value(const struct cmd_ctx *ctx, const char *name)
{
	const struct cmd_opt *opts = ctx->line->cmd->opts;

	for (size_t i = 0; opts != NULL && opts[i].name != NULL; i++) {
		if (strcmp(opts[i].name, name) == 0)
			return ctx->line->values[i];
	}
	return NULL;
}

const char *
cmd_arg(const struct cmd_ctx *ctx, int i)
{
	return i < ctx->line->arg_count ? ctx->line->args[i] : NULL;
}

bool
cmd_seconds(const struct cmd_ctx *ctx, const char *name, int64_t fallback_ms, int64_t *out,
    struct dm_err *err)
{
	const char *text = cmd_value(ctx, name);
	uint64_t seconds;

	*out = fallback_ms;
	if (text == NULL || text[0] == '\0')
		return true;
	if (!dm_parse_uint(text, 0, 86400, &seconds)) {
		(void)dm_fail(
		    err, DM_USAGE, "--%s: \"%.40s\" is not a number of seconds", name, text);
		return dm_hint(err, "a whole number from 0 to 86400");
	}
	*out = (int64_t)seconds * 1000;
	return true;
}

struct name_flags
cmd_name_flags(const struct cmd_ctx *ctx)
{
	return (struct name_flags){.dir = cmd_value(ctx, "directory"),
	    .id = cmd_value(ctx, "id"),
	    .app = cmd_value(ctx, "app")};
}

bool
cmd_claim(struct cmd_ctx *ctx, struct claim **claim, struct dm_err *err)
{
	struct name_flags flags = cmd_name_flags(ctx);

	if (cmd_arg(ctx, 0) != NULL && flags.dir != NULL) {
		(void)dm_fail(err, DM_USAGE, "both an ID (%.60s) and a directory (-C) are given",
		    cmd_arg(ctx, 0));
		return dm_hint(err, "give one of them");
	}
	return session_claim(ctx->session, cmd_arg(ctx, 0), &flags, claim, err);
}

static void
print_opts(const struct cmd_opt *opts)
{
	for (size_t i = 0; opts != NULL && opts[i].name != NULL; i++) {
		char left[48] = "", letter[5] = "    ";

		if (opts[i].letter != 0)
			(void)snprintf(letter, sizeof(letter), "-%c, ", opts[i].letter);
		(void)snprintf(left, sizeof(left), "%s--%s%s%s%s", letter, opts[i].name,
		    opts[i].value == NULL ? ""
		    : opts[i].optional	  ? "[="
					  : " ",
		    opts[i].value == NULL ? "" : opts[i].value, opts[i].optional ? "]" : "");
		(void)printf("  %-26s %s\n", left, opts[i].help);
	}
}

const struct cmd_word *
cmd_find_word(const struct cmd_ctx *ctx, const struct cmd_word words[], size_t count,
    const char *usage, struct dm_err *err)
{
	const char *word = cmd_arg(ctx, 0);

	for (size_t i = 0; word != NULL && i < count; i++) {
		if (strcmp(word, words[i].word) == 0)
			return &words[i];
	}
	if (word == NULL)
		(void)dm_fail(err, DM_USAGE, "devmesh %s: what about it?", ctx->line->cmd->name);
	else
		(void)dm_fail(err, DM_USAGE, "devmesh %s: \"%.60s\" is not known",
		    ctx->line->cmd->name, word);
	(void)dm_hint(err, "%s", usage);
	return NULL;
}

void
cmd_print_help(const struct cmd *cmd)
{
	if (cmd != NULL) {
		(void)printf("usage: devmesh %s%s%s%s\n\n%s.\n", cmd->name,
		    cmd->opts != NULL ? " [options]" : "", cmd->args[0] != '\0' ? " " : "",
		    cmd->args, cmd->summary);
		if (cmd->help != NULL)
			(void)printf("\n%s\n", cmd->help);
		if (cmd->opts != NULL) {
			(void)puts("\noptions:");
			print_opts(cmd->opts);
		}
		(void)puts("\noptions of every verb:");
		print_opts(cmd_global_opts);
		return;
	}
	(void)puts(
	    "usage: devmesh VERB [options]\n\n"
	    "Every git worktree gets its own stable URL, https://<app>-<branch>.<domain>.\n\n"
	    "verbs:");
	for (size_t i = 0; cmds[i] != NULL; i++)
		(void)printf("  %-12s %s\n", cmds[i]->name, cmds[i]->summary);
	(void)puts("\noptions of every verb:");
	print_opts(cmd_global_opts);
	(void)puts("\nBegin with: devmesh start, then devmesh run -- COMMAND in a worktree. See "
		   "devmesh(1).");
}
