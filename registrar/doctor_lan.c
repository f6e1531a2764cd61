/* SPDX-License-Identifier: MIT */
/* The doctor on this machine's address in its network, and on what Caddy listens on. */
#include "doctor_lan.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/str.h"
#include "doctor_text.h"
#include "network.h"

bool
doctor_lan_state(struct doctor *d, struct lan_state *out)
{
	struct dm_err ignored;

	if (!d->session->conf->lan_enabled) {
		doctor_skip(d, "[lan] enabled is no");
		return false;
	}
	if (network_look(d->session->conf, out, &ignored) && out->has_address)
		return true;
	doctor_skip(d, "there is no address for other devices");
	return false;
}

/* Whether connections to the address get to what Caddy listens on: "tcp/0.0.0.0:443", ":443". */
static bool
covers(const char *listen, const char *ours)
{
	const char *slash = strchr(listen, '/'), *colon;
	DM_AUTO_FREE char *host = NULL;

	if (!text_listens_widely(listen))
		return false;
	if (slash != NULL)
		listen = slash + 1;
	colon = strrchr(listen, ':');
	host = dm_strndup(listen, colon == NULL ? 0 : (size_t)(colon - listen));
	return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0 ||
	       strcmp(host, ours) == 0;
}

/* Of the server that serves our names: its addresses on the port that URLs have. */
static bool
caddy_is_reached(const struct doctor *d, const char *ours)
{
	const cJSON *apps = cJSON_GetObjectItemCaseSensitive(d->config, "apps"), *server, *address;
	const cJSON *http = cJSON_GetObjectItemCaseSensitive(apps, "http");
	DM_AUTO_FREE char *end = dm_asprintf(":%u", (unsigned)d->server.front.port);

	cJSON_ArrayForEach (server, cJSON_GetObjectItemCaseSensitive(http, "servers")) {
		cJSON_ArrayForEach (address, cJSON_GetObjectItemCaseSensitive(server, "listen")) {
			if (cJSON_IsString(address) && dm_ends_with(address->valuestring, end) &&
			    covers(address->valuestring, ours))
				return true;
		}
	}
	return false;
}

static void
say_not_reached(struct doctor *d, const char *ours)
{
	const char *admin = caddy_admin_address(d->session->admin);
	bool private = d->session->conf->admin == NULL && dm_starts_with(admin, "unix://");

	doctor_say(
	    d, DOCTOR_WARNING, "[lan] enabled is yes, and Caddy does not listen on %s", ours);
	doctor_why(d, private ? "the private mesh was started before that was set: other devices "
				"get no connection"
			      : "other devices get no connection: this Caddy listens on other "
				"addresses only");
	doctor_fix(d,
	    private ? "devmesh stop && devmesh start"
		    : "devmesh setup --lan, with the options of the first time    (or let this "
		      "Caddy listen on :%u)",
	    (unsigned)d->server.front.port);
}

void
doctor_check_lan(struct doctor *d)
{
	const struct conf *conf = d->session->conf;
	struct lan_state lan = {.lack = NULL};
	char ours[DNS_ADDRESS_TEXT];
	struct dm_err err;

	if (!conf->lan_enabled) {
		doctor_skip(d, "[lan] enabled is no");
		return;
	}
	if (!network_look(conf, &lan, &err) || !lan.has_address) {
		doctor_say(d, DOCTOR_WARNING,
		    "[lan] enabled is yes, and other devices have no "
		    "address of this machine: %s",
		    lan.lack != NULL ? lan.lack : err.msg);
		doctor_why(d, "no service is shared, and no name leads here");
		doctor_fix(d, "join a network; or set [lan] interface or address to what is there");
		return;
	}
	dns_address_text(&lan.address.address, ours);
	if (d->has_server && !caddy_is_reached(d, ours)) {
		say_not_reached(d, ours);
		return;
	}
	doctor_say(d, DOCTOR_OK, "other devices reach Caddy at %s port %u", ours,
	    (unsigned)d->server.front.port);
	/* nothing that is here can tell: the packets go through the router only */
	doctor_say(d, DOCTOR_NOTE,
	    "whether the network lets its devices reach each other cannot be "
	    "seen from here");
	doctor_why(d,
	    "guest networks and \"client isolation\" (AP isolation) of Wi-Fi routers keep "
	    "them apart");
	doctor_fix(d,
	    "open http://%s:%u/phone on the phone: if that does not load, change to the network "
	    "that this machine is in, or turn the isolation off in the router",
	    ours, (unsigned)conf->phone_port);
}
