/* SPDX-License-Identifier: MIT */
/*
 * For which domains devmeshd may answer at all: only for one that can be the user's own. An answer
 * for another would lead people astray. Pure, but for libpsl's list (https://publicsuffix.org).
 */
#ifndef DEVMESH_DNS_DOMAIN_H
#define DEVMESH_DNS_DOMAIN_H

#include "base/err.h"

enum dns_scope {
	DNS_SCOPE_NONE,	    /* for nobody */
	DNS_SCOPE_LOOPBACK, /* only to this machine: elsewhere the name means another one */
	DNS_SCOPE_ALL,
};

/*
 * To whom the domain (domain_parse() has taken it) may be answered for. With DNS_SCOPE_NONE *err
 * says why: a single label, ".local" (multicast DNS, RFC 6762 §3), or a public suffix, under which
 * everybody can have names. ".localhost" (RFC 6761 §6.3) is the loopback's, and so is everything as
 * long as there is no list of suffixes.
 */
enum dns_scope dns_domain_scope(const char *domain, struct dm_err *err) DM_MUST;

#endif
