/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/str.h"
#include "out.h"
#include "record_provider.h"

enum {
	TOKEN_MAX = 512,
	ZONE_TRIES = 6 /* labels that are left out, one after the other, to find the zone */
};

static const struct record_provider *const providers[] = {
    [CONF_RECORD_NONE] = NULL,
    [CONF_RECORD_CLOUDFLARE] = &record_cloudflare,
};

/* ---- what it has to be ------------------------------------------------------------------ */

/* RFC 1918, and what carriers and VPNs use (RFC 6598). */
static bool
is_private(const uint8_t b[4])
{
	return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
	       (b[0] == 100 && (b[1] & 0xc0) == 64);
}

/* Neither 0/8, loopback, link-local nor multicast and what lies beyond. */
static bool
is_unicast(const uint8_t b[4])
{
	return b[0] != 0 && b[0] != 127 && !(b[0] == 169 && b[1] == 254) && b[0] < 224;
}

bool
record_address(const struct conf *conf, const struct lan_state *network, struct dns_address *out,
    struct dm_err *err)
{
	char text[DNS_ADDRESS_TEXT];

	if (!network->enabled) {
		*out = (struct dns_address){.bytes = {127, 0, 0, 1}};
		return true;
	}
	if (!network->has_address)
		return dm_fail(err, DM_NOT_FOUND, "%s", network->lack);
	*out = network->address.address;
	dns_address_text(out, text);
	if (is_private(out->bytes) || (conf->record_allow_public && is_unicast(out->bytes)))
		return true;
	(void)dm_fail(err, DM_DENIED, "%s is no private address: it is not published", text);
	return dm_hint(err, "set record.allow_public if it is meant to be, or lan.address");
}

/* ---- the token -------------------------------------------------------------------------- */

char *
record_token(const char *path, struct dm_err *err)
{
	DM_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	DM_AUTO_STR struct dm_str text = dm_str_make(TOKEN_MAX);
	struct stat st;
	char *word;
	size_t len;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)dm_fail_errno(err, errno, "reading record.token_file %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		(void)dm_fail(err, DM_DENIED, "record.token_file %s %s", path,
		    !S_ISREG(st.st_mode) ? "is no regular file"
		    : st.st_uid != geteuid()
			? "belongs to another user"
			: "can be read by others: the token may be known by now");
		(void)dm_hint(err, "chmod 600 %s, as the user who runs devmeshd", path);
		return NULL;
	}
	if (!dm_read_fd(fd, &text, err)) {
		(void)dm_wrap(err, "record.token_file %s", path);
		return NULL;
	}
	word = text.data + strspn(text.data, " \t\r\n");
	len = strcspn(word, " \t\r\n");
	/* token68 of RFC 9110: nothing that could end a header */
	if (text.overflow || len == 0 || word[len + strspn(word + len, " \t\r\n")] != '\0' ||
	    strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=") <
		len) {
		(void)dm_fail(err, DM_USAGE, "record.token_file %s holds no token", path);
		(void)dm_hint(err, "the token alone, on one line");
		return NULL;
	}
	return dm_strndup(word, len);
}

/* ---- the conversation ------------------------------------------------------------------- */

/* Where the API is. The token goes nowhere else because of a variable that somebody has set. */
static bool
base_of(const struct record_provider *provider, const char **base, struct dm_err *err)
{
	const char *test = getenv(RECORD_API_VAR);

	*base = provider->base;
	if (test == NULL)
		return true;
	if (!dm_starts_with(test, "http://127.0.0.1:") || strpbrk(test, "@?#") != NULL)
		return dm_fail(
		    err, DM_USAGE, RECORD_API_VAR " is for tests: http://127.0.0.1:PORT");
	*base = test;
	return true;
}

/* The zone as configured, else the longest one: of dev.example.com itself, of example.com. */
static bool
find_zone(const struct conf *conf, const struct record_provider *provider, struct record_call *call,
    struct record *out, char id[RECORD_ID_MAX], struct dm_err *err)
{
	const char *zone = conf->record_zone != NULL ? conf->record_zone : conf->domain;

	for (int i = 0; i < ZONE_TRIES && strchr(zone, '.') != NULL; i++) {
		if (!provider->find_zone(call, zone, id, err))
			return false;
		if (id[0] != '\0') {
			(void)snprintf(out->zone, sizeof(out->zone), "%s", zone);
			return true;
		}
		if (conf->record_zone != NULL)
			break;
		zone = strchr(zone, '.') + 1;
	}
	(void)dm_fail(err, DM_NOT_FOUND, "%s shows the token no zone %s", provider->name,
	    conf->record_zone != NULL ? conf->record_zone : "of the domain");
	return dm_hint(err, "is %s one of the account's, and may the token read it?",
	    conf->record_zone != NULL ? conf->record_zone : conf->domain);
}

/* What has to be done about what is there. */
static bool
decide(const struct conf *conf, const struct record_entries *there, struct record *out,
    struct dm_err *err)
{
	uint8_t bytes[4];

