/* SPDX-License-Identifier: MIT */
/*
 * Written from Apple's libproc.h and sys/proc_info.h; not yet run on a Mac. There is no question
 * about sockets alone: everything looks at every descriptor of the user's processes.
 */
#include <libproc.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/proc_info.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/listen.h"
#include "base/mem.h"

typedef void socket_fn(pid_t pid, const struct socket_info *socket, void *user);

/* How many descriptors the process has. */
static size_t
each_socket_of(pid_t pid, socket_fn *fn, void *user)
{
	int bytes = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, NULL, 0);
	DM_AUTO_FREE struct proc_fdinfo *fds = NULL;
	struct socket_fdinfo info;

	if (bytes <= 0)
		return 0;
	fds = dm_calloc((size_t)bytes, 1);
	bytes = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, fds, bytes);
	for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof(*fds); i++) {
		if (fds[i].proc_fdtype == PROX_FDTYPE_SOCKET &&
		    proc_pidfdinfo(pid, fds[i].proc_fd, PROC_PIDFDSOCKETINFO, &info,
			sizeof(info)) == (int)sizeof(info))
			fn(pid, &info.psi, user);
	}
	return bytes <= 0 ? 0 : (size_t)bytes / sizeof(*fds);
}

void
dm_listen_processes(const struct dm_searched *searched, struct dm_pids *out)
{
	int bytes = proc_listpids(PROC_UID_ONLY, (uint32_t)geteuid(), NULL, 0);
	DM_AUTO_FREE pid_t *list = NULL;

	(void)searched; /* the kernel says at once whose they are */
	if (bytes <= 0)
		return;
	list = dm_calloc((size_t)bytes + 64 * sizeof(*list), 1);
	bytes = proc_listpids(
	    PROC_UID_ONLY, (uint32_t)geteuid(), list, bytes + (int)(64 * sizeof(*list)));
	for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof(*list); i++) {
		if (list[i] > 0)
			dm_pids_add(out, list[i]);
	}
}

/* The socket's address in the kernel is what tells it from others. */
static void
add_listening(pid_t pid, const struct socket_info *socket, void *user)
{
	const struct in_sockinfo *in = &socket->soi_proto.pri_tcp.tcpsi_ini;
	const struct sockaddr_un *un = &socket->soi_proto.pri_un.unsi_addr.ua_sun;
	struct dm_socket one = {.inode = socket->soi_so, .uid = geteuid()};

	(void)pid;
	if (socket->soi_kind == SOCKINFO_TCP &&
	    socket->soi_proto.pri_tcp.tcpsi_state == TSI_S_LISTEN) {
		one.listener.port = ntohs((uint16_t)in->insi_lport);
		one.listener.ipv6 = (in->insi_vflag & INI_IPV6) != 0;
		if (one.listener.ipv6)
			memcpy(one.listener.address, &in->insi_laddr.ina_6, 16);
		else
			memcpy(one.listener.address, &in->insi_laddr.ina_46.i46a_addr4, 4);
	} else if (socket->soi_kind == SOCKINFO_UN && (socket->soi_options & SO_ACCEPTCONN) != 0 &&
		   un->sun_path[0] != '\0') {
		one.path = dm_strndup(un->sun_path, strnlen(un->sun_path, sizeof(un->sun_path)));
	} else {
		return;
	}
	dm_sockets_add(user, &one);
}

void
dm_listen_sockets(struct dm_sockets *out)
{
	const struct dm_searched none = {.count = 0};
	struct dm_pids all = {.count = 0};
	size_t kept = 0;

	dm_listen_processes(&none, &all);
	for (size_t i = 0; i < all.count; i++)
		(void)each_socket_of(all.list[i], add_listening, out);
	dm_pids_release(&all);
	dm_sockets_sort(out);
	/* one that several processes share was met more than once */
	for (size_t i = 0; i < out->count; i++) {
		if (kept > 0 && out->list[kept - 1].inode == out->list[i].inode)
			free(out->list[i].path);
		else
			out->list[kept++] = out->list[i];
	}
	out->count = kept;
}

bool
dm_listen_has_port(uint16_t port)
{
	(void)port;
	return false;
}

bool
dm_listen_may_have_port(uint16_t port)
{
	(void)port;
	return true;
}

struct search {
	const struct dm_sockets *sockets;
	struct dm_holders *out;
};

static void
add_holder(pid_t pid, const struct socket_info *socket, void *user)
{
	const struct search *search = user;

	if (dm_sockets_find(search->sockets, socket->soi_so) != NULL)
		dm_holders_add(search->out, socket->soi_so, pid);
}

size_t
dm_listen_count(pid_t pid)
{
	(void)pid;
	return 0; /* without a list the answer is a guess */
}

size_t
dm_listen_held(pid_t pid, const struct dm_sockets *sockets, struct dm_holders *out)
{
	struct search search = {.sockets = sockets, .out = out};

	return each_socket_of(pid, add_holder, &search);
}
