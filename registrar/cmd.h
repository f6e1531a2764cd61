/* SPDX-License-Identifier: MIT */
/*
 * The verbs: one table, from which the command line is parsed and --help, the shell completions
 * and the tests of the manual are made.
 *
 * To add a verb: a file cmd_<verb>.c with a `const struct cmd`, its declaration and its row in
 * cmd.c, and its entry in devmesh.1.
 */
#ifndef DEVMESH_CMD_H
#define DEVMESH_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "session.h"

struct cmd_ctx;

struct cmd_opt {
	const char *name;  /* "wait", without dashes */
	char letter;	   /* 'C'; 0: none */
	const char *value; /* "SECONDS"; NULL: a flag */
	bool optional;	   /* the value may be left out: --wait[=SECONDS] */
	const char *help;
};

/* The row of verbs that act for a worktree; cmd_name_flags() reads it. */
#define CMD_OPT_DIRECTORY \
	{ \
		"directory", 'C', "DIR", false, \
		    "act for the worktree DIR instead of the current directory" \
	}

struct cmd {
	const char *name;
	const char *args; /* of the synopsis: "[ID]" */
	int max_args;
	const char *summary;	    /* one line, no full stop */
	const char *help;	    /* paragraphs of --help; NULL: none */
	const struct cmd_opt *opts; /* ended by a row without a name; NULL: none */
	bool without_session;	    /* works whatever the configuration is: ctx->session is NULL */
	bool takes_command;	    /* what follows the options is a command, left as it is */
	bool (*run)(struct cmd_ctx *ctx, struct dm_err *err);
};

enum {
	CMD_OPTS_MAX = 16,
	CMD_ARGS_MAX = 8
};

/* A command line, parsed. Strings are borrowed from argv. */
struct cmd_line {
	const struct cmd *cmd; /* NULL: none was given */
	bool json, help, version, quiet, verbose;
	const char *config;
	const char *values[CMD_OPTS_MAX]; /* by index in cmd->opts; "" for a flag that is set */
	const char *args[CMD_ARGS_MAX];
	int arg_count;
	const char *const *command; /* takes_command: NULL-terminated; in argv */
};

struct cmd_ctx {
	const struct cmd_line *line;
	struct session *session; /* open, unless the verb works without */
	int exit_status;	 /* of devmesh when the verb succeeds: 0 unless it sets another */
};

extern const struct cmd *const cmds[]; /* NULL-terminated, in the order of --help */
extern const struct cmd_opt cmd_global_opts[];

/* The verb, or NULL. */
const struct cmd *cmd_find(const char *name);
/* The nearest verb to a misspelt one, or NULL. */
const struct cmd *cmd_nearest(const char *name);

/* Parses argv (argv[0] is the program). Touches nothing else: the fuzzer calls it. */
bool cmd_parse(int argc, char **argv, struct cmd_line *line, struct dm_err *err) DM_MUST;

/* The value of an option of the verb: "" for a flag, NULL if not given. */
const char *cmd_value(const struct cmd_ctx *ctx, const char *name);
/* The i-th argument, or NULL. */
const char *cmd_arg(const struct cmd_ctx *ctx, int i);
/* A number of seconds ("1.5" is not one) as milliseconds; `fallback_ms` if not given or empty. */
bool cmd_seconds(const struct cmd_ctx *ctx, const char *name, int64_t fallback_ms, int64_t *out,
    struct dm_err *err) DM_MUST;
/* -C, --id and --app of the verb, as far as it has them. */
struct name_flags cmd_name_flags(const struct cmd_ctx *ctx);
/* What a verb does by the word that is its first argument: "install". */
struct cmd_word {
	const char *word;
	bool (*run)(struct cmd_ctx *ctx, struct dm_err *err);
};
/*
 * The row of that word; NULL with DM_USAGE where it is missing or not known, so that nothing is
 * begun by a slip. `usage` is what to try.
 */
const struct cmd_word *cmd_find_word(const struct cmd_ctx *ctx, const struct cmd_word words[],
    size_t count, const char *usage, struct dm_err *err);
/* The claim that the first argument, or the worktree, means. */
bool cmd_claim(struct cmd_ctx *ctx, struct claim **claim, struct dm_err *err) DM_MUST;

/* --help of one verb, or of all (cmd NULL). */
void cmd_print_help(const struct cmd *cmd);

#endif
