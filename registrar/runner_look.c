/* SPDX-License-Identifier: MIT */
/* Where the server listens: found out, written down, and the bridge led there. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "runner_impl.h"

enum {
	HOLD_MS = 30000, /* how long a connection waits for the server */
	STRAY_MS = 1000	 /* listening elsewhere than it was told to, until that is believed */
};

/* Started to outlive the run; one whose environment was cleared is the command's own. */
static bool
is_to_stay(pid_t pid)
{
	DM_AUTO_FREE char *mark = dm_proc_env(pid, RUNNER_VARIABLE);

	return mark != NULL && mark[0] == '\0';
}

static void
add_processes(const struct dm_pids *found, struct dm_pids *out)
{
	for (size_t i = 0; i < found->count; i++) {
		if (!dm_pids_have(out, found->list[i]) && !is_to_stay(found->list[i]))
			dm_pids_add(out, found->list[i]);
	}
}

void
runner_processes(const struct runner *r, struct dm_pids *out)
{
	struct dm_pids found = {.count = 0};

	dm_proc_descendants(getpid(), &found);
	/* while it was looked at, a parent may have ended, and left its children to us */
	if (r->adopts && found.count == 0)
		dm_proc_descendants(getpid(), &found);
	if (!r->adopts)
		dm_proc_group(r->child.pid, &found);
	add_processes(&found, out);
	dm_pids_release(&found);
}

static bool
unix_target(const char *path, struct bridge_target *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	memset(out, 0, sizeof(*out));
	memcpy(&out->address, &address, sizeof(address));
	out->length = sizeof(address);
	return true;
}

/* Tells the record what has been found, and whether the record is still ours. */
static void
write_down(struct runner *r, uint16_t port)
{
	const char *socket = r->place == PLACE_PRIVATE_SOCKET ? r->private_socket : "";
	struct dm_err err;
	bool ours;

	if (r->claim == NULL ||
	    (r->run.port == port && r->run.child.pid != 0 &&
		r->run.bridged == (r->bridge != NULL) && strcmp(r->run.socket, socket) == 0))
		return;
	(void)snprintf(r->run.socket, sizeof(r->run.socket), "%s", socket);
	r->run.port = port;
	r->run.bridged = r->bridge != NULL;
	if (r->run.child.pid == 0)
		(void)dm_proc_id(r->child.pid, &r->run.child);
	if (!registry_set_run(r->s->registry, r->claim, &r->run, &ours, &err))
		dm_warn("%s", err.msg);
}

bool
runner_start_bridge(struct runner *r, struct dm_err *err)
{
	int fd = r->listening;

	r->listening = -1;
	if (fd < 0)
		return true;
	r->bridge = bridge_new(r->base, fd, HOLD_MS, r->missed, r->missed_user, err);
	return r->bridge != NULL;
}

/*
 * A listener somewhere else than the server was told to listen: some tools open ports of their own
 * first. It is believed when it is still all there is a moment later.
 */
static bool
is_believed(struct runner *r)
{
	if (r->stray_since == 0)
		r->stray_since = dm_now_ms();
	return dm_now_ms() - r->stray_since >= STRAY_MS;
}

/* A server that was to listen on the socket itself, but does on a port: bridge it after all. */
static bool
bridge_stray(struct runner *r)
{
	struct dm_err err;

	if (r->claim == NULL || r->bridge != NULL)
		return true;
	if (!is_believed(r))
		return false;
	r->listening = bridge_listen(r->claim->socket, &r->dev, &r->ino, &err);
	r->has_socket = r->listening >= 0;
	if (r->listening < 0 || !runner_start_bridge(r, &err)) {
		dm_debug("%s", err.msg);
		return false;
	}
	return true;
}

/* Whoever shares services means to say who gets them, so that a script's log has it as well. */
static void
tell_open(struct runner *r, uint16_t port)
{
	bool shares = r->s->conf->lan_enabled;

	if (!shares && !isatty(STDERR_FILENO))
		return;
	r->told_open = true;
	if (shares)
		dm_warn("port %u is open to the whole network, past Caddy, whether or not the "
			"service is shared: devmesh doctor says how to have the server listen on "
			"127.0.0.1 alone",
		    (unsigned)port);
	else
		dm_note("port %u is open to the whole network, not just to this machine",
		    (unsigned)port);
}

