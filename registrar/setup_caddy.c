/* SPDX-License-Identifier: MIT */
/* The Caddy that setup is about: what it serves now, giving it the new configuration, asking it. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/admin.h"
#include "caddy/http.h"
#include "caddy/mesh.h"
#include "setup.h"

enum {
	CONFIG_MAX = 16 << 20,
	HOSTS_MAX = 600,
	LOAD_MS = 60000,   /* Caddy answers when it has provisioned everything */
	START_MS = 20000,  /* until the first answer; keys are made meanwhile */
	PENDING_MS = 5000, /* certificates of a public CA take longer: they are not waited for */
	POLL_MS = 50,
};

void
setup_redact(const struct setup *u, char *text)
{
	size_t n = u->facts.token != NULL ? strlen(u->facts.token) : 0;

	for (char *at = text; n > 0 && (at = strstr(at, u->facts.token)) != NULL; at += n)
		memset(at, '*', n);
}

static const struct setup_step *
config_step(const struct setup *u)
{
	for (size_t i = 0; i < u->step_count; i++) {
		if (dm_ends_with(u->steps[i].path, "/caddy.json"))
			return &u->steps[i];
	}
	return NULL;
}

/* "srv0 (:443): a.test, b.test; ..." */
static char *
describe(const cJSON *config)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(HOSTS_MAX);
	const cJSON *http = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(config, "apps"), "http");
	const cJSON *server, *route, *match, *item;

	cJSON_ArrayForEach (server, cJSON_GetObjectItemCaseSensitive(http, "servers")) {
		(void)dm_str_addf(&out, "%s%s (", out.len > 0 ? "; " : "", server->string);
		cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(server, "listen")) {
			if (cJSON_IsString(item))
				(void)dm_str_addf(&out, " %s", item->valuestring);
		}
		(void)dm_str_addf(&out, " )");
		cJSON_ArrayForEach (route, cJSON_GetObjectItemCaseSensitive(server, "routes")) {
			match =
			    cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(route, "match"), 0);
			cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(match, "host")) {
				if (cJSON_IsString(item))
					(void)dm_str_addf(&out, " %s", item->valuestring);
			}
		}
	}
	if (out.len == 0)
		return dm_strdup("no HTTP servers, but other things");
	return dm_printable(out.data);
}

/* Whether the two have the same "@id", which has the checksum of all the rest. */
static bool
same_id(const cJSON *a, const cJSON *b)
{
	const cJSON *one = cJSON_GetObjectItemCaseSensitive(a, "@id");
	const cJSON *two = cJSON_GetObjectItemCaseSensitive(b, "@id");

	return cJSON_IsString(one) && cJSON_IsString(two) &&
	       strcmp(one->valuestring, two->valuestring) == 0;
}

/* Whether it is what setup writes, whatever the admin API has added since. */
static bool
is_ours(const struct setup *u, const cJSON *config)
{
	const struct setup_step *step = config_step(u);
	cJSON *wanted = step != NULL && step->text != NULL ? cJSON_Parse(step->text) : NULL;
	bool same = same_id(config, wanted);

	cJSON_Delete(wanted);
	return same;
}

static enum setup_running
classify(const struct setup *u, const cJSON *config)
{
	if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(config, "apps")) == 0)
		return SETUP_EMPTY;
	return is_ours(u, config) ? SETUP_LOADED : SETUP_OTHERS;
}

void
setup_look_at_autosave(struct setup *u, const char *config_home)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/caddy/autosave.json", config_home);
	DM_AUTO_STR struct dm_str text = dm_str_make(CONFIG_MAX);
	struct dm_err ignored;
	cJSON *config;

	/* one that runs without a service manager is given the configuration itself */
	if (u->want.out != NULL || u->running == SETUP_LOADED ||
	    (!u->managed && u->running != SETUP_NOT_RUNNING) ||
	    !dm_read_file(path, &text, &ignored))
		return;
	config = cJSON_Parse(text.data);
	if (!is_ours(u, config))
		u->autosave = DM_STEAL(&path);
	cJSON_Delete(config);
}

