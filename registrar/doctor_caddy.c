/* SPDX-License-Identifier: MIT */
/* The doctor on Caddy itself: the program, its admin API, its ports, its user, its view of /tmp. */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "base/fsio.h"
#include "base/sock.h"
#include "base/spawn.h"
#include "base/str.h"
#include "doctor.h"
#include "doctor_text.h"

#ifndef DEVMESH_SYSCONFDIR
#define DEVMESH_SYSCONFDIR "/etc"
#endif

enum {
	CONFIG_MAX = 32 << 20,
	FILE_MAX = 262144,
	PORTS_MAX = 16,
	ADDRESS_TEXT = 80,
};

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

void
doctor_check_program(struct doctor *d)
{
	const char *program = d->session->conf->caddy;
	const char *argv[] = {program, "version", NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(1024);
	DM_AUTO_STR struct dm_str errout = dm_str_make(1024);
	struct dm_err err;
	unsigned version;
	int status = 0;

	if (!dm_run(argv, NULL, doctor_time(d, DOCTOR_PROGRAM_MS), &out, &errout, &status, &err) ||
	    status != 0) {
		doctor_say(d, DOCTOR_WARNING, "the program %s %s", program,
		    status != 0		       ? "cannot be run"
		    : err.code == DM_NOT_FOUND ? "is not installed, or not in PATH"
					       : "does not say its version");
		doctor_why(d, "devmesh start runs it as the private mesh");
		doctor_fix(d, "sudo apt-get install caddy    (Homebrew: brew install caddy; or set "
			      "[local] caddy to its path)");
		return;
	}
	out.data[strcspn(out.data, "\n")] = '\0';
	version = text_version(out.data);
	if (version != 0 && version < VERSION(2, 6, 0)) {
		doctor_say(d, DOCTOR_WARNING, "%s is version %s", program, out.data);
		doctor_why(d, "devmesh is made for Caddy 2.6 and later");
		doctor_fix(d, "sudo apt-get install --only-upgrade caddy");
	} else {
		doctor_say(d, DOCTOR_OK, "%s is version %s", program, out.data);
	}
}

static bool
is_stopped(pid_t pid)
{
	DM_AUTO_FREE char *path = dm_asprintf("/proc/%ld/status", (long)pid);
	DM_AUTO_FREE char *text = pid == 0 ? NULL : doctor_read(path, FILE_MAX);

	return text != NULL && strstr(text, "State:\tT") != NULL;
}

static void
say_no_answer(struct doctor *d, const struct dm_err *err)
{
	const char *address = caddy_admin_address(d->session->admin);
	bool private = d->session->conf->admin == NULL && dm_starts_with(address, "unix://");

	if (err->code == DM_TIMEOUT && is_stopped(d->caddy_pid)) {
		doctor_say(d, DOCTOR_FAILURE, "Caddy (pid %ld) is stopped: %s does not answer",
		    (long)d->caddy_pid, address);
		doctor_fix(d, "kill -CONT %ld", (long)d->caddy_pid);
	} else if (err->code == DM_TIMEOUT) {
		doctor_say(d, DOCTOR_FAILURE,
		    "Caddy's admin API at %s accepts but does not answer within "
		    "%d ms",
		    address, DOCTOR_ADMIN_MS);
		doctor_fix(
		    d, private ? "devmesh stop; devmesh start" : "sudo systemctl restart caddy");
	} else {
		doctor_say(d, DOCTOR_FAILURE, "%s", err->msg);
		doctor_fix(d, "%s", err->code == DM_UNREACHABLE ? "devmesh start" : err->hint);
	}
	doctor_why(d, "no URL works, and nothing can be registered that needs a route");
}

/* Takes Caddy's whole configuration apart: the doctor's view of it, and the session's. */
static bool
take_config(struct doctor *d, const struct dm_str *body, struct dm_err *err)
{
	char *apps;

	d->config = cJSON_ParseWithLength(body->data, body->len);
	if (d->config == NULL)
		return dm_fail(err, DM_UNREACHABLE,
		    "what answers at %s is not Caddy's admin API: no JSON",
		    caddy_admin_address(d->session->admin));
	apps =
	    get(d->config, "apps") == NULL ? NULL : cJSON_PrintUnformatted(get(d->config, "apps"));
	d->session->view =
	    caddy_view_parse(apps == NULL ? "null" : apps, apps == NULL ? 4 : strlen(apps), err);
	cJSON_free(apps);
	return d->session->view != NULL;
}

static bool
ask_caddy(struct doctor *d, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str body = dm_str_make(CONFIG_MAX);
	struct caddy_admin *quick;
	int status;

	if (!session_need_admin(d->session, err))
		return false;
	/* the same address with less patience */
	quick = caddy_admin_new(
	    caddy_admin_address(d->session->admin), doctor_time(d, DOCTOR_ADMIN_MS), err);
	if (quick == NULL)
		return false;
	caddy_admin_free(d->session->admin);
	d->session->admin = quick;
	d->caddy_uid_known = caddy_admin_owner(d->session->admin, &d->caddy_uid, &d->caddy_pid);
	if (!caddy_admin_get(quick, "/config/", &status, &body, err))
		return false;
	if (status != 200)
		return dm_fail(err, DM_FAILED, "%s answers %d: %.200s", caddy_admin_address(quick),
		    status, body.data);
	return take_config(d, &body, err);
}

void
doctor_check_admin(struct doctor *d)
{
	struct session *s = d->session;
	char host[HOST_MAX + 1];
	struct dm_err err, ignored;
	struct slug probe = {"devmesh-doctor"};

	d->caddy_answers = ask_caddy(d, &err);
	if (!d->caddy_answers) {
		if (s->admin != NULL)
			say_no_answer(d, &err);
		else
			doctor_say(d, DOCTOR_FAILURE, "%s", err.msg);
		/* nobody has to ask, and wait, a second time */
		if (s->view == NULL)
			s->view = caddy_view_parse("null", 4, &ignored);
		return;
	}
	session_domain(s, d->domain);
	host_join(&probe, d->domain, host);
	d->has_mesh =
	    caddy_view_mesh(s->view, d->domain, s->conf->sockets_dir, host, "", &d->server);
	d->has_server =
	    d->has_mesh || caddy_view_server(s->view, s->conf->server, host, &d->server, &ignored);
	doctor_say(d, DOCTOR_OK, "Caddy (pid %ld) answers at %s; the domain is %s",
	    (long)d->caddy_pid, caddy_admin_address(s->admin), d->domain);
	if (!d->has_server) {
		doctor_say(
		    d, DOCTOR_FAILURE, "Caddy has no HTTP server that listens on a TCP port");
		doctor_why(d, "there is nothing to register services with");
		doctor_fix(d, "caddy run --config examples/caddy/Caddyfile    (or devmesh start)");
	}
}

void
doctor_check_admin_open(struct doctor *d)
{
	const cJSON *listen = get(get(d->config, "admin"), "listen");

	if (!cJSON_IsString(listen) || !text_listens_widely(listen->valuestring))
		return;
	doctor_say(d, DOCTOR_FAILURE, "Caddy's admin API listens on %s, for other machines as well",
	    listen->valuestring);
	doctor_why(d, "everybody in the network can make this Caddy serve any file and reach any "
		      "service of this machine");
	doctor_fix(d, "set \"admin\" in Caddy's configuration to localhost:2019, and restart it");
}

/* The TCP ports that Caddy has, or would have. */
static size_t
ports_of(const struct doctor *d, uint16_t ports[PORTS_MAX])
{
	const struct conf *conf = d->session->conf;
	const cJSON *server, *address;
	size_t count = 0;

	if (!d->caddy_answers) {
		ports[count++] = conf->https_port != 0 ? (uint16_t)conf->https_port : 443;
		ports[count++] = conf->http_port != 0 ? (uint16_t)conf->http_port : 80;
		return count;
	}
	cJSON_ArrayForEach (server, get(get(get(d->config, "apps"), "http"), "servers")) {
		cJSON_ArrayForEach (address, get(server, "listen")) {
			const char *colon =
			    cJSON_IsString(address) ? strrchr(address->valuestring, ':') : NULL;
			uint64_t port;

			if (colon != NULL && count < PORTS_MAX &&
			    dm_parse_uint(colon + 1, 1, UINT16_MAX, &port))
				ports[count++] = (uint16_t)port;
		}
	}
	return count;
}

static void
address_of(const struct dm_listener *l, char out[ADDRESS_TEXT])
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(l->ipv6 ? AF_INET6 : AF_INET, l->address, text, sizeof(text)) == NULL ||
	    !dm_snprintf(out, ADDRESS_TEXT, l->ipv6 ? "[%s]:%u" : "%s:%u", text, (unsigned)l->port))
		out[0] = '\0';
}

