/* SPDX-License-Identifier: MIT */
#include "phone_text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "out.h"
#include "web.h"

/* The name by which the page finds out whether DNS leads here; no service can have it. */
#define CHECK_LABEL "phone--check"

enum {
	TEXT_MAX = 64 << 10,
	UUID_SIZE = 37,
};

const char *
phone_ca_name(enum phone_ca ca)
{
	switch (ca) {
	case PHONE_CA_UNKNOWN:
		return "unknown";
	case PHONE_CA_NONE:
		return "none";
	case PHONE_CA_PUBLIC:
		return "public";
	case PHONE_CA_PRIVATE:
		return "private";
	}
	return "";
}

/* ---- who may ask --------------------------------------------------------------------------- */

bool
phone_host_ok(const char *header, const struct phone_facts *facts)
{
	size_t n = header == NULL ? 0 : strcspn(header, ":");
	char host[HOST_MAX + 1];
	DM_AUTO_FREE char *below = dm_asprintf(".%s", facts->domain);
	size_t tail = strlen(below);
	uint64_t port;

	if (n == 0 || n > HOST_MAX || !dm_snprintf(host, sizeof(host), "%.*s", (int)n, header))
		return false;
	if (header[n] == ':' &&
	    (!dm_parse_uint(header + n + 1, 1, 65535, &port) || port != facts->port))
		return false;
	if (strcmp(host, facts->address) == 0 || strcasecmp(host, facts->domain) == 0)
		return true;
	return n > tail && strcasecmp(host + n - tail, below) == 0;
}

bool
phone_query_id(const char *query, struct slug *out)
{
	static const char key[] = "id=";

	while (query != NULL) {
		size_t n = strcspn(query, "&");

		if (dm_starts_with(query, key)) {
			n -= sizeof(key) - 1;
			query += sizeof(key) - 1;
			return n <= SLUG_MAX &&
			       dm_snprintf(out->s, sizeof(out->s), "%.*s", (int)n, query) &&
			       slug_valid(out->s);
		}
		query = query[n] == '&' ? query + n + 1 : NULL;
	}
	return false;
}

/* ---- what there is to say ------------------------------------------------------------------ */

/* ":8443" of devmesh's own URL, or "". */
static const char *
port_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? "" : host + 3 + strcspn(host + 3, ":");
}

bool
phone_open_url(const struct phone_facts *facts, const struct slug *id, char out[URL_MAX + 1])
{
	char host[HOST_MAX + 1];

	if (facts->url == NULL)
		return false;
	if (id == NULL)
		return dm_snprintf(out, URL_MAX + 1, "%s", facts->url);
	host_join(id, facts->domain, host);
	return dm_snprintf(out, URL_MAX + 1, "%.*s%s%s",
	    (int)(strstr(facts->url, "://") + 3 - facts->url), facts->url, host,
	    port_of(facts->url));
}

const char *
phone_problem(const struct phone_facts *facts)
{
	if (domain_is_localhost(facts->domain))
		return "Its names end in .localhost, which leads every device to itself. Set "
		       "[mesh] "
		       "domain to a domain of your own, or to dev.test, then: devmesh stop && "
		       "devmesh "
		       "start";
	if (facts->url == NULL)
		return "Caddy does not serve its names yet. Start it: devmesh start; devmesh "
		       "doctor "
		       "says what is wrong.";
	if (facts->looked && !facts->reachable)
		return "Caddy listens for that computer alone. Start it again, with [lan] enabled "
		       "= "
		       "yes: devmesh stop && devmesh start";
	return NULL;
}

static const char no_dns[] =
    "Unless this network knows its names, the computer has to answer for them on port 53, which "
    "it does not. There: devmesh doctor says what is missing.";

/* What the root that is to be installed can do. The caller owns it. */
static char *
limits_text(const struct authority_root *root)
{
	if (root == NULL || root->zone[0] == '\0')
		return dm_strdup(
		    "What you install can vouch for any name: do so on a phone of your "
		    "own only.");
	return dm_asprintf("What you install can vouch for names below %s alone.", root->zone);
}

