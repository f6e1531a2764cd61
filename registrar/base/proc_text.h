/* SPDX-License-Identifier: MIT */
/*
 * The texts of proc(5), taken apart. Pure. The kernel writes them, but names, paths and command
 * lines in them are whatever a process likes.
 */
#ifndef DEVMESH_PROC_TEXT_H
#define DEVMESH_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/listen.h"

/* What is wanted of /proc/<pid>/stat. */
struct dm_proc_stat {
	char state;
	pid_t parent, group;
	uint64_t start;
};
bool dm_text_stat(const char *text, struct dm_proc_stat *out);

/* The target of /proc/<pid>/fd/<n>: the inode of a socket; false if it is none. */
bool dm_text_socket(const char *link, uint64_t *inode);

/* A line of /proc/net/tcp or tcp6: false unless it is a socket that is listened on. */
bool dm_text_tcp(const char *line, struct dm_socket *out);

/* A line of /proc/net/udp or udp6: false unless it is a socket that takes packets from anybody. */
bool dm_text_udp(const char *line, struct dm_socket *out);

/*
 * A line of /proc/net/unix (without its newline): false unless it is a socket that is listened on
 * and has a path. The caller owns out->path.
 */
bool dm_text_unix(const char *line, struct dm_socket *out);

/* "/x (deleted)", as the link to a removed file or directory reads: cuts the end off if it is so.
 */
bool dm_text_deleted(char *link);

/*
 * A command line, /proc/<pid>/cmdline, on one line: its words with a blank in between, the first
 * one without its directories, at most DM_COMMAND_MAX bytes, as dm_printable() makes them. NULL if
 * it is empty. The caller owns it.
 */
#define DM_COMMAND_MAX 160
char *dm_text_command(const char *bytes, size_t len);

#endif
