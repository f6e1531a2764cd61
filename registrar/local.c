/* SPDX-License-Identifier: MIT */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority.h"
#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/spawn.h"
#include "base/str.h"
#include "caddy/http.h"
#include "caddy/mesh.h"
#include "caddy/mesh_log.h"
#include "ctl/ctl.h"
#include "identity.h"
#include "leaves.h"
#include "runner.h"

enum {
	LOCK_MS = 30000,
	START_MS = 20000, /* the first start makes keys; a loaded machine is slow at it */
	STOP_MS = 5000,	  /* for each of: admin API, SIGTERM, SIGKILL */
	ADAPT_MS = 5000,
	POLL_MS = 10,
	LOG_TAIL = 8192,
};

char *
local_root_certificate(const struct session *s)
{
	DM_AUTO_FREE char *data = dm_asprintf("%s/data", s->state_dir);
	DM_AUTO_FREE char *dir = authority_dir(data);

	return dm_asprintf("%s/root.crt", dir);
}

char *
local_access_log(const struct session *s)
{
	/* in a braced name Caddy would look for a placeholder, and refuse to start */
	if (!s->conf->access_log || strpbrk(s->state_dir, "{}") != NULL)
		return NULL;
	return dm_asprintf("%s/" MESH_LOG_FILE, s->state_dir);
}

bool
local_prepare(struct session *s, struct dm_err *err)
{
	DM_AUTO_FREE char *longest = NULL;
	struct stat st;

	if (!session_need_state_dir(s, err) || !dm_make_dirs(s->state_dir, 0700, err))
		return false;
	longest = ctl_path(s->state_dir);
	if (strlen(longest) > dm_sock_path_max()) {
		(void)dm_fail(err, DM_USAGE, "%s is too long for a Unix socket", longest);
		return dm_hint(err, "set [local] state_dir to a shorter path");
	}
	if (stat(s->state_dir, &st) != 0)
		return dm_fail_errno(err, errno, "looking at %s", s->state_dir);
	if (st.st_uid != geteuid())
		return dm_fail(
		    err, DM_DENIED, "%s belongs to uid %u", s->state_dir, (unsigned)st.st_uid);
	/* Caddy makes its admin socket 0755: the directory is what keeps others out */
	if ((st.st_mode & 077) != 0 && chmod(s->state_dir, 0700) != 0)
		return dm_fail_errno(err, errno, "making %s private", s->state_dir);
	return true;
}

static bool
fail_port(uint16_t port, int error, const char *key, struct dm_err *err)
{
	(void)dm_fail_errno(err, error, "starting the private mesh on port %u", (unsigned)port);
	if (error == EADDRINUSE)
		(void)dm_fail(err, DM_CONFLICT,
		    "starting the private mesh: port %u is taken by another program",
		    (unsigned)port);
	return dm_hint(err, "see which one with: ss -ltnp 'sport = :%u'; or set [local] %s",
	    (unsigned)port, key);
}

/* A port that can be had: the configured one, else the usual one, else the one above 1023. */
static bool
choose_port(uint32_t configured, uint16_t usual, uint16_t high, const char *key, uint16_t *out,
    struct dm_err *err)
{
	int error;

	*out = configured != 0 ? (uint16_t)configured : usual;
	if ((error = dm_tcp_bind_errno(*out)) == 0)
		return true;
	if (configured != 0)
		return fail_port(*out, error, key, err);
	if (error == EADDRINUSE)
		dm_note("port %u is taken by another program: using %u", (unsigned)usual,
		    (unsigned)high);
	*out = high;
	error = dm_tcp_bind_errno(high);
	return error == 0 || fail_port(high, error, key, err);
}

/* Whether this Caddy keeps streams open over reloads when told to (2.7): ask it, apply nothing. */
static bool
knows_close_delay(struct session *s)
{
	DM_AUTO_FREE char *probe = dm_asprintf("%s/probe.Caddyfile", s->state_dir);
	const char *argv[] = {
	    s->conf->caddy, "adapt", "--adapter", "caddyfile", "--config", probe, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(65536);
	DM_AUTO_STR struct dm_str errout = dm_str_make(65536);
	struct dm_err ignored;
	int status = 1;

	return dm_write_file(
		   probe, mesh_probe_caddyfile, strlen(mesh_probe_caddyfile), 0600, &ignored) &&
	       dm_run(argv, NULL, ADAPT_MS, &out, &errout, &status, &ignored) && status == 0;
}

/* Caddy makes it with the first request; that it is there says before that there will be one. */
static void
begin_access_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	else
		dm_note("%s: %s", path, strerror(errno));
}

