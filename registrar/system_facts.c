/* SPDX-License-Identifier: MIT */
#include "system_facts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "caddy/mesh.h"
#include "caddy/route.h"
#include "doctor.h"
#include "drift.h"
#include "network.h"
#include "out.h"
#include "record.h"
#include "setup_plan.h"

#ifndef DEVMESH_SYSCONFDIR
#define DEVMESH_SYSCONFDIR "/etc"
#endif

enum {
	CONFIG_MAX = 32 << 20,
	DAY_S = 86400
};

/* ---- Caddy --------------------------------------------------------------------------------- */

/* "v2.6.2 h1:..." without the checksum; NULL if it does not say. The caller owns it. */
static char *
version_of(struct doctor *d, const char *program)
{
	const char *argv[] = {program, "version", NULL};
	DM_AUTO_FREE char *text = doctor_output(d, argv);

	if (text == NULL || text[0] == '\0' || dm_has_control(text))
		return NULL;
	text[strcspn(text, " ")] = '\0';
	return dm_strdup(text[0] == 'v' ? text + 1 : text);
}

/*
 * The admin API does not tell it. The very program that runs says it itself, also after an update
 * has put another one in its place; it is run only if it is called Caddy.
 */
static void
add_version(cJSON *o, struct doctor *d)
{
	DM_AUTO_FREE char *name = d->caddy_pid == 0 ? NULL : dm_proc_program(d->caddy_pid);
	DM_AUTO_FREE char *exe = dm_asprintf("/proc/%ld/exe", (long)d->caddy_pid);
	DM_AUTO_FREE char *version = NULL;
	const char *of = "running";

	if (name != NULL && dm_starts_with(name, "caddy") && access(exe, X_OK) == 0)
		version = version_of(d, exe);
	if (version == NULL) {
		of = "installed";
		version = version_of(d, d->session->conf->caddy);
	}
	out_add_text(o, "version", version);
	out_add_text(o, "version_of", version == NULL ? NULL : of);
}

/* Which Caddy it is by what it can: the routes that devmesh writes differ by that alone. */
static const char *
class_of(struct doctor *d)
{
	HTTP_AUTO_REPLY struct http_reply reply;
	struct dm_err ignored;

	http_reply_init(&reply);
	if (!d->caddy_answers ||
	    caddy_admin_send(d->session->admin, "POST", "/adapt", "text/caddyfile",
		mesh_probe_caddyfile, NULL, &reply, &ignored) != HTTP_ANSWERED)
		return NULL;
	return reply.status == 200 ? "2.7+" : reply.status == 400 ? "2.6" : NULL;
}

/* A service's route: it bears our header, or the id of a claim and leads to its host. */
static bool
is_own(void *user, const cJSON *route)
{
	const struct doctor *d = user;
	const char *id = route_id(route);
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	if (id == NULL || !slug_valid(id))
		return false;
	return route_is_ours(route, id) ||
	       (session_need_registry(d->session, &ignored) &&
		   registry_find(d->session->registry, id, &claim, &ignored) && claim != NULL &&
		   claim->host != NULL && route_names_host(route, claim->host));
}

/* A configuration that was written to a file; NULL: there is none. The caller owns it. */
static cJSON *
read_config(const char *path)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(CONFIG_MAX);
	struct dm_err ignored;

	return dm_read_file(path, &text, &ignored) && !text.overflow
		   ? cJSON_ParseWithLength(text.data, text.len)
		   : NULL;
}

static const char *
id_of(const cJSON *config)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "@id"));
}

/* What setup has written for this Caddy, from wherever it may be; its path in *path. */
static cJSON *
setup_config(const char *id, char **path)
{
	DM_AUTO_FREE char *user = dm_user_config_file();
	DM_AUTO_FREE char *dir = user == NULL ? NULL : dm_path_dir(user);
	char *places[] = {dir == NULL ? NULL : dm_asprintf("%s/caddy.json", dir),
	    dm_strdup(DEVMESH_SYSCONFDIR "/devmesh/caddy.json")};
	cJSON *found = NULL;

	/* the one of the same id, else any */
	for (size_t i = 0; i < 4; i++) {
		char *place = places[i % 2];
		cJSON *config = place == NULL || found != NULL ? NULL : read_config(place);

		if (config != NULL && setup_wrote(id_of(config)) &&
		    (i >= 2 || dm_same_text(id_of(config), id))) {
			found = config;
			*path = dm_strdup(place);
		} else {
			cJSON_Delete(config);
		}
	}
	free(places[0]);
	free(places[1]);
	return found;
}