	if (there->count == 0) {
		out->action = RECORD_CREATE;
		return true;
	}
	(void)snprintf(out->found, sizeof(out->found), "%s", there->content);
	if (there->count > 1) {
		(void)dm_fail(err, DM_CONFLICT, "%s has %zu A records: one machine can be meant",
		    out->name, there->count);
		return dm_hint(err, "delete the others at the provider");
	}
	if (strcmp(there->content, out->wanted) == 0 && there->direct) {
		out->action = RECORD_NONE;
		return true;
	}
	/* a public one is somebody's server: nobody has asked for its end */
	if (inet_pton(AF_INET, there->content, bytes) != 1 ||
	    (!is_private(bytes) && bytes[0] != 127 && !conf->record_allow_public)) {
		(void)dm_fail(err, DM_CONFLICT,
		    "%s leads to %s, a public address, which devmesh does not replace", out->name,
		    there->content);
		return dm_hint(
		    err, "delete that record at the provider if the name is to be this machine's");
	}
	out->action = RECORD_UPDATE;
	return true;
}

static bool
converse(const struct conf *conf, const struct record_provider *provider, struct record_call *call,
    bool write, struct record *out, struct dm_err *err)
{
	struct record_entries there;
	char zone_id[RECORD_ID_MAX];

	if (!find_zone(conf, provider, call, out, zone_id, err) ||
	    !provider->find(call, zone_id, out->name, &there, err) ||
	    !decide(conf, &there, out, err))
		return false;
	if (!write || out->action == RECORD_NONE)
		return true;
	out->written = provider->write(call, zone_id,
	    out->action == RECORD_CREATE ? NULL : there.id, out->name, out->wanted, err);
	return out->written;
}

/* [record] and [mesh] domain. */
static bool
check_conf(const struct conf *conf, struct dm_err *err)
{
	if (providers[conf->record_provider] == NULL) {
		(void)dm_fail(err, DM_USAGE, "no record is kept: record.provider is none");
		return dm_hint(err, "set [record] provider and token_file; see devmesh.ini(5)");
	}
	if (conf->domain == NULL || dm_ends_with(conf->domain, ".localhost"))
		return dm_fail(
		    err, DM_USAGE, "mesh.domain has to be a domain of yours, in public DNS");
	if (conf->record_token_file == NULL)
		return dm_fail(err, DM_USAGE, "record.token_file is not set");
	if (conf->record_zone != NULL && strcmp(conf->record_zone, conf->domain) != 0) {
		DM_AUTO_FREE char *end = dm_asprintf(".%s", conf->record_zone);

		if (!dm_ends_with(conf->domain, end))
			return dm_fail(err, DM_USAGE, "record.zone: %s is not below %s",
			    conf->domain, conf->record_zone);
	}
	return true;
}

bool
record_keep(const struct conf *conf, const struct lan_state *network, bool write,
    struct record *out, struct dm_err *err)
{
	const struct record_provider *provider = providers[conf->record_provider];
	struct record_call call = {.base = NULL};
	struct dns_address address;
	dm_auto(http) http = NULL;
	DM_AUTO_FREE char *token = NULL;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (!check_conf(conf, err))
		return false;
	if (!dm_snprintf(out->name, sizeof(out->name), "*.%s", conf->domain))
		return dm_fail(err, DM_USAGE, "mesh.domain is too long");
	if (!record_address(conf, network, &address, err))
		return false;
	dns_address_text(&address, out->wanted);
	if (!base_of(provider, &call.base, err) ||
	    (token = record_token(conf->record_token_file, err)) == NULL)
		return false;
	call.token = token;
	call.http = http = http_new(err);
	ok = http != NULL && converse(conf, provider, &call, write, out, err);
	out->retry_after_s = ok ? 0 : call.retry_after_s;
	return ok || dm_wrap(err, "%s", out->name);
}

struct cJSON *
record_json(const struct conf *conf, const struct record *record, const struct dm_err *err)
{
	static const char *const actions[] = {[RECORD_UNKNOWN] = NULL,
	    [RECORD_NONE] = "none",
	    [RECORD_CREATE] = "create",
	    [RECORD_UPDATE] = "update"};
	const struct record_provider *provider = providers[conf->record_provider];
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "provider", provider == NULL ? "none" : provider->name);
	out_add_text(o, "zone", record->zone[0] != '\0' ? record->zone : NULL);
	out_add_text(o, "name", record->name[0] != '\0' ? record->name : NULL);
	out_add_text(o, "found", record->found[0] != '\0' ? record->found : NULL);
	out_add_text(o, "address", record->wanted[0] != '\0' ? record->wanted : NULL);
	out_add_text(o, "action", actions[record->action]);
	(void)cJSON_AddBoolToObject(o, "written", record->written);
	out_add_text(o, "problem", err == NULL ? NULL : err->msg);
	out_add_text(o, "fix", err == NULL || err->hint[0] == '\0' ? NULL : err->hint);
	return o;
}
