/* SPDX-License-Identifier: MIT */
/* route(4): every routing socket gets all messages; what they say is not read. Not yet run on a
 * Mac. */
#include <errno.h>
#include <event2/event.h>
#include <net/route.h>
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
	char message[2048];

	(void)what;
	for (int i = 0; i < READS && read((int)fd, message, sizeof(message)) > 0; i++)
		;
	watch->hint(watch->user);
}

struct lan_watch *
lan_watch_open(struct event_base *base, lan_watch_hint *hint, void *user, struct dm_err *err)
{
	struct lan_watch *watch = dm_calloc(1, sizeof(*watch));

	*watch = (struct lan_watch){
	    .fd = socket(PF_ROUTE, SOCK_RAW, AF_UNSPEC), .hint = hint, .user = user};
	if (watch->fd >= 0 && evutil_make_socket_closeonexec(watch->fd) == 0 &&
	    evutil_make_socket_nonblocking(watch->fd) == 0) {
		watch->readable =
		    event_new(base, watch->fd, EV_READ | EV_PERSIST, on_readable, watch);
		if (watch->readable != NULL && event_add(watch->readable, NULL) == 0)
			return watch;
	}
	(void)dm_fail_errno(err, errno, "watching the network");
	lan_watch_close(watch);
	return NULL;
}

void
lan_watch_close(struct lan_watch *watch)
{
	if (watch->readable != NULL)
		event_free(watch->readable);
	dm_closep(&watch->fd);
	free(watch);
}
