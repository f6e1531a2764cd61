/* SPDX-License-Identifier: MIT */
/* What registry.c (claims) and registry_dir.c (the directory) share. For nobody else. */
#ifndef DEVMESH_REGISTRY_IMPL_H
#define DEVMESH_REGISTRY_IMPL_H

#include "claim/registry.h"

struct stat;

struct registry {
	char *dir;
	int fd;
};

struct claim_stamp registry_stamp(const struct stat *st);

/* Calls fn for every entry "<valid id><suffix>" of this user's. */
bool registry_each_entry(const struct registry *reg, const char *suffix,
    void (*fn)(const struct registry *, const char *id, const struct stat *, void *), void *user,
    struct dm_err *err) DM_MUST;

#endif
