/* SPDX-License-Identifier: MIT */
/* The certificates that the private mesh serves, in its Caddy's storage. */
#ifndef DEVMESH_LEAVES_H
#define DEVMESH_LEAVES_H

/*
 * Sees to it that the Caddy whose storage is `data_dir`, and which does not run, gets itself a
 * certificate for the names below the domain when it starts, by its authority of today.
 */
void leaves_prepare(const char *data_dir, const char *domain);

#endif
