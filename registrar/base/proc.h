/* SPDX-License-Identifier: MIT */
/*
 * Processes as the kernel shows them: proc(5) on Linux, libproc.h on macOS (proc_linux.c and
 * proc_darwin.c). What belongs to another user cannot be seen and counts as unknown.
 */
#ifndef DEVMESH_PROC_H
#define DEVMESH_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A process, told apart from a later one with the same pid by the time it began. The unit of
 * `start` is the kernel's own, never 0: compare for equality only.
 */
struct dm_proc_id {
	pid_t pid;
	uint64_t start;
};

/* Who has this pid now; false if nobody has. A zombie counts as ended. */
bool dm_proc_id(pid_t pid, struct dm_proc_id *out);
/*
 * Whether that very process still runs. Where it cannot be looked at for want of descriptors, any
 * process of this pid counts: nobody is to be taken for dead because of that.
 */
bool dm_proc_alive(const struct dm_proc_id *id);

/*
 * Its working directory, links resolved; NULL if unknown, removed, or not under that path here (a
 * container's own file system). The caller owns it.
 */
char *dm_proc_cwd(pid_t pid);
/*
 * The same, also if the directory was removed since (*removed): then the path that it had. The
 * caller owns it.
 */
char *dm_proc_cwd_last(pid_t pid, bool *removed);
/*
 * The kernel's own text for it, to be compared with an earlier one: one system call. False if it is
 * unknown, or does not fit.
 */
bool dm_proc_cwd_text(pid_t pid, char *out, size_t size);
/* Its short name ("node"); NULL if unknown. The caller owns it. */
char *dm_proc_name(pid_t pid);
/* The file name of the program that it runs, which it cannot choose; NULL if unknown. The caller
 * owns it. */
char *dm_proc_program(pid_t pid);
/* Its command line as dm_text_command() shows it; NULL if unknown. The caller owns it. */
char *dm_proc_command(pid_t pid);
/* The pid of its parent; 0 if unknown. */
pid_t dm_proc_parent(pid_t pid);
/* The value of a variable in the environment it was started with; NULL if unknown or not set. The
 * caller owns it. */
char *dm_proc_env(pid_t pid, const char *name);

struct dm_pids {
	pid_t *list; /* owned: dm_pids_release */
	size_t count;
};

void dm_pids_add(struct dm_pids *pids, pid_t pid);
bool dm_pids_have(const struct dm_pids *pids, pid_t pid);
void dm_pids_release(struct dm_pids *pids);

/* Adds all live processes, also those of other users. */
void dm_proc_all(struct dm_pids *out);
/* Adds all live descendants of `root`, without itself. */
void dm_proc_descendants(pid_t root, struct dm_pids *out);
/* Adds all live processes of the process group. */
void dm_proc_group(pid_t group, struct dm_pids *out);

/* A TCP socket that is being listened on. */
struct dm_listener {
	pid_t pid;
	uid_t uid; /* whose socket it is, known also where the process is not */
	uint16_t port;
	bool ipv6;
	uint8_t address[16]; /* network order; the first 4 bytes for IPv4 */
};

struct dm_listeners {
	struct dm_listener *list; /* owned: dm_listeners_release */
	size_t count;
};

/* Adds what the processes listen on, in the order of the kernel's table. */
void dm_proc_listeners(const struct dm_pids *pids, struct dm_listeners *out);
void dm_listeners_add(struct dm_listeners *l, const struct dm_listener *one);
void dm_listeners_release(struct dm_listeners *l);

/*
 * Adds every socket of this machine that listens on one of the ports, with pid 0 where its process
 * may not be seen. One look at all processes, however many ports there are.
 */
void dm_proc_of_ports(const uint16_t *ports, size_t count, struct dm_listeners *out);

/* The same of the sockets that take UDP packets to the port from anybody; on macOS none. */
void dm_proc_of_udp_port(uint16_t port, struct dm_listeners *out);

/* Whether connections to the loopback address of its family can reach the listener. */
bool dm_listener_is_local(const struct dm_listener *listener);

/*
 * The process that listens on the TCP port of this machine, if it may be seen; 0: unknown. An
 * address of 127.0.0.1 or ::1 goes before one of all interfaces.
 */
pid_t dm_proc_of_port(uint16_t port);

/* The same with whose socket it is; false if nobody is seen to listen there. *pid may be 0. */
bool dm_proc_owner_of_port(uint16_t port, pid_t *pid, uid_t *uid);

/*
 * Makes this process the one that orphans among its descendants are given to, instead of init:
 * they stay its descendants (prctl(2), PR_SET_CHILD_SUBREAPER). False where there is no such
 * thing.
 */
bool dm_proc_adopt_orphans(void);

#endif
