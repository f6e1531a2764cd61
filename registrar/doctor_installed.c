/* SPDX-License-Identifier: MIT */
/* The doctor on what devmesh dns has installed, and on what that means for Caddy. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/str.h"
#include "doctor_lan.h"
#include "responder.h"
#include "service_unit.h"
#include "setup_plan.h"

enum {
	FILE_MAX = 1 << 20,
};

char *
doctor_dns_installed(const struct doctor *d, char **path)
{
	DM_AUTO_FREE char *units = service_units_dir(true), *text = NULL;

	*path = dm_os_has_launchd() ? dm_asprintf(SETUP_RESOLVER_DIR "/%s", d->domain)
				    : dm_asprintf("%s/" SETUP_DNS_UNIT, units);
	text = doctor_read(*path, FILE_MAX);
	return text != NULL && setup_owner_of(text, strlen(text)) == SETUP_OURS ? DM_STEAL(&text)
										: NULL;
}

void
doctor_check_dns_installed(struct doctor *d)
{
	DM_AUTO_FREE char *path = NULL, *text = doctor_dns_installed(d, &path), *purpose = NULL;
	DM_AUTO_FREE char *wanted = NULL;
	struct responder r;

	if (text == NULL || (purpose = setup_dns_purpose(text)) == NULL)
		return;
	responder_look(d->session->conf, d->domain, doctor_time(d, RESPONDER_MS), &r);
	wanted = dm_asprintf("%s at " RESPONDER_ADDRESS ":", d->domain);
	if (!dm_starts_with(purpose, wanted)) {
		doctor_say(d, DOCTOR_WARNING, "%s is for %s, and the domain is %s", path, purpose,
		    d->domain);
		doctor_why(d, "programs of this machine do not find the names of the domain by it");
		/* those below .localhost need nothing */
		doctor_fix(d, dm_ends_with(d->domain, ".localhost") ? "devmesh dns uninstall"
								    : "devmesh dns install");
		return;
	}
	free(wanted);
	wanted = dm_asprintf("%s at " RESPONDER_ADDRESS ":%u", d->domain, (unsigned)r.port);
	if (r.answers && strcmp(purpose, wanted) != 0) {
		doctor_say(d, DOCTOR_WARNING, "%s is for %s, and devmeshd answers at port %u", path,
		    purpose, (unsigned)r.port);
		doctor_why(d, "the resolver asks where nobody answers");
		doctor_fix(d, "devmesh dns install");
	} else if (!r.answers && r.other_zone) {
		doctor_say(d, DOCTOR_WARNING,
		    "the system's resolver is to ask devmeshd about %s, and that answers for "
		    "another domain",
		    d->domain);
		doctor_why(d, "no program of this machine can open the URLs");
		doctor_fix(d, "devmesh daemon restart");
	} else if (!r.answers) {
		doctor_say(d, DOCTOR_WARNING,
		    "the system's resolver is to ask devmeshd about %s, and that does not answer",
		    d->domain);
		doctor_why(d, "no program of this machine can open the URLs");
		doctor_fix(d, "devmesh daemon start    (or, without it: devmesh dns uninstall)");
	} else {
		doctor_say(d, DOCTOR_OK, "%s is for %s, and devmeshd answers there", path, purpose);
	}
}

/* Whether certificates of the policy are for names of the zone, or for any. */
static bool
policy_covers(const cJSON *policy, const char *zone)
{
	const cJSON *subjects = cJSON_GetObjectItemCaseSensitive(policy, "subjects"), *subject;
	DM_AUTO_FREE char *below = dm_asprintf(".%s", zone);

	if (cJSON_GetArraySize(subjects) == 0)
		return true;
	cJSON_ArrayForEach (subject, subjects) {
		if (cJSON_IsString(subject) && (strcmp(subject->valuestring, zone) == 0 ||
						   dm_ends_with(subject->valuestring, below)))
			return true;
	}
	return false;
}

bool
doctor_challenge_lacks_resolvers(const cJSON *config, const char *zone)
{
	const cJSON *apps = cJSON_GetObjectItemCaseSensitive(config, "apps"), *policy, *issuer;
	const cJSON *automation = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(apps, "tls"), "automation");

	cJSON_ArrayForEach (policy, cJSON_GetObjectItemCaseSensitive(automation, "policies")) {
		if (!policy_covers(policy, zone))
			continue;
		cJSON_ArrayForEach (issuer, cJSON_GetObjectItemCaseSensitive(policy, "issuers")) {
			const cJSON *dns = cJSON_GetObjectItemCaseSensitive(
			    cJSON_GetObjectItemCaseSensitive(issuer, "challenges"), "dns");

			if (cJSON_IsObject(dns) &&
			    cJSON_GetArraySize(
				cJSON_GetObjectItemCaseSensitive(dns, "resolvers")) == 0)
				return true;
		}
	}
	return false;
}

void
doctor_check_dns_challenge(struct doctor *d)
{
	DM_AUTO_FREE char *path = NULL, *text = NULL, *purpose = NULL;
	char *end;

	/* Caddy reads resolv.conf(5), and nothing of /etc/resolver */
	if (dm_os_has_launchd() || (text = doctor_dns_installed(d, &path)) == NULL ||
	    (purpose = setup_dns_purpose(text)) == NULL || (end = strstr(purpose, " at ")) == NULL)
		return;
	*end = '\0';
	if (!doctor_challenge_lacks_resolvers(d->config, purpose))
		return;
	doctor_say(d, DOCTOR_WARNING,
	    "Caddy is to prove by DNS that %s is yours, and asks this machine's resolver for the "
	    "zone",
	    purpose);
	doctor_why(d,
	    "that asks devmeshd about %s, which is not where the public zone is: certificates "
	    "cannot be issued or renewed",
	    purpose);
	doctor_fix(d,
	    "add \"resolvers\": [\"1.1.1.1:53\"] to challenges.dns of the issuer in "
	    "apps.tls.automation.policies    (or, if devmesh setup has made this Caddy: devmesh "
	    "setup anew, with the options of the first time)");
}
