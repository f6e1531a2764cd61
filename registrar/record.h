/* SPDX-License-Identifier: MIT */
/*
 * The public DNS record of the domain's names, *.<domain>, at a provider's API: what is there, what
 * it has to be, and writing that. One look, and one write at most; who repeats it is
 * dashboard/record_keeper.h.
 *
 * The other way is Caddy's module dynamic_dns, which devmesh setup --dns writes while [record]
 * provider is "none". Two who keep one record would only watch each other.
 */
#ifndef DEVMESH_RECORD_H
#define DEVMESH_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dns.h"
#include "base/err.h"
#include "conf/conf.h"
#include "model/host.h"
#include "model/lan_choice.h"

struct cJSON;

/* For tests alone: where the provider's API is instead, on a loopback address. */
#define RECORD_API_VAR "DEVMESH_TEST_RECORD_API"

enum record_action {
	RECORD_UNKNOWN, /* it was not found out */
	RECORD_NONE,	/* it is right */
	RECORD_CREATE,
	RECORD_UPDATE,
};

struct record {
	char name[HOST_MAX + 3];       /* "*.dev.example.com" */
	char zone[HOST_MAX + 1];       /* "": not found yet */
	char found[DNS_ADDRESS_TEXT];  /* what it led to; "": there was none, or it is not known */
	char wanted[DNS_ADDRESS_TEXT]; /* "": there is no address */
	enum record_action action;
	bool written;
	int64_t retry_after_s; /* after a failure: the provider asks for so much patience; or 0 */
};

/*
 * The address that the record has to have: the one of the network, or 127.0.0.1 while other devices
 * may not reach this machine (then the names work on it alone, and tell nobody anything). DM_DENIED
 * if that may not be published: it is not private (RFC 1918, 100.64/10), and [record] allow_public
 * is not set. DM_NOT_FOUND: there is none. Pure.
 */
bool record_address(const struct conf *conf, const struct lan_state *network,
    struct dns_address *out, struct dm_err *err) DM_MUST;

/*
 * Looks, and with `write` makes it right; *out is filled in as far as it got, also on failure.
 * DM_USAGE: the configuration; DM_DENIED: the token's file or the provider refuses; DM_CONFLICT:
 * what is there is not devmesh's to change; DM_UNREACHABLE, DM_TIMEOUT, DM_FAILED: perhaps later.
 * The token is in no message.
 */
bool record_keep(const struct conf *conf, const struct lan_state *network, bool write,
    struct record *out, struct dm_err *err) DM_MUST;

/* Reads the token; DM_DENIED unless the file is ours, regular, and private. The caller owns it. */
char *record_token(const char *path, struct dm_err *err) DM_MUST;

/* The document "Record" of openapi.json; `err` NULL: it went well. The caller owns it. */
struct cJSON *
record_json(const struct conf *conf, const struct record *record, const struct dm_err *err);

#endif