static pid_t
pid_at(const char *address)
{
	struct dm_sock_info info;
	const char *colon = strrchr(address, ':');
	uint64_t port = 2019;

	if (dm_starts_with(address, "unix://")) {
		dm_sock_probe(address + strlen("unix://"), &info);
		return info.pid;
	}
	if (colon != NULL && colon[1] != '/' && !dm_parse_uint(colon + 1, 1, UINT16_MAX, &port))
		return 0;
	return dm_proc_of_port((uint16_t)port);
}

/* Asks the Caddy at `address`; false, with nothing said, if nobody listens there. */
static bool
ask_at(struct setup *u, const char *address, int *status, struct dm_str *body)
{
	struct dm_err err;
	dm_auto(caddy_admin) admin = caddy_admin_new(address, u->session->conf->timeout_ms, &err);

	if (admin == NULL)
		return false;
	u->running_admin = address;
	if (caddy_admin_get(admin, "/config/", status, body, &err))
		return true;
	if (err.code != DM_UNREACHABLE)
		setup_problem(u, &err);
	return false;
}

void
setup_look_at_caddy(struct setup *u)
{
	DM_AUTO_STR struct dm_str body = dm_str_make(CONFIG_MAX);
	struct dm_err err;
	cJSON *config;
	int status = 0;

	if (u->want.out != NULL)
		return;
	/* one from before its admin API was moved to a socket is where it usually is */
	if (!ask_at(u, u->facts.admin, &status, &body) &&
	    (u->facts.admin_dir == NULL || u->problem_count > 0 ||
		!ask_at(u, SETUP_USUAL_ADMIN, &status, &body)))
		return;
	if (status != 200 || body.overflow) {
		(void)dm_fail(&err, DM_FAILED, "what answers at %s is not a Caddy (status %d)",
		    u->running_admin, status);
		setup_problem(u, &err);
		return;
	}
	config = cJSON_Parse(body.data);
	u->running = classify(u, config);
	u->running_hosts = describe(config);
	u->running_config = dm_str_take(&body);
	u->caddy_pid = pid_at(u->running_admin);
	if (u->running_admin != u->facts.admin && strstr(u->running_config, "{env.") != NULL)
		dm_warn("every user of this machine could read the token of the Caddy at %s: "
			"better make a new one",
		    u->running_admin);
	cJSON_Delete(config);
	if (u->running == SETUP_OTHERS && !u->want.remove)
		u->backup = dm_asprintf("%s/caddy.before-setup-%lld.json", u->facts.conf_dir,
		    (long long)dm_wall_seconds());
}

bool
setup_caddy_has_port(const struct setup *u, uint16_t port)
{
	DM_AUTO_FREE char *end = dm_asprintf(":%u", (unsigned)port);
	cJSON *config = u->running_config != NULL ? cJSON_Parse(u->running_config) : NULL;
	const cJSON *servers = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(config, "apps"), "http"),
	    "servers");
	const cJSON *server, *item;
	bool found = false;

	cJSON_ArrayForEach (server, servers) {
		cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(server, "listen"))
			found =
			    found || (cJSON_IsString(item) && dm_ends_with(item->valuestring, end));
	}
	cJSON_Delete(config);
	return found;
}

bool
setup_backup(struct setup *u, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = NULL;

	if (u->backup == NULL)
		return true;
	dir = dm_path_dir(u->backup);
	return dm_make_dirs(dir, 0755, err) &&
	       dm_write_file(u->backup, u->running_config, strlen(u->running_config), 0600, err);
}

