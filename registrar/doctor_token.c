/* SPDX-License-Identifier: MIT */
/* The doctor on secrets in Caddy's environment. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "doctor.h"

/* Whether something in it comes from Caddy's environment. */
static bool
names_variable(const cJSON *o)
{
	DM_AUTO_FREE char *text = o != NULL ? cJSON_PrintUnformatted(o) : NULL;

	return text != NULL && strstr(text, "{env.") != NULL;
}

void
doctor_check_token(struct doctor *d)
{
	const cJSON *apps = cJSON_GetObjectItemCaseSensitive(d->config, "apps");
	const char *address = caddy_admin_address(d->session->admin);

	if (dm_starts_with(address, "unix://") ||
	    (!names_variable(cJSON_GetObjectItemCaseSensitive(apps, "tls")) &&
		!names_variable(cJSON_GetObjectItemCaseSensitive(apps, "dynamic_dns"))))
		return;
	doctor_say(d, DOCTOR_FAILURE,
	    "every user of this machine can read the token in Caddy's environment");
	doctor_why(d,
	    "Caddy's admin API is at %s, and whoever reaches it can have Caddy answer with a "
	    "variable of its environment",
	    address);
	doctor_fix(d, "%ssudo devmesh setup --domain %s --dns cloudflare    (and make a new token)",
	    d->session->conf->admin != NULL ? "delete [caddy] admin from config.ini, then: " : "",
	    d->domain);
}
