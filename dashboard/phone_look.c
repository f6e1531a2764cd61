/* SPDX-License-Identifier: MIT */
#include "phone_look.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "certificate.h"
#include "local.h"
#include "out.h"
#include "session.h"
#include "workers.h"

enum {
	REQUEST_MS = 3000,
	DNS_PORT = 53,
};

/*
 * How Caddy's CA calls its intermediates. To be asked for its root would make a Caddy without a CA
 * have one, so only one that has signed with it is asked.
 */
#define CADDY_ISSUER " - ECC Intermediate"

/* ---- in the worker ------------------------------------------------------------------------- */

/* Whether the address answers DNS for the domain, with itself: no matter by whom. */
static bool
answers_dns(const struct phone_look *look)
{
	DM_AUTO_FREE char *name = dm_asprintf("phone-check.%s", look->domain);
	struct dns_question q = {.type = DNS_TYPE_A, .server = {.port = DNS_PORT}};
	char text[DNS_ADDRESS_TEXT];

	if (!dm_snprintf(q.server.address, sizeof(q.server.address), "%s", look->address))
		return false;
	dns_ask(name, &q, 1, REQUEST_MS);
	if (q.reply.outcome != DNS_ANSWERED)
		return false;
	for (size_t i = 0; i < q.reply.count; i++) {
		dns_address_text(&q.reply.addresses[i], text);
		if (strcmp(text, look->address) == 0)
			return true;
	}
	return false;
}

static bool
is_reachable(const struct phone_look *look)
{
	struct dm_err err;
	int fd = dm_sock_connect_tcp(look->address, look->port, REQUEST_MS, &err);

	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

/* The root that a Caddy of somebody else's signs by. */
static bool
root_of_caddy(struct session *s, struct dm_str *pem)
{
	DM_AUTO_STR struct dm_str body = dm_str_make(1 << 16);
	struct dm_err err;
	const char *text;
	cJSON *o = NULL;
	int status;

	if (session_need_admin(s, &err) &&
	    caddy_admin_get(s->admin, "/pki/ca/local", &status, &body, &err) && status == 200)
		o = cJSON_ParseWithLength(body.data, body.len);
	text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "root_certificate"));
	if (text != NULL)
		(void)dm_str_add(pem, text, strlen(text));
	cJSON_Delete(o);
	return pem->len > 0;
}

static bool
is_private_mesh(struct session *s)
{
	DM_AUTO_FREE char *address = NULL, *path = NULL;
	struct dm_err err;

	if (!session_need_state_dir(s, &err) || !session_need_admin(s, &err))
		return false;
	path = session_private_admin(s);
	address = dm_asprintf("unix://%s", path);
	return strcmp(caddy_admin_address(s->admin), address) == 0;
}

static void
add_hex(cJSON *o, const char *key, const unsigned char *bytes, size_t len)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(2 * AUTHORITY_DER_MAX + 1);

	for (size_t i = 0; i < len; i++)
		(void)dm_str_addf(&text, "%02x", (unsigned)bytes[i]);
	out_add_text(o, key, text.data);
}

/* Taken apart here: the daemon itself does without libcrypto, which takes 4 MB. */
static bool
add_root(cJSON *o, const struct dm_str *pem)
{
	struct authority_root root;
	struct dm_err err;

	if (!authority_read(pem->data, pem->len, &root, &err)) {
		dm_warn("%s", err.msg);
		return false;
	}
	add_hex(o, "der", root.der, root.len);
	add_hex(o, "hash", root.hash, sizeof(root.hash));
	out_add_text(o, "fingerprint", root.fingerprint);
	out_add_text(o, "owner", root.owner);
	out_add_text(o, "zone", root.zone);
	return true;
}

/* By trying: it verifies against that root alone, or against what the system trusts. */
static enum phone_ca
try_signers(const struct phone_look *look, struct http *http, const char *file,
    const struct dm_str *pem, cJSON *o)
{
	HTTP_AUTO_REPLY struct http_reply reply;
	struct dm_err err;

	http_reply_init(&reply);
	if (file != NULL && certificate_ask(http, look->host, look->port, file, false, REQUEST_MS,
				&reply, &err) == HTTP_ANSWERED)
		return add_root(o, pem) ? PHONE_CA_PRIVATE : PHONE_CA_UNKNOWN;
	return certificate_ask(http, look->host, look->port, NULL, false, REQUEST_MS, &reply,
		   &err) == HTTP_ANSWERED
		   ? PHONE_CA_PUBLIC
		   : PHONE_CA_UNKNOWN;
}