/* Whether Caddy now has the configuration; its admin API may be away for a moment. */
static bool
has_taken(struct setup *u, struct caddy_admin *admin, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + START_MS;

	for (;;) {
		DM_AUTO_STR struct dm_str body = dm_str_make(CONFIG_MAX);
		int status = 0;

		if (caddy_admin_get(admin, "/config/", &status, &body, err)) {
			cJSON *config = cJSON_Parse(body.data);
			bool ours = is_ours(u, config);

			cJSON_Delete(config);
			if (ours)
				return true;
			(void)dm_fail(err, DM_FAILED,
			    "Caddy took the new configuration, but has another one");
		}
		if (dm_now_ms() > deadline)
			return false;
		dm_pause_ms(POLL_MS);
	}
}

static bool
load(struct setup *u, struct dm_err *err)
{
	dm_auto(caddy_admin) admin = caddy_admin_new(u->facts.admin, LOAD_MS, err);
	HTTP_AUTO_REPLY struct http_reply reply;
	enum http_outcome outcome;

	http_reply_init(&reply);
	if (admin == NULL)
		return false;
	outcome =
	    caddy_admin_send(admin, "POST", "/load", NULL, config_step(u)->text, NULL, &reply, err);
	if (outcome == HTTP_NOT_SENT)
		return false;
	if (outcome == HTTP_ANSWERED && reply.status != 200) {
		setup_redact(u, reply.body.data);
		return caddy_admin_refused(&reply, "loading the new configuration", err);
	}
	return has_taken(u, admin, err);
}

static bool
move_autosave(const struct setup *u, struct dm_err *err)
{
	DM_AUTO_FREE char *aside = NULL;

	if (u->autosave == NULL)
		return true;
	aside = dm_asprintf("%s.before-setup", u->autosave);
	if (rename(u->autosave, aside) != 0)
		return dm_fail_errno(err, errno, "moving %s aside", u->autosave);
	return true;
}

bool
setup_activate(struct setup *u, struct dm_err *err)
{
	if (!move_autosave(u, err))
		return false;
	if (u->managed)
		return setup_run_commands(u, false, err);
	if (u->running == SETUP_NOT_RUNNING || u->running == SETUP_LOADED)
		return true;
	return load(u, err);
}

static bool
answers(struct http *http, const struct setup *u, struct dm_err *err)
{
	DM_AUTO_FREE char *url = dm_asprintf(
	    "https://devmesh-check.%s:%u/", u->facts.domain, (unsigned)u->facts.https_port);
	DM_AUTO_FREE char *to = dm_asprintf("127.0.0.1:%u", (unsigned)u->facts.https_port);
	struct http_request request = {.method = "GET",
	    .url = url,
	    .connect_to = to,
	    .any_certificate = true,
	    .timeout_ms = 2000};
	HTTP_AUTO_REPLY struct http_reply reply;
	char state[32];

	http_reply_init(&reply);
	if (http_perform(http, &request, &reply, err) != HTTP_ANSWERED)
		return false;
	if (http_reply_field(&reply, MESH_STATE_HEADER, state, sizeof(state), NULL))
		return true;
	return dm_fail(
	    err, DM_CONFLICT, "%s is answered by something else (status %d)", url, reply.status);
}

bool
setup_verify(struct setup *u, enum setup_answer *answer, struct dm_err *err)
{
	dm_auto(http) http = http_new(err);
	int64_t deadline = dm_now_ms() + (u->facts.dns_provider != NULL ? PENDING_MS : START_MS);

	*answer = SETUP_NO_CADDY;
	if (u->want.out != NULL || (!u->managed && u->running == SETUP_NOT_RUNNING))
		return true;
	if (http == NULL)
		return false;
	while (!answers(http, u, err)) {
		if (dm_now_ms() > deadline) {
			*answer = SETUP_PENDING;
			if (u->facts.dns_provider != NULL &&
			    dm_tcp_listening(u->facts.https_port) && err->code != DM_CONFLICT)
				return true;
			return dm_wrap(
			    err, "the configuration is in place, but the mesh does not answer");
		}
		dm_pause_ms(POLL_MS);
	}
	*answer = SETUP_ANSWERS;
	return true;
}
