/* SPDX-License-Identifier: MIT */
/* Why setup could not succeed, found before anything is changed; and the commands it will run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sock.h"
#include "base/spawn.h"
#include "base/str.h"
#include "caddy/mesh.h"
#include "caddy/system.h"
#include "setup.h"

enum {
	CADDY_MS = 30000,
	SERVICE_MS = 120000,
	OUTPUT_MAX = 1 << 20,
};

/* The last one is for the record alone. */
static const char *const modules[] = {"dns.providers.cloudflare", "dynamic_dns"};

/* Runs Caddy; false with *err if it cannot be run or takes too long. */
static bool
run_caddy(const struct setup *u, const char *const argv[], struct dm_str *out,
    struct dm_str *errout, int *status, struct dm_err *err)
{
	if (!dm_run(argv, "DEVMESH_", CADDY_MS, out, errout, status, err))
		return dm_wrap(err, "asking %s", u->facts.caddy);
	return true;
}

/* Whether one of the lines is `name`. */
static bool
has_line(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = strstr(text, name); at != NULL; at = strstr(at + 1, name)) {
		if ((at == text || at[-1] == '\n') && strchr(" \r\n", at[n]) != NULL)
			return true;
	}
	return false;
}

static bool
check_modules(struct setup *u, struct dm_err *err)
{
	const char *argv[] = {u->facts.caddy, "list-modules", NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(OUTPUT_MAX);
	DM_AUTO_STR struct dm_str errout = dm_str_make(OUTPUT_MAX);
	DM_AUTO_STR struct dm_str missing = dm_str_make(256);
	size_t count = u->facts.other_record ? 1 : sizeof(modules) / sizeof(modules[0]);
	int status = 0;

	if (u->facts.dns_provider == NULL)
		return true;
	if (!run_caddy(u, argv, &out, &errout, &status, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!has_line(out.data, modules[i]))
			(void)dm_str_addf(
			    &missing, "%s%s", missing.len > 0 ? ", " : "", modules[i]);
	}
	if (missing.len == 0)
		return true;
	(void)dm_fail(err, DM_NOT_FOUND, "%s lacks what --dns %s needs: %s", u->facts.caddy,
	    u->facts.dns_provider, missing.data);
	u->missing_modules = dm_str_take(&missing);
	return dm_hint(err,
	    "xcaddy build --with github.com/caddy-dns/cloudflare%s   (then put it in place of %s, "
	    "or set [local] caddy)",
	    u->facts.other_record ? "" : " --with github.com/mholt/caddy-dynamicdns",
	    u->facts.caddy);
}

/* The last line in which Caddy says why: in its log's format, or "Error: ...". */
static void
reason(char *text)
{
	char *line;

	for (size_t n = strlen(text); n > 0 && strchr("\r\n", text[n - 1]) != NULL; n--)
		text[n - 1] = '\0';
	line = strrchr(text, '\n');
	if (line != NULL)
		memmove(text, line + 1, strlen(line + 1) + 1);
}

/*
 * Has Caddy check the configuration, in a directory of its own: it makes the keys of its CA while
 * it does. The token is in the environment for that time, where nobody else can see it.
 */
static bool
validate(struct setup *u, const char *dir, const char *text, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/caddy.json", dir);
	const char *argv[] = {u->facts.caddy, "validate", "--config", path, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(OUTPUT_MAX);
	DM_AUTO_STR struct dm_str errout = dm_str_make(OUTPUT_MAX);
	int status = 0;

	if (!dm_write_file(path, text, strlen(text), 0600, err) ||
	    !run_caddy(u, argv, &out, &errout, &status, err))
		return false;
	if (status == 0)
		return true;
	setup_redact(u, errout.data);
	reason(errout.data);
	(void)dm_fail(err, DM_FAILED, "%s does not accept the configuration: %.500s",
	    u->facts.caddy, errout.data);
	if (u->facts.dns_provider != NULL)
		return dm_hint(err, "a Caddy built from newer modules may: see devmesh(1), setup");
	return dm_hint(err, "see it with --dry-run");
}

/* Whether this Caddy keeps streams open over reloads when told to (2.7). */
static bool
knows_close_delay(const struct setup *u, const char *dir)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/probe.Caddyfile", dir);
	const char *argv[] = {
	    u->facts.caddy, "adapt", "--adapter", "caddyfile", "--config", path, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(OUTPUT_MAX);
	DM_AUTO_STR struct dm_str errout = dm_str_make(OUTPUT_MAX);
	struct dm_err ignored;
	int status = 1;

	return dm_write_file(
		   path, mesh_probe_caddyfile, strlen(mesh_probe_caddyfile), 0600, &ignored) &&
	       run_caddy(u, argv, &out, &errout, &status, &ignored) && status == 0;
}

/* Calls `what` with a private directory, which is also Caddy's home meanwhile. */
static bool
in_private_home(struct setup *u, bool (*what)(struct setup *, const char *, struct dm_err *),
    struct dm_err *err)
{
	static const char *const names[] = {
	    "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME", SYSTEM_TOKEN_VAR};
	const char *tmp = getenv("TMPDIR");
	DM_AUTO_FREE char *dir =
	    dm_asprintf("%s/devmesh-setup.XXXXXX", tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
	const char *argv[] = {"rm", "-rf", "--", dir, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(1024);
	char *old[sizeof(names) / sizeof(names[0])];
	struct dm_err ignored;
	int status;
	bool ok;

	if (mkdtemp(dir) == NULL)
		return dm_fail_errno(err, errno, "making a directory for a trial run");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = i < 3 ? dir : u->facts.token;

		old[i] = dm_strdup(getenv(names[i]));
		if (value != NULL)
			(void)setenv(names[i], value, 1);
	}
	ok = what(u, dir, err);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)(old[i] != NULL ? setenv(names[i], old[i], 1) : unsetenv(names[i]));
		free(old[i]);
	}
	if (!dm_run(argv, NULL, CADDY_MS, &out, &out, &status, &ignored))
		dm_warn("%s is left behind: %s", dir, ignored.msg);
	return ok;
}

static bool
probe(struct setup *u, const char *dir, struct dm_err *err)
{
	u->facts.stream_close_delay = knows_close_delay(u, dir);
	return check_modules(u, err);
}

static bool
try_config(struct setup *u, const char *dir, struct dm_err *err)
{
	for (size_t i = 0; i < u->step_count; i++) {
		if (dm_ends_with(u->steps[i].path, "/caddy.json") && u->steps[i].text != NULL)
			return validate(u, dir, u->steps[i].text, err);
	}
	return true;
}

void
setup_probe(struct setup *u)
{
	struct dm_err err;

	if (access(u->facts.caddy, X_OK) != 0 || in_private_home(u, probe, &err))
		return;
	/* files for another machine, whose Caddy may be another one */
	if (u->want.out != NULL && u->missing_modules != NULL)
		dm_warn("%s", err.msg);
	else
		setup_problem(u, &err);
}

/* Who keeps the port, as far as it can be told: "nginx (pid 12)". */
static void
holder(uint16_t port, char *out, size_t size)
{
	pid_t pid = dm_proc_of_port(port);
	DM_AUTO_FREE char *name = pid != 0 ? dm_proc_name(pid) : NULL;

	if (pid != 0)
		(void)snprintf(
		    out, size, "%.60s (pid %ld)", name != NULL ? name : "a process", (long)pid);
	else
		(void)snprintf(out, size, "another program");
}

static bool
check_port(const struct setup *u, uint16_t port, const char *option, struct dm_err *err)
{
	int error = dm_tcp_bind_errno(port);
	char who[96];

	if (error == 0 || (error == EADDRINUSE && setup_caddy_has_port(u, port)))
		return true;
	if (error == EADDRINUSE) {
		holder(port, who, sizeof(who));
		(void)dm_fail(err, DM_CONFLICT, "port %u is taken by %s", (unsigned)port, who);
		return dm_hint(err, "end that program, or choose another port: %s", option);
	}
	/* the service has the capability that we lack */
	if (error == EACCES && !u->facts.user_scope)
		return true;
	(void)dm_fail_errno(err, error, "listening on port %u", (unsigned)port);
	return dm_hint(err, "choose a port above 1023: %s", option);
}

/* Without a service manager the running Caddy takes the configuration: it needs the token too. */
static bool
check_running(const struct setup *u, struct dm_err *err)
{
	DM_AUTO_FREE char *env = setup_conf_path(&u->facts, "caddy.env");
	DM_AUTO_FREE char *json = setup_conf_path(&u->facts, "caddy.json");
	DM_AUTO_FREE char *token = NULL;

	if (u->managed || u->running == SETUP_NOT_RUNNING || u->facts.dns_provider == NULL)
		return true;
	if (strcmp(u->running_admin, u->facts.admin) != 0) {
		(void)dm_fail(err, DM_CONFLICT,
		    "a Caddy runs with its admin API at %s, where every user could read the token",
		    u->running_admin);
		return dm_hint(err, "end it (pid %ld), and run setup again", (long)u->caddy_pid);
	}
	token = u->caddy_pid != 0 ? dm_proc_env(u->caddy_pid, SYSTEM_TOKEN_VAR) : NULL;
	if (token != NULL && u->facts.token != NULL && strcmp(token, u->facts.token) == 0)
		return true;
	(void)dm_fail(err, DM_CONFLICT, "the Caddy at %s runs without the token in its environment",
	    u->facts.admin);
	return dm_hint(err, "end it, run setup, then: set -a; . %s; %s run --config %s", env,
	    u->facts.caddy, json);
}

void
setup_check(struct setup *u)
{
	struct dm_err err;
	bool usable = access(u->facts.caddy, X_OK) == 0 && u->missing_modules == NULL;

	if (u->want.out == NULL && !u->facts.user_scope && geteuid() != 0) {
		(void)dm_fail(&err, DM_DENIED, "the machine's Caddy is root's to set up");
		(void)dm_hint(&err, "look with --dry-run; then: sudo devmesh setup ...; or for "
				    "yourself alone: --user");
		setup_problem(u, &err);
	}
	if (u->want.remove)
		return;
	if (usable && !in_private_home(u, try_config, &err))
		setup_problem(u, &err);
	if (u->want.out != NULL)
		return;
	if (!check_port(u, u->facts.https_port, "--https-port", &err) ||
	    !check_port(u, u->facts.http_port, "--http-port", &err) || !check_running(u, &err))
		setup_problem(u, &err);
}
