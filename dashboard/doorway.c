/* SPDX-License-Identifier: MIT */
#include "doorway.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "timer.h"

enum {
	BURST_MAX = 32, /* in one turn of the loop: what is dropped meanwhile is closed after it */
	NO_FILES_MS = 100, /* pause when there is no descriptor for another client */
};

struct doorway {
	char *path;
	dev_t dev;
	ino_t ino; /* 0: not bound */
	struct evconnlistener *listener;
	struct event *resume;
	unsigned burst;
	doorway_came *came;
	void *user;
};

static void
on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *a, int n, void *user)
{
	struct doorway *doorway = user;

	(void)a;
	(void)n;
	doorway->came(doorway->user, (int)fd);
	if (++doorway->burst < BURST_MAX)
		return;
	(void)evconnlistener_disable(listener);
	timer_in(doorway->resume, 0);
}

/* Out of descriptors, most likely: what waits in the backlog waits a little longer. */
static void
on_accept_error(struct evconnlistener *listener, void *user)
{
	struct doorway *doorway = user;

	dm_debug("accepting a connection to %s: %s", doorway->path, strerror(errno));
	(void)evconnlistener_disable(listener);
	timer_in(doorway->resume, NO_FILES_MS);
}

static void
on_resume(evutil_socket_t fd, short what, void *user)
{
	struct doorway *doorway = user;

	(void)fd;
	(void)what;
	doorway->burst = 0;
	(void)evconnlistener_enable(doorway->listener);
}

struct doorway *
doorway_open(struct event_base *base, const char *path, mode_t mode, doorway_came *came, void *user,
    struct dm_err *err)
{
	struct doorway *doorway = dm_calloc(1, sizeof(*doorway));
	int fd;

	doorway->path = dm_strdup(path);
	doorway->came = came;
	doorway->user = user;
	if (!dm_sock_make_way(path, err) ||
	    (fd = dm_sock_listen_unix(path, mode, &doorway->dev, &doorway->ino, err)) < 0) {
		doorway_close(doorway);
		return NULL;
	}
	doorway->resume = evtimer_new(base, on_resume, doorway);
	doorway->listener = evconnlistener_new(
	    base, on_accept, doorway, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (doorway->listener == NULL || doorway->resume == NULL) {
		if (doorway->listener == NULL)
			(void)close(fd);
		doorway_close(doorway);
		(void)dm_fail(err, DM_FAILED, "listening on %s: libevent refuses", path);
		return NULL;
	}
	evconnlistener_set_error_cb(doorway->listener, on_accept_error);
	return doorway;
}

void
doorway_shut(struct doorway *doorway)
{
	(void)event_del(doorway->resume);
	(void)evconnlistener_disable(doorway->listener);
}

void
doorway_close(struct doorway *doorway)
{
	if (doorway == NULL)
		return;
	/* before the listener is closed, nobody else can have put a socket there */
	if (doorway->ino != 0)
		dm_sock_unlink_own(doorway->path, doorway->dev, doorway->ino);
	if (doorway->listener != NULL)
		evconnlistener_free(doorway->listener);
	if (doorway->resume != NULL)
		event_free(doorway->resume);
	free(doorway->path);
	free(doorway);
}
