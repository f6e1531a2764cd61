/* SPDX-License-Identifier: MIT */
/*
 * The mesh route: one static route that serves every name below a domain by its socket file, so
 * that registering a service changes nothing in Caddy. And the configuration of a private Caddy
 * that consists of little else. Pure.
 */
#ifndef DEVMESH_MESH_H
#define DEVMESH_MESH_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* The @id of the mesh route: with a dot, so that no service can have it. */
#define MESH_ROUTE_ID "devmesh.mesh"
/* That of the route for names below .local, in a mesh that has one. */
#define MESH_LOCAL_ROUTE_ID "devmesh.local"
/*
 * The socket in the directory of identity documents on which devmeshd is told of pages that are
 * opened while their service does not run.
 */
#define MESH_WAKE_SOCKET ".wake.sock"
/* The response header by which the mesh's own answers can be told from a service's. */
#define MESH_STATE_HEADER "X-Devmesh-State"
/* The request header, "1", by which devmesh's own checks stay out of the access log. */
#define MESH_CHECK_HEADER "X-Devmesh-Check"

/*
 * A Caddyfile that only a Caddy with stream_close_delay can adapt; adapting applies nothing.
 */
extern const char mesh_probe_caddyfile[];

/*
 * The route for "*.<domain>" and the sockets in `dir`. A name without a socket gets a page that
 * says so (503); a label that is no service name gets 404. `stream_close_delay` as in
 * route_build(). ROUTE_IDENTITY_PATH answers with the documents in `identity_dir`: a directory
 * that only the user may write to (links in it are followed); NULL: none. A page of a name that is
 * claimed is asked for at MESH_WAKE_SOCKET in it first, as "/wake/<label>", if that is there and
 * does not answer 404. Its gate (gate.h) is in front of everything. The caller owns it.
 */
struct cJSON *
mesh_route(const char *domain, const char *dir, const char *identity_dir, bool stream_close_delay);

/*
 * A host below the domain that is no service's: what catches it in front of the mesh route catches
 * every name. The caller owns it.
 */
char *mesh_any_host(const char *domain);

/* Everything is borrowed. */
struct mesh_settings {
	const char *domain;
	const char *sockets_dir;
	const char *identity_dir; /* NULL: no identity documents */
	const char *admin_socket; /* path */
	const char *data_dir;	  /* certificates */
	const char *access_log;	  /* file (mesh_log.h); NULL: none */
	uint16_t https_port, http_port;
	bool ipv6;		 /* listen on [::1] as well */
	bool lan;		 /* listen on all addresses instead of the loopback ones */
	bool stream_close_delay; /* this Caddy knows it (2.7) */
	bool mdns; /* by plain HTTP, <id>.local is the service as well: for multicast DNS */
};

/*
 * Caddy's whole configuration for a private mesh: listens on the loopback addresses only, takes
 * its certificates from its own CA, asks no public one, and installs nothing in trust stores.
 * The caller owns the text.
 */
char *mesh_config(const struct mesh_settings *settings);

/*
 * The part of it that is apps.http.servers: "srv0" with the mesh route, and "redirect" from HTTP.
 * For whoever brings the certificates; admin_socket and data_dir are not looked at. The caller
 * owns it.
 */
struct cJSON *mesh_servers(const struct mesh_settings *settings);

#endif
