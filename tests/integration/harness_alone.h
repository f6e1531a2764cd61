/* SPDX-License-Identifier: MIT */
/* A script in a network and with files of its own: nothing that is asked in it leaves it. */
#ifndef DEVMESH_HARNESS_ALONE_H
#define DEVMESH_HARNESS_ALONE_H

#include "harness.h"

/*
 * Runs the script by sh, as root, in the world's directory; skips the test where that cannot be, or
 * when it ends with 77, for the reason given. Otherwise it has to end with 0.
 *
 * It has $devmesh; its own /etc, without a resolver, and /run; and a loopback device. Of processes
 * in the background it adds the pids to $pids. `await COMMAND` waits until that succeeds. `serve
 * ARGUMENTS` starts dns_server.py, whose pid is $one, and waits until it is there.
 */
struct result run_alone(struct world *w, const char *script, const char *reason);

#endif
