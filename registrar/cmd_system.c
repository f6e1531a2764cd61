/* SPDX-License-Identifier: MIT */
/* system: what the services stand on. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "cmd.h"
#include "model/host.h"
#include "out.h"
#include "system_facts.h"

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* A line "  key   text", if there is one. What others have written is made printable. */
static void
say(const char *key, const char *text)
{
	DM_AUTO_FREE char *shown = text == NULL ? NULL : dm_printable(text);

	if (shown != NULL)
		(void)printf("  %-12s %s\n", key, shown);
}

static void
say_member(const cJSON *o, const char *member, const char *key)
{
	say(key, cJSON_GetStringValue(get(o, member)));
}

static void
say_trouble(const cJSON *o)
{
	say_member(o, "problem", "problem");
	say_member(o, "fix", "fix");
	say_member(o, "not_checked", "not checked");
}

static void
print_caddy(const cJSON *o)
{
	const char *version = cJSON_GetStringValue(get(o, "version"));
	const char *of = cJSON_GetStringValue(get(o, "version_of"));
	DM_AUTO_FREE char *text =
	    version == NULL ? NULL : dm_asprintf("%s (the one that is %s)", version, of);
	const cJSON *drift = get(o, "drift");

	(void)puts("Caddy");
	say_member(o, "admin", "admin API");
	say("version", text);
	say_member(o, "class", "behaves like");
	say_member(o, "config", "written in");
	say("runs", cJSON_IsFalse(drift) ? "what was written"
		    : cJSON_IsTrue(drift) || !cJSON_IsTrue(get(o, "answers"))
			? NULL
			: "a configuration that devmesh has not written");
	say_member(o, "drift_detail", "differs");
	say_trouble(o);
}

static void
print_certificate(const cJSON *o)
{
	const cJSON *after = get(o, "not_after");
	const char *trusted = cJSON_GetStringValue(get(o, "trusted_by"));
	char until[40] = "";
	struct tm utc;
	time_t t;

	(void)puts("\nCertificate");
	say_member(o, "host", "for");
	say_member(o, "issuer", "from");
	if (cJSON_IsNumber(after)) {
		t = (time_t)after->valuedouble;
		if (gmtime_r(&t, &utc) != NULL &&
		    strftime(until, sizeof(until), "%Y-%m-%d %H:%M:%S UTC", &utc) > 0)
			say("until", until);
	}
	if (cJSON_IsNumber(after))
		say("trusted by", trusted == NULL		   ? "nobody"
				  : strcmp(trusted, "system") == 0 ? "this system"
								   : "the private mesh's root");
	say_trouble(o);
}

static void
print_dns(const cJSON *o)
{
	DM_AUTO_STR struct dm_str list = dm_str_make(1024);
	const cJSON *address;

	cJSON_ArrayForEach (address, get(o, "addresses"))
		(void)dm_str_addf(&list, "%s%s", list.len > 0 ? ", " : "", address->valuestring);
	(void)puts("\nNames");
	say_member(o, "name", "looked up");
	say("leads to", list.len > 0 ? list.data : "nothing");
	say_trouble(o);
}

static void
print_network(const cJSON *o)
{
	const cJSON *prefix = get(o, "prefix");
	DM_AUTO_FREE char *address =
	    cJSON_IsNumber(prefix)
		? dm_asprintf("%s/%d", cJSON_GetStringValue(get(o, "address")), prefix->valueint)
		: NULL;

	(void)puts("\nNetwork");
	say_member(o, "interface", "interface");
	say("address", address);
	say_member(o, "ipv6", "and");
	say("others", cJSON_IsTrue(get(o, "enabled")) ? "may reach it (lan.enabled)"
						      : "may not reach it (lan.enabled)");
	say_trouble(o);
}

static void
print_history(const cJSON *o)
{
	DM_AUTO_FREE char *bytes = dm_asprintf("%.0f bytes", get(o, "bytes")->valuedouble);

	(void)puts("\nHistory");
	say("takes", bytes);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *wanted = cmd_value(ctx, "host");
	char host[HOST_MAX + 1];
	cJSON *o;

	if (wanted != NULL && !domain_parse(wanted, host, err))
		return dm_wrap(err, "--host");
	o = system_facts(ctx->line->config, wanted == NULL ? NULL : host, err);
	if (o == NULL)
		return false;
	if (ctx->line->json) {
		out_json(o);
		return true;
	}
	print_caddy(get(o, "caddy"));
	print_certificate(get(o, "certificate"));
	print_dns(get(o, "dns"));
	print_network(get(o, "network"));
	print_history(get(o, "history"));
	cJSON_Delete(o);
	return true;
}

static const struct cmd_opt opts[] = {
    {"host", 0, "HOST", false, "look at the certificate for HOST"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_system;
const struct cmd cmd_system = {
    .name = "system",
    .args = "",
    .summary = "show what the services stand on: Caddy, its certificate, names, the history",
    .help =
	"Which Caddy runs, and whether it runs what devmesh start or setup has written; the\n"
	"certificate that it presents; what a new name below the domain resolves to here. Changes\n"
	"nothing. devmesh doctor looks for much more, and says what mends it.",
    .opts = opts,
    .without_session = true,
    .run = run,
};
