/* SPDX-License-Identifier: MIT */
/*
 * What a phone will find: who has signed what Caddy presents, whether Caddy and DNS answer on the
 * network's address. Found out by trying, in a worker.
 */
#ifndef DEVMESH_PHONE_LOOK_H
#define DEVMESH_PHONE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dns.h"
#include "phone_text.h"

struct worker_result;

/* What to look at; copied by the fork of the worker, and needed until it has begun. */
struct phone_look {
	char *config_file; /* NULL: none. Owned */
	char address[DNS_ADDRESS_TEXT];
	char host[HOST_MAX + 1]; /* devmesh's own name; "": none */
	char domain[HOST_MAX + 1];
	bool https;
	uint16_t port; /* of Caddy */
};

struct phone_found {
	bool dns, reachable;
	enum phone_ca ca;
	struct authority_root root; /* PHONE_CA_PRIVATE */
};

enum {
	PHONE_LOOK_MS = 15000 /* what a look may take */
};

/* The job (workers.h), with a struct phone_look. */
int phone_look_job(void *look);
/* What it has found; false if it has failed. */
bool phone_look_read(const struct worker_result *result, struct phone_found *out);

#endif
