/* SPDX-License-Identifier: MIT */
#include "setup_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/system.h"
#include "service_unit.h"
#include "setup_templates.h"

/* Followed by 16 hexadecimal digits: the checksum of the file as if they were zeros. */
#define MARK	    "written by devmesh setup, "
#define MARK_DIGITS "0000000000000000"
enum {
	DIGITS = sizeof(MARK_DIGITS) - 1,
	MARK_WITHIN = 256, /* bytes from the beginning */
	TEXT_MAX = 65536,
};

/* FNV-1a: enough to notice an editor. */
static uint64_t
checksum(const char *text, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Where the mark's digits are; NULL without a mark. */
static char *
mark_digits(char *text, size_t len)
{
	char *at = strstr(text, MARK);

	if (at == NULL || at - text > MARK_WITHIN)
		return NULL;
	at += strlen(MARK);
	return (size_t)(text + len - at) >= DIGITS ? at : NULL;
}

static void
stamp(char *text)
{
	char digits[DIGITS + 1];
	char *at = mark_digits(text, strlen(text));

	if (at == NULL)
		return;
	(void)snprintf(digits, sizeof(digits), "%016" PRIx64, checksum(text, strlen(text)));
	memcpy(at, digits, DIGITS);
}

enum setup_owner
setup_owner_of(const char *text, size_t len)
{
	DM_AUTO_FREE char *copy = dm_strndup(text, len);
	char digits[DIGITS + 1] = "", want[DIGITS + 1];
	char *at = mark_digits(copy, strlen(copy));

	if (at == NULL)
		return SETUP_FOREIGN;
	memcpy(digits, at, DIGITS);
	memcpy(at, MARK_DIGITS, DIGITS);
	(void)snprintf(want, sizeof(want), "%016" PRIx64, checksum(copy, strlen(copy)));
	return strlen(copy) == len && strcmp(digits, want) == 0 ? SETUP_OURS : SETUP_CHANGED;
}

bool
setup_wrote(const char *id)
{
	return id != NULL && dm_starts_with(id, MARK);
}

/*
 * What stands for @NAME@, and whether a line that begins with @?NAME@ is there: it is unless that
 * is NULL.
 */
static const char *
value_of(const struct setup_facts *f, const char *name, size_t n)
{
	const bool admin = f->admin_dir != NULL, group = f->admin_group != NULL;
	const bool root = f->person != NULL && strcmp(f->person, "root") == 0;
	const struct {
		const char *name, *value;
	} values[] = {{"MARK", MARK MARK_DIGITS}, {"CADDY", f->caddy}, {"CONF", f->conf_dir},
	    {"STATE", f->state_dir}, {"HOME", f->home}, {"LOG", f->log_dir},
	    {"SOCKETS", f->sockets_dir}, {"USER", f->run_as}, {"GROUP", f->admin_group},
	    {"IDENTITY", f->identity_dir}, {"DEVMESHD", f->devmeshd}, {"PERSON", f->person},
	    {"PERSONHOME", f->person_home}, {"PERSONSTATE", f->person_state},
	    {"SOCKETSPARENT", f->sockets_parent}, {"PATH", f->daemon_path},
	    {"CONFIGFILE", f->config_file}, {"XDGCONFIG", f->xdg_config},
	    {"XDGSTATE", f->xdg_state}, {"DNSZONE", f->dns_zone}, {"DNSPORT", f->dns_port},
	    /* these only say whether */
	    {"TOKEN", f->dns_provider != NULL ? "" : NULL}, {"SYSTEM", f->user_scope ? NULL : ""},
	    {"USERSCOPE", f->user_scope ? "" : NULL}, {"ADMINDIR", admin ? "" : NULL},
	    {"ADMINGROUP", admin && group ? "" : NULL}, {"ADMINALONE", admin && !group ? "" : NULL},
	    {"NOCONFIGFILE", f->config_file == NULL ? "" : NULL},
	    {"UNPRIVILEGED", f->user_scope || root ? NULL : ""}};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strlen(values[i].name) == n && strncmp(values[i].name, name, n) == 0)
			return values[i].value;
	}
	return NULL;
}

/* One line of a template: left out if it begins with "@?NAME@" and NAME does not hold here. */
static void
render_line(const struct setup_facts *f, const char *line, size_t len, struct dm_str *out)
{
	const char *end = line + len;

	while (line < end) {
		const char *at = memchr(line, '@', (size_t)(end - line)), *close, *value;
		bool asks;

		if (at == NULL || (close = memchr(at + 1, '@', (size_t)(end - at - 1))) == NULL) {
			(void)dm_str_add(out, line, (size_t)(end - line));
			return;
		}
		asks = at[1] == '?';
		value = value_of(f, at + 1 + asks, (size_t)(close - at - 1 - asks));
		if (value == NULL && asks)
			return;
		(void)dm_str_add(out, line, (size_t)(at - line));
		if (value != NULL && !asks)
			(void)dm_str_addf(out, "%s", value);
		line = close + 1;
	}
}

