/* SPDX-License-Identifier: MIT */
#include "setup_daemon.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/paths.h"
#include "base/proc.h"
#include "base/sock.h"
#include "base/str.h"
#include "companion.h"
#include "ctl/ctl.h"
#include "service_unit.h"
#include "version.h"

enum {
	VERIFY_MS = 15000,
	END_MS = 10000,
	POLL_MS = 20,
	PATH_LEN_MAX = 4096,
};

static const char *
absolute_env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

/* ---- what is written ---------------------------------------------------------------------- */

/* Where the programs are that it runs, and then the usual places: PATH of a service is short. */
static const char *
path_of(struct setup *u, const struct conf *conf)
{
	static const char *const usual[] = {"/usr/local/bin", "/usr/bin", "/bin"};
	DM_AUTO_STR struct dm_str path = dm_str_make(PATH_LEN_MAX);
	DM_AUTO_FREE char *git = dm_find_program("git"), *caddy = dm_find_program(conf->caddy);
	DM_AUTO_FREE char *git_dir = git == NULL ? NULL : dm_path_dir(git);
	DM_AUTO_FREE char *caddy_dir = caddy == NULL ? NULL : dm_path_dir(caddy);
	const char *const dirs[] = {git_dir, caddy_dir, usual[0], usual[1], usual[2]};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		bool known = dirs[i] == NULL || strpbrk(dirs[i], " :\"'\\$%<>&@") != NULL;

		for (size_t k = 0; !known && k < i; k++)
			known = dirs[k] != NULL && strcmp(dirs[k], dirs[i]) == 0;
		if (!known)
			(void)dm_str_addf(&path, "%s%s", path.len > 0 ? ":" : "", dirs[i]);
	}
	return setup_own(u, dm_str_take(&path));
}

/*
 * The settings of this shell, which the service will not have. Two of them say where the service is
 * looked for.
 */
static bool
check_settings(const struct conf *conf, struct dm_err *err)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		DM_AUTO_FREE char *name = conf_env_name(key);

		if (!dm_starts_with(conf->values[i].origin, "environment "))
			continue;
		if (strcmp(name, "DEVMESH_LOCAL_STATE_DIR") != 0 &&
		    strcmp(name, "DEVMESH_SOCKETS_DIR") != 0) {
			dm_warn("the service will not have %s of this shell: set [%s] %s in a "
				"configuration file",
			    name, key->section, key->name);
			continue;
		}
		(void)dm_fail(err, DM_USAGE, "the service would not have %s of this shell", name);
		return dm_hint(err, "unset %s, and set [%s] %s = %s in a configuration file", name,
		    key->section, key->name, conf->values[i].text);
	}
	return true;
}

struct conf *
setup_conf_of(const char *home, const char *file, struct dm_err *err)
{
	static const char *const names[] = {"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"};
	char *old[sizeof(names) / sizeof(names[0])];
	struct conf *conf;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		old[i] = dm_strdup(getenv(names[i]));
		(void)unsetenv(names[i]);
	}
	(void)setenv("HOME", home, 1);
	conf = conf_load(file, err);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)(old[i] != NULL ? setenv(names[i], old[i], 1) : unsetenv(names[i]));
		free(old[i]);
	}
	return conf;
}

static bool
look_at_settings(struct setup *u, const struct passwd *pw, const char *file, struct dm_err *err)
{
	struct setup_facts *f = &u->facts;
	const struct conf *conf = u->session->conf;
	const char *home = absolute_env("HOME");
	char *state;

	if (u->person != geteuid()) {
		if ((u->person_conf = setup_conf_of(pw->pw_dir, file, err)) == NULL)
			return dm_wrap(err, "the configuration of %s", pw->pw_name);
		conf = u->person_conf;
		f->person_home = setup_own(u, dm_strdup(pw->pw_dir));
		state = conf->state_dir != NULL
			    ? dm_strdup(conf->state_dir)
			    : dm_asprintf("%s/%s/devmesh", pw->pw_dir, dm_os_state_subdir());
	} else {
		if (!session_need_state_dir(u->session, err))
			return false;
		f->person_home = setup_own(u, dm_strdup(home != NULL ? home : pw->pw_dir));
		f->xdg_config = setup_own(u, dm_strdup(absolute_env("XDG_CONFIG_HOME")));
		f->xdg_state = setup_own(u, dm_strdup(absolute_env("XDG_STATE_HOME")));
		state = dm_strdup(u->session->state_dir);
	}
	f->person_state = setup_own(u, state);
	f->sockets_dir = conf->sockets_dir;
	f->sockets_parent = setup_own(u, dm_path_dir(conf->sockets_dir));
	f->daemon_path = path_of(u, conf);
	return check_settings(conf, err);
}

bool
setup_look_at_daemon(struct setup *u, const char *config_file, struct dm_err *err)
{
	struct setup_facts *f = &u->facts;
	const struct passwd *pw = getpwuid(u->person);
	DM_AUTO_FREE char *program = companion_program(), *file = NULL;

	if (u->want.remove) {
		/* only its path counts */
		f->devmeshd = "/devmeshd";
		return true;
	}
	if (program == NULL)
		return dm_fail(
		    err, DM_NOT_FOUND, "there is no devmeshd, neither beside devmesh nor in PATH");
	if (pw == NULL)
		return dm_fail(
		    err, DM_NOT_FOUND, "there is no user with uid %lu", (unsigned long)u->person);
	f->person = setup_own(u, dm_strdup(pw->pw_name));
	if (config_file != NULL && (file = dm_absolute(config_file, err)) == NULL)
		return false;
	if (!look_at_settings(u, pw, file, err))
		return false;
	f->config_file = setup_own(u, DM_STEAL(&file));
	f->devmeshd = setup_own(u, DM_STEAL(&program));
	return true;
}