/* "caddy, pid 123"; the caller owns it. */
static char *
owner_of(const struct dm_listener *l)
{
	DM_AUTO_FREE char *name = l->pid == 0 ? NULL : dm_proc_name(l->pid);

	if (l->pid == 0)
		return dm_strdup("a process of another user");
	return dm_asprintf("%s, pid %ld", name == NULL ? "?" : name, (long)l->pid);
}

static bool
same_address(const struct dm_listener *a, const struct dm_listener *b)
{
	return a->port == b->port && a->ipv6 == b->ipv6 &&
	       memcmp(a->address, b->address, a->ipv6 ? 16 : 4) == 0;
}

static void
say_twice(struct doctor *d, const struct dm_listener *a, const struct dm_listener *b)
{
	DM_AUTO_FREE char *first = owner_of(a), *second = owner_of(b);
	char address[ADDRESS_TEXT];
	pid_t other = a->pid == d->caddy_pid ? b->pid : a->pid;

	address_of(a, address);
	if (a->pid == b->pid && a->pid != 0) {
		doctor_say(d, DOCTOR_FAILURE, "%s listens twice on %s", first, address);
		doctor_why(d,
		    "a change that failed has left a half-started server behind (Caddy before "
		    "2.10.1): about half of the connections get old routes");
		doctor_fix(d,
		    "restart this Caddy: sudo systemctl restart caddy    (or devmesh stop; "
		    "devmesh start)");
		return;
	}
	doctor_say(
	    d, DOCTOR_FAILURE, "two programs listen on %s: %s, and %s", address, first, second);
	doctor_why(d, "the kernel lets them share the port, and gives each connection to either of "
		      "them: requests reach the right routes only sometimes");
	if (other != 0)
		doctor_fix(d, "kill %ld", (long)other);
	else
		doctor_fix(d, "sudo ss -ltnp 'sport = :%u'", (unsigned)a->port);
}

