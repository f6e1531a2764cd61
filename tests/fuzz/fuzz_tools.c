/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a command line and a package.json: the words stay, in their order, and what is
 * added is one of the known. First line: the words, cut at blanks; the rest: the file.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "run/tools.h"

enum {
	WORDS = 64
};

static char dir[] = "/tmp/dmfuzz.XXXXXX";
static char file[64];

static void
clean_up(void)
{
	(void)unlink(file);
	(void)rmdir(dir);
}

static void
put_package(const void *bytes, size_t n)
{
	int fd;

	if (file[0] == '\0') {
		MUST(mkdtemp(dir) != NULL);
		(void)snprintf(file, sizeof(file), "%s/package.json", dir);
		MUST(atexit(clean_up) == 0);
	}
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && dm_write_all(fd, bytes, n));
	(void)close(fd);
}

static void
check_plan(const struct tool_plan *plan, const char *const *argv, size_t count)
{
	size_t at = 0, n = 0;

	for (; plan->argv[n] != NULL; n++) {
		if (at < count && strcmp(plan->argv[n], argv[at]) == 0)
			at++;
	}
	MUST(at == count && (n > count) == plan->flags_added);
	MUST(plan->mode == TOOL_SOCKET || plan->mode == TOOL_PORT);
	MUST(!plan->flags_added || plan->tool != NULL);
	for (char *const *e = plan->env; *e != NULL; e++)
		MUST(strchr(*e, '=') != NULL && (*e)[0] != '=');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *argv[WORDS + 1];
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t first = end != NULL ? (size_t)(end - data) : size, count = 0;
	DM_AUTO_FREE char *line = dm_strndup((const char *)data, first);
	struct tool_input in = {
	    .argv = argv,
	    .dir = dir,
	    .socket = "/s/x.sock",
	    .port = 4123,
	    .url = "https://x.dev.localhost",
	    .host = "x.dev.localhost",
	    .domain = "dev.localhost",
	    .id = "x",
	    .worktree = "/w",
	};
	struct tool_plan plan;
	struct dm_err err;

	put_package(end != NULL ? end + 1 : data, end != NULL ? size - first - 1 : 0);
	in.mode = (enum tool_mode)(size % 3);
	for (char *p = line; *p != '\0' && count < WORDS;) {
		char *blank = strchr(p, ' ');

		argv[count++] = p;
		if (blank == NULL)
			break;
		*blank = '\0';
		p = blank + 1;
	}
	argv[count] = NULL;
	if (count == 0)
		return 0;
	if (!tool_plan_make(&in, &plan, &err)) {
		MUST(err.code == DM_USAGE && err.msg[0] != '\0');
		return 0;
	}
	check_plan(&plan, argv, count);
	tool_plan_release(&plan);
	return 0;
}