struct cJSON *
phone_state(const struct phone_facts *facts, const struct slug *id)
{
	cJSON *o = cJSON_CreateObject();
	DM_AUTO_FREE char *name = dm_asprintf(
	    "http://" CHECK_LABEL ".%s:%u/phone/dns-ok", facts->domain, (unsigned)facts->port);
	DM_AUTO_FREE char *tls = facts->url == NULL ? NULL : dm_asprintf("%s/healthz", facts->url);
	DM_AUTO_FREE char *limits = limits_text(facts->root);
	char open[URL_MAX + 1];

	(void)cJSON_AddBoolToObject(o, "looked", facts->looked);
	out_add_text(o, "problem", phone_problem(facts));
	out_add_text(o, "no_dns", no_dns);
	out_add_text(o, "name", name);
	out_add_text(o, "tls", tls);
	out_add_text(o, "open", phone_open_url(facts, id, open) ? open : NULL);
	(void)cJSON_AddBoolToObject(o, "dns", facts->dns);
	out_add_text(o, "ca", phone_ca_name(facts->ca));
	out_add_text(o, "owner", facts->root == NULL ? NULL : facts->root->owner);
	out_add_text(o, "limits", limits);
	out_add_text(o, "fingerprint", facts->root == NULL ? NULL : facts->root->fingerprint);
	return o;
}

char *
phone_policy(const struct phone_facts *facts)
{
	return dm_asprintf("default-src 'none'; script-src 'self'; style-src 'self'; "
			   "connect-src 'self' http://" CHECK_LABEL ".%s:%u%s%s; "
			   "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
	    facts->domain, (unsigned)facts->port, facts->url == NULL ? "" : " ",
	    facts->url == NULL ? "" : facts->url);
}

/* ---- the page ------------------------------------------------------------------------------ */

/* As text between tags, and between double quotes (WHATWG HTML §13.1.2.3). */
static void
add_text(struct dm_str *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (strchr("&<>\"", *p) != NULL)
			(void)dm_str_addf(out, "&#%d;", *p);
		else
			(void)dm_str_add(out, p, 1);
	}
}

/* What stands for a name in the page; of a section: whether it is left out. */
static void
add_value(
    struct dm_str *out, const char *name, const struct phone_facts *facts, const struct slug *id)
{
	const struct authority_root *root = facts->root;
	bool lacks_dns = facts->looked && !facts->dns;
	const char *problem = phone_problem(facts);
	DM_AUTO_FREE char *limits = limits_text(root);
	char open[URL_MAX + 1];

	if (!phone_open_url(facts, id, open))
		open[0] = '\0';
	if (strcmp(name, "domain") == 0)
		add_text(out, facts->domain);
	else if (strcmp(name, "address") == 0)
		add_text(out, facts->address);
	else if (strcmp(name, "problem") == 0)
		add_text(out, problem != NULL ? problem : lacks_dns ? no_dns : "");
	else if (strcmp(name, "fingerprint") == 0)
		add_text(out, root == NULL ? "" : root->fingerprint);
	else if (strcmp(name, "owner") == 0)
		add_text(out, root == NULL ? "devmesh" : root->owner);
	else if (strcmp(name, "limits") == 0)
		add_text(out, limits);
	else if (strcmp(name, "open") == 0)
		add_text(out, open);
	else if ((strcmp(name, "laptop") == 0 && problem == NULL && !lacks_dns) ||
		 (strcmp(name, "dns") == 0 && (problem != NULL || lacks_dns)) ||
		 (strcmp(name, "ca") == 0 && root == NULL) ||
		 (strcmp(name, "done") == 0 && open[0] == '\0'))
		(void)dm_str_addf(out, " hidden");
}

