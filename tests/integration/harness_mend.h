/* SPDX-License-Identifier: MIT */
/* For the tests of mending: how often Caddy was configured, its crash, and what strangers have. */
#ifndef DEVMESH_HARNESS_MEND_H
#define DEVMESH_HARNESS_MEND_H

#include "harness_net.h"

#define ROUTES "/config/apps/http/servers/srv0/routes"
#define MESH   "devmesh.mesh" /* the @id of the mesh route */

/* A stranger's route with values that a parser could change: kept byte for byte. */
#define DELICATE \
	"{\"@id\":\"delicate\",\"handle\":[{\"handler\":\"static_response\",\"headers\":{\"X-A\":" \
	"[\"\\u0000\\u003c\\u2028\"]}},{\"flush_interval\":9007199254740991,\"handler\":" \
	"\"reverse_proxy\",\"transport\":{\"dial_timeout\":1234567890123456,\"protocol\":" \
	"\"http\"},\"upstreams\":[{\"dial\":\"localhost:1\"}]}],\"match\":[{\"host\":" \
	"[\"delicate.example\"]}]}"

int count_of(const char *text, const char *part);
int loads(struct world *w); /* how often Caddy has loaded a configuration since it was started */
int loads_since(struct world *w, int *before); /* the same, since the last call */
void crash(struct world *w);		       /* Caddy is killed: it has but its file's routes */
void restore(struct world *w);		       /* devmesh up --all */
void post(struct world *w, const char *body);
char *text_of_route(struct world *w, const char *id);
const char *state_of(struct world *w, const char *id); /* by devmesh status */
/* Services s-0, s-1, ... of one worktree, every third on a port of its own. */
void claim_many(struct world *w, const char *dir, int n);
/* The JSON array of DELICATE and n bystanders; and that they are still that. */
char *strangers(struct world *w, int n);
void assert_strangers(struct world *w, int n);

#endif
