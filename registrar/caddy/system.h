/* SPDX-License-Identifier: MIT */
/* The configuration of a Caddy that serves a real domain: the mesh, and its certificate. Pure. */
#ifndef DEVMESH_SYSTEM_H
#define DEVMESH_SYSTEM_H

#include "caddy/mesh.h"

/* The variable that the token of the DNS provider is in; the configuration only names it. */
#define SYSTEM_TOKEN_VAR "CLOUDFLARE_API_TOKEN"

/* Everything is borrowed. */
struct system_settings {
	struct mesh_settings mesh; /* without admin_socket and data_dir */
	const char *id;		   /* "@id" of the whole configuration: says who wrote it */
	const char *admin;	   /* "http://host:port" or "unix:///path" */
	const char *admin_mode; /* of that socket, in octal; needs Caddy 2.7; NULL: its default */

	/*
	 * A certificate by ACME and the DNS challenge, and a record for the wildcard, unless
	 * somebody else keeps that; without a provider the certificate comes from Caddy's own CA,
	 * and DNS is left alone.
	 */
	const char *dns_provider; /* "cloudflare"; NULL: none */
	const char *zone;	  /* what the provider calls the zone: the domain, or above it */
	const char *email;	  /* for the ACME account; NULL: none */
	const char *interface;	  /* whose address the record gets */
	bool other_record;	  /* it is not Caddy's to keep */
};

/* The whole configuration, as indented text. The caller owns it. */
char *system_config(const struct system_settings *settings);

#endif