/* The caller owns the text. */
static char *
render(const struct setup_facts *f, const char *template)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);

	while (*template != '\0') {
		size_t n = strcspn(template, "\n") + 1;

		render_line(f, template, n, &out);
		template += n;
	}
	stamp(out.data);
	return dm_str_take(&out);
}

static struct setup_file *
add(struct setup_plan *plan, char *path, mode_t mode, char *text)
{
	struct setup_file *file = &plan->files[plan->count++];

	*file = (struct setup_file){.path = path, .mode = mode, .text = text};
	return file;
}

static void
add_unit(struct setup_plan *plan, const struct setup_facts *f, const char *dir, const char *name,
    const char *template)
{
	add(plan, dm_asprintf("%s/%s", dir, name), 0644, render(f, template))->unit = true;
}

/* Caddy since 2.7 makes its sockets 0200 unless told otherwise; before, as its umask says. */
static const char *
admin_mode(const struct setup_facts *f)
{
	if (f->admin_dir == NULL || !f->stream_close_delay)
		return NULL;
	if (f->manager == SETUP_LAUNCHD)
		return "0222";
	return f->admin_group != NULL ? "0220" : NULL;
}

static char *
config_text(const struct setup_facts *f)
{
	struct system_settings s = {.mesh = {.domain = f->domain,
					.sockets_dir = f->sockets_dir,
					.identity_dir = f->identity_dir,
					.access_log = f->access_log,
					.https_port = f->https_port,
					.http_port = f->http_port,
					.ipv6 = f->ipv6,
					.lan = f->lan,
					.stream_close_delay = f->stream_close_delay},
	    .id = MARK MARK_DIGITS,
	    .admin = f->admin,
	    .admin_mode = admin_mode(f),
	    .dns_provider = f->dns_provider,
	    .zone = f->zone,
	    .email = f->email,
	    .interface = f->interface,
	    .other_record = f->other_record};
	DM_AUTO_FREE char *json = system_config(&s);
	char *text = dm_asprintf("%s\n", json);

	stamp(text);
	return text;
}

static char *
env_text(const char *token)
{
	char *text = dm_asprintf(
	    "# " MARK MARK_DIGITS "\n"
	    "# Caddy's environment: readable by its owner only.\n" SYSTEM_TOKEN_VAR "=%s\n",
	    token);

	stamp(text);
	return text;
}

char *
setup_conf_path(const struct setup_facts *f, const char *name)
{
	return dm_asprintf("%s/%s", f->conf_dir, name);
}

const char *
setup_unit_name(const struct setup_facts *f)
{
	if (f->manager == SETUP_LAUNCHD)
		return "com.devmesh.caddy";
	return f->debian_caddy ? "caddy.service" : "devmesh-caddy.service";
}

/*
 * Paths end up in units, property lists and a shell script. Those with characters that mean
 * something there are refused: no escaping, no mistake in it.
 */
static bool
check_path(const char *what, const char *path, bool blanks, struct dm_err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/._+- ";

	if (path == NULL)
		return true;
	if (path[0] != '/' || path[strspn(path, plain)] != '\0' ||
	    (!blanks && strchr(path, ' ') != NULL))
		return dm_fail(err, DM_USAGE,
		    "the path of %s, %s, has a character that setup does not write into units",
		    what, path);
	return true;
}

static bool
check_paths(const struct setup_facts *f, struct dm_err *err)
{
	return check_path("Caddy", f->caddy, true, err) &&
	       check_path("the configuration", f->conf_dir, true, err) &&
	       check_path("the state", f->state_dir, true, err) &&
	       check_path("the home directory", f->home, true, err) &&
	       check_path("the log", f->log_dir, true, err) &&
	       check_path("the identity documents", f->identity_dir, true, err) &&
	       check_path("the sockets", f->sockets_dir, false, err);
}

/* Of a path list: without what would be a word or a line of its own. */
static bool
check_words(const char *what, const char *text, struct dm_err *err)
{
	if (text == NULL || text[strcspn(text, " \"'\\$%<>&@\t\r\n")] == '\0')
		return true;
	return dm_fail(err, DM_USAGE,
	    "%s, %s, has a character that setup does not write into units", what, text);
}

static bool
add_daemon(struct setup_plan *plan, const struct setup_facts *f, struct dm_err *err)
{
	if (f->devmeshd == NULL)
		return true;
	if (!check_path("devmeshd", f->devmeshd, true, err) ||
	    !check_path("its state", f->person_state, true, err) ||
	    !check_path("the home directory", f->person_home, true, err) ||
	    !check_path("the configuration", f->config_file, true, err) ||
	    !check_path("XDG_CONFIG_HOME", f->xdg_config, true, err) ||
	    !check_path("XDG_STATE_HOME", f->xdg_state, true, err) ||
	    !check_words("PATH", f->daemon_path, err) || !check_words("the user", f->person, err))
		return false;
	if (f->manager == SETUP_LAUNCHD)
		add_unit(plan, f, f->units_dir, SERVICE_UNIT_LAUNCHD ".plist",
		    template_com_devmesh_devmeshd_plist);
	else
		add_unit(plan, f, f->units_dir, SERVICE_UNIT_SYSTEMD, template_devmeshd_service);
	return true;
}

