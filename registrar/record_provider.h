/* SPDX-License-Identifier: MIT */
/*
 * What record.c needs of a provider. To add one: a record_<name>.c with a `const struct
 * record_provider`, its row in record.c, its name in conf_keys.c, devmesh.ini(5) and openapi.json.
 *
 * Answers come from the network: bounded, and checked before anything is made of them.
 */
#ifndef DEVMESH_RECORD_PROVIDER_H
#define DEVMESH_RECORD_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dns.h"
#include "base/err.h"
#include "caddy/http.h"

enum {
	RECORD_ID_MAX = 64, /* bytes of the provider's ids, with their NUL */
	RECORD_TTL = 60,    /* seconds: the least that is commonly allowed */
};

/* One conversation. */
struct record_call {
	struct http *http;
	const char *base;  /* of the URLs, without a slash at its end */
	const char *token; /* in no message */
	int64_t
	    retry_after_s; /* set with a failure: how long the provider wants to be left alone */
};

/* The A records of one name. */
struct record_entries {
	size_t count;
	char id[RECORD_ID_MAX];		/* of the first one */
	char content[DNS_ADDRESS_TEXT]; /* its address */
	bool direct; /* what it leads to is this address, not the provider's own */
};

struct record_provider {
	const char *name; /* as in the configuration */
	const char *base; /* "https://..." */
	/* Its id of the zone that is called just so; "" without an error if the token shows none.
	 */
	bool (*find_zone)(
	    struct record_call *call, const char *zone, char id[RECORD_ID_MAX], struct dm_err *err);
	bool (*find)(struct record_call *call, const char *zone_id, const char *name,
	    struct record_entries *out, struct dm_err *err);
	/* Makes the one with this id (NULL: a new one) lead to `address`, directly. */
	bool (*write)(struct record_call *call, const char *zone_id, const char *id,
	    const char *name, const char *address, struct dm_err *err);
};

extern const struct record_provider record_cloudflare;

/* For the fuzzer: reads one page, as a list of zones and as one of records, for this name. */
bool record_cloudflare_read(const char *text, size_t len, const char *name,
    char zone_id[RECORD_ID_MAX], struct record_entries *out);

#endif
