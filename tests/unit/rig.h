/* SPDX-License-Identifier: MIT */
/*
 * A bridge alone, in a process of its own with an event loop, as in `devmesh run`. The test is the
 * client on its one side and the server on its other, and tells it by a pipe what to do.
 */
#ifndef DEVMESH_RIG_H
#define DEVMESH_RIG_H

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "rig_loop.h"
#include "run/bridge.h"

enum {
	HOLD_MS = 60000,
	PATIENCE_MS = 20000, /* nothing right takes that long */
	NOISE = 1 << 20,
	MEGABYTE = 1 << 20
};

struct rig {
	char *dir, *path;
	pid_t pid;
	int control;		     /* our end */
	int listener;		     /* of the server; -1 */
	struct bridge_target target; /* where it listens */
};

static inline void
start_bridge(struct rig *r, int64_t hold_ms, rlim_t files)
{
	struct dm_err err;
	int ends[2], fd;
	dev_t dev;
	ino_t ino;

	fd = bridge_listen(r->path, &dev, &ino, &err);
	assert_ok(fd >= 0, &err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	(void)fflush(NULL);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		struct rlimit few = {.rlim_cur = files, .rlim_max = files};

		(void)close(ends[0]);
		dm_closep(&r->listener);
		if (files != 0 && setrlimit(RLIMIT_NOFILE, &few) != 0)
			_exit(1);
		be_the_bridge(fd, ends[1], hold_ms);
	}
	(void)close(ends[1]);
	(void)close(fd);
	r->control = ends[0];
}

static inline uint64_t
tell(const struct rig *r, enum order order, const struct bridge_target *target)
{
	struct message m;
	uint64_t answer = 0;

	memset(&m, 0, sizeof(m));
	m.order = order;
	if (target != NULL)
		m.target = *target;
	assert_int_equal(write(r->control, &m, sizeof(m)), sizeof(m));
	assert_int_equal(read(r->control, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

static inline int
setup(void **state)
{
	struct rig *r = dm_calloc(1, sizeof(*r));

	(void)signal(SIGPIPE, SIG_IGN);
	r->dir = temp_dir();
	r->path = in_dir(r->dir, "s.sock");
	r->control = r->listener = -1;
	*state = r;
	return 0;
}

/* It must end well by itself, with connections or without. */
static inline int
teardown(void **state)
{
	struct rig *r = *state;
	struct message m;
	int status = 0;

	memset(&m, 0, sizeof(m));
	m.order = END;
	if (r->pid > 0) {
		if (write(r->control, &m, sizeof(m)) < 0)
			(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, &status, 0);
	}
	dm_closep(&r->control);
	dm_closep(&r->listener);
	free(r->path);
	remove_tree(r->dir);
	free(r);
	return status == 0 ? 0 : -1;
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
