/* SPDX-License-Identifier: MIT */
/* The doctor on what devmeshd does for other devices. */
#include <string.h>

#include "base/str.h"
#include "base/zeroconf.h"
#include "caddy/mesh.h"
#include "companion.h"
#include "doctor_lan.h"
#include "record.h"

enum {
	MDNS_MS = 1000,
	MDNS_LEAST_MS = 300, /* with less a busy machine would be taken for a dead Avahi */
};

void
doctor_check_daemon(struct doctor *d)
{
	COMPANION_AUTO struct companion daemon = {.pid = 0};
	struct dm_err ignored;

	if (!d->session->conf->lan_enabled) {
		doctor_skip(d, "[lan] enabled is no");
		return;
	}
	if (!session_need_state_dir(d->session, &ignored)) {
		doctor_skip(d, "there is no state directory");
		return;
	}
	companion_look(d->session, &daemon);
	if (daemon.state != COMPANION_STOPPED && daemon.state != COMPANION_STOPPING) {
		doctor_say(d, DOCTOR_OK, "devmeshd runs");
		return;
	}
	doctor_say(d, DOCTOR_WARNING, "devmeshd does not run");
	doctor_why(d, "without it no device learns the names from this machine, nor how to be set "
		      "up; what is shared stays so");
	doctor_fix(d, "devmesh daemon start");
}

/* Where the provider is not asked: what is wrong with what it would be asked by. */
void
doctor_check_record(struct doctor *d)
{
	const struct conf *conf = d->session->conf;
	DM_AUTO_FREE char *token = NULL, *below = NULL;
	struct dm_err err;

	if (conf->record_provider == CONF_RECORD_NONE) {
		doctor_skip(d, "[record] provider is none");
		return;
	}
	if (conf->record_zone != NULL) {
		below = dm_asprintf(".%s", conf->record_zone);
		if (strcmp(d->domain, conf->record_zone) != 0 && !dm_ends_with(d->domain, below)) {
			doctor_say(d, DOCTOR_FAILURE,
			    "[record] zone = %s does not have the domain %s in it",
			    conf->record_zone, d->domain);
			doctor_why(d, "the public record of the domain is not kept");
			doctor_fix(d, "leave it out: then it is found by asking the provider");
		}
	}
	if (conf->record_token_file == NULL) {
		doctor_say(d, DOCTOR_FAILURE, "[record] token_file is not set");
		doctor_why(d, "the provider does not change a record for just anybody");
		doctor_fix(d,
		    "write the provider's token into a file of mode 0600, and its path into "
		    "token_file");
	} else if ((token = record_token(conf->record_token_file, &err)) == NULL) {
		doctor_say(d, DOCTOR_FAILURE, "%.300s", err.msg);
		doctor_why(d, "without the token the public record of the domain is not kept");
		doctor_fix(d, "%.300s", err.hint[0] == '\0' ? "see [record] token_file" : err.hint);
	}
	doctor_say(d, DOCTOR_OK, "devmesh record status asks the provider");
}

static void
say_no_responder(struct doctor *d, const struct dm_err *err)
{
	doctor_say(d, DOCTOR_WARNING,
	    "[lan] mdns is yes, and nobody announces names below .local: %s", err->msg);
	doctor_why(d,
	    "devices do not find http://<service>.local: devmeshd has Avahi announce it, as "
	    "soon as that runs");
	if (err->code == DM_NOT_FOUND)
		doctor_fix(d, "install Avahi and its client library (Debian: sudo apt install "
			      "avahi-daemon libavahi-client3); or set [lan] mdns = no");
	else if (err->code == DM_TIMEOUT)
		doctor_fix(d, "sudo systemctl restart avahi-daemon");
	else if (err->code == DM_UNREACHABLE)
		doctor_fix(d, "sudo systemctl enable --now avahi-daemon; or set [lan] mdns = no");
	else
		doctor_fix(d, "devmesh doctor again; or set [lan] mdns = no");
}

void
doctor_check_mdns(struct doctor *d)
{
	const struct conf *conf = d->session->conf;
	struct lan_state lan = {.lack = NULL};
	struct dm_err err;

	if (!conf->mdns) {
		doctor_skip(d, "[lan] mdns is no");
		return;
	}
	if (!doctor_lan_state(d, &lan))
		return;
	if (doctor_time(d, MDNS_MS) < MDNS_LEAST_MS) {
		doctor_skip(d, "no time was left");
		return;
	}
	if (!dm_zeroconf_ready(doctor_time(d, MDNS_MS), &err)) {
		say_no_responder(d, &err);
	} else if (d->caddy_answers && d->session->view != NULL &&
		   caddy_view_object(d->session->view, MESH_LOCAL_ROUTE_ID) == NULL) {
		doctor_say(d, DOCTOR_WARNING,
		    "[lan] mdns is yes, and this Caddy serves no names below .local");
		doctor_why(d,
		    "only the private mesh does, if it was set when that was started: none "
		    "is announced");
		doctor_fix(d, "devmesh stop && devmesh start");
	} else {
		doctor_say(d, DOCTOR_OK, "names below .local can be announced");
	}
}
