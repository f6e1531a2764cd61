/* SPDX-License-Identifier: MIT */
/* start, stop and trust: the private mesh. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authority.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/os.h"
#include "base/spawn.h"
#include "base/str.h"
#include "cmd.h"
#include "cmd_restart.h"
#include "companion.h"
#include "local.h"
#include "out.h"

enum {
	TRUST_MS = 120000
};

/*
 * devmeshd beside it. It is never needed: where it does not come up, that is said, and no failure.
 */
static void
start_daemon(struct cmd_ctx *ctx, struct companion *c, struct dm_err *why)
{
	why->code = DM_OK;
	if (!ctx->session->conf->daemon_start)
		return;
	if (companion_start(ctx->session, session_config_file(ctx->line->config), c, why))
		return;
	if (why->code == DM_NOT_FOUND) {
		dm_note("without devmeshd, which is not installed");
		return;
	}
	dm_warn("%s", why->msg);
	if (why->hint[0] != '\0')
		dm_note("  try: %s", why->hint);
}

/* The member "daemon" of start's answer: null where [daemon] start = no. */
static void
add_daemon(cJSON *o, const struct cmd_ctx *ctx, const struct companion *c, const struct dm_err *why)
{
	cJSON *daemon;

	if (!ctx->session->conf->daemon_start) {
		(void)cJSON_AddNullToObject(o, "daemon");
		return;
	}
	daemon = cJSON_AddObjectToObject(o, "daemon");
	out_add_text(daemon, "state", companion_state_name(c->state));
	(void)cJSON_AddBoolToObject(daemon, "started", why->code == DM_OK && !c->was_running);
	(void)cJSON_AddItemToObject(
	    daemon, "pid", c->pid == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)c->pid));
	if (why->code != DM_OK)
		out_add_error(daemon, why);
}

/* What was registered below another domain is led to by nothing any more. */
static void
say_other_domains(struct session *s, const char *domain)
{
	struct registry_claims claims;
	const char *first = NULL;
	struct dm_err ignored;
	size_t count = 0;

	if (!session_need_registry(s, &ignored) || !registry_scan(s->registry, &claims, &ignored))
		return;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];
		const char *dot = claim->host == NULL ? NULL : strchr(claim->host, '.');

		if (claim->is_alias || dot == NULL || strcmp(dot + 1, domain) == 0 ||
		    strcmp(claim->worktree, s->state_dir) == 0)
			continue;
		if (count++ == 0)
			first = claim->id.s;
	}
	if (count > 0)
		dm_warn(
		    "%zu service%s registered below another domain, %s%s: devmesh restart %s, or "
		    "devmesh up in the worktree, gives each its new URL",
		    count, count == 1 ? " is" : "s are", first, count == 1 ? "" : " and others",
		    count == 1 ? first : "ID");
	registry_claims_free(&claims);
}

static bool
run_start(struct cmd_ctx *ctx, struct dm_err *err)
{
	COMPANION_AUTO struct companion daemon = {.pid = 0};
	struct local_mesh mesh;
	struct front front = {.https = true};
	char url[URL_MAX + 1], host[HOST_MAX + 1];
	DM_AUTO_FREE char *root = NULL;
	struct dm_err why;

	if (cmd_arg(ctx, 0) != NULL)
		return restart_service(ctx, "start", err);
	if (!local_start(ctx->session, &mesh, err))
		return false;
	start_daemon(ctx, &daemon, &why);
	front.port = mesh.https_port;
	if (!dm_snprintf(host, sizeof(host), "<app>-<branch>.%.200s", mesh.domain))
		return dm_fail(err, DM_FAILED, "the domain is too long");
	url_make(&front, host, url);
	root = local_root_certificate(ctx->session);
	if (ctx->line->json) {
		cJSON *o = out_object();

		(void)cJSON_AddBoolToObject(o, "was_running", mesh.was_running);
		(void)cJSON_AddStringToObject(o, "domain", mesh.domain);
		(void)cJSON_AddNumberToObject(o, "https_port", mesh.https_port);
		(void)cJSON_AddNumberToObject(o, "http_port", mesh.http_port);
		(void)cJSON_AddNumberToObject(o, "pid", (double)mesh.pid);
		(void)cJSON_AddStringToObject(o, "root_certificate", root);
		add_daemon(o, ctx, &daemon, &why);
		out_json(o);
		return true;
	}
	(void)printf("the private mesh %s (pid %ld)\n", mesh.was_running ? "runs already" : "runs",
	    (long)mesh.pid);
	(void)printf("services: %s\n", url);
	say_other_domains(ctx->session, mesh.domain);
	if (!mesh.was_running)
		dm_note("browsers will ask about the certificate until its CA is trusted: devmesh "
			"trust");
	return true;
}

static bool
run_stop(struct cmd_ctx *ctx, struct dm_err *err)
{
	pid_t pid, daemon;
	struct dm_err why;

	if (cmd_arg(ctx, 0) != NULL)
		return restart_service(ctx, "stop", err);
	/* first, or it would report a Caddy that has gone */
	if (!companion_stop(ctx->session, &daemon, &why))
		dm_warn("%s", why.msg);
	if (!local_stop(ctx->session, &pid, err))
		return false;
	if (ctx->line->json) {
		cJSON *o = out_object();

		(void)cJSON_AddBoolToObject(o, "was_running", pid != 0);
		(void)cJSON_AddNumberToObject(o, "pid", (double)pid);
		(void)cJSON_AddNumberToObject(o, "daemon_pid", (double)daemon);
		out_json(o);
	} else if (pid != 0) {
		(void)printf("the private mesh has ended (pid %ld)\n", (long)pid);
	} else {
		(void)puts("the private mesh does not run");
	}
	if (!ctx->line->json && daemon != 0)
		(void)printf("devmeshd has ended (pid %ld)\n", (long)daemon);
	return true;
}

