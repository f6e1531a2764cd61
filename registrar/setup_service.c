/* SPDX-License-Identifier: MIT */
/* The service manager: whether there is one, and what it has to be told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "setup.h"

enum {
	COMMAND_MS = 120000,
	OUTPUT_MAX = 65536,
};

static void
add(struct setup *u, bool before, bool may_fail, const char *const argv[])
{
	struct setup_command *command = &u->commands[u->command_count++];
	bool user = u->facts.user_scope && strncmp(argv[0], "systemd", 6) == 0;
	size_t n = 0;

	command->before = before;
	command->may_fail = may_fail;
	command->argv[n++] = argv[0];
	if (user)
		command->argv[n++] = "--user";
	for (size_t i = 1; argv[i] != NULL; i++)
		command->argv[n++] = argv[i];
}
#define ADD(u, before, may_fail, ...) \
	add((u), (before), (may_fail), (const char *const[]){__VA_ARGS__, NULL})

static bool
manager_runs(const struct setup *u)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	DM_AUTO_FREE char *bus =
	    dm_asprintf("%s/systemd/private", runtime != NULL ? runtime : "/nowhere");

	if (u->want.out != NULL)
		return false;
	if (u->facts.manager == SETUP_LAUNCHD)
		return access("/bin/launchctl", X_OK) == 0;
	return access("/run/systemd/system", F_OK) == 0 &&
	       (!u->facts.user_scope || access(bus, F_OK) == 0);
}

/* The step whose path ends so, if it is one that changes something. */
static const struct setup_step *
changed(const struct setup *u, const char *end)
{
	for (size_t i = 0; i < u->step_count; i++) {
		const struct setup_step *step = &u->steps[i];

		if (dm_ends_with(step->path, end) && step->action != SETUP_UNCHANGED &&
		    step->action != SETUP_KEEP)
			return step;
	}
	return NULL;
}

static void
plan_launchd(struct setup *u, bool start)
{
	const char *domain = u->facts.user_scope
				 ? setup_own(u, dm_asprintf("gui/%lu", (unsigned long)getuid()))
				 : "system";
	const char *target = setup_own(u, dm_asprintf("%s/%s", domain, setup_unit_name(&u->facts)));
	const char *plist = setup_own(
	    u, dm_asprintf("%s/%s.plist", u->facts.units_dir, setup_unit_name(&u->facts)));

	ADD(u, u->want.remove, true, "launchctl", "bootout", target);
	if (start)
		ADD(u, false, false, "launchctl", "bootstrap", domain, plist);
}

static void
plan_removal(struct setup *u)
{
	if (u->facts.manager == SETUP_LAUNCHD) {
		if (changed(u, ".plist") != NULL)
			plan_launchd(u, false);
		return;
	}
	if (changed(u, "/devmesh-caddy.service") != NULL)
		ADD(u, true, false, "systemctl", "disable", "--now", "devmesh-caddy.service");
	if (setup_changes(u))
		ADD(u, false, false, "systemctl", "daemon-reload");
	/* it has its own Caddyfile again */
	if (changed(u, "/caddy.service.d/devmesh.conf") != NULL)
		ADD(u, false, true, "systemctl", "try-restart", "caddy.service");
}

void
setup_plan_commands(struct setup *u)
{
	const char *unit = setup_unit_name(&u->facts), *home;

	u->managed = manager_runs(u);
	if (!u->want.remove) {
		home = u->facts.debian_caddy
			   ? "/var/lib/caddy/.config"
			   : setup_own(u, dm_asprintf("%s/config", u->facts.state_dir));
		setup_look_at_autosave(u, home);
	}
	if (!u->managed)
		return;
	if (u->want.remove) {
		plan_removal(u);
		return;
	}
	if (u->running == SETUP_LOADED && !setup_changes(u))
		return;
	if (u->facts.manager == SETUP_LAUNCHD) {
		plan_launchd(u, true);
		return;
	}
	ADD(u, false, false, "systemctl", "daemon-reload");
	ADD(u, false, false, "systemd-tmpfiles", "--create",
	    setup_own(u, dm_asprintf("%s/devmesh.conf", u->facts.tmpfiles_dir)));
	ADD(u, false, false, "systemctl", "enable", unit);
	ADD(u, false, false, "systemctl", "restart", unit);
}

bool
setup_run_commands(struct setup *u, bool before, struct dm_err *err)
{
	for (size_t i = 0; i < u->command_count; i++) {
		const struct setup_command *command = &u->commands[i];
		DM_AUTO_STR struct dm_str out = dm_str_make(OUTPUT_MAX);
		DM_AUTO_STR struct dm_str errout = dm_str_make(OUTPUT_MAX);
		int status;

		if (command->before != before)
			continue;
		if (!dm_run(command->argv, NULL, COMMAND_MS, &out, &errout, &status, err))
			return false;
		if (status == 0 || command->may_fail)
			continue;
		setup_redact(u, errout.data);
		errout.data[strcspn(errout.data, "\n")] = '\0';
		(void)dm_fail(err, DM_FAILED, "%s %s ended with status %d: %.400s",
		    command->argv[0], command->argv[1], status, errout.data);
		if (u->facts.manager == SETUP_SYSTEMD)
			(void)dm_hint(err, "journalctl -u %s", setup_unit_name(&u->facts));
		return false;
	}
	return true;
}
