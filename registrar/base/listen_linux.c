/* SPDX-License-Identifier: MIT */
/* sock_diag(7) says what is listened on, the links in /proc/<pid>/fd who has it open. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/mem.h"
#include "base/proc_text.h"
#include "base/str.h"

/* The sockets of one of the tables in /proc/net. */
static void
read_table(
    const char *table, bool (*parse)(const char *, struct dm_socket *), struct dm_sockets *out)
{
	FILE *f = fopen(table, "re");
	char line[512];
	struct dm_socket one;

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (parse(line, &one))
			dm_sockets_add(out, &one);
	}
	(void)fclose(f);
}

void
dm_tcp_sockets(struct dm_sockets *out)
{
	size_t before = out->count;

	if (dm_diag_tcp(out))
		return;
	out->count = before;
	read_table("/proc/net/tcp", dm_text_tcp, out);
	read_table("/proc/net/tcp6", dm_text_tcp, out);
}

void
dm_udp_sockets(struct dm_sockets *out)
{
	read_table("/proc/net/udp", dm_text_udp, out);
	read_table("/proc/net/udp6", dm_text_udp, out);
}

bool
dm_listen_has_port(uint16_t port)
{
	return dm_diag_tcp_port(AF_INET, port) || dm_diag_tcp_port(AF_INET6, port);
}

bool
dm_listen_may_have_port(uint16_t port)
{
	struct dm_sockets sockets = {.count = 0};
	bool found;

	dm_tcp_sockets(&sockets);
	found = sockets.count == 0; /* of a machine where nobody listens more is not to be had */
	for (size_t i = 0; i < sockets.count && !found; i++)
		found = sockets.list[i].listener.port == port &&
			dm_listener_is_local(&sockets.list[i].listener);
	dm_sockets_release(&sockets);
	return found;
}

static void
unix_sockets(struct dm_sockets *out)
{
	size_t before = out->count;

	if (dm_diag_unix(out))
		return;
	while (out->count > before)
		free(out->list[--out->count].path);
	read_table("/proc/net/unix", dm_text_unix, out);
}

void
dm_listen_sockets(struct dm_sockets *out)
{
	uid_t us = geteuid();
	size_t kept = 0;

	dm_tcp_sockets(out);
	unix_sockets(out);
	for (size_t i = 0; i < out->count; i++) {
		struct dm_socket *s = &out->list[i];

		if (s->uid == us || s->uid == (uid_t)-1)
			out->list[kept++] = *s;
		else
			free(s->path);
	}
	out->count = kept;
	dm_sockets_sort(out);
}

void
dm_listen_processes(const struct dm_searched *searched, struct dm_pids *out)
{
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	uid_t us = geteuid();
	uint64_t pid;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (!dm_parse_uint(entry->d_name, 1, INT_MAX, &pid))
			continue;
		/* the directory of a process that may not be looked into is root's: proc(5) */
		if (dm_searched_find(searched, (pid_t)pid) != NULL ||
		    (fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && st.st_uid == us))
			dm_pids_add(out, (pid_t)pid);
	}
	if (d != NULL)
		(void)closedir(d);
}

size_t
dm_listen_count(pid_t pid)
{
	char name[32];
	struct stat st;

	/* since Linux 6.2; before, it is 0 */
	(void)snprintf(name, sizeof(name), "/proc/%ld/fd", (long)pid);
	return stat(name, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
}

size_t
dm_listen_held(pid_t pid, const struct dm_sockets *sockets, struct dm_holders *out)
{
	char name[32], target[64];
	const struct dirent *entry;
	uint64_t number, inode;
	size_t count = 0;
	DIR *d;

	(void)snprintf(name, sizeof(name), "/proc/%ld/fd", (long)pid);
	d = opendir(name);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		ssize_t n;

		if (!dm_parse_uint(entry->d_name, 0, INT_MAX, &number))
			continue;
		count++;
		/* nobody listens on the standard streams; to look costs, and everybody has them */
		if (number <= STDERR_FILENO)
			continue;
		n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (dm_text_socket(target, &inode) && dm_sockets_find(sockets, inode) != NULL)
			dm_holders_add(out, inode, pid);
	}
	if (d != NULL)
		(void)closedir(d);
	return count;
}