static void
move_to_port(struct runner *r, const struct dm_listener *found, uint16_t wanted)
{
	struct bridge_target target;

	if (r->place == PLACE_PORT && r->listener.port == found->port &&
	    r->listener.ipv6 == found->ipv6 &&
	    memcmp(r->listener.address, found->address, sizeof(found->address)) == 0)
		return;
	if (!r->found_once && r->plan.tool != NULL && found->port != wanted && !is_believed(r))
		return;
	if (!bridge_stray(r))
		return;
	r->stray_since = 0;
	if (r->found_once)
		dm_debug("it listens on port %u now", (unsigned)found->port);
	r->place = PLACE_PORT;
	r->listener = *found;
	r->found_once = true;
	target.length = (socklen_t)ports_address(found, &target.address);
	if (r->bridge != NULL)
		bridge_set_target(r->bridge, &target);
	write_down(r, found->port);
	if (!r->told_open && ports_is_open(found))
		tell_open(r, found->port);
}

static void
move_to_socket(struct runner *r, enum place place)
{
	struct bridge_target target;

	if (r->place == place)
		return;
	r->place = place;
	r->found_once = true;
	if (place == PLACE_PRIVATE_SOCKET && unix_target(r->private_socket, &target))
		bridge_set_target(r->bridge, &target);
	write_down(r, 0);
}

static void
move_nowhere(struct runner *r)
{
	static const struct bridge_target nowhere;

	if (r->place == PLACE_NONE)
		return;
	r->place = PLACE_NONE;
	if (r->bridge != NULL)
		bridge_set_target(r->bridge, &nowhere);
	write_down(r, 0);
}

static bool
listens_on(const char *path, const struct dm_pids *pids)
{
	struct dm_sock_info info;

	if (path == NULL)
		return false;
	dm_sock_probe(path, &info);
	return info.state == DM_SOCK_LISTENING && (info.pid == 0 || dm_pids_have(pids, info.pid));
}

void
runner_let_go(struct runner *r)
{
	struct dm_pids pids = {.count = 0};

	runner_remove_socket(r);
	runner_processes(r, &pids);
	if (r->place == PLACE_OWN_SOCKET && listens_on(r->claim->socket, &pids))
		(void)unlink(r->claim->socket);
	dm_pids_release(&pids);
}

/* A proxy of another user must be able to write to it: node, Deno and Go make it 0755. */
static void
open_mode(const char *path)
{
	struct stat st;

	/* the directory may be another user's, who could put a link there in between */
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 0666) != 0666 &&
	    fchmodat(AT_FDCWD, path, (st.st_mode & 07777) | 0666, AT_SYMLINK_NOFOLLOW) != 0)
		dm_debug("chmod %s: %s", path, strerror(errno));
}

void
runner_look(struct runner *r)
{
	struct ports_wish wish = {.forced = r->options->port,
	    .offered = r->plan.fixed != 0 ? r->plan.fixed : r->offered,
	    .current = r->listener.port};
	struct dm_pids pids = {.count = 0};
	struct dm_listeners listeners = {.count = 0};
	const struct dm_listener *found;

	runner_processes(r, &pids);
	if (r->bridge == NULL && r->claim != NULL && listens_on(r->claim->socket, &pids)) {
		open_mode(r->claim->socket);
		move_to_socket(r, PLACE_OWN_SOCKET);
	} else if (r->bridge != NULL && listens_on(r->private_socket, &pids)) {
		move_to_socket(r, PLACE_PRIVATE_SOCKET);
	} else {
		dm_proc_listeners(&pids, &listeners);
		found = ports_choose(&listeners, &wish);
		if (found != NULL)
			move_to_port(r, found, wish.forced != 0 ? wish.forced : wish.offered);
		else
			move_nowhere(r);
	}
	if (r->place != PLACE_NONE)
		r->seen_at = dm_now_ms();
	dm_listeners_release(&listeners);
	dm_pids_release(&pids);
}