void
doctor_check_twice(struct doctor *d)
{
	uint16_t ports[PORTS_MAX];
	size_t count = ports_of(d, ports);
	const struct dm_listeners *l = &d->listeners;

	dm_proc_of_ports(ports, count, &d->listeners);
	for (size_t i = 0; i < l->count; i++) {
		bool wanted = d->caddy_pid != 0 && l->list[i].pid == d->caddy_pid;

		for (size_t k = 0; k < count; k++)
			wanted |= l->list[i].port == ports[k];
		for (size_t k = i + 1; wanted && k < l->count; k++) {
			if (same_address(&l->list[i], &l->list[k]))
				say_twice(d, &l->list[i], &l->list[k]);
		}
	}
}

/* One listener on a port that Caddy has, or would have; whether it is another Caddy (said once). */
static bool
check_owner(struct doctor *d, const struct dm_listener *l, bool configured)
{
	DM_AUTO_FREE char *owner = owner_of(l);
	DM_AUTO_FREE char *name = l->pid == 0 ? NULL : dm_proc_name(l->pid);
	char address[ADDRESS_TEXT];

	address_of(l, address);
	if (!d->caddy_answers && name != NULL && strcmp(name, "caddy") == 0) {
		doctor_say(d, DOCTOR_NOTE,
		    "a Caddy (pid %ld) has %s, but its admin API is not at %s", (long)l->pid,
		    address, caddy_admin_address(d->session->admin));
		doctor_why(d, "devmesh registers services with the Caddy whose admin API it asks");
		doctor_fix(d, "set [caddy] admin to the address of its admin API, which its "
			      "configuration says: \"admin\" (usually localhost:2019)");
		return true;
	}
	doctor_say(
	    d, configured ? DOCTOR_FAILURE : DOCTOR_WARNING, "%s is taken by %s", address, owner);
	doctor_why(d, d->caddy_answers ? "connections to this address go there instead of to Caddy"
		      : configured
			  ? "the private mesh is set to this port and cannot start"
			  : "the private mesh has to use another port, and URLs get a number");
	if (l->pid != 0)
		doctor_fix(d, "kill %ld    (or stop its service)", (long)l->pid);
	else
		doctor_fix(d, "sudo ss -ltnp 'sport = :%u'", (unsigned)l->port);
	return false;
}

