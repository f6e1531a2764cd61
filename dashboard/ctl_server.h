/* SPDX-License-Identifier: MIT */
/*
 * The control socket (ctl/ctl.h has the protocol), "<state_dir>/devmeshd.sock": the API for the
 * user's own processes, without any ceremony. Mode 0600 from the first, and the kernel is asked who
 * each client is (unix(7), SO_PEERCRED).
 */
#ifndef DEVMESH_CTL_SERVER_H
#define DEVMESH_CTL_SERVER_H

#include <stddef.h>

#include "base/err.h"

struct cJSON;
struct ctl_server;
struct daemon;

/*
 * Listens. The daemon's lock must be held: a stale socket is then nobody's, and is replaced;
 * DM_CONFLICT if somebody listens there all the same. The caller owns the result.
 */
struct ctl_server *ctl_server_open(struct daemon *d, struct dm_err *err) DM_MUST;
/* Gives every client what it was still to get, as far as it takes it at once, and removes the
 * socket. */
void ctl_server_close(struct ctl_server *server);
size_t ctl_server_clients(const struct ctl_server *server);

/* One line of a client, understood. */
struct ctl_request {
	struct cJSON *document;	   /* owned: ctl_request_release() */
	const char *method, *path; /* in it */
	const struct cJSON *body;  /* in it; NULL: none */
};
/* False: *status and *err say what is wrong with it. For the server, and the fuzzer. */
bool ctl_request_parse(
    const char *line, size_t len, struct ctl_request *out, int *status, struct dm_err *err) DM_MUST;
void ctl_request_release(struct ctl_request *request);

#endif