static bool
plan_daemon(const struct setup_facts *f, struct setup_plan *plan, struct dm_err *err)
{
	memset(plan, 0, sizeof(*plan));
	return check_path("the sockets", f->sockets_dir, false, err) &&
	       check_path("the log", f->log_dir, true, err) &&
	       check_path("the identity documents", f->identity_dir, true, err) &&
	       add_daemon(plan, f, err);
}

static bool
plan_dns(const struct setup_facts *f, struct setup_plan *plan, struct dm_err *err)
{
	memset(plan, 0, sizeof(*plan));
	if (!check_words("the zone", f->dns_zone, err))
		return false;
	if (f->manager == SETUP_LAUNCHD) {
		(void)add(plan, dm_asprintf(SETUP_RESOLVER_DIR "/%s", f->dns_zone), 0644,
		    render(f, template_resolver));
		return true;
	}
	if (f->networkd)
		add_unit(plan, f, "/etc/systemd/network", "10-devmesh-dns.network",
		    template_devmesh_dns_network);
	add_unit(plan, f, f->units_dir, SETUP_DNS_UNIT, template_devmesh_dns_service);
	return true;
}

char *
setup_dns_purpose(const char *text)
{
	static const char key[] = "\n# for ";
	const char *at = strstr(text, key);

	if (at == NULL || at - text > MARK_WITHIN)
		return NULL;
	at += strlen(key);
	return dm_strndup(at, strcspn(at, "\r\n"));
}

bool
setup_plan_make(const struct setup_facts *f, struct setup_plan *plan, struct dm_err *err)
{
	struct setup_file *env;

	memset(plan, 0, sizeof(*plan));
	if (!check_paths(f, err))
		return false;
	if (f->dns_provider != NULL) {
		env = add(plan, setup_conf_path(f, "caddy.env"), 0600,
		    env_text(f->token != NULL ? f->token : "<token>"));
		env->shown = env_text("<token>");
	}
	(void)add(plan, setup_conf_path(f, "caddy.json"), 0644, config_text(f));
	if (f->manager == SETUP_LAUNCHD) {
		add_unit(plan, f, f->conf_dir, "caddy.sh", template_caddy_sh);
		plan->files[plan->count - 1].mode = 0755;
		add_unit(plan, f, f->units_dir, "com.devmesh.caddy.plist",
		    template_com_devmesh_caddy_plist);
		return add_daemon(plan, f, err);
	}
	add_unit(plan, f, f->tmpfiles_dir, "devmesh.conf", template_devmesh_tmpfiles_conf);
	if (f->debian_caddy)
		add_unit(plan, f, f->units_dir, "caddy.service.d/devmesh.conf",
		    template_caddy_dropin_conf);
	else
		add_unit(
		    plan, f, f->units_dir, "devmesh-caddy.service", template_devmesh_caddy_service);
	return add_daemon(plan, f, err);
}

bool
setup_plan_part(enum setup_part part, const struct setup_facts *facts, struct setup_plan *plan,
    struct dm_err *err)
{
	switch (part) {
	case SETUP_CADDY:
		return setup_plan_make(facts, plan, err);
	case SETUP_DAEMON:
		return plan_daemon(facts, plan, err);
	case SETUP_DNS:
		break;
	}
	return plan_dns(facts, plan, err);
}

void
setup_plan_release(struct setup_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->files[i].path);
		free(plan->files[i].text);
		free(plan->files[i].shown);
	}
	plan->count = 0;
}

char *
setup_env_token(const char *text)
{
	static const char key[] = "\n" SYSTEM_TOKEN_VAR "=";
	const char *at = strstr(text, key);

	if (at == NULL)
		return NULL;
	at += strlen(key);
	return dm_strndup(at, strcspn(at, "\r\n"));
}

bool
setup_token_valid(const char *token, struct dm_err *err)
{
	static const char alphabet[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t n = strlen(token);

	if (n >= 20 && n <= 200 && strspn(token, alphabet) == n)
		return true;
	/* without showing it: it may be right but for a quote */
	(void)dm_fail(err, DM_USAGE,
	    "what was given as the token is not one: %zu bytes, of which letters, digits, \"_\" "
	    "and \"-\" the first %zu",
	    n, strspn(token, alphabet));
	return dm_hint(err, "the token alone, on one line, without quotes");
}

const char *
setup_zone_of(const char *domain)
{
	static const char *const shared[] = {
	    "ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"};
	const char *tld = strrchr(domain, '.'), *second = tld;

	if (tld == NULL)
		return NULL;
	while (second > domain && second[-1] != '.')
		second--;
	for (size_t i = 0; strlen(tld) == 3 && i < sizeof(shared) / sizeof(shared[0]); i++) {
		if ((size_t)(tld - second) == strlen(shared[i]) &&
		    strncmp(second, shared[i], strlen(shared[i])) == 0)
			return NULL;
	}
	return second;
}
