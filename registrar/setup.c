/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/os.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/mesh_log.h"
#include "caddy/system.h"
#include "service_unit.h"
#include "setup_daemon.h"

#ifndef DEVMESH_SYSCONFDIR
#define DEVMESH_SYSCONFDIR "/etc"
#endif

const char *
setup_own(struct setup *u, char *text)
{
	if (u->owned_count == SETUP_OWNED_MAX)
		abort(); /* a constant too small, whatever the input */
	u->owned[u->owned_count++] = text;
	return text;
}

void
setup_problem(struct setup *u, const struct dm_err *err)
{
	if (u->problem_count < SETUP_PROBLEMS_MAX)
		u->problems[u->problem_count++] = *err;
}

static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

bool
setup_look_at_places(struct setup *u, struct dm_err *err)
{
	struct setup_facts *f = &u->facts;
	DM_AUTO_FREE char *user_file = dm_user_config_file();
	const char *home = getenv("HOME");
	struct stat st;
	char *slash;

	f->units_dir = setup_own(u, service_units_dir(!u->want.user));
	f->log_dir = setup_own(u, service_logs_dir(!u->want.user));
	f->manager = dm_os_has_launchd() ? SETUP_LAUNCHD : SETUP_SYSTEMD;
	f->user_scope = u->want.user;
	if (!f->user_scope) {
		f->conf_dir = DEVMESH_SYSCONFDIR "/devmesh";
		f->state_dir = "/var/lib/devmesh-caddy";
		f->home = f->state_dir;
		f->tmpfiles_dir = "/etc/tmpfiles.d";
		f->debian_caddy = f->manager == SETUP_SYSTEMD &&
				  (is_there("/lib/systemd/system/caddy.service") ||
				      is_there("/usr/lib/systemd/system/caddy.service") ||
				      is_there("/etc/systemd/system/caddy.service"));
		return true;
	}
	if (home == NULL || home[0] != '/' || user_file == NULL)
		return dm_fail(err, DM_USAGE, "setting up for one user: HOME is not set");
	if (stat(home, &st) == 0 && st.st_uid != geteuid()) {
		/* sudo may keep HOME: then all would belong to root, and to the wrong user's units
		 */
		(void)dm_fail(err, DM_DENIED, "%s is not your home: it belongs to uid %lu", home,
		    (unsigned long)st.st_uid);
		return dm_hint(err, "--user without sudo");
	}
	if (!session_need_state_dir(u->session, err))
		return false;
	slash = strrchr(user_file, '/');
	*slash = '\0';
	f->conf_dir = setup_own(u, dm_strdup(user_file));
	f->state_dir = setup_own(u, dm_asprintf("%s/caddy", u->session->state_dir));
	/* as a service of the machine it is another user, whose files nobody else may read */
	if (u->session->conf->access_log && strpbrk(f->state_dir, "{}") == NULL)
		f->access_log = setup_own(u, dm_asprintf("%s/" MESH_LOG_FILE, f->state_dir));
	f->home = setup_own(u, dm_strdup(home));
	slash = strrchr(user_file, '/'); /* now the one above: XDG_CONFIG_HOME */
	*slash = '\0';
	f->tmpfiles_dir = setup_own(u, dm_asprintf("%s/user-tmpfiles.d", user_file));
	return true;
}

/* Who Caddy runs as: the packaged user, else the one who called sudo(8), else root. */
static const char *
service_user(struct setup *u)
{
	const char *sudo = getenv("SUDO_USER");
	const struct passwd *pw = getpwnam("caddy");

	if (pw == NULL && sudo != NULL)
		pw = getpwnam(sudo);
	return pw == NULL ? "root" : setup_own(u, dm_strdup(pw->pw_name));
}

void
setup_look_at_person(struct setup *u)
{
	const char *sudo = getenv("SUDO_UID");
	uint64_t uid;

	u->person = geteuid();
	if (!u->facts.user_scope && u->person == 0 && sudo != NULL &&
	    dm_parse_uint(sudo, 0, UINT32_MAX - 1, &uid))
		u->person = (uid_t)uid;
	/*
	 * Identity documents: Caddy reads them, and believes whoever can write there. On a
	 * machine's Caddy that is the one person who sets it up.
	 */
	u->facts.identity_dir =
	    u->facts.user_scope ? setup_own(u, dm_asprintf("%s/identity", u->session->state_dir))
				: "/var/lib/devmesh/identity";
}

