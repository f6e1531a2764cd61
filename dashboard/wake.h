/* SPDX-License-Identifier: MIT */
/*
 * Starting on request: where the mesh route (caddy/mesh.h) sends the opening of a page whose
 * service does not run. It says which service by the path, "/wake/<id>", and what it is answered
 * with is shown to the user (503, a page that asks again), unless that is 404: then Caddy has a
 * page of its own.
 *
 * The socket is beside the identity documents: only the user can have put it there.
 */
#ifndef DEVMESH_WAKE_H
#define DEVMESH_WAKE_H

struct daemon;
struct wake;

/* The caller owns it. */
struct wake *wake_new(struct daemon *d);
void wake_free(struct wake *wake);

/*
 * Caddy's view is another one: listens from now on where its mesh route says, if there is one. That
 * it cannot is said, and no failure.
 */
void wake_settle(struct wake *wake);

#endif
