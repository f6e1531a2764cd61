/* SPDX-License-Identifier: MIT */
/* devmesh: the registrar. */
#include <signal.h>

#include "base/fsio.h"
#include "cli.h"

int
main(int argc, char **argv)
{
	dm_open_standard_fds();
	(void)signal(SIGPIPE, SIG_IGN);
	return cli_run(argc, argv);
}