/* Domain, zone, interface and ports: all that is put into Caddy's configuration. */
static bool
look_at_wishes(struct setup *u, struct dm_err *err)
{
	const struct setup_options *want = &u->want;
	struct setup_facts *f = &u->facts;
	char domain[HOST_MAX + 1], interface[64];
	const char *text = want->domain != NULL ? want->domain : u->session->conf->domain;

	if (text == NULL) {
		(void)dm_fail(err, DM_USAGE, "which domain?");
		return dm_hint(err, "devmesh setup --domain dev.example.com");
	}
	if (!domain_parse(text, domain, err))
		return false;
	if (strchr(domain, '.') == NULL) {
		(void)dm_fail(
		    err, DM_USAGE, "\"%s\" is a top-level domain, not one of yours", domain);
		return dm_hint(err, "a domain below one that you own: dev.example.com");
	}
	f->domain = setup_own(u, dm_strdup(domain));
	f->https_port = want->https_port;
	f->http_port = want->http_port;
	f->ipv6 = dm_has_ipv6_loopback();
	f->lan = want->lan;
	f->email = want->email;
	if ((f->dns_provider = want->dns) == NULL)
		return true;
	if (strcmp(want->dns, "cloudflare") != 0) {
		(void)dm_fail(
		    err, DM_USAGE, "\"%s\" is not a DNS provider that setup knows", want->dns);
		return dm_hint(err, "--dns cloudflare, or without --dns for Caddy's own CA");
	}
	f->zone = want->zone != NULL ? want->zone : setup_zone_of(f->domain);
	if (f->zone == NULL) {
		(void)dm_fail(err, DM_USAGE, "which zone at %s is %s in?", want->dns, f->domain);
		return dm_hint(err, "--zone example.co.uk");
	}
	if (!domain_parse(f->zone, domain, err))
		return dm_wrap(err, "--zone");
	if (strcmp(f->zone, f->domain) != 0 &&
	    (!dm_ends_with(f->domain, f->zone) ||
		f->domain[strlen(f->domain) - strlen(f->zone) - 1] != '.'))
		return dm_fail(err, DM_USAGE, "%s is not in the zone %s", f->domain, f->zone);
	f->interface = want->interface != NULL ? want->interface : dm_os_loopback();
	if (!f->lan || want->interface != NULL)
		return true;
	if (!dm_default_interface(interface, sizeof(interface))) {
		(void)dm_fail(err, DM_NOT_FOUND, "no interface leads out of this machine");
		return dm_hint(err, "name the one on your network: --interface eth0");
	}
	f->interface = setup_own(u, dm_strdup(interface));
	return true;
}

/* ---- the token ---------------------------------------------------------------------------- */

enum {
	TOKEN_FILE_MAX = 4096
};

/* The first line of a file that nobody else can read. The caller owns it; NULL: *err is set. */
static char *
token_from_file(const char *path, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(TOKEN_FILE_MAX);
	bool from_stdin = strcmp(path, "-") == 0;
	int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool ok = false;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)dm_fail_errno(err, errno, "opening the token's file %s", path);
	} else if (!from_stdin && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
		(void)dm_fail(err, DM_DENIED,
		    "%s can be read by others (mode %04o): its token may be known to them", path,
		    (unsigned)st.st_mode & 07777);
		(void)dm_hint(err, "chmod 600 %s, and better make a new token", path);
	} else {
		ok = dm_read_fd(fd, &text, err);
	}
	if (fd > STDIN_FILENO)
		(void)close(fd);
	if (!ok)
		return NULL;
	text.data[strcspn(text.data, "\r\n")] = '\0';
	return dm_strdup(text.data);
}

static void
do_nothing(int sig)
{
	(void)sig;
}

