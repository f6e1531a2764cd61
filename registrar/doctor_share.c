/* SPDX-License-Identifier: MIT */
/* The doctor on the gate that keeps other devices from what is not shared. */
#include "base/str.h"
#include "caddy/gate.h"
#include "caddy/route.h"
#include "doctor_lan.h"
#include "share.h"

struct gateless {
	unsigned count;
	const char *first; /* id of one of them */
};

/* A route of our making, of a service, that every device gets through. */
static void
look_at_route(const struct cJSON *route, void *user)
{
	struct gateless *g = user;
	const char *id = route_id(route);

	if (id == NULL || !route_is_ours(route, id) || gate_is_in(route))
		return;
	if (g->count++ == 0)
		g->first = id;
}

static void
say_open_mesh(struct doctor *d)
{
	doctor_say(d, DOCTOR_FAILURE,
	    "Caddy listens on the network, and its mesh route lets every device in");
	doctor_why(d, "it was written by an older devmesh, or by hand: it has no gate, so nothing "
		      "is private, whatever is shared");
	doctor_fix(d, "devmesh stop && devmesh start; for a Caddy of devmesh setup: devmesh setup, "
		      "with the options of the first time");
}

static void
say_open_routes(struct doctor *d, const struct gateless *g)
{
	doctor_say(d, DOCTOR_FAILURE,
	    "Caddy listens on the network, and %u route%s of services let%s every device in: %s%s",
	    g->count, g->count == 1 ? "" : "s", g->count == 1 ? "s" : "", g->first,
	    g->count == 1 ? "" : " and others");
	doctor_why(d, "they were written by an older devmesh, and have no gate");
	doctor_fix(d, "register them anew: devmesh up --all");
}

/* Whether this machine has any address that could be mistaken. */
static bool
has_address(void)
{
	struct netif_list list;
	struct dm_err ignored;
	bool any = false;

	if (!netif_read(&list, &ignored))
		return false;
	for (size_t i = 0; i < list.count; i++)
		any |= !list.list[i].loopback;
	return any;
}

void
doctor_check_gate(struct doctor *d)
{
	struct gateless g = {.count = 0};

	if (!d->has_server || !d->server.lan) {
		doctor_skip(d, "Caddy listens on loopback addresses only");
		return;
	}
	if (d->has_mesh && d->server.gate_dir == NULL)
		say_open_mesh(d);
	caddy_view_each_route(d->session->view, look_at_route, &g);
	if (g.count > 0)
		say_open_routes(d, &g);
	if (!d->session->conf->lan_enabled && d->session->conf->admin == NULL &&
	    dm_starts_with(caddy_admin_address(d->session->admin), "unix://")) {
		doctor_say(
		    d, DOCTOR_WARNING, "[lan] enabled is no, and Caddy listens on the network");
		doctor_why(d, "the private mesh was started when it was yes: what is shared is "
			      "open to other devices as before");
		doctor_fix(d, "devmesh stop && devmesh start");
	}
	if (d->has_mesh && d->server.gate_dir != NULL && has_address() &&
	    !share_knows_own(d->server.gate_dir)) {
		doctor_say(d, DOCTOR_NOTE,
		    "a request of this machine to its own address on the network is refused");
		doctor_why(d, "Caddy before 2.8 cannot tell which addresses are its own, and "
			      "devmeshd, which says so, does not run");
		doctor_fix(d, "devmesh daemon start");
	}
	doctor_say(d, DOCTOR_OK, "other devices get what is shared");
}
