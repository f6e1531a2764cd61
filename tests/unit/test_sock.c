/* SPDX-License-Identifier: MIT */
/* Sockets seen from outside: every state with real ones, and what may be removed. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/listen.h"
#include "base/sock.h"
#include "few_fds.h"

#define NOBODY 65534

/* A private directory and the path of a socket in it. */
struct place {
	char *dir;
	char *path;
	int fd; /* of a listener, or -1 */
};

static int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));

	p->dir = temp_dir();
	p->path = in_dir(p->dir, "s.sock");
	p->fd = -1;
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	dm_closep(&p->fd);
	free(p->path);
	remove_tree(p->dir);
	free(p);
	return 0;
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void
unix_address(const char *path, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	assert_true(dm_snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path));
}

/* Binds a socket of the type; it does not listen yet. */
static int
bind_unix(const char *path, int type)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, type, 0);

	assert_true(fd >= 0);
	unix_address(path, &sa);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void
listen_here(struct place *p, int backlog)
{
	p->fd = bind_unix(p->path, SOCK_STREAM);
	assert_int_equal(listen(p->fd, backlog), 0);
}

static void
leave_stale(const char *path)
{
	(void)close(bind_unix(path, SOCK_STREAM));
}

static enum dm_sock_state
state_of(const char *path)
{
	struct dm_sock_info info;

	dm_sock_probe(path, &info);
	return info.state;
}

static void
absent(void **state)
{
	const struct place *p = *state;
	DM_AUTO_FREE char *below = in_dir(p->path, "x");
	struct dm_sock_info info;

	assert_int_equal(state_of(p->path), DM_SOCK_ABSENT);
	put_file(p->path, "");
	assert_int_equal(state_of(below), DM_SOCK_ABSENT);
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(symlink("nowhere", p->path), 0);
	dm_sock_probe(p->path, &info);
	assert_int_equal(info.state, DM_SOCK_ABSENT);
	assert_true(info.is_link);
}

static void
refused(void **state)
{
	const struct place *p = *state;
	struct dm_sock_info info;
	struct stat st;

	leave_stale(p->path);
	dm_sock_probe(p->path, &info);
	assert_int_equal(info.state, DM_SOCK_REFUSED);
	assert_int_equal(stat(p->path, &st), 0);
	assert_true(info.dev == st.st_dev && info.ino == st.st_ino && !info.is_link);
	assert_int_equal(info.owner, geteuid());
	assert_int_equal(info.pid, 0);
}

static void
listening(void **state)
{
	struct place *p = *state;
	struct dm_sock_info info;

	listen_here(p, 5);
	dm_sock_probe(p->path, &info);
	assert_int_equal(info.state, DM_SOCK_LISTENING);
	assert_int_equal(info.pid, getpid());
	assert_int_equal(info.listener_uid, geteuid());
}

/* Fills the backlog of a listener; the descriptors stay open until the process ends. */
static void
fill_backlog(const char *path)
{
	struct sockaddr_un sa;

	unix_address(path, &sa);
	for (int i = 0; i < 100; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_true(fd >= 0);
		assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
		if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0) {
			assert_int_equal(errno, EAGAIN);
			(void)close(fd);
			return;
		}
	}
	skip(); /* this kernel does not refuse */
}

static void
full_backlog_is_listening(void **state)
{
	struct place *p = *state;
	struct dm_err err;
	int64_t begun;

	listen_here(p, 0);
	fill_backlog(p->path);
	assert_int_equal(state_of(p->path), DM_SOCK_LISTENING);
	begun = dm_now_ms();
	assert_int_equal(dm_sock_connect_unix(p->path, 60, &err), -1);
	assert_int_equal(err.code, DM_TIMEOUT);
	assert_true(dm_now_ms() - begun >= 60);
}

static void
not_a_socket(void **state)
{
	const struct place *p = *state;

	put_file(p->path, "x");
	assert_int_equal(state_of(p->path), DM_SOCK_OTHER);
	assert_int_equal(state_of(p->dir), DM_SOCK_OTHER);
}

static void
links(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *link = in_dir(p->dir, "link.sock");
	struct dm_sock_info info;
	struct stat st;

	listen_here(p, 5);
	assert_int_equal(symlink("s.sock", link), 0);
	dm_sock_probe(link, &info);
	assert_int_equal(info.state, DM_SOCK_LISTENING);
	assert_true(info.is_link);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(info.ino == st.st_ino);
	(void)close(p->fd);
	p->fd = -1;
	dm_sock_probe(link, &info);
	assert_int_equal(info.state, DM_SOCK_REFUSED);
	assert_true(info.is_link);
}