/*
 * The CA of the mesh, before Caddy makes one that may sign for any name. Where that cannot be had
 * the mesh works as well; it is said, as its root is then trusted with more.
 */
static void
prepare_authority(const char *data_dir, const char *domain)
{
	struct dm_err err;

	if (authority_prepare(data_dir, domain, &err))
		return;
	dm_warn("%s; Caddy makes a CA of its own, which is not limited to %s", err.msg, domain);
	if (err.hint[0] != '\0')
		dm_note("  try: %s", err.hint);
}

static bool
write_config(struct session *s, const struct local_mesh *mesh, const char *path, struct dm_err *err)
{
	DM_AUTO_FREE char *admin = session_private_admin(s);
	DM_AUTO_FREE char *data = dm_asprintf("%s/data", s->state_dir);
	DM_AUTO_FREE char *identity = identity_dir(s, true);
	DM_AUTO_FREE char *access_log = local_access_log(s);
	struct mesh_settings settings = {.domain = mesh->domain,
	    .sockets_dir = registry_dir(s->registry),
	    .identity_dir = identity,
	    .admin_socket = admin,
	    .data_dir = data,
	    .access_log = access_log,
	    .https_port = mesh->https_port,
	    .http_port = mesh->http_port,
	    .ipv6 = dm_has_ipv6_loopback(),
	    .lan = s->conf->lan_enabled,
	    .mdns = s->conf->lan_enabled && s->conf->mdns,
	    .stream_close_delay = knows_close_delay(s)};
	DM_AUTO_FREE char *text = mesh_config(&settings);

	prepare_authority(data, mesh->domain);
	leaves_prepare(data, mesh->domain);
	/* a restart of the machine takes the claims along (/tmp), but not these */
	if (identity != NULL)
		identity_sweep(s->registry, identity, false, NULL, NULL);
	if (access_log != NULL)
		begin_access_log(access_log);
	return dm_write_file(path, text, strlen(text), 0600, err);
}

/* The last thing that Caddy wrote to its log since `from`: the reason why it ended. */
static void
last_words(const char *log_path, off_t from, char *out, size_t size)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(LOG_TAIL);
	struct dm_err ignored;
	char *line;

	out[0] = '\0';
	if (!dm_read_tail(log_path, from, &text, &ignored))
		return;
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.data[--text.len] = '\0';
	line = strrchr(text.data, '\n');
	line = line == NULL ? text.data : line + 1;
	(void)snprintf(out, size, "%s", line);
}

/* Whether the mesh answers an HTTPS request by itself. */
static bool
answers(struct http *http, const struct local_mesh *mesh, struct dm_err *err)
{
	DM_AUTO_FREE char *url =
	    dm_asprintf("https://devmesh-start.%s:%u/", mesh->domain, (unsigned)mesh->https_port);
	DM_AUTO_FREE char *to = dm_asprintf("127.0.0.1:%u", (unsigned)mesh->https_port);
	struct http_request request = {.method = "GET",
	    .url = url,
	    .connect_to = to,
	    .any_certificate = true,
	    .timeout_ms = 2000};
	HTTP_AUTO_REPLY struct http_reply reply;
	char state[32];

	http_reply_init(&reply);
	return http_perform(http, &request, &reply, err) == HTTP_ANSWERED &&
	       http_reply_field(&reply, MESH_STATE_HEADER, state, sizeof(state), NULL);
}

