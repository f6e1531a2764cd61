/* SPDX-License-Identifier: MIT */
/* Sockets that are opened to Caddy, and who Caddy is. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "access.h"
#include "base/os.h"
#include "base/proc.h"
#include "base/sock.h"
#include "caddy/admin.h"
#include "mend.h"

enum {
	CADDY = 65534, /* its uid, and gid */
	CLOSED = 0755, /* how node and Go make their sockets */
};

/* A private directory with a listening socket in it. */
struct place {
	char *dir, *path;
	int fd;
	unsigned told;
	char name[256], reason[256];
};

static int
listen_unix(const char *path, mode_t mode)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(dm_snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(chmod(path, mode), 0);
	return fd;
}

static int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));

	p->dir = temp_dir();
	p->path = in_dir(p->dir, "s.sock");
	p->fd = listen_unix(p->path, CLOSED);
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

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
say(void *user, const struct mend *mend)
{
	struct place *p = user;

	p->told++;
	assert_string_equal(mend->what, "changed");
	assert_string_equal(mend->kind, "socket");
	assert_true(dm_snprintf(p->name, sizeof(p->name), "%s", mend->name));
	assert_true(dm_snprintf(p->reason, sizeof(p->reason), "%s", mend->reason));
}

/* Lets a Caddy of that user connect, as `seen` says; whether it was told. */
static bool
open_to(
    struct place *p, const struct access_user *caddy, const struct dm_sock_info *seen, bool dry_run)
{
	const struct mend_options options = {.dry_run = dry_run, .say = say, .user = p};
	struct dm_err err;

	p->told = 0;
	assert_ok(mend_socket_mode(p->path, seen, caddy, &options, &err), &err);
	return p->told > 0;
}

static const struct access_user caddy = {.uid = CADDY, .groups = {CADDY}, .count = 1};

static void
opens(void **state)
{
	struct place *p = *state;
	struct dm_sock_info seen;

	dm_sock_probe(p->path, &seen);
	assert_true(open_to(p, &caddy, &seen, true));
	assert_int_equal(mode_of(p->path), CLOSED);
	assert_true(open_to(p, &caddy, &seen, false));
	assert_int_equal(mode_of(p->path), 0666);
	assert_string_equal(p->name, p->path);
	assert_holds(p->reason, "uid 65534");
	assert_holds(p->reason, "0755");
	/* once is enough */
	assert_false(open_to(p, &caddy, &seen, false));
}

/* Those who can connect already need nothing, and no mode is made wider than it has to be. */
static void
leaves_alone_what_works(void **state)
{
	struct place *p = *state;
	const struct access_user self = {.uid = geteuid()}, root = {.uid = 0};
	struct access_user member = caddy;
	struct dm_sock_info seen;
	struct stat st;

	dm_sock_probe(p->path, &seen);
	assert_false(open_to(p, &self, &seen, false));
	assert_false(open_to(p, &root, &seen, false));
	assert_int_equal(lstat(p->path, &st), 0);
	member.groups[member.count++] = st.st_gid;
	assert_int_equal(chmod(p->path, 0770), 0);
	assert_false(open_to(p, &member, &seen, false));
	assert_int_equal(mode_of(p->path), 0770);
	assert_int_equal(chmod(p->path, 0702), 0);
	assert_false(open_to(p, &caddy, &seen, false));
	assert_int_equal(mode_of(p->path), 0702);
	/* one of its groups may not, whatever all others may: open(2) */
	assert_true(open_to(p, &member, &seen, false));
	assert_int_equal(mode_of(p->path), 0666);
}

/* Another file at the path than the one that was seen, a link, a socket nobody listens on. */
static void
only_what_was_seen(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *other = in_dir(p->dir, "other.sock");
	DM_AUTO_CLOSE int fd = listen_unix(other, CLOSED);
	struct dm_sock_info seen, elsewhere, stale;

	dm_sock_probe(p->path, &seen);
	dm_sock_probe(other, &elsewhere);
	assert_false(open_to(p, &caddy, &elsewhere, false));
	assert_int_equal(mode_of(p->path), CLOSED);
	/* it has become a link to another one since */
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(symlink("other.sock", p->path), 0);
	assert_false(open_to(p, &caddy, &seen, false));
	dm_sock_probe(p->path, &seen);
	assert_false(open_to(p, &caddy, &seen, false));
	assert_int_equal(mode_of(other), CLOSED);
	assert_int_equal(unlink(p->path), 0);
	assert_false(open_to(p, &caddy, &elsewhere, false));
	/* its server has ended */
	dm_closep(&fd);
	dm_sock_probe(other, &stale);
	assert_int_equal(stale.state, DM_SOCK_REFUSED);
	assert_int_equal(rename(other, p->path), 0);
	assert_false(open_to(p, &caddy, &stale, false));
	assert_int_equal(mode_of(p->path), CLOSED);
}

