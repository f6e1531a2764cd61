/* SPDX-License-Identifier: MIT */
/* The service manager: whether there is one, and what it has to be told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/spawn.h"
#include "base/str.h"
#include "service_unit.h"
#include "setup.h"

enum {
	COMMAND_MS = 120000,
	OUTPUT_MAX = 65536,
};

void
setup_add_command(struct setup *u, bool before, bool may_fail, const char *const argv[])
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
	setup_add_command((u), (before), (may_fail), (const char *const[]){__VA_ARGS__, NULL})

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
plan_launchd(struct setup *u, const char *label, bool start)
{
	const char *domain = u->facts.user_scope
				 ? setup_own(u, dm_asprintf("gui/%lu", (unsigned long)getuid()))
				 : "system";
	const char *target = setup_own(u, dm_asprintf("%s/%s", domain, label));
	const char *plist = setup_own(u, dm_asprintf("%s/%s.plist", u->facts.units_dir, label));

	ADD(u, u->want.remove, true, "launchctl", "bootout", target);
	if (!start)
		return;
	/* what was disabled by hand once stays so, whatever is installed */
	ADD(u, false, true, "launchctl", "enable", target);
	ADD(u, false, false, "launchctl", "bootstrap", domain, plist);
}

static void
plan_removal(struct setup *u)
{
	if (u->facts.manager == SETUP_LAUNCHD) {
		if (changed(u, "/" SERVICE_UNIT_LAUNCHD ".plist") != NULL)
			plan_launchd(u, SERVICE_UNIT_LAUNCHD, false);
		if (changed(u, "/com.devmesh.caddy.plist") != NULL)
			plan_launchd(u, setup_unit_name(&u->facts), false);
		return;
	}
	if (changed(u, "/" SERVICE_UNIT_SYSTEMD) != NULL)
		ADD(u, true, false, "systemctl", "disable", "--now", SERVICE_UNIT_SYSTEMD);
	if (changed(u, "/devmesh-caddy.service") != NULL)
		ADD(u, true, false, "systemctl", "disable", "--now", "devmesh-caddy.service");
	if (setup_changes(u))
		ADD(u, false, false, "systemctl", "daemon-reload");
	/* it has its own Caddyfile again */
	if (changed(u, "/caddy.service.d/devmesh.conf") != NULL)
		ADD(u, false, true, "systemctl", "try-restart", "caddy.service");
}

/* Its directory has to be there when the machine's service begins: all else is closed to it. */
static void
plan_state_dir(struct setup *u)
{
	const struct setup_facts *f = &u->facts;

	if (f->user_scope)
		return;
	if (u->person == 0)
		ADD(u, false, false, "mkdir", "-p", "-m", "0700", f->person_state);
	else if (f->manager == SETUP_LAUNCHD)
		ADD(u, false, false, "sudo", "-u", f->person, "mkdir", "-p", "-m", "0700",
		    f->person_state);
	else
		ADD(u, false, false, "runuser", "-u", f->person, "--", "mkdir", "-p", "-m", "0700",
		    f->person_state);
}

static void
plan_daemon(struct setup *u)
{
	if (u->facts.devmeshd == NULL)
		return;
	plan_state_dir(u);
	if (u->facts.manager == SETUP_LAUNCHD) {
		plan_launchd(u, SERVICE_UNIT_LAUNCHD, true);
		return;
	}
	ADD(u, false, false, "systemctl", "enable", SERVICE_UNIT_SYSTEMD);
	ADD(u, false, false, "systemctl", "restart", SERVICE_UNIT_SYSTEMD);
}

static void
plan_caddy(struct setup *u)
{
	const char *unit = setup_unit_name(&u->facts);

	if (u->facts.manager == SETUP_LAUNCHD) {
		plan_launchd(u, unit, true);
		return;
	}
	ADD(u, false, false, "systemd-tmpfiles", "--create",
	    setup_own(u, dm_asprintf("%s/devmesh.conf", u->facts.tmpfiles_dir)));
	ADD(u, false, false, "systemctl", "enable", unit);
	ADD(u, false, false, "systemctl", "restart", unit);
}

void
setup_plan_commands(struct setup *u)
{
	bool settled = u->part == SETUP_DAEMON ? u->daemon_runs : u->running == SETUP_LOADED;
	const char *home;

	u->managed = u->want.out == NULL && service_manager_runs(!u->facts.user_scope);
	if (!u->want.remove && u->part == SETUP_CADDY) {
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
	if (settled && !setup_changes(u))
		return;
	if (u->facts.manager == SETUP_SYSTEMD)
		ADD(u, false, false, "systemctl", "daemon-reload");
	if (u->part == SETUP_CADDY)
		plan_caddy(u);
	plan_daemon(u);
}

/* The command as it could be typed; the caller owns it. */
static char *
line_of(const struct setup_command *command)
{
	DM_AUTO_STR struct dm_str line = dm_str_make(1024);

	for (size_t i = 0; command->argv[i] != NULL; i++)
		(void)dm_str_addf(&line, "%s%s", i > 0 ? " " : "", command->argv[i]);
	return dm_str_take(&line);
}

bool
setup_run_commands(struct setup *u, bool before, struct dm_err *err)
{
	for (size_t i = 0; i < u->command_count; i++) {
		const struct setup_command *command = &u->commands[i];
		DM_AUTO_STR struct dm_str out = dm_str_make(OUTPUT_MAX);
		DM_AUTO_STR struct dm_str errout = dm_str_make(OUTPUT_MAX);
		DM_AUTO_FREE char *line = NULL;
		int status;

		if (command->before != before)
			continue;
		if (!dm_run(command->argv, NULL, COMMAND_MS, &out, &errout, &status, err))
			return false;
		if (status == 0 || command->may_fail)
			continue;
		setup_redact(u, errout.data);
		errout.data[strcspn(errout.data, "\n")] = '\0';
		line = line_of(command);
		(void)dm_fail(
		    err, DM_FAILED, "%s ended with status %d: %.400s", line, status, errout.data);
		if (u->facts.manager == SETUP_SYSTEMD)
			(void)dm_hint(err, "journalctl %s-u %s",
			    u->facts.user_scope ? "--user " : "",
			    dm_ends_with(line, SERVICE_UNIT_SYSTEMD) ? SERVICE_UNIT_SYSTEMD
								     : setup_unit_name(&u->facts));
		return false;
	}
	return true;
}
