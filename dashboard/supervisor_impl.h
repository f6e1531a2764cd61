/* SPDX-License-Identifier: MIT */
/* Between supervisor.c, which starts and ends services, and supervised.c, which describes one. */
#ifndef DEVMESH_SUPERVISOR_IMPL_H
#define DEVMESH_SUPERVISOR_IMPL_H

#include "supervisor.h"

void supervised_free(struct supervised *s);
/* Takes a copy, printable; NULL: there is none any more. */
void supervised_problem(struct supervised *s, const char *text);

/*
 * What a run has said itself, in the file that was its stderr, with a newline in front: not what
 * its command writes. The caller owns it.
 */
char *supervised_words(const char *path);
/* The exit status in it, for whoever is not the run's parent; -1: the run was killed. */
int supervised_status(const char *words);
/* Notes why it has ended; whether devmesh itself has said so, and not its command. */
bool supervised_explain(struct supervised *s, char *words);

#endif