static bool
is_private_mesh(const struct doctor *d)
{
	DM_AUTO_FREE char *socket = session_private_admin(d->session);
	DM_AUTO_FREE char *address = dm_asprintf("unix://%s", socket);

	return strcmp(caddy_admin_address(d->session->admin), address) == 0;
}

static void
add_drift(cJSON *o, struct doctor *d)
{
	DM_AUTO_FREE char *path = NULL, *found = NULL, *detail = NULL;
	cJSON *written = NULL;
	struct dm_err ignored;
	bool known = false;

	if (!d->caddy_answers || !session_need_state_dir(d->session, &ignored)) {
		dm_debug("there is nothing to compare");
	} else if (is_private_mesh(d)) {
		path = dm_asprintf("%s/caddy.json", d->session->state_dir);
		written = read_config(path);
	} else if (setup_wrote(id_of(d->config))) {
		written = setup_config(id_of(d->config), &path);
		if (written == NULL)
			detail = dm_strdup("what devmesh setup has written cannot be read");
	}
	if (written != NULL) {
		known = true;
		found = drift_find(written, d->config, is_own, d);
		if (found != NULL)
			detail = dm_asprintf("Caddy runs something else than %s: %s", path, found);
	}
	(void)cJSON_AddItemToObject(
	    o, "drift", known ? cJSON_CreateBool(found != NULL) : cJSON_CreateNull());
	out_add_text(o, "drift_detail", detail);
	out_add_text(o, "config", path);
	cJSON_Delete(written);
}

/* What makes Caddy run what was written again; NULL: there is nothing to do. The caller owns it. */
static char *
drift_fix(const struct doctor *d, const cJSON *o)
{
	const char *config = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "config"));
	const char *admin = d->session->admin == NULL ? "" : caddy_admin_address(d->session->admin);
	DM_AUTO_FREE char *word = NULL;

	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "drift")) || config == NULL)
		return NULL;
	if (is_private_mesh(d))
		return dm_strdup("devmesh stop && devmesh start && devmesh up --all");
	word = dm_shell_word(config);
	if (dm_starts_with(admin, "unix://"))
		return dm_asprintf(
		    "caddy reload --config %s --address unix/%s", word, admin + strlen("unix://"));
	return dm_asprintf("caddy reload --config %s --address %s", word,
	    dm_starts_with(admin, "http://") ? admin + strlen("http://") : admin);
}

static cJSON *
caddy_facts(struct doctor *d)
{
	const struct doctor_finding *trouble = doctor_trouble(d, "caddy-admin");
	cJSON *o = cJSON_CreateObject();
	DM_AUTO_FREE char *fix = NULL;

	out_add_text(
	    o, "admin", d->session->admin == NULL ? NULL : caddy_admin_address(d->session->admin));
	(void)cJSON_AddBoolToObject(o, "answers", d->caddy_answers);
	add_version(o, d);
	out_add_text(o, "class", class_of(d));
	add_drift(o, d);
	out_add_text(o, "problem", trouble == NULL ? NULL : trouble->what);
	fix = trouble != NULL ? dm_strdup(trouble->fix) : drift_fix(d, o);
	out_add_text(o, "fix", fix);
	return o;
}

/* ---- names --------------------------------------------------------------------------------- */

/* What the check has to complain about, else why it was not made. */
static void
add_trouble(cJSON *o, const struct doctor *d, const char *check)
{
	const struct doctor_finding *trouble = doctor_trouble(d, check);
	const char *skipped = NULL;

	for (size_t i = 0; i < doctor_check_count; i++) {
		if (strcmp(doctor_checks[i].id, check) == 0)
			skipped = d->skipped[i];
	}
	out_add_text(o, "problem", trouble != NULL ? trouble->what : NULL);
	out_add_text(o, "fix", trouble != NULL ? trouble->fix : NULL);
	out_add_text(o, "not_checked", skipped);
}

static void
add_time(cJSON *o, const char *key, int64_t time)
{
	(void)cJSON_AddItemToObject(
	    o, key, time < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)time));
}