/* Waits until the started Caddy serves; ends it if it does not come up. */
static bool
await_start(struct session *s, const struct local_mesh *mesh, struct http *http, pid_t child,
    const char *log_path, off_t log_from, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + START_MS;
	char words[512];
	int status;

	while (!answers(http, mesh, err)) {
		if (dm_child_ended(child, &status)) {
			last_words(log_path, log_from, words, sizeof(words));
			(void)dm_fail(err, DM_FAILED,
			    "starting the private mesh: %s ended with status %d: %s",
			    s->conf->caddy, status, words);
			return dm_hint(err, "see %s", log_path);
		}
		if (dm_now_ms() > deadline) {
			(void)kill(child, SIGKILL);
			(void)dm_wrap(
			    err, "starting the private mesh: no answer within %d ms", START_MS);
			err->code = DM_TIMEOUT;
			return dm_hint(err, "see %s", log_path);
		}
		dm_pause_ms(POLL_MS);
	}
	return true;
}

/* Reads what the running private Caddy is set to. */
static bool
describe_running(struct session *s, struct local_mesh *mesh, struct dm_err *err)
{
	DM_AUTO_FREE char *path = session_private_admin(s);
	DM_AUTO_FREE char *address = dm_asprintf("unix://%s", path);
	dm_auto(caddy_admin) admin = caddy_admin_new(address, s->conf->timeout_ms, err);
	dm_auto(caddy_view) view = admin == NULL ? NULL : caddy_view_read(admin, err);
	struct caddy_server server;
	const char *domain;
	char host[HOST_MAX + 1];

	if (view == NULL)
		return false;
	domain = caddy_view_domain(view);
	if (domain == NULL || !dm_snprintf(mesh->domain, sizeof(mesh->domain), "%s", domain))
		return dm_fail(
		    err, DM_FAILED, "the private mesh at %s has lost its configuration", path);
	if (!dm_snprintf(host, sizeof(host), "any.%s", domain) ||
	    !caddy_view_server(view, "srv0", host, &server, err))
		return false;
	mesh->https_port = server.front.port;
	mesh->lan = server.lan;
	mesh->http_port = 0;
	if (caddy_view_server(view, "redirect", host, &server, err))
		mesh->http_port = server.front.port;
	if ((s->conf->domain != NULL && strcmp(s->conf->domain, domain) != 0) ||
	    (s->conf->https_port != 0 && s->conf->https_port != mesh->https_port) ||
	    (s->conf->http_port != 0 && s->conf->http_port != mesh->http_port) ||
	    mesh->lan != s->conf->lan_enabled ||
	    !caddy_view_mesh(view, domain, registry_dir(s->registry), host, "", &server))
		dm_warn("the running mesh has other settings than the configuration: "
			"devmesh stop && devmesh start");
	return true;
}

static off_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Names that others own, or that are asked for by other means than DNS. */
static bool
check_domain(const char *domain, struct dm_err *err)
{
	const char *why = strchr(domain, '.') == NULL && strcmp(domain, "localhost") != 0
			      ? "it is a top-level domain, not one of yours"
			  : dm_ends_with(domain, ".local")
			      ? "names below .local are multicast DNS's (RFC 6762)"
			      : NULL;

	if (why == NULL)
		return true;
	(void)dm_fail(err, DM_USAGE, "starting the private mesh for *.%s: %s", domain, why);
	return dm_hint(
	    err, "[mesh] domain: one below a domain of yours, dev.test, or dev.localhost");
}

static bool
launch(struct session *s, struct local_mesh *mesh, struct dm_err *err)
{
	DM_AUTO_FREE char *config = dm_asprintf("%s/caddy.json", s->state_dir);
	DM_AUTO_FREE char *log = dm_asprintf("%s/caddy.log", s->state_dir);
	const char *argv[] = {s->conf->caddy, "run", "--config", config, NULL};
	off_t log_from = size_of(log);
	dm_auto(http) http = http_new(err);

	if (http == NULL)
		return false;
	session_domain(s, mesh->domain);
	if (!check_domain(mesh->domain, err) ||
	    !choose_port(s->conf->https_port, 443, 8443, "https_port", &mesh->https_port, err) ||
	    !choose_port(s->conf->http_port, 80, 8080, "http_port", &mesh->http_port, err) ||
	    !write_config(s, mesh, config, err))
		return false;
	/* started inside devmesh run, it is to outlive that */
	(void)setenv(RUNNER_VARIABLE, "", 1);
	if (!dm_start_background(argv, log, &mesh->pid, err)) {
		if (err->code == DM_NOT_FOUND)
			(void)dm_hint(err,
			    "install Caddy (Debian: apt-get install caddy, Homebrew: brew install "
			    "caddy), or set [local] caddy to its path");
		return dm_wrap(err, "starting the private mesh");
	}
	return await_start(s, mesh, http, mesh->pid, log, log_from, err);
}