/* In a process of another user; what it says is its exit status. */
static enum dm_sock_state
state_for_nobody(const char *path)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(geteuid() == 0 && setuid(NOBODY) != 0 ? 99 : (int)state_of(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (enum dm_sock_state)WEXITSTATUS(status);
}

static void
denied(void **state)
{
	struct place *p = *state;

	listen_here(p, 5);
	assert_int_equal(chmod(p->dir, 0755), 0);
	assert_int_equal(chmod(p->path, 0), 0);
	assert_int_equal(state_for_nobody(p->path), DM_SOCK_DENIED);
	assert_int_equal(chmod(p->path, 0777), 0);
	assert_int_equal(state_for_nobody(p->path), DM_SOCK_LISTENING);
	/* a directory that may not be searched is no proof of absence */
	assert_int_equal(chmod(p->dir, 0), 0);
	assert_int_equal(state_for_nobody(p->path), DM_SOCK_DENIED);
	assert_int_equal(chmod(p->dir, 0700), 0);
}

static void
another_kind_of_socket(void **state)
{
	struct place *p = *state;

	p->fd = bind_unix(p->path, SOCK_DGRAM);
	assert_int_equal(state_of(p->path), DM_SOCK_DENIED);
}

static void
long_paths(void **state)
{
	const struct place *p = *state;
	char path[300];
	struct dm_err err;

	assert_true(dm_sock_path_max() == 107 || dm_sock_path_max() == 103);
	memset(path, 'x', sizeof(path));
	memcpy(path, p->path, strlen(p->path));
	path[dm_sock_path_max()] = '\0';
	assert_int_equal(state_of(path), DM_SOCK_ABSENT);
	leave_stale(path);
	assert_int_equal(state_of(path), DM_SOCK_REFUSED);
	path[dm_sock_path_max()] = 'x';
	path[dm_sock_path_max() + 1] = '\0';
	put_file(path, "");
	assert_int_equal(state_of(path), DM_SOCK_OTHER);
	assert_int_equal(dm_sock_connect_unix(path, 10, &err), -1);
	assert_int_equal(err.code, DM_UNREACHABLE);
}

static void
removes_a_stale_one(void **state)
{
	const struct place *p = *state;
	struct dm_sock_info seen;
	struct dm_err err;
	bool removed = false;

	leave_stale(p->path);
	dm_sock_probe(p->path, &seen);
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_true(removed);
	assert_int_equal(state_of(p->path), DM_SOCK_ABSENT);
	/* and once more: it is gone already */
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_false(removed);
}

static void
keeps_what_came_to_life(void **state)
{
	struct place *p = *state;
	struct dm_sock_info seen;
	struct dm_err err;
	bool removed = true;

	/* bound, but not listening yet: the very same inode */
	p->fd = bind_unix(p->path, SOCK_STREAM);
	dm_sock_probe(p->path, &seen);
	assert_int_equal(seen.state, DM_SOCK_BOUND);
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_false(removed);
	assert_int_equal(listen(p->fd, 5), 0);
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_false(removed);
	assert_int_equal(state_of(p->path), DM_SOCK_LISTENING);
}

static void
keeps_another_inode(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *other = in_dir(p->dir, "other.sock");
	struct dm_sock_info seen;
	struct dm_err err;
	bool removed = true;

	leave_stale(p->path);
	leave_stale(other);
	dm_sock_probe(p->path, &seen);
	assert_int_equal(rename(other, p->path), 0);
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_false(removed);
	assert_int_equal(state_of(p->path), DM_SOCK_REFUSED);
}

static void
keeps_what_was_not_stale(void **state)
{
	struct place *p = *state;
	struct dm_sock_info seen;
	struct dm_err err;
	bool removed = true;

	listen_here(p, 5);
	dm_sock_probe(p->path, &seen);
	(void)close(p->fd);
	p->fd = -1;
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_false(removed);
	assert_int_equal(unlink(p->path), 0);
	put_file(p->path, "precious");
	dm_sock_probe(p->path, &seen);
	assert_ok(dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err);
	assert_false(removed);
	assert_int_equal(access(p->path, F_OK), 0);
}

static void
keeps_other_users(void **state)
{
	const struct place *p = *state;
	struct dm_sock_info seen;
	struct dm_err err;
	bool removed = true;

	if (geteuid() != 0)
		skip();
	leave_stale(p->path);
	assert_int_equal(chown(p->path, NOBODY, NOBODY), 0);
	dm_sock_probe(p->path, &seen);
	assert_int_equal(seen.owner, NOBODY);
	assert_fails(
	    dm_sock_unlink_stale(p->path, &seen, &removed, &err), &err, DM_DENIED, "65534");
	assert_false(removed);
	assert_int_equal(state_of(p->path), DM_SOCK_REFUSED);
}

static void
connects(void **state)
{
	struct place *p = *state;
	struct dm_err err;
	int fd;

	assert_int_equal(dm_sock_connect_unix(p->path, 100, &err), -1);
	assert_int_equal(err.code, DM_UNREACHABLE);
	assert_holds(err.msg, p->path);
	leave_stale(p->path);
	assert_int_equal(dm_sock_connect_unix(p->path, 100, &err), -1);
	assert_int_equal(err.code, DM_UNREACHABLE);
	assert_int_equal(unlink(p->path), 0);
	listen_here(p, 5);
	fd = dm_sock_connect_unix(p->path, 100, &err);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	(void)close(fd);
}

/* A TCP listener on 127.0.0.1; its port. */
static uint16_t
listen_tcp(struct place *p)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(bind(p->fd, (const struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(p->fd, 5), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

/* A server that never accepts is not connected to again and again, and is never taken for dead. */
static void
tcp_of_a_server_that_does_not_accept(void **state)
{
	struct place *p = *state;
	uint16_t port = listen_tcp(p);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int64_t began = dm_now_ms();
	int fds[8];

	for (int i = 0; i < 40; i++)
		assert_true(dm_tcp_listening(port));
	/* where the kernel says so, nothing of it is in the queue */
	if (dm_listen_has_port(port)) {
		assert_int_equal(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(accept(p->fd, NULL, NULL), -1);
		assert_int_equal(errno, EAGAIN);
	}
	/* nor when others have filled its queue */
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
		(void)connect(fds[i], (const struct sockaddr *)&in, sizeof(in));
	}
	for (int i = 0; i < 40; i++)
		assert_true(dm_tcp_listening(port));
	assert_in_range(dm_now_ms() - began, 0, 4000);
	for (size_t i = 0; i < COUNT(fds); i++)
		(void)close(fds[i]);
}

static void
tcp(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	struct place *p = *state;
	uint16_t port = listen_tcp(p);
	struct dm_err err;

	assert_true(dm_tcp_listening(port));
	assert_int_equal(dm_tcp_bind_errno(port), EADDRINUSE);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		int fd = dm_sock_connect_tcp(hosts[i], port, 2000, &err);

		if (fd < 0)
			fail_msg("%s", err.msg);
		(void)close(fd);
	}
	(void)close(p->fd);
	p->fd = -1;
	assert_false(dm_tcp_listening(port));
	assert_int_equal(dm_tcp_bind_errno(port), 0);
	assert_int_equal(dm_sock_connect_tcp("127.0.0.1", port, 2000, &err), -1);
	assert_int_equal(err.code, DM_UNREACHABLE);
}

static void
without_descriptors_nothing_is_known(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *stale = in_dir(p->dir, "stale");
	enum dm_sock_state alive, dead;
	rlim_t before;

	listen_here(p, 5);
	leave_stale(stale);
	before = limit_fds(0);
	alive = state_of(p->path);
	dead = state_of(stale);
	unlimit_fds(before);
	assert_int_equal(alive, DM_SOCK_UNKNOWN);
	assert_int_equal(dead, DM_SOCK_UNKNOWN);
	assert_int_equal(state_of(p->path), DM_SOCK_LISTENING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(absent),
	    IN_PLACE(refused),
	    IN_PLACE(listening),
	    IN_PLACE(full_backlog_is_listening),
	    IN_PLACE(not_a_socket),
	    IN_PLACE(links),
	    IN_PLACE(denied),
	    IN_PLACE(another_kind_of_socket),
	    IN_PLACE(long_paths),
	    IN_PLACE(removes_a_stale_one),
	    IN_PLACE(keeps_what_came_to_life),
	    IN_PLACE(keeps_another_inode),
	    IN_PLACE(keeps_what_was_not_stale),
	    IN_PLACE(keeps_other_users),
	    IN_PLACE(connects),
	    IN_PLACE(tcp),
	    IN_PLACE(tcp_of_a_server_that_does_not_accept),
	    IN_PLACE(without_descriptors_nothing_is_known),
	};

	return cmocka_run_group_tests_name("sock", tests, NULL, NULL);
}
