/* SPDX-License-Identifier: MIT */
/*
 * Any lines as the words of a command line: a verb with no more arguments and options than it
 * has, or a usage error. Nothing but cmd_parse() is called.
 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "cmd.h"

enum {
	WORDS = 24
};

static size_t
count_opts(const struct cmd_opt *opts)
{
	size_t n = 0;

	while (opts != NULL && opts[n].name != NULL)
		n++;
	return n;
}

static void
check_line(const struct cmd_line *line)
{
	size_t n = line->cmd == NULL ? 0 : count_opts(line->cmd->opts);

	MUST(line->arg_count >= 0 && line->arg_count <= CMD_ARGS_MAX);
	MUST(line->arg_count <= (line->cmd == NULL ? 0 : line->cmd->max_args));
	for (int i = 0; i < line->arg_count; i++)
		MUST(line->args[i] != NULL);
	for (size_t i = 0; i < CMD_OPTS_MAX; i++) {
		MUST(i < n || line->values[i] == NULL);
		if (i < n && line->values[i] != NULL && line->cmd->opts[i].value == NULL)
			MUST(line->values[i][0] == '\0');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	char name[] = "devmesh", *argv[WORDS + 2] = {name};
	struct cmd_line line;
	struct dm_err err;
	int argc = 1;

	for (char *p = text; p != NULL && argc <= WORDS;) {
		char *end = strchr(p, '\n');

		argv[argc++] = p;
		if (end != NULL)
			*end++ = '\0';
		p = end;
	}
	argv[argc] = NULL;
	if (cmd_parse(argc, argv, &line, &err))
		check_line(&line);
	else
		MUST(err.code == DM_USAGE && err.msg[0] != '\0' && err.hint[0] != '\0');
	return 0;
}