static enum phone_ca
find_signer(const struct phone_look *look, cJSON *o)
{
	HTTP_AUTO_REPLY struct http_reply reply;
	DM_AUTO_STR struct dm_str pem = dm_str_make(AUTHORITY_PEM_MAX);
	DM_AUTO_FREE char *file = NULL;
	struct certificate seen;
	enum phone_ca ca;
	bool ours = false;
	struct dm_err err;
	dm_auto(http) http = http_new(&err);
	dm_auto(session) s = session_open(look->config_file, &err);

	http_reply_init(&reply);
	if (http == NULL || s == NULL ||
	    certificate_ask(http, look->host, look->port, NULL, true, REQUEST_MS, &reply, &err) !=
		HTTP_ANSWERED)
		return PHONE_CA_UNKNOWN;
	certificate_parse(reply.certificate.data == NULL ? "" : reply.certificate.data, &seen);
	if (is_private_mesh(s)) {
		ours = true;
		file = local_root_certificate(s);
		if (!dm_read_file(file, &pem, &err))
			return PHONE_CA_UNKNOWN;
	} else if (strstr(seen.issuer, CADDY_ISSUER) != NULL && root_of_caddy(s, &pem)) {
		file = dm_asprintf("%s/phone-root.pem", s->state_dir);
		if (!dm_write_file(file, pem.data, pem.len, 0600, &err))
			return PHONE_CA_UNKNOWN;
	}
	ca = try_signers(look, http, file, &pem, o);
	if (file != NULL && !ours)
		(void)unlink(file);
	return ca;
}

int
phone_look_job(void *arg)
{
	const struct phone_look *look = arg;
	cJSON *o = cJSON_CreateObject();
	DM_AUTO_FREE char *text = NULL;
	enum phone_ca ca = PHONE_CA_UNKNOWN;

	if (look->host[0] != '\0')
		ca = look->https ? find_signer(look, o) : PHONE_CA_NONE;
	(void)cJSON_AddNumberToObject(o, "ca", ca);
	(void)cJSON_AddBoolToObject(o, "dns", answers_dns(look));
	(void)cJSON_AddBoolToObject(o, "reachable", look->host[0] != '\0' && is_reachable(look));
	text = cJSON_PrintUnformatted(o);
	(void)fputs(text, stdout);
	cJSON_Delete(o);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- in the daemon ------------------------------------------------------------------------- */

static size_t
take_hex(const cJSON *o, const char *key, unsigned char *out, size_t max)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
	char two[3] = "";
	size_t n = 0;

	for (; text != NULL && text[0] != '\0' && text[1] != '\0' && n < max; text += 2) {
		memcpy(two, text, 2);
		out[n++] = (unsigned char)strtoul(two, NULL, 16);
	}
	return n;
}

static bool
take_text(const cJSON *o, const char *key, char *out, size_t size)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));

	return text != NULL && dm_snprintf(out, size, "%s", text);
}

static bool
take_root(const cJSON *o, struct authority_root *out)
{
	out->len = take_hex(o, "der", out->der, sizeof(out->der));
	return out->len > 0 &&
	       take_hex(o, "hash", out->hash, sizeof(out->hash)) == sizeof(out->hash) &&
	       take_text(o, "fingerprint", out->fingerprint, sizeof(out->fingerprint)) &&
	       take_text(o, "owner", out->owner, sizeof(out->owner)) &&
	       take_text(o, "zone", out->zone, sizeof(out->zone));
}

bool
phone_look_read(const struct worker_result *result, struct phone_found *out)
{
	cJSON *o = result->status == 0 ? cJSON_ParseWithLength(result->out, result->len) : NULL;
	const cJSON *ca = cJSON_GetObjectItemCaseSensitive(o, "ca");
	bool ok = cJSON_IsNumber(ca) && ca->valueint >= 0 && ca->valueint <= PHONE_CA_PRIVATE;

	memset(out, 0, sizeof(*out));
	if (ok) {
		out->ca = (enum phone_ca)ca->valueint;
		out->dns = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "dns"));
		out->reachable = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "reachable"));
		ok = out->ca != PHONE_CA_PRIVATE || take_root(o, &out->root);
	}
	cJSON_Delete(o);
	return ok;
}
