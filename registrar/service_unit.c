/* SPDX-License-Identifier: MIT */
#include "service_unit.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/paths.h"
#include "base/spawn.h"
#include "base/str.h"

enum {
	ASK_MS = 8000,
	TEXT_MAX = 65536,
};

/* $XDG_CONFIG_HOME, or ~/.config: two above the configuration file. */
static char *
user_config_dir(void)
{
	DM_AUTO_FREE char *file = dm_user_config_file();
	DM_AUTO_FREE char *dir = file == NULL ? NULL : dm_path_dir(file);

	return dir == NULL ? NULL : dm_path_dir(dir);
}

static char *
below_home(const char *rest)
{
	const char *home = getenv("HOME");

	return home == NULL || home[0] != '/' ? NULL : dm_asprintf("%s/%s", home, rest);
}

char *
service_units_dir(bool system)
{
	DM_AUTO_FREE char *config = NULL;

	if (dm_os_has_launchd())
		return system ? dm_strdup("/Library/LaunchDaemons")
			      : below_home("Library/LaunchAgents");
	if (system)
		return dm_strdup("/etc/systemd/system");
	config = user_config_dir();
	return config == NULL ? NULL : dm_asprintf("%s/systemd/user", config);
}

char *
service_logs_dir(bool system)
{
	return system ? dm_strdup("/var/log") : below_home("Library/Logs");
}

bool
service_manager_runs(bool system)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	DM_AUTO_FREE char *bus =
	    dm_asprintf("%s/systemd/private", runtime != NULL ? runtime : "/nowhere");

	if (dm_os_has_launchd())
		return access("/bin/launchctl", X_OK) == 0;
	return system ? access("/run/systemd/system", F_OK) == 0 : access(bus, F_OK) == 0;
}

/* Whether the machine's unit runs devmeshd as this user: "User=ann", <string>ann</string>. */
static bool
is_for_this_user(const char *path)
{
	static const char systemd[] = "\nUser=", launchd[] = "<key>UserName</key>";
	DM_AUTO_STR struct dm_str text = dm_str_make(TEXT_MAX);
	const struct passwd *pw = getpwuid(geteuid());
	const char *at;
	struct dm_err ignored;
	size_t n;

	if (pw == NULL || !dm_read_file(path, &text, &ignored))
		return false;
	if ((at = strstr(text.data, systemd)) != NULL)
		at += strlen(systemd);
	else if ((at = strstr(text.data, launchd)) != NULL && (at = strstr(at, "<string>")) != NULL)
		at += strlen("<string>");
	else
		return geteuid() == 0;
	n = strlen(pw->pw_name);
	return strncmp(at, pw->pw_name, n) == 0 && strchr("\r\n<", at[n]) != NULL;
}

void
service_unit_find(struct service_unit *out)
{
	memset(out, 0, sizeof(*out));
	for (int system = 0; system < 2; system++) {
		DM_AUTO_FREE char *dir = service_units_dir(system != 0);
		DM_AUTO_FREE char *logs = service_logs_dir(system != 0), *path = NULL;

		if (dir == NULL)
			continue;
		path = dm_asprintf("%s/%s", dir,
		    dm_os_has_launchd() ? SERVICE_UNIT_LAUNCHD ".plist" : SERVICE_UNIT_SYSTEMD);
		if (access(path, F_OK) != 0 || (system != 0 && !is_for_this_user(path)))
			continue;
		out->path = DM_STEAL(&path);
		out->system = system != 0;
		if (dm_os_has_launchd())
			out->log = dm_asprintf("%s/devmeshd.log", logs);
		return;
	}
}

void
service_unit_release(struct service_unit *unit)
{
	free(unit->path);
	free(unit->log);
	memset(unit, 0, sizeof(*unit));
}

const char *
service_manager_name(void)
{
	return dm_os_has_launchd() ? "launchd" : "systemd";
}

