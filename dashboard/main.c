/* SPDX-License-Identifier: MIT */
/* devmeshd: the companion daemon, in the foreground. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "daemon.h"
#include "version.h"

static const char usage[] =
    "usage: devmeshd [--config FILE] [-nqv]\n"
    "\n"
    "Watches the services of this user, and keeps routes, sockets and claims right. Stays in the\n"
    "foreground: devmesh daemon start runs it in the background, devmesh service install lets the\n"
    "system do so.\n"
    "\n"
    "  -c, --config FILE  read this configuration file as well\n"
    "  -n, --check        only check the configuration\n"
    "  -q, --quiet        errors only\n"
    "  -v, --verbose      say more\n"
    "  -h, --help         show this\n"
    "  -V, --version      show the version\n";

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'n'}, {"quiet", no_argument, NULL, 'q'},
	    {"verbose", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	const char *given = NULL;
	DM_AUTO_FREE char *config = NULL;
	struct dm_err err = {.code = DM_OK};
	bool check = false;
	int c;

	dm_open_standard_fds();
	(void)signal(SIGPIPE, SIG_IGN);
	/* the journal knows the time itself */
	dm_log_program("devmeshd", getenv("JOURNAL_STREAM") == NULL);
	dm_log_level(DM_LOG_NOTE);
	while ((c = getopt_long(argc, argv, "c:nqvhV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			given = optarg;
			break;
		case 'n':
			check = true;
			break;
		case 'q':
			dm_log_level(DM_LOG_QUIET);
			break;
		case 'v':
			dm_log_level(DM_LOG_DEBUG);
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		case 'V':
			(void)puts("devmeshd " DEVMESH_VERSION);
			return fflush(stdout) == 0 ? 0 : 1;
		default:
			(void)fputs(usage, stderr);
			return DM_USAGE;
		}
	}
	if (given == NULL && (given = getenv("DEVMESH_CONFIG")) != NULL && given[0] == '\0')
		given = NULL;
	if (optind < argc) {
		(void)dm_fail(
		    &err, DM_USAGE, "devmeshd takes no argument: \"%.80s\"", argv[optind]);
		(void)dm_hint(&err, "devmeshd --help");
	} else if (given != NULL && (config = dm_absolute(given, &err)) == NULL) {
		(void)dm_wrap(
		    &err, "the configuration %.200s", given); /* read again from elsewhere */
	} else if (check ? daemon_check(config, &err) : daemon_run(config, &err)) {
		return 0;
	}
	dm_print_error(&err);
	return (int)err.code;
}