bool
local_start(struct session *s, struct local_mesh *mesh, struct dm_err *err)
{
	DM_AUTO_FREE char *admin = NULL, *lock_path = NULL;
	DM_AUTO_CLOSE int lock = -1;
	struct dm_sock_info info;

	memset(mesh, 0, sizeof(*mesh));
	if (!local_prepare(s, err) || !session_need_registry(s, err))
		return false;
	admin = session_private_admin(s);
	lock_path = dm_asprintf("%s/lock", s->state_dir);
	if (!dm_lock(lock_path, LOCK_MS, &lock, err))
		return false;
	dm_sock_probe(admin, &info);
	if (info.state == DM_SOCK_LISTENING) {
		mesh->was_running = true;
		mesh->pid = info.pid;
		if (describe_running(s, mesh, err))
			return true;
		/* it was just ending: what refuses now does not run */
		dm_sock_probe(admin, &info);
		if (info.state == DM_SOCK_LISTENING)
			return false;
		mesh->was_running = false;
	}
	return launch(s, mesh, err);
}

/* Waits until nothing listens on the socket any more and the process is gone. */
static bool
await_end(const char *admin, pid_t pid, int64_t wait_ms)
{
	int64_t deadline = dm_now_ms() + wait_ms;
	struct dm_sock_info info;
	int status;

	for (;;) {
		/* our own child (in one process with local_start) would stay as a zombie */
		if (pid != 0 && !dm_child_ended(pid, &status) && kill(pid, 0) == 0) {
			if (dm_now_ms() > deadline)
				return false;
		} else {
			dm_sock_probe(admin, &info);
			if (info.state != DM_SOCK_LISTENING || info.pid == 0)
				return true;
			if (dm_now_ms() > deadline)
				return false;
		}
		dm_pause_ms(POLL_MS);
	}
}

bool
local_stop(struct session *s, pid_t *pid, struct dm_err *err)
{
	static const int signals[] = {0, SIGTERM, SIGKILL};
	DM_AUTO_FREE char *path = NULL, *address = NULL, *lock_path = NULL;
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(caddy_admin) admin = NULL;
	struct dm_sock_info info;

	*pid = 0;
	if (!session_need_state_dir(s, err))
		return false;
	if (access(s->state_dir, F_OK) != 0)
		return true;
	lock_path = dm_asprintf("%s/lock", s->state_dir);
	if (!dm_lock(lock_path, LOCK_MS, &lock, err))
		return false;
	path = session_private_admin(s);
	dm_sock_probe(path, &info);
	if (info.state != DM_SOCK_LISTENING)
		return true;
	if (info.pid == 0)
		return dm_fail(
		    err, DM_TIMEOUT, "what listens on %s is too busy to be asked who it is", path);
	if (info.listener_uid != geteuid())
		return dm_fail(err, DM_DENIED, "what listens on %s runs as uid %u", path,
		    (unsigned)info.listener_uid);
	address = dm_asprintf("unix://%s", path);
	if ((admin = caddy_admin_new(address, STOP_MS, err)) == NULL)
		return false;
	for (size_t i = 0; i < 3; i++) {
		HTTP_AUTO_REPLY struct http_reply reply;

		http_reply_init(&reply);
		if (signals[i] != 0 && info.pid != 0) {
			dm_warn("the private mesh (pid %ld) does not end: sending signal %d",
			    (long)info.pid, signals[i]);
			(void)kill(info.pid, signals[i]);
		} else if (caddy_admin_send(admin, "POST", "/stop", NULL, "", NULL, &reply, err) !=
			   HTTP_ANSWERED) {
			dm_debug("%s", err->msg);
		}
		if (await_end(path, info.pid, STOP_MS)) {
			*pid = info.pid;
			return true;
		}
	}
	return dm_fail(
	    err, DM_TIMEOUT, "stopping the private mesh: pid %ld does not end", (long)info.pid);
}