/* What the file is, as far as it can be read; else nothing is known of it. */
static struct authority_root
read_root(const char *path)
{
	DM_AUTO_STR struct dm_str pem = dm_str_make(AUTHORITY_PEM_MAX);
	struct authority_root root = {.len = 0};
	struct dm_err err;

	if (!dm_read_file(path, &pem, &err) || !authority_read(pem.data, pem.len, &root, &err)) {
		dm_debug("%s: %s", path, err.msg);
		root = (struct authority_root){.len = 0};
	}
	return root;
}

static void
explain_trust(
    const char *path, const char *name, const struct authority_root *root, const char *const *argv)
{
	(void)printf("The private mesh signs its certificates with a CA of its own. Its root:\n\n"
		     "  %s\n\n",
	    path);
	(void)printf("One program:    curl --cacert '%s' URL\n"
		     "Node.js:        export NODE_EXTRA_CA_CERTS='%s'\n"
		     "Python:         export REQUESTS_CA_BUNDLE='%s'\n",
	    path, path, path);
	(void)printf("Chrome, Linux:  mkdir -p $HOME/.pki/nssdb && certutil -d "
		     "sql:$HOME/.pki/nssdb -A -t C,, -n %s -i '%s'\n"
		     "Firefox:        Settings, Certificates, View, Authorities, Import\n",
	    name, path);
	if (argv != NULL)
		(void)puts("The system:     devmesh trust --install (as root, or with sudo)");
	(void)puts("\nThe key of this CA is on this machine only, readable by you only.");
	if (root->zone[0] != '\0')
		(void)printf("It can vouch for names below %s alone.\n", root->zone);
}

static bool
install_trust(const char *const *argv, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(16384);
	DM_AUTO_STR struct dm_str errout = dm_str_make(16384);
	int status;

	if (argv == NULL) {
		(void)dm_fail(err, DM_NOT_FOUND,
		    "installing the CA: this system has no known command for it");
		return dm_hint(err, "devmesh trust explains the other ways");
	}
	if (!dm_run(argv, NULL, TRUST_MS, &out, &errout, &status, err))
		return dm_wrap(err, "installing the CA");
	if (status == 0)
		return true;
	errout.data[strcspn(errout.data, "\n")] = '\0';
	(void)dm_fail(err, geteuid() == 0 ? DM_FAILED : DM_DENIED,
	    "installing the CA: %s ended with status %d: %s", argv[0], status, errout.data);
	return dm_hint(err, "as root: sudo -E devmesh trust --install");
}

static bool
run_trust(struct cmd_ctx *ctx, struct dm_err *err)
{
	DM_AUTO_FREE char *path = NULL;
	struct authority_root root;
	char name[sizeof("devmesh-01234567")];
	const char *const *argv;
	bool install = cmd_value(ctx, "install") != NULL;

	if (!session_need_state_dir(ctx->session, err))
		return false;
	path = local_root_certificate(ctx->session);
	if (access(path, R_OK) != 0) {
		(void)dm_fail_errno(err, errno, "reading the CA's root certificate %s", path);
		if (err->code == DM_FAILED)
			err->code = DM_NOT_FOUND;
		return dm_hint(err, "it is made by the first devmesh start");
	}
	root = read_root(path);
	/* roots of several domains may be trusted beside each other */
	(void)snprintf(name, sizeof(name), "devmesh-%02x%02x%02x%02x", root.hash[0], root.hash[1],
	    root.hash[2], root.hash[3]);
	argv = dm_os_trust_command(path, name);
	if (install && !install_trust(argv, err))
		return false;
	if (ctx->line->json) {
		cJSON *o = out_object();

		(void)cJSON_AddStringToObject(o, "root_certificate", path);
		(void)cJSON_AddBoolToObject(o, "installed", install);
		out_json(o);
	} else if (install) {
		(void)printf("installed %s in the system's trust store\n", path);
	} else {
		explain_trust(path, name, &root, argv);
	}
	return true;
}

static const struct cmd_opt trust_opts[] = {
    {"install", 0, NULL, false, "add the CA to the system's trust store"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_start, cmd_stop, cmd_trust;

const struct cmd cmd_start = {
    .name = "start",
    .args = "[ID]",
    .max_args = 1,
    .summary = "start the private mesh: a Caddy of your own, in the background; or a service",
    .help =
	"Needs no root, no domain and no account. Returns when it really serves. Starting it\n"
	"twice is harmless. Nothing outside [local] state_dir is changed. devmeshd, the companion\n"
	"daemon, is started as well, unless [daemon] start = no. With an ID: starts the service\n"
	"that devmesh run -d had started and that does not run, and returns when it answers.",
    .run = run_start,
};

const struct cmd cmd_stop = {
    .name = "stop",
    .args = "[ID]",
    .max_args = 1,
    .summary = "stop the private mesh, and devmeshd; or a service",
    .help = "With an ID: ends that service, if a devmesh run serves it; its name stays its own if\n"
	    "devmeshd runs it. What devmeshd runs goes on without it.",
    .run = run_stop,
};

const struct cmd cmd_trust = {
    .name = "trust",
    .args = "",
    .summary = "explain how to trust the private mesh's CA, or install it",
    .opts = trust_opts,
    .run = run_trust,
};
