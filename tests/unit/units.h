/* SPDX-License-Identifier: MIT */
/* What the tests of setup's files share: machines to write them for, and programs to judge them. */
#ifndef DEVMESH_UNITS_H
#define DEVMESH_UNITS_H

#include "unit.h"

#include "base/os.h"
#include "base/spawn.h"
#include "setup_plan.h"

#define TOKEN "cf_0123456789abcdefghijklmnopqrstuvwxyzABCD"

static const struct setup_facts linux_facts = {.manager = SETUP_SYSTEMD,
    .domain = "dev.example.com",
    .admin = "http://localhost:2019",
    .https_port = 443,
    .http_port = 80,
    .ipv6 = true,
    .sockets_dir = "/tmp/caddy-dev",
    .caddy = "/usr/bin/caddy",
    .run_as = "daemon",
    .conf_dir = "/etc/devmesh",
    .state_dir = "/var/lib/devmesh-caddy",
    .home = "/var/lib/devmesh-caddy",
    .units_dir = "/etc/systemd/system",
    .tmpfiles_dir = "/etc/tmpfiles.d",
    .log_dir = "/var/log"};

static inline struct setup_facts
facts_with_dns(void)
{
	struct setup_facts f = linux_facts;

	f.dns_provider = "cloudflare";
	f.zone = "example.com";
	f.email = "me@example.com";
	f.interface = "lo";
	f.token = TOKEN;
	return f;
}

/* As setup_daemon.c would fill them in for the user "daemon". */
static inline void
add_daemon(struct setup_facts *f)
{
	f->devmeshd = "/usr/local/bin/devmeshd";
	f->person = "daemon";
	f->person_home = "/home/my daemon";
	f->person_state = "/home/my daemon/.local/state/devmesh";
	f->sockets_parent = "/tmp";
	f->identity_dir = "/var/lib/devmesh/identity";
	f->daemon_path = "/opt/git/bin:/usr/bin:/bin";
}

static inline struct setup_facts
mac_facts(void)
{
	struct setup_facts f = facts_with_dns();

	f.manager = SETUP_LAUNCHD;
	f.units_dir = "/Library/LaunchDaemons";
	add_daemon(&f);
	return f;
}

static inline const struct setup_file *
file_of(const struct setup_plan *plan, const char *end)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (dm_ends_with(plan->files[i].path, end))
			return &plan->files[i];
	}
	return NULL;
}

static inline struct setup_plan
plan_of(const struct setup_facts *f)
{
	struct setup_plan plan;
	struct dm_err err;

	assert_ok(setup_plan_make(f, &plan, &err), &err);
	return plan;
}

/* Writes a file of the plan into the directory; the caller owns the path. */
static inline char *
place(const char *dir, const struct setup_plan *plan, const char *end)
{
	const struct setup_file *file = file_of(plan, end);
	DM_AUTO_FREE char *name = NULL;
	char *path;

	assert_non_null(file);
	name = dm_path_base(file->path);
	path = in_dir(dir, name);
	put_file(path, file->text);
	return path;
}

/* The program runs and is content; else the test fails with what it said. */
static inline void
accepts(const char *const argv[])
{
	DM_AUTO_STR struct dm_str out = dm_str_make(65536);
	DM_AUTO_STR struct dm_str errout = dm_str_make(65536);
	struct dm_err err = {.code = DM_OK};
	int status;

	/* macOS has no systemd to ask; anywhere else its absence is a failure */
	if (dm_os_has_launchd() && dm_starts_with(argv[0], "systemd"))
		skip();
	assert_ok(dm_run(argv, NULL, 60000, &out, &errout, &status, &err), &err);
	if (status != 0 || (strstr(argv[0], "systemd") != NULL && errout.len > 0))
		fail_msg("%s: status %d: %s%s", argv[0], status, out.data, errout.data);
}
#define ACCEPTS(...) accepts((const char *const[]){__VA_ARGS__, NULL})

#endif