char *
phone_page(const struct phone_facts *facts, const struct slug *id)
{
	const struct web_file *file = web_find("phone.html");
	const char *p = (const char *)file->data, *at;
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	char name[32];

	for (; (at = strstr(p, "{{")) != NULL; p = at + 2 + strcspn(at + 2, "}") + 2) {
		(void)dm_str_add(&out, p, (size_t)(at - p));
		if (dm_snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 2, "}"), at + 2))
			add_value(&out, name, facts, id);
	}
	(void)dm_str_addf(&out, "%s", p);
	return dm_str_take(&out);
}

/* ---- the profile --------------------------------------------------------------------------- */

/* RFC 4648 §4, in lines. */
static void
add_base64(struct dm_str *out, const unsigned char *bytes, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned long v = (unsigned long)bytes[i] << 16 |
				  (n > 1 ? (unsigned long)bytes[i + 1] << 8 : 0) |
				  (n > 2 ? bytes[i + 2] : 0);

		(void)dm_str_addf(out, "%c%c%c%c%s", digits[v >> 18], digits[v >> 12 & 63],
		    n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '=',
		    (i / 3) % 16 == 15 ? "\n" : "");
	}
}

/* A UUID of 16 bytes of a hash: version 8, whose bits are up to us (RFC 9562 §5.8). */
static void
uuid_text(const unsigned char *b, char out[UUID_SIZE])
{
	(void)snprintf(out, UUID_SIZE,
	    "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0], b[1],
	    b[2], b[3], b[4], b[5], (b[6] & 0x0f) | 0x80, b[7], (b[8] & 0x3f) | 0x80, b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

static void
add_key(struct dm_str *out, const char *key, const char *text)
{
	(void)dm_str_addf(out, "<key>%s</key><string>", key);
	add_text(out, text);
	(void)dm_str_addf(out, "</string>\n");
}

char *
phone_profile(const struct authority_root *root)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	char uuids[2][UUID_SIZE];
	DM_AUTO_FREE char *profile = NULL, *payload = NULL, *what = NULL;

	uuid_text(root->hash, uuids[0]);
	uuid_text(root->hash + 16, uuids[1]);
	profile = dm_asprintf("devmesh.root.%s", uuids[0]);
	payload = dm_asprintf("%s.certificate", profile);
	(void)dm_str_addf(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
				"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
				"\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
				"<plist version=\"1.0\">\n<dict>\n"
				"<key>PayloadContent</key>\n<array><dict>\n");
	add_key(&out, "PayloadType", "com.apple.security.root");
	add_key(&out, "PayloadIdentifier", payload);
	add_key(&out, "PayloadUUID", uuids[1]);
	add_key(&out, "PayloadDisplayName", root->owner);
	add_key(&out, "PayloadCertificateFileName", "devmesh-ca.crt");
	(void)dm_str_addf(&out,
	    "<key>PayloadVersion</key><integer>1</integer>\n<key>PayloadContent</key><data>\n");
	add_base64(&out, root->der, root->len);
	(void)dm_str_addf(&out, "\n</data>\n</dict></array>\n");
	add_key(&out, "PayloadType", "Configuration");
	add_key(&out, "PayloadIdentifier", profile);
	add_key(&out, "PayloadUUID", uuids[0]);
	add_key(&out, "PayloadDisplayName", root->owner);
	/* a phone that knows two domains of one computer has two profiles of one name */
	what = dm_asprintf("The certificates of a computer that runs devmesh%s%s%s.",
	    root->zone[0] == '\0' ? "" : ", for names below ", root->zone,
	    root->zone[0] == '\0' ? "" : " alone");
	add_key(&out, "PayloadDescription", what);
	(void)dm_str_addf(&out, "<key>PayloadVersion</key><integer>1</integer>\n"
				"<key>PayloadRemovalDisallowed</key><false/>\n</dict>\n</plist>\n");
	return dm_str_take(&out);
}