/* ---- the one that runs -------------------------------------------------------------------- */

static struct service_unit
unit_of(const struct setup *u)
{
	/* only asked about its process: no path is needed */
	return (struct service_unit){.system = !u->facts.user_scope};
}

/* Who listens on that person's control socket; pid 0: nobody that could be it. */
static struct dm_proc_id
find_listener(const struct setup *u)
{
	DM_AUTO_FREE char *path = ctl_path(u->facts.person_state);
	struct dm_proc_id id = {.pid = 0};
	struct dm_sock_info info;

	dm_sock_probe(path, &info);
	if (info.state != DM_SOCK_LISTENING || info.listener_uid != u->person || info.pid <= 0 ||
	    !dm_proc_id(info.pid, &id))
		id.pid = 0;
	return id;
}

/* Whether it answers; from another user's it would take no question. */
static bool
is_ready(const struct setup *u, bool *same_version)
{
	COMPANION_AUTO struct companion c = {.pid = 0};

	*same_version = true;
	if (u->person != geteuid())
		return true;
	companion_look(u->session, &c);
	*same_version = c.version != NULL && strcmp(c.version, DEVMESH_VERSION) == 0;
	return c.state == COMPANION_READY;
}

static bool
look_at_running(const struct setup *u)
{
	struct service_unit unit = unit_of(u);
	struct dm_proc_id id;
	bool same_version;

	if (u->want.remove || !service_manager_runs(unit.system))
		return false;
	id = find_listener(u);
	return id.pid != 0 && id.pid == service_unit_pid(&unit) && is_ready(u, &same_version) &&
	       same_version;
}

struct setup *
setup_open_daemon(struct session *session, const struct setup_options *want,
    const char *config_file, struct dm_err *err)
{
	dm_auto(setup) u = dm_calloc(1, sizeof(*u));

	u->session = session;
	u->want = *want;
	u->part = SETUP_DAEMON;
	if (!want->user && geteuid() != 0 && !want->dry_run) {
		(void)dm_fail(err, DM_DENIED, "a service of the machine is root's to install");
		(void)dm_hint(err, "sudo devmesh service ... --system; or without --system");
		return NULL;
	}
	if (!setup_look_at_places(u, err))
		return NULL;
	u->facts.sockets_dir = session->conf->sockets_dir;
	setup_look_at_person(u);
	if (!setup_look_at_daemon(u, config_file, err))
		return NULL;
	u->daemon_runs = look_at_running(u);
	return DM_STEAL(&u);
}

bool
setup_end_by_hand(const struct setup *u, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + END_MS;
	struct service_unit unit = unit_of(u);
	struct dm_proc_id id = find_listener(u);

	if (id.pid == 0 || id.pid == service_unit_pid(&unit))
		return true;
	dm_note("ending the devmeshd that was started by hand (pid %ld)", (long)id.pid);
	(void)kill(id.pid, SIGTERM);
	while (dm_proc_alive(&id)) {
		if (dm_now_ms() > deadline) {
			(void)dm_fail(err, DM_TIMEOUT,
			    "the devmeshd that was started by hand (pid %ld) does not end",
			    (long)id.pid);
			return dm_hint(err, "devmesh daemon stop");
		}
		dm_pause_ms(POLL_MS);
	}
	return true;
}

static bool
fail_verify(const struct service_unit *unit, enum dm_code code, const char *what, pid_t other,
    struct dm_err *err)
{
	DM_AUTO_FREE char *logs = service_unit_line(unit, SERVICE_LOGS);

	if (other != 0)
		(void)dm_fail(
		    err, code, "the service is installed, but %s (pid %ld)", what, (long)other);
	else
		(void)dm_fail(err, code, "the service is installed, but %s", what);
	return dm_hint(err, "see why: %s; devmesh doctor", logs);
}

bool
setup_verify_daemon(const struct setup *u, pid_t *pid, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + VERIFY_MS;
	struct service_unit unit = unit_of(u);
	struct dm_proc_id id;
	bool ignored;

	if (dm_os_has_launchd())
		unit.log = dm_asprintf("%s/devmeshd.log", u->facts.log_dir);
	while ((id = find_listener(u)).pid == 0 || !is_ready(u, &ignored)) {
		if (dm_now_ms() > deadline) {
			(void)fail_verify(&unit, DM_TIMEOUT,
			    "devmeshd has not answered within 15 seconds", 0, err);
			service_unit_release(&unit);
			return false;
		}
		dm_pause_ms(POLL_MS);
	}
	*pid = service_unit_pid(&unit);
	if (*pid != id.pid)
		(void)fail_verify(&unit, DM_CONFLICT, "another devmeshd answers", id.pid, err);
	service_unit_release(&unit);
	return *pid == id.pid;
}
