/* SPDX-License-Identifier: MIT */
/*
 * A log file, followed line by line while Caddy writes and rolls it. It is looked at when somebody
 * says so (access_log_look), and costs little when nothing is new.
 */
#ifndef DEVMESH_ACCESS_LOG_H
#define DEVMESH_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct access_log;

enum {
	ACCESS_LOG_LINE_MAX = 16 << 10, /* bytes; longer lines are left out */
	ACCESS_LOG_BITE = 256 << 10,	/* bytes that one look reads at most */
	ACCESS_LOG_TAIL = 1 << 20,	/* bytes of what is there already that are read */
};

/* One line, without its newline; borrowed. */
typedef void access_log_fn(void *user, const char *line, size_t len);

/*
 * Follows the file `path`, "<name>.log", which may come later. Of what is there already the end is
 * read, and where that is little, the end of the newest "<name>-*.log" that it was rolled to. Only
 * a regular file of this user or root is read, and no link is followed. The caller owns it.
 */
struct access_log *access_log_new(const char *path, access_log_fn *fn, void *user);
void access_log_free(struct access_log *log);

/*
 * Calls fn for every line that is new, up to ACCESS_LOG_BITE bytes; whether there is more to read
 * at once. A file that has taken the path's place is begun when the old one is read to its end; of
 * two that have done so between two looks, the first is not seen.
 */
bool access_log_look(struct access_log *log);

/* Whether there is such a file. */
bool access_log_is_there(const struct access_log *log);

#endif
