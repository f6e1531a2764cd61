/* SPDX-License-Identifier: MIT */
/*
 * Sockets, seen from the client's side. A socket file proves nothing: servers that are ended by
 * a signal leave it behind. Only connect(2) tells whether somebody listens.
 */
#ifndef DEVMESH_SOCK_H
#define DEVMESH_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/err.h"

enum dm_sock_state {
	DM_SOCK_ABSENT,	   /* no such file, or a dangling link */
	DM_SOCK_REFUSED,   /* a socket file that nobody listens on: stale */
	DM_SOCK_BOUND,	   /* the same, but a process has bound it and may be about to listen */
	DM_SOCK_LISTENING, /* somebody does (a full backlog counts; BSD kernels refuse then) */
	DM_SOCK_DENIED,	   /* there is one, but we may not connect: unknown */
	DM_SOCK_UNKNOWN,   /* no descriptor or memory was left to find out */
	DM_SOCK_OTHER,	   /* a file that is no socket is in the way */
};

struct dm_sock_info {
	enum dm_sock_state state;
	bool exists;  /* the name is there, be it a dangling link: `owner` is set */
	bool is_link; /* the name itself is a symbolic link */
	uid_t owner;  /* of the file (not of a link's target) */
	dev_t dev;    /* which file was looked at, for dm_sock_unlink_stale */
	ino_t ino;
	pid_t pid; /* of the listener; 0 if unknown */
	uid_t listener_uid;
};

/* The longest path a Unix socket can have here: sizeof sun_path less one (unix(7): 107, macOS:
 * 103). */
size_t dm_sock_path_max(void);

/* Looks at `path` with one non-blocking connect. Never fails: what cannot be told is a state. */
void dm_sock_probe(const char *path, struct dm_sock_info *out);

/*
 * Removes a stale socket: only if it is ours, still the inode of `seen`, and a second connect is
 * refused as well. *removed tells whether it went; a socket that came to life is no error.
 */
bool dm_sock_unlink_stale(
    const char *path, const struct dm_sock_info *seen, bool *removed, struct dm_err *err) DM_MUST;

/* A connected, close-on-exec Unix stream socket; -1 with *err set. The caller closes it. */
int dm_sock_connect_unix(const char *path, int64_t timeout_ms, struct dm_err *err) DM_MUST;

/* The same over TCP; `host` is a name or an address ("localhost" tries both families). */
int dm_sock_connect_tcp(
    const char *host, uint16_t port, int64_t timeout_ms, struct dm_err *err) DM_MUST;

struct dm_sock_address {
	struct sockaddr_storage address;
	socklen_t length;
};

/*
 * The TCP addresses of `host`, as dm_sock_connect_tcp() tries them: how many, at most `max`. A name
 * other than "localhost" is looked up, which may take a while.
 */
size_t
dm_sock_tcp_addresses(const char *host, uint16_t port, struct dm_sock_address *out, size_t max);

/* The address of a Unix socket; false if the path is too long. */
bool dm_sock_unix_address(const char *path, struct dm_sock_address *out) DM_MUST;

/*
 * Binds and listens on `path`, a file that has `mode` from the first (bind(2), umask(2)). *dev and
 * *ino tell it apart from a later one. The caller owns the descriptor, which is close-on-exec and
 * non-blocking; -1: *err is set, DM_CONFLICT if the path is taken.
 */
int dm_sock_listen_unix(
    const char *path, mode_t mode, dev_t *dev, ino_t *ino, struct dm_err *err) DM_MUST;

/*
 * Removes a stale socket of ours that is in the way of dm_sock_listen_unix(). For whoever knows, by
 * a lock, that it is nobody else's. DM_CONFLICT if somebody listens, or it is no such socket.
 */
bool dm_sock_make_way(const char *path, struct dm_err *err) DM_MUST;

/* Removes the socket, if it is still the very file that dm_sock_listen_unix() has made. */
void dm_sock_unlink_own(const char *path, dev_t dev, ino_t ino);

/*
 * Whether somebody listens on the loopback TCP port, on either address family: also one who does
 * not accept (stopped, or its queue is full). It is not connected to where the kernel says so.
 */
bool dm_tcp_listening(uint16_t port);

/*
 * Whether a TCP listener could be bound to the port on 127.0.0.1 (and ::1 where there is IPv6);
 * 0 if yes, else an errno value. Asked without SO_REUSEPORT: with it two Caddys share a port.
 */
int dm_tcp_bind_errno(uint16_t port);

/*
 * The interface that packets to the Internet leave by, by name; false if there is none. Nothing
 * is sent to find out.
 */
bool dm_default_interface(char *out, size_t size) DM_MUST;

/* Whether this machine has the IPv6 loopback address. */
bool dm_has_ipv6_loopback(void);
/* The same, and what kept it from being found out, a lack of descriptors for instance, else 0. */
bool dm_find_ipv6_loopback(int *lack);

#endif
