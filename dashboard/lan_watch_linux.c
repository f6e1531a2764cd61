/* SPDX-License-Identifier: MIT */
/* rtnetlink(7): a socket in the groups of what matters. The messages themselves are not read. */
#include <errno.h>
#include <event2/event.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "lan_watch.h"

enum {
	READS = 64 /* in one turn of the loop, so that others get theirs */
};

struct lan_watch {
	int fd;
	struct event *readable;
	lan_watch_hint *hint;
	void *user;
};

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct lan_watch *watch = user;
	char byte;

	(void)what;
	/* one message each, cut; an error is ENOBUFS, "some were lost", or EAGAIN */
	for (int i = 0; i < READS; i++) {
		if (recv((int)fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) < 0 && errno != ENOBUFS)
			break;
	}
	watch->hint(watch->user);
}

struct lan_watch *
lan_watch_open(struct event_base *base, lan_watch_hint *hint, void *user, struct dm_err *err)
{
	const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR};
	DM_AUTO_CLOSE int fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct lan_watch *watch;

	if (fd < 0 || bind(fd, (const void *)&groups, sizeof(groups)) != 0) {
		(void)dm_fail_errno(err, errno, "watching the network");
		return NULL;
	}
	watch = dm_calloc(1, sizeof(*watch));
	*watch = (struct lan_watch){.fd = -1, .hint = hint, .user = user};
	watch->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, watch);
	if (watch->readable == NULL || event_add(watch->readable, NULL) != 0) {
		lan_watch_close(watch);
		(void)dm_fail(err, DM_FAILED, "watching the network");
		return NULL;
	}
	watch->fd = fd;
	fd = -1;
	return watch;
}

void
lan_watch_close(struct lan_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->readable != NULL)
		event_free(watch->readable);
	dm_closep(&watch->fd);
	free(watch);
}
