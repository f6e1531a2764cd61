/* SPDX-License-Identifier: MIT */
/*
 * The name server of devmeshd: answers for the domain (dns_answer.h), to this machine always, and
 * with lan.enabled to those devices of the network that lan.h lets in. What cannot be bound is said
 * and tried again; nothing else depends on it.
 *
 * It asks nobody, and keeps nothing; a machine that wants it to be asked has to be told to (devmesh
 * dns install).
 */
#ifndef DEVMESH_NAMESERVER_H
#define DEVMESH_NAMESERVER_H

#include <stdint.h>

#include "base/err.h"

struct cJSON;
struct daemon;
struct nameserver;

struct nameserver_counts {
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
struct nameserver *nameserver_new(struct daemon *d);
void nameserver_free(struct nameserver *server);

/* Begins. The daemon's lan and session are there by now. */
void nameserver_start(struct nameserver *server);

/* Domain, configuration, Caddy or addresses may be others: binds and lets go what that changes. */
void nameserver_settle(struct nameserver *server);

const struct nameserver_counts *nameserver_counts(const struct nameserver *server);

/* A document "NameServer" of openapi.json; the caller owns it. */
struct cJSON *nameserver_document(const struct nameserver *server) DM_MUST;

#endif
