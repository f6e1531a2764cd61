/* SPDX-License-Identifier: MIT */
#include "caddy/system.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/mesh_log.h"

static cJSON *
texts(const char *const list[])
{
	cJSON *array = cJSON_CreateArray();

	for (size_t i = 0; list[i] != NULL; i++)
		(void)cJSON_AddItemToArray(array, cJSON_CreateString(list[i]));
	return array;
}

static cJSON *
provider(const struct system_settings *s)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "name", s->dns_provider);
	/* Caddy fills it in when it loads the configuration: it is never written down */
	(void)cJSON_AddStringToObject(o, "api_token", "{env." SYSTEM_TOKEN_VAR "}");
	return o;
}

static cJSON *
issuer(const struct system_settings *s)
{
	static const char *const resolvers[] = {"1.1.1.1:53", "9.9.9.9:53", NULL};
	cJSON *o = cJSON_CreateObject(), *dns;

	if (s->dns_provider == NULL) {
		(void)cJSON_AddStringToObject(o, "module", "internal");
		return o;
	}
	(void)cJSON_AddStringToObject(o, "module", "acme");
	if (s->email != NULL)
		(void)cJSON_AddStringToObject(o, "email", s->email);
	dns = cJSON_AddObjectToObject(cJSON_AddObjectToObject(o, "challenges"), "dns");
	(void)cJSON_AddItemToObject(dns, "provider", provider(s));
	/*
	 * Not the machine's own: after `devmesh dns install` that is devmeshd, for the domain, and
	 * knows neither the provider's zone nor the challenge.
	 */
	(void)cJSON_AddItemToObject(dns, "resolvers", texts(resolvers));
	return o;
}

/* One certificate for the wildcard, asked for at the start and not when somebody visits. */
static void
add_certificate(cJSON *apps, const struct system_settings *s)
{
	DM_AUTO_FREE char *wildcard = dm_asprintf("*.%s", s->mesh.domain);
	const char *const subjects[] = {wildcard, NULL};
	cJSON *tls = cJSON_AddObjectToObject(apps, "tls"), *policy = cJSON_CreateObject(), *list;

	(void)cJSON_AddItemToObject(
	    cJSON_AddObjectToObject(tls, "certificates"), "automate", texts(subjects));
	(void)cJSON_AddItemToObject(policy, "subjects", texts(subjects));
	list = cJSON_AddArrayToObject(policy, "issuers");
	(void)cJSON_AddItemToArray(list, issuer(s));
	list = cJSON_AddArrayToObject(cJSON_AddObjectToObject(tls, "automation"), "policies");
	(void)cJSON_AddItemToArray(list, policy);
	if (s->dns_provider == NULL) {
		cJSON *ca = cJSON_AddObjectToObject(apps, "pki");

		ca = cJSON_AddObjectToObject(ca, "certificate_authorities");
		ca = cJSON_AddObjectToObject(ca, "local");
		(void)cJSON_AddStringToObject(ca, "name", "devmesh local");
		(void)cJSON_AddBoolToObject(ca, "install_trust", false);
	}
}

/* The name of the wildcard's record, relative to the zone: "*.dev" of "dev.example.com". */
static char *
record_name(const struct system_settings *s)
{
	size_t domain = strlen(s->mesh.domain), zone = strlen(s->zone);

	if (domain <= zone)
		return dm_strdup("*");
	return dm_asprintf("*.%.*s", (int)(domain - zone - 1), s->mesh.domain);
}

/*
 * The app of caddy-dynamicdns. Which of the interface's addresses are published depends on the
 * module's age unless it is said, so it is said; and IPv6 would be a link-local address.
 */
static void
add_dynamic_dns(cJSON *apps, const struct system_settings *s)
{
	static const char *const private_ranges[] = {
	    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", NULL};
	static const char *const loopback_range[] = {"127.0.0.0/8", NULL};
	DM_AUTO_FREE char *name = record_name(s);
	const char *const names[] = {name, NULL};
	cJSON *app = cJSON_AddObjectToObject(apps, "dynamic_dns"), *o, *source;

	(void)cJSON_AddItemToObject(app, "dns_provider", provider(s));
	(void)cJSON_AddItemToObject(cJSON_AddObjectToObject(app, "domains"), s->zone, texts(names));
	source = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(source, "source", "interface");
	(void)cJSON_AddStringToObject(source, "name", s->interface);
	(void)cJSON_AddItemToArray(cJSON_AddArrayToObject(app, "ip_sources"), source);
	(void)cJSON_AddItemToObject(
	    app, "includes", texts(s->mesh.lan ? private_ranges : loopback_range));
	o = cJSON_AddObjectToObject(app, "versions");
	(void)cJSON_AddBoolToObject(o, "ipv4", true);
	(void)cJSON_AddBoolToObject(o, "ipv6", false);
	/* looking at an interface costs nothing; the provider is only asked after a change */
	(void)cJSON_AddStringToObject(app, "check_interval", "30s");
	(void)cJSON_AddStringToObject(app, "ttl", "60s");
}

char *
system_config(const struct system_settings *s)
{
	cJSON *config = cJSON_CreateObject(), *o, *apps, *http;
	DM_AUTO_FREE char *admin =
	    dm_starts_with(s->admin, "unix://")
		? dm_asprintf("unix/%s%s%s", s->admin + strlen("unix://"),
		      s->admin_mode != NULL ? "|" : "", s->admin_mode != NULL ? s->admin_mode : "")
		: dm_strdup(s->admin + strlen("http://"));
	char *text;

	(void)cJSON_AddStringToObject(config, "@id", s->id);
	o = cJSON_AddObjectToObject(config, "admin");
	(void)cJSON_AddStringToObject(o, "listen", admin);
	(void)cJSON_AddItemToObject(config, "logging", mesh_logging("INFO", s->mesh.access_log));
	apps = cJSON_AddObjectToObject(config, "apps");
	add_certificate(apps, s);
	if (s->dns_provider != NULL && !s->other_record)
		add_dynamic_dns(apps, s);
	http = cJSON_AddObjectToObject(apps, "http");
	(void)cJSON_AddNumberToObject(http, "http_port", s->mesh.http_port);
	(void)cJSON_AddNumberToObject(http, "https_port", s->mesh.https_port);
	(void)cJSON_AddItemToObject(http, "servers", mesh_servers(&s->mesh));
	text = cJSON_Print(config);
	cJSON_Delete(config);
	return text;
}
