/* SPDX-License-Identifier: MIT */
/*
 * Descriptors are few: what could take thousands of them (one for each process or directory that
 * is watched) leaves some for what cannot do without.
 */
#ifndef DEVMESH_FDS_H
#define DEVMESH_FDS_H

#include <stdbool.h>

/*
 * Takes a descriptor that has just been opened; true if enough are left below RLIMIT_NOFILE
 * (getrlimit(2)). Else it is closed, and errno is EMFILE. One below 0 is false, errno untouched.
 */
bool fds_afford(int fd);

#endif