static cJSON *
certificate_facts(struct doctor *d)
{
	const struct certificate *c = &d->certificate;
	cJSON *o = cJSON_CreateObject();
	bool has;

	doctor_run_one(d, "certificate");
	has = d->has_certificate;
	out_add_text(o, "host", d->certificate_host[0] == '\0' ? NULL : d->certificate_host);
	out_add_text(o, "names", has && c->names[0] != '\0' ? c->names : NULL);
	out_add_text(o, "issuer", has && c->issuer[0] != '\0' ? c->issuer : NULL);
	add_time(o, "not_before", has ? c->begin : -1);
	add_time(o, "not_after", has ? c->end : -1);
	if (has && c->end >= 0)
		(void)cJSON_AddNumberToObject(o, "days_left",
		    (double)(int64_t)((double)(c->end - dm_wall_seconds()) * 10 / DAY_S) / 10);
	else
		(void)cJSON_AddNullToObject(o, "days_left");
	out_add_text(o, "trusted_by", d->trusted_by);
	add_trouble(o, d, "certificate");
	return o;
}

static cJSON *
dns_facts(struct doctor *d)
{
	const char *check = dm_ends_with(d->domain, ".localhost") ? "dns-localhost" : "dns-domain";
	cJSON *o = cJSON_CreateObject(), *list;

	doctor_run_one(d, check);
	out_add_text(o, "name", d->resolved.name);
	(void)cJSON_AddBoolToObject(o, "resolves", d->resolved.count > 0);
	list = cJSON_AddArrayToObject(o, "addresses");
	for (size_t i = 0; i < d->resolved.count; i++) {
		char text[DNS_ADDRESS_TEXT];

		dns_address_text(&d->resolved.addresses[i], text);
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
	add_trouble(o, d, check);
	return o;
}

/* ---- the network --------------------------------------------------------------------------- */

static cJSON *
network_facts(struct doctor *d)
{
	struct lan_state state = {.serial = 0};
	struct dm_err err;

	if (!network_look(d->session->conf, &state, &err))
		state.lack = "the addresses of this machine cannot be read";
	return network_json(&state, false);
}

/* ---- the history --------------------------------------------------------------------------- */

static cJSON *
history_facts(struct doctor *d)
{
	static const char *const suffixes[] = {"", "-wal"};
	cJSON *o = cJSON_CreateObject();
	struct dm_err ignored;
	int64_t bytes = 0;

	for (size_t i = 0; i < 2 && session_need_state_dir(d->session, &ignored); i++) {
		DM_AUTO_FREE char *path =
		    dm_asprintf("%s/history.db%s", d->session->state_dir, suffixes[i]);
		struct stat st;

		if (stat(path, &st) == 0)
			bytes += st.st_size;
	}
	(void)cJSON_AddNumberToObject(o, "bytes", (double)bytes);
	/* only devmeshd, which writes it, knows */
	(void)cJSON_AddNullToObject(o, "problem");
	return o;
}

struct cJSON *
system_facts(const char *config_file, const char *host, struct dm_err *err)
{
	/* what there is of it only devmeshd, which keeps it, knows without asking the provider */
	const struct record record = {.written = false};
	struct doctor d;
	cJSON *o = NULL;

	doctor_init(&d, config_file, ".");
	if (d.session == NULL) {
		*err = d.config_err;
	} else {
		if (host != NULL &&
		    !dm_snprintf(d.certificate_host, sizeof(d.certificate_host), "%s", host))
			d.certificate_host[0] = '\0';
		doctor_run_one(&d, "caddy-admin");
		o = out_object();
		(void)cJSON_AddNumberToObject(o, "time", (double)dm_wall_seconds());
		out_add_text(o, "domain", d.domain);
		(void)cJSON_AddItemToObject(o, "caddy", caddy_facts(&d));
		(void)cJSON_AddItemToObject(o, "certificate", certificate_facts(&d));
		(void)cJSON_AddItemToObject(o, "dns", dns_facts(&d));
		(void)cJSON_AddItemToObject(o, "network", network_facts(&d));
		(void)cJSON_AddItemToObject(
		    o, "record", record_json(d.session->conf, &record, NULL));
		(void)cJSON_AddItemToObject(o, "history", history_facts(&d));
	}
	doctor_release(&d);
	return o;
}
