/* SPDX-License-Identifier: MIT */
/* One command line of devmesh, from argv to the exit code: main() of one program, a job of another.
 */
#ifndef DEVMESH_CLI_H
#define DEVMESH_CLI_H

/*
 * Runs the verb that argv (argv[0] is the program) names, prints its answer on stdout, what is said
 * to a person and the one error on stderr (with --json that on stdout), and returns the exit code.
 * Sets the verbosity of the whole process.
 */
int cli_run(int argc, char **argv);

#endif