void
doctor_check_ports(struct doctor *d)
{
	const struct conf *conf = d->session->conf;
	const struct dm_listeners *l = &d->listeners;
	uint16_t ports[PORTS_MAX];
	size_t count = ports_of(d, ports);
	pid_t told = 0;

	for (size_t i = 0; i < l->count; i++) {
		bool wanted = false, shared = false;

		for (size_t k = 0; k < count; k++)
			wanted |= l->list[i].port == ports[k];
		for (size_t k = 0; k < l->count; k++)
			shared |= k != i && same_address(&l->list[i], &l->list[k]);
		/* without rights Caddy's own listener shows no process: it is no stranger then */
		if (!wanted || shared || (told != 0 && l->list[i].pid == told) ||
		    (d->caddy_answers && (l->list[i].pid == d->caddy_pid || l->list[i].pid == 0)))
			continue;
		if (check_owner(d, &l->list[i],
			l->list[i].port == conf->https_port || l->list[i].port == conf->http_port))
			told = l->list[i].pid;
	}
}

/* The systemd unit that a process belongs to, from the end of its cgroup; NULL: none. */
static char *
unit_of(pid_t pid)
{
	DM_AUTO_FREE char *path = dm_asprintf("/proc/%ld/cgroup", (long)pid);
	DM_AUTO_FREE char *text = doctor_read(path, FILE_MAX);
	const char *end = text == NULL ? NULL : strstr(text, ".service"), *begin = end;

	while (begin != NULL && begin > text && begin[-1] != '/' && begin[-1] != '\n')
		begin--;
	return begin == NULL ? NULL : dm_strndup(begin, (size_t)(end - begin) + strlen(".service"));
}

/* Whether Caddy has another directory of that name before its eyes; *unit is its service. */
static bool
sees_another(struct doctor *d, const char *dir, char **unit)
{
	DM_AUTO_FREE char *theirs = dm_asprintf("/proc/%ld/root%s", (long)d->caddy_pid, dir);
	DM_AUTO_FREE char *root = dm_asprintf("/proc/%ld/root/", (long)d->caddy_pid);
	DM_AUTO_FREE char *answer = NULL;
	struct stat here, there;

	*unit = unit_of(d->caddy_pid);
	if (stat(root, &there) == 0 && stat(dir, &here) == 0) {
		if (stat(theirs, &there) != 0)
			return errno == ENOENT;
		return there.st_dev != here.st_dev || there.st_ino != here.st_ino;
	}
	/* somebody else's process: its unit says so as well */
	if (*unit != NULL && (dm_starts_with(dir, "/tmp/") || dm_starts_with(dir, "/var/tmp/"))) {
		const char *argv[] = {
		    "systemctl", "show", "-p", "PrivateTmp", "--value", *unit, NULL};

		answer = doctor_output(d, argv);
		/* "yes", or "disconnected" */
		return answer != NULL && answer[0] != '\0' && strcmp(answer, "no") != 0;
	}
	doctor_skip(d, "Caddy's process may not be looked at");
	return false;
}

void
doctor_check_private_tmp(struct doctor *d)
{
	const char *dir = d->session->conf->sockets_dir;
	DM_AUTO_FREE char *unit = NULL, *word = NULL;

	if (d->caddy_pid == 0) {
		doctor_skip(d, "Caddy's process is unknown");
		return;
	}
	if (!sees_another(d, dir, &unit))
		return;
	doctor_say(d, DOCTOR_FAILURE,
	    "Caddy (pid %ld%s%s) does not see %s: it has a /tmp of its own", (long)d->caddy_pid,
	    unit == NULL ? "" : ", ", unit == NULL ? "" : unit, dir);
	doctor_why(d, "every service answers 502, or is said not to run");
	/* systemd escapes what is in a name by backslashes */
	word = dm_shell_word(unit == NULL ? "caddy.service" : unit);
	doctor_fix(d,
	    "sudo mkdir -p /etc/systemd/system/%s.d && printf '[Service]\\nPrivateTmp=false\\n' | "
	    "sudo tee /etc/systemd/system/%s.d/devmesh.conf && sudo systemctl daemon-reload && "
	    "sudo systemctl restart %s",
	    word, word, word);
}

/* Whether the user can get to what is in `dir`; else names the directory that is closed. */
static void
check_path(struct doctor *d, const struct access_user *user, const char *dir)
{
	DM_AUTO_FREE char *path = dm_strdup(dir);
	struct stat st;

	for (char *p = path + 1;; p++) {
		char kept = *p;

		if (*p != '/' && *p != '\0')
			continue;
		*p = '\0';
		if (stat(path, &st) == 0 && !access_may(user, &st, 1)) {
			DM_AUTO_FREE char *word = dm_shell_word(path);

			doctor_say(d, DOCTOR_FAILURE,
			    "Caddy runs as uid %u, which may not enter %s", (unsigned)user->uid,
			    path);
			doctor_why(d, "every service answers 502");
			doctor_fix(d, "chmod o+x %s", word);
		}
		if ((*p = kept) == '\0')
			return;
	}
}