static void
not_of_others(void **state)
{
	struct place *p = *state;
	struct access_user stranger = {.uid = 4711};
	struct dm_sock_info seen;

	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	assert_int_equal(lchown(p->path, CADDY, CADDY), 0);
	dm_sock_probe(p->path, &seen);
	assert_int_equal(seen.state, DM_SOCK_LISTENING);
	assert_false(open_to(p, &stranger, &seen, false));
	assert_int_equal(mode_of(p->path), CLOSED);
}

static void
changes_the_very_file(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *link = in_dir(p->dir, "link");
	DM_AUTO_FREE char *none = in_dir(p->dir, "none");
	struct stat st;

	assert_int_equal(lstat(p->path, &st), 0);
	assert_int_equal(symlink(p->path, link), 0);
	assert_false(dm_os_chmod_same(link, st.st_dev, st.st_ino, 0600));
	assert_false(dm_os_chmod_same(p->path, st.st_dev, st.st_ino + 1, 0600));
	assert_int_equal(errno, ESTALE);
	assert_false(dm_os_chmod_same(none, st.st_dev, st.st_ino, 0600));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(mode_of(p->path), CLOSED);
	assert_true(dm_os_chmod_same(p->path, st.st_dev, st.st_ino, 0600));
	assert_int_equal(mode_of(p->path), 0600);
}

/* Whether the address is served by this process. */
static bool
is_ours(const char *address)
{
	struct dm_err err;
	dm_auto(caddy_admin) admin = caddy_admin_new(address, 1000, &err);
	uid_t uid = (uid_t)-1;
	pid_t pid = -1;

	assert_ok(admin != NULL, &err);
	return caddy_admin_owner(admin, &uid, &pid) && uid == geteuid() && pid == getpid();
}

static void
owner(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *unix_address = dm_asprintf("unix://%s", p->path);
	DM_AUTO_FREE char *elsewhere = NULL;
	DM_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in in = {.sin_family = AF_INET};
	static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
	socklen_t len = sizeof(in);

	assert_true(is_ours(unix_address));
	dm_closep(&p->fd);
	p->fd = -1;
	assert_false(is_ours(unix_address));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	for (int listening = 0; listening < 2; listening++) {
		for (size_t i = 0; i < COUNT(hosts); i++) {
			DM_AUTO_FREE char *address =
			    dm_asprintf("http://%s:%u", hosts[i], (unsigned)ntohs(in.sin_port));

			assert_int_equal(is_ours(address), listening);
		}
		assert_int_equal(listen(fd, 8), 0);
	}
	/* what listens there on this machine is not what serves that address */
	elsewhere = dm_asprintf("http://192.0.2.1:%u", (unsigned)ntohs(in.sin_port));
	assert_false(is_ours(elsewhere));
}

/* The groups of a process that is there, and of a user whose processes are not seen. */
static void
groups(void **state)
{
	struct access_user user;
	bool own = false;

	(void)state;
	access_user_of(geteuid(), getpid(), &user);
	for (size_t i = 0; i < user.count; i++)
		own |= user.groups[i] == getegid();
	assert_true(own);
	access_user_of(0, 0, &user);
	assert_true(user.count > 0);
	assert_int_equal(user.groups[0], 0);
	access_user_of((uid_t)3999999999U, 0, &user);
	assert_int_equal(user.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(opens),
	    IN_PLACE(leaves_alone_what_works),
	    IN_PLACE(only_what_was_seen),
	    IN_PLACE(not_of_others),
	    IN_PLACE(changes_the_very_file),
	    IN_PLACE(owner),
	    cmocka_unit_test(groups),
	};

	return cmocka_run_group_tests_name("mend", tests, NULL, NULL);
}
