/* SPDX-License-Identifier: MIT */
/*
 * What getaddrinfo(3) says of a name, as every program of this machine gets it. In a child: its own
 * time limits are not ours.
 */
#ifndef DEVMESH_LOOKUP_H
#define DEVMESH_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dns.h"
#include "base/err.h"
#include "base/spawn.h"

struct lookup {
	const char *name;	   /* borrowed until the end */
	struct dm_child_call call; /* while it is under way */
	int error;		   /* EAI_...; 0: found */
	bool silent;		   /* no answer in time */
	struct dns_address addresses[DNS_ADDRESSES_MAX];
	size_t count;
};

/* False if no process can be started. Whatever began has to be ended. */
bool lookup_begin(const char *name, struct lookup *out) DM_MUST;
/* Waits for the answer, at most that long, and ends the child. */
void lookup_end(struct lookup *out, int64_t timeout_ms);

/* Whether one of the addresses is this machine's. */
bool lookup_is_ours(const struct lookup *l);

#endif