void
doctor_check_access(struct doctor *d)
{
	struct access_user user;
	struct registry_claims claims;
	struct dm_err ignored;

	if (!d->caddy_uid_known) {
		doctor_skip(d, "Caddy's process is unknown");
		return;
	}
	access_user_of(d->caddy_uid, d->caddy_pid, &user);
	check_path(d, &user, d->session->conf->sockets_dir);
	if (!registry_scan(d->session->registry, &claims, &ignored))
		return;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];
		DM_AUTO_FREE char *word = claim->socket ? dm_shell_word(claim->socket) : NULL;
		struct stat st;

		if (claim->is_alias || claim->socket == NULL || stat(claim->socket, &st) != 0 ||
		    !S_ISSOCK(st.st_mode) || access_may(&user, &st, 2))
			continue;
		doctor_say(d, DOCTOR_FAILURE,
		    "Caddy runs as uid %u, which may not connect to %s (mode %04o)",
		    (unsigned)user.uid, claim->socket, (unsigned)st.st_mode & 07777);
		doctor_why(d, "the service answers 502; connecting takes the right to write");
		doctor_fix(d, "chmod 666 %s    (and let the server do it, or set umask 0)", word);
	}
	registry_claims_free(&claims);
}

/* Modules that no build of Caddy has by itself, as a configuration names them. */
static const struct {
	const char *name, *module, *package;
} extras[] = {
    {"cloudflare", "dns.providers.cloudflare", "github.com/caddy-dns/cloudflare"},
    {"route53", "dns.providers.route53", "github.com/caddy-dns/route53"},
    {"digitalocean", "dns.providers.digitalocean", "github.com/caddy-dns/digitalocean"},
    {"duckdns", "dns.providers.duckdns", "github.com/caddy-dns/duckdns"},
    {"hetzner", "dns.providers.hetzner", "github.com/caddy-dns/hetzner"},
    {"gandi", "dns.providers.gandi", "github.com/caddy-dns/gandi"},
    {"ovh", "dns.providers.ovh", "github.com/caddy-dns/ovh"},
    {"porkbun", "dns.providers.porkbun", "github.com/caddy-dns/porkbun"},
    {"desec", "dns.providers.desec", "github.com/caddy-dns/desec"},
    {"dynamic_dns", "dynamic_dns", "github.com/mholt/caddy-dynamicdns"},
};

/*
 * The file that the running Caddy was started with, else that of devmesh setup or Debian's; the
 * caller owns it.
 */
static char *
caddy_file(const struct doctor *d)
{
	DM_AUTO_FREE char *path = dm_asprintf("/proc/%ld/cmdline", (long)d->caddy_pid);
	DM_AUTO_STR struct dm_str args = dm_str_make(16384);
	struct dm_err ignored;
	const char *file = NULL, *setup = DEVMESH_SYSCONFDIR "/devmesh/caddy.json";

	if (d->caddy_pid != 0 && dm_read_file(path, &args, &ignored))
		file = text_argument(args.data, args.len, "--config");
	return dm_strdup(file != NULL && file[0] == '/' ? file
			 : access(setup, R_OK) == 0	? setup
							: "/etc/caddy/Caddyfile");
}

void
doctor_check_modules(struct doctor *d)
{
	const char *argv[] = {d->session->conf->caddy, "list-modules", NULL};
	DM_AUTO_FREE char *path = caddy_file(d);
	DM_AUTO_FREE char *text = doctor_read(path, FILE_MAX);
	DM_AUTO_FREE char *modules = NULL;

	for (size_t i = 0; text != NULL && i < sizeof(extras) / sizeof(extras[0]); i++) {
		if (!text_names_module(text, extras[i].name))
			continue;
		if (modules == NULL && (modules = doctor_output(d, argv)) == NULL) {
			doctor_skip(d, "caddy list-modules fails");
			return;
		}
		if (text_has_line(modules, extras[i].module))
			continue;
		doctor_say(d, DOCTOR_FAILURE, "%s names %s, and %s lacks the module %s", path,
		    extras[i].name, d->session->conf->caddy, extras[i].module);
		doctor_why(d,
		    "Caddy cannot load this configuration: it fails at its next start or reload");
		doctor_fix(d, "xcaddy build --with %s    (or: sudo caddy add-package %s)",
		    extras[i].package, extras[i].package);
	}
}