/* Asks for it on the terminal, without showing it. */
static char *
token_from_terminal(struct dm_err *err)
{
	/* without SA_RESTART: a Ctrl-C ends the reading, and the terminal shows what is typed again
	 */
	struct sigaction end_reading = {.sa_handler = do_nothing}, before;
	struct termios was, quiet;
	char line[512];
	bool ok;

	if (tcgetattr(STDIN_FILENO, &was) != 0) {
		(void)dm_fail_errno(err, errno, "asking for the token");
		return NULL;
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)fprintf(stderr, "API token for the zone (it is not shown): ");
	(void)sigaction(SIGINT, &end_reading, &before);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	ok = fgets(line, sizeof(line), stdin) != NULL;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	(void)sigaction(SIGINT, &before, NULL);
	(void)fprintf(stderr, "\n");
	if (!ok) {
		(void)dm_fail(err, DM_USAGE, "no token was given");
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return dm_strdup(line);
}

/* The token of an earlier run, from the file that it was written to. */
static char *
token_from_before(struct setup *u)
{
	DM_AUTO_FREE char *path = setup_conf_path(&u->facts, "caddy.env");
	DM_AUTO_STR struct dm_str text = dm_str_make(TOKEN_FILE_MAX);
	struct dm_err ignored;

	if (u->want.out != NULL || !dm_read_file(path, &text, &ignored))
		return NULL;
	return setup_env_token(text.data);
}

/* Never from the command line: everybody on the machine can read those. */
static bool
get_token(struct setup *u, struct dm_err *err)
{
	const char *env = getenv(SYSTEM_TOKEN_VAR);
	DM_AUTO_FREE char *token = NULL;

	if (u->want.token_file != NULL) {
		if ((token = token_from_file(u->want.token_file, err)) == NULL)
			return false;
	} else if (env != NULL && env[0] != '\0') {
		token = dm_strdup(env);
	} else if ((token = token_from_before(u)) == NULL && !u->want.dry_run) {
		if (!isatty(STDIN_FILENO)) {
			(void)dm_fail(
			    err, DM_USAGE, "there is no API token for %s", u->facts.dns_provider);
			return dm_hint(err,
			    "--token-file FILE (mode 0600), or \"-\" for standard input, or the "
			    "variable " SYSTEM_TOKEN_VAR);
		}
		if ((token = token_from_terminal(err)) == NULL)
			return false;
	}
	if (token == NULL)
		return true;
	if (!setup_token_valid(token, err))
		return false;
	u->facts.token = setup_own(u, DM_STEAL(&token));
	return true;
}

/*
 * Two who keep one record would only undo each other's. It is that person's devmeshd, and keeps
 * that of its own domain: the one that is set up, which is written to the configuration if it is
 * not there.
 */
static void
look_at_record(struct setup *u)
{
	const struct conf *conf = u->person == geteuid() ? u->session->conf : u->person_conf;

	u->facts.other_record =
	    u->facts.dns_provider != NULL && conf != NULL &&
	    conf->record_provider != CONF_RECORD_NONE &&
	    (conf->domain == NULL || strcmp(conf->domain, u->facts.domain) == 0);
}

static bool
look(struct setup *u, struct dm_err *err)
{
	struct setup_facts *f = &u->facts;
	const char *caddy = u->session->conf->caddy;
	struct dm_err why;
	char *found;

	if (!setup_look_at_places(u, err) || !setup_choose_admin(u, err))
		return false;
	if (u->want.remove) {
		/* all that could have been written, whatever the wishes were */
		f->domain = "example.org";
		f->zone = f->domain;
		f->dns_provider = "cloudflare";
		f->interface = "lo";
	} else if (!look_at_wishes(u, err) || (f->dns_provider != NULL && !get_token(u, err))) {
		return false;
	}
	f->sockets_dir = u->session->conf->sockets_dir;
	setup_look_at_person(u);
	if (!setup_look_at_daemon(u, NULL, &why) && why.code != DM_NOT_FOUND)
		dm_warn("devmeshd gets no unit: %s", why.msg);
	look_at_record(u);
	f->run_as = service_user(u);
	setup_look_at_group(u);
	if ((found = dm_find_program(caddy)) != NULL) {
		f->caddy = setup_own(u, found);
		return true;
	}
	f->caddy = setup_own(u, dm_strdup("/usr/bin/caddy"));
	if (u->want.remove)
		return true;
	(void)dm_fail(err, DM_NOT_FOUND, "there is no Caddy: %s is not in PATH", caddy);
	(void)dm_hint(err, "install Caddy (Debian: apt-get install caddy, Homebrew: brew install "
			   "caddy), or set [local] caddy to its path");
	setup_problem(u, err);
	return true;
}

struct setup *
setup_open(struct session *session, const struct setup_options *want, struct dm_err *err)
{
	dm_auto(setup) u = dm_calloc(1, sizeof(*u));

	u->session = session;
	u->want = *want;
	if (!look(u, err))
		return NULL;
	return DM_STEAL(&u);
}

void
setup_free(struct setup *u)
{
	if (u == NULL)
		return;
	for (size_t i = 0; i < u->owned_count; i++)
		free(u->owned[i]);
	for (size_t i = 0; i < u->step_count; i++) {
		free(u->steps[i].path);
		free(u->steps[i].before);
		free(u->steps[i].text);
		free(u->steps[i].shown);
	}
	conf_free(u->person_conf);
	free(u->missing_modules);
	free(u->running_config);
	free(u->running_hosts);
	free(u->backup);
	free(u->autosave);
	free(u);
}
