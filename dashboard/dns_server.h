/* SPDX-License-Identifier: MIT */
/*
 * The name server of devmeshd: answers for the domain (dns_answer.h), to this machine always, and
 * with lan.enabled to those devices of the network that lan.h lets in. What cannot be bound is said
 * and tried again; nothing else depends on it.
 *
 * It asks nobody, and keeps nothing; a machine that wants it to be asked has to be told to (devmesh
 * dns install).
 */
#ifndef DEVMESH_DNS_SERVER_H
#define DEVMESH_DNS_SERVER_H

#include <stdint.h>

#include "base/err.h"

struct cJSON;
struct daemon;
struct dns_server;

struct dns_counts {
	uint64_t answered;    /* also: there is no such name */
	uint64_t refused;     /* not our domain, or nothing that is given away */
	uint64_t malformed;   /* told so */
	uint64_t dropped;     /* no questions */
	uint64_t foreign;     /* from where nobody is let in: questions and connections */
	uint64_t limited;     /* too many from one device */
	uint64_t turned_away; /* connections that were too many */
	unsigned connections; /* now */
};

/*
 * Takes the sockets that were passed on (before anything is started that could inherit them), and
 * binds none. The caller owns it.
 */
struct dns_server *dns_server_new(struct daemon *d);
void dns_server_free(struct dns_server *server);

/* Begins. The daemon's lan and session are there by now. */
void dns_server_start(struct dns_server *server);

/* Domain, configuration, Caddy or addresses may be others: binds and lets go what that changes. */
void dns_server_settle(struct dns_server *server);

const struct dns_counts *dns_server_counts(const struct dns_server *server);

/* A document "NameServer" of openapi.json; the caller owns it. */
struct cJSON *dns_server_document(const struct dns_server *server) DM_MUST;

#endif
