/* SPDX-License-Identifier: MIT */
/*
 * What the page that sets up a phone consists of, and who may see it. It is served in plain HTTP to
 * a device that trusts nothing yet. Pure.
 */
#ifndef DEVMESH_PHONE_TEXT_H
#define DEVMESH_PHONE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authority.h"
#include "model/host.h"
#include "model/slug.h"

struct cJSON;

/* Who has signed what Caddy presents. */
enum phone_ca {
	PHONE_CA_UNKNOWN, /* nothing that this machine trusts either, or nothing at all */
	PHONE_CA_NONE,	  /* services are served by plain HTTP */
	PHONE_CA_PUBLIC,  /* what every phone trusts */
	PHONE_CA_PRIVATE, /* a root of this machine's own */
};

/* What is known; borrowed. */
struct phone_facts {
	const char *address; /* of this machine in the network */
	uint16_t port;	     /* of the page, there */
	const char *domain;
	const char *url; /* of devmeshd itself, "https://devmesh.dev.test:8443"; NULL: none */
	bool looked;	 /* the rest has been found out */
	bool dns;	 /* the domain's names are answered for on port 53 of the address */
	bool reachable;	 /* Caddy listens on the address, not only on loopback */
	enum phone_ca ca;
	const struct authority_root *root; /* PHONE_CA_PRIVATE */
};

/* "private", ... Static storage. */
const char *phone_ca_name(enum phone_ca ca);

/*
 * Whether a Host header means this page: the address as it is written there, or the domain or a
 * name below it, each with our port or none. Another name that leads here is somebody's trick (DNS
 * rebinding).
 */
bool phone_host_ok(const char *header, const struct phone_facts *facts);

/* The service that a query ("id=shop-main") asks for; false: none that could be one. */
bool phone_query_id(const char *query, struct slug *out);

/*
 * Where the service is, whether or not there is one: the page does not tell. Without an id devmesh
 * itself, with the list of what is shared. False: there is no URL at all.
 */
bool phone_open_url(const struct phone_facts *facts, const struct slug *id, char out[URL_MAX + 1]);

/* Why no phone can use it, whatever is done there; NULL: nothing is in the way. Static storage. */
const char *phone_problem(const struct phone_facts *facts);

/* The page; `id` may be NULL. The caller owns it. */
char *phone_page(const struct phone_facts *facts, const struct slug *id);
/* What its script asks for. The caller owns it. */
struct cJSON *phone_state(const struct phone_facts *facts, const struct slug *id);
/* What the page may load and ask: Content-Security-Policy. The caller owns it. */
char *phone_policy(const struct phone_facts *facts);

/*
 * A configuration profile that brings the root to iOS (Apple, Configuration Profile Reference:
 * com.apple.security.root). Its identifiers follow from the root, so that installed twice it is
 * still one. The caller owns it.
 */
char *phone_profile(const struct authority_root *root);

#endif
