/* SPDX-License-Identifier: MIT */
/*
 * The few things that differ between kernels. os_linux.c and os_darwin.c implement them; the
 * Makefile picks one, so there is no #ifdef anywhere else.
 */
#ifndef DEVMESH_OS_H
#define DEVMESH_OS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Who listens at the other end of a connected Unix socket: SO_PEERCRED (unix(7)) on Linux,
 * LOCAL_PEERPID and getpeereid(3) on macOS. pid is 0 if the kernel does not say.
 */
bool dm_os_peer(int fd, pid_t *pid, uid_t *uid);

/*
 * Whether a process has a Unix socket bound to `path` (unix(7): /proc/net/unix). A server binds
 * first and listens later; in between connections are refused. False where it cannot be told.
 */
bool dm_os_socket_is_bound(const char *path);

/*
 * How many connections the server that is bound to `path` has accepted and not closed (unix(7):
 * /proc/net/unix). -1 where it cannot be told.
 */
int dm_os_socket_clients(const char *path);

/*
 * Changes the mode of the very file that (dev, ino) names, which is at `path`: never that of a
 * link's target, or of another file that has come there since. False with errno; ESTALE if it is
 * not that one any more.
 */
bool dm_os_chmod_same(const char *path, dev_t dev, ino_t ino, mode_t mode);

/* Where programs keep their state below a home directory: ".local/state" or "Library/..." */
const char *dm_os_state_subdir(void);

/*
 * The file that this process runs, links resolved (/proc/self/exe, proc(5); dyld(3)); NULL if the
 * kernel does not say. The caller owns it. After an upgrade it may be another one by now.
 */
char *dm_os_self_exe(void);

/* Whether services are started by launchd(8), not by systemd(1). */
bool dm_os_has_launchd(void);

/* The nanosecond part of st_ctime, which POSIX and macOS name differently (stat(3type)). */
struct stat;
long dm_os_ctime_nsec(const struct stat *st);

/* Name of the loopback interface. */
const char *dm_os_loopback(void);

/* File name of libcurl for dlopen(3). */
const char *dm_os_libcurl(void);
/* The same of OpenSSL 3's libcrypto. */
const char *dm_os_libcrypto(void);

/*
 * The program that opens an address in the user's browser: xdg-open(1), open(1); NULL if there is
 * no screen to show it on. Static storage.
 */
const char *dm_os_opener(void);

/* Makes getopt_long(3) begin anew with another argument vector. */
void dm_os_getopt_reset(void);

/*
 * argv of the command that adds the certificate at `path` to the system's trust store, where it
 * takes the place of one of the same `name` if that store has names; NULL if there is no such
 * command here. Static storage, valid until the next call and as long as the arguments.
 */
const char *const *dm_os_trust_command(const char *path, const char *name);

#endif