static void
words(struct service_command *out, const char *const list[])
{
	size_t n = 0;

	for (size_t i = 0; list[i] != NULL; i++) {
		if (list[i][0] != '\0')
			out->argv[n++] = list[i];
	}
	out->argv[n] = NULL;
}
#define WORDS(out, ...) words((out), (const char *const[]){__VA_ARGS__, NULL})

void
service_unit_command(
    const struct service_unit *unit, enum service_verb verb, struct service_command *out)
{
	bool follow = verb == SERVICE_FOLLOW;

	if (verb == SERVICE_LOGS || verb == SERVICE_FOLLOW) {
		if (unit->log != NULL)
			WORDS(out, "tail", "-n", "100", follow ? "-F" : "", unit->log);
		else
			WORDS(out, "journalctl", unit->system ? "" : "--user", "-n", "100",
			    follow ? "-f" : "--no-pager", "-u", SERVICE_UNIT_SYSTEMD);
	} else if (dm_os_has_launchd()) {
		if (unit->system)
			(void)snprintf(
			    out->target, sizeof(out->target), "system/" SERVICE_UNIT_LAUNCHD);
		else
			(void)snprintf(out->target, sizeof(out->target),
			    "gui/%lu/" SERVICE_UNIT_LAUNCHD, (unsigned long)geteuid());
		WORDS(out, "launchctl", "kickstart", verb == SERVICE_RESTART ? "-k" : "",
		    out->target);
	} else {
		WORDS(out, "systemctl", unit->system ? "" : "--user",
		    verb == SERVICE_RESTART ? "restart" : "start", SERVICE_UNIT_SYSTEMD);
	}
}

char *
service_unit_line(const struct service_unit *unit, enum service_verb verb)
{
	DM_AUTO_STR struct dm_str line = dm_str_make(1024);
	struct service_command command;

	service_unit_command(unit, verb, &command);
	for (size_t i = 0; command.argv[i] != NULL; i++)
		(void)dm_str_addf(&line, "%s%s", i > 0 ? " " : "", command.argv[i]);
	return dm_str_take(&line);
}

bool
service_unit_ask(const struct service_unit *unit, enum service_verb verb, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	DM_AUTO_STR struct dm_str errout = dm_str_make(TEXT_MAX);
	DM_AUTO_FREE char *line = service_unit_line(unit, verb);
	struct service_command command;
	int status;

	service_unit_command(unit, verb, &command);
	if (!dm_run(command.argv, NULL, ASK_MS, &out, &errout, &status, err))
		return false;
	if (status == 0)
		return true;
	errout.data[strcspn(errout.data, "\n")] = '\0';
	return dm_fail(
	    err, DM_FAILED, "%s ended with status %d: %.400s", line, status, errout.data);
}

pid_t
service_unit_pid(const struct service_unit *unit)
{
	static const char key[] = "pid = "; /* launchctl print */
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	DM_AUTO_STR struct dm_str errout = dm_str_make(TEXT_MAX);
	struct service_command command;
	const char *at;
	struct dm_err ignored;
	char digits[16];
	uint64_t pid;
	int status;

	service_unit_command(unit, SERVICE_START, &command);
	if (dm_os_has_launchd())
		WORDS(&command, "launchctl", "print", command.target);
	else
		WORDS(&command, "systemctl", unit->system ? "" : "--user", "show",
		    "--property=MainPID", "--value", SERVICE_UNIT_SYSTEMD);
	if (!dm_run(command.argv, NULL, ASK_MS, &out, &errout, &status, &ignored) || status != 0)
		return 0;
	at = out.data;
	if (dm_os_has_launchd() && ((at = strstr(at, key)) == NULL || (at += strlen(key)) == NULL))
		return 0;
	if (!dm_snprintf(digits, sizeof(digits), "%.*s", (int)strspn(at, "0123456789"), at) ||
	    !dm_parse_uint(digits, 1, INT32_MAX, &pid))
		return 0;
	return (pid_t)pid;
}
