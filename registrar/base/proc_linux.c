/* SPDX-License-Identifier: MIT */
/* proc(5): everything here is a small text file of the kernel's. */
#include <dirent.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/proc_text.h"
#include "base/str.h"

enum {
	STAT_MAX = 1024,
	COMMAND_MAX = 4096,
	TEXT_MAX = 1 << 16,
	ENVIRON_MAX = 1 << 21
};

static bool
read_proc(pid_t pid, const char *name, struct dm_str *out)
{
	char path[64];
	struct dm_err ignored;

	return dm_snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name) &&
	       dm_read_file(path, out, &ignored) && out->len > 0;
}

static bool
read_stat(pid_t pid, struct dm_proc_stat *out)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(STAT_MAX);

	return read_proc(pid, "stat", &text) && dm_text_stat(text.data, out);
}

static bool
has_ended(const struct dm_proc_stat *line)
{
	return line->state == 'Z' || line->state == 'X';
}

bool
dm_proc_id(pid_t pid, struct dm_proc_id *out)
{
	struct dm_proc_stat line;

	if (pid <= 0 || !read_stat(pid, &line) || has_ended(&line))
		return false;
	*out = (struct dm_proc_id){.pid = pid, .start = line.start + 1};
	return true;
}

bool
dm_proc_cwd_text(pid_t pid, char *out, size_t size)
{
	char path[64];
	ssize_t n;

	if (size == 0 || !dm_snprintf(path, sizeof(path), "/proc/%ld/cwd", (long)pid))
		return false;
	n = readlink(path, out, size - 1);
	out[n < 0 ? 0 : n] = '\0';
	return n > 0 && (size_t)n < size - 1 && out[0] == '/';
}

/* Whether what the process calls `name` in its directory of proc(5) is what `path` is here. */
static bool
is_same(pid_t pid, const char *name, const char *path)
{
	char link[64];
	struct stat own, here;

	return dm_snprintf(link, sizeof(link), "/proc/%ld/%s", (long)pid, name) &&
	       stat(link, &own) == 0 && stat(path, &here) == 0 && own.st_dev == here.st_dev &&
	       own.st_ino == here.st_ino;
}

char *
dm_proc_cwd(pid_t pid)
{
	char target[PATH_MAX];

	/* "/app (deleted)", or the path in another mount namespace: only what is there too counts
	 */
	if (!dm_proc_cwd_text(pid, target, sizeof(target)) || !is_same(pid, "cwd", target))
		return NULL;
	return dm_strdup(target);
}

char *
dm_proc_cwd_last(pid_t pid, bool *removed)
{
	char target[PATH_MAX];

	*removed = false;
	if (!dm_proc_cwd_text(pid, target, sizeof(target)))
		return NULL;
	if (!is_same(pid, "cwd", target)) {
		*removed = dm_text_deleted(target) && is_same(pid, "root", "/");
		if (!*removed)
			return NULL;
	}
	return dm_strdup(target);
}

char *
dm_proc_name(pid_t pid)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(64);

	if (!read_proc(pid, "comm", &text))
		return NULL;
	return dm_strndup(text.data, strcspn(text.data, "\n"));
}

char *
dm_proc_env(pid_t pid, const char *name)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(ENVIRON_MAX);
	size_t length = strlen(name);

	if (!read_proc(pid, "environ", &text))
		return NULL;
	for (const char *p = text.data; p < text.data + text.len; p += strlen(p) + 1) {
		if (strncmp(p, name, length) == 0 && p[length] == '=')
			return dm_strdup(p + length + 1);
	}
	return NULL;
}

char *
dm_proc_program(pid_t pid)
{
	char path[64], target[PATH_MAX];
	ssize_t n;

	if (!dm_snprintf(path, sizeof(path), "/proc/%ld/exe", (long)pid))
		return NULL;
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return NULL;
	target[n] = '\0';
	(void)dm_text_deleted(target); /* it was updated while it ran */
	return dm_path_base(target);
}

char *
dm_proc_command(pid_t pid)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(COMMAND_MAX);

	return read_proc(pid, "cmdline", &text) ? dm_text_command(text.data, text.len) : NULL;
}

pid_t
dm_proc_parent(pid_t pid)
{
	struct dm_proc_stat line;

	return read_stat(pid, &line) ? line.parent : 0;
}

/* Calls fn for every number that is a name in the directory. */
static bool
each_number(const char *dir, void (*fn)(pid_t number, void *user), void *user)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	uint64_t number;

	if (d == NULL)
		return false;
	while ((entry = readdir(d)) != NULL) {
		if (dm_parse_uint(entry->d_name, 1, INT_MAX, &number))
			fn((pid_t)number, user);
	}
	(void)closedir(d);
	return true;
}

static void
collect(pid_t number, void *user)
{
	dm_pids_add(user, number);
}

void
dm_proc_all(struct dm_pids *out)
{
	(void)each_number("/proc", collect, out);
}

/* Whether this kernel lists children (CONFIG_PROC_CHILDREN). */
static bool
lists_children(void)
{
	char path[80];

	(void)snprintf(
	    path, sizeof(path), "/proc/%ld/task/%ld/children", (long)getpid(), (long)getpid());
	return access(path, R_OK) == 0;
}

/* Each thread has a list of those it has started. */
static void
add_children(pid_t pid, struct dm_pids *out)
{
	struct dm_pids tasks = {.count = 0};
	char path[80];

	(void)snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
	(void)each_number(path, collect, &tasks);
	for (size_t i = 0; i < tasks.count; i++) {
		DM_AUTO_STR struct dm_str text = dm_str_make(TEXT_MAX);
		char *next;

		(void)snprintf(path, sizeof(path), "task/%ld/children", (long)tasks.list[i]);
		if (!read_proc(pid, path, &text))
			continue;
		for (char *p = text.data;; p = next) {
			long child = strtol(p, &next, 10);

			if (next == p)
				break;
			dm_pids_add(out, (pid_t)child);
		}
	}
	dm_pids_release(&tasks);
}

/* The same from everybody's parents, for kernels built without those files. */
static void
descend_by_parents(pid_t root, struct dm_pids *out)
{
	struct dm_pids all = {.count = 0};
	DM_AUTO_FREE pid_t *parents = NULL;
	size_t first = out->count, next = first;

	dm_proc_all(&all);
	parents = dm_calloc(all.count + 1, sizeof(*parents));
	for (size_t i = 0; i < all.count; i++) {
		struct dm_proc_stat line;

		if (read_stat(all.list[i], &line) && !has_ended(&line))
			parents[i] = line.parent;
	}
	for (pid_t parent = root; parent != 0; parent = next < out->count ? out->list[next++] : 0) {
		for (size_t i = 0; i < all.count; i++) {
			if (parents[i] == parent && !dm_pids_have(out, all.list[i]))
				dm_pids_add(out, all.list[i]);
		}
	}
	dm_pids_release(&all);
}

void
dm_proc_descendants(pid_t root, struct dm_pids *out)
{
	struct dm_pids found = {.count = 0};
	struct dm_proc_id alive;
	size_t next = 0;

	if (!lists_children()) {
		descend_by_parents(root, out);
		return;
	}
	for (pid_t parent = root; parent != 0; parent = next < found.count ? found.list[next++] : 0)
		add_children(parent, &found);
	for (size_t i = 0; i < found.count; i++) {
		if (dm_proc_id(found.list[i], &alive))
			dm_pids_add(out, found.list[i]);
	}
	dm_pids_release(&found);
}

void
dm_proc_group(pid_t group, struct dm_pids *out)
{
	struct dm_pids all = {.count = 0};

	dm_proc_all(&all);
	for (size_t i = 0; i < all.count; i++) {
		struct dm_proc_stat line;

		if (read_stat(all.list[i], &line) && line.group == group && !has_ended(&line))
			dm_pids_add(out, all.list[i]);
	}
	dm_pids_release(&all);
}

/* The sockets that processes have open: inode numbers, and whose they are. */
struct owned_inode {
	uint64_t inode;
	pid_t pid;
};

struct inodes {
	struct owned_inode *list;
	size_t count;
};

static void
add_inodes(pid_t pid, struct inodes *out)
{
	char dir[64], target[64];
	const struct dirent *entry;
	DIR *d;

	(void)snprintf(dir, sizeof(dir), "/proc/%ld/fd", (long)pid);
	if ((d = opendir(dir)) == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);
		uint64_t inode;

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (!dm_text_socket(target, &inode))
			continue;
		if ((out->count & (out->count - 1)) == 0)
			out->list = dm_reallocarray(
			    out->list, out->count == 0 ? 1 : out->count * 2, sizeof(*out->list));
		out->list[out->count++] = (struct owned_inode){.inode = inode, .pid = pid};
	}
	(void)closedir(d);
}

/* Calls fn for every socket of this machine that `look` finds. */
static void
each_socket(void (*look)(struct dm_sockets *out),
    void (*fn)(const struct dm_listener *socket, uint64_t inode, void *user), void *user)
{
	struct dm_sockets sockets = {.count = 0};

	look(&sockets);
	for (size_t i = 0; i < sockets.count; i++) {
		struct dm_listener listener = sockets.list[i].listener;

		listener.uid = sockets.list[i].uid;
		fn(&listener, sockets.list[i].inode, user);
	}
	dm_sockets_release(&sockets);
}

struct match {
	const struct inodes *inodes;
	struct dm_listeners *out;
};

static void
match_inode(const struct dm_listener *socket, uint64_t inode, void *user)
{
	const struct match *m = user;

	for (size_t i = 0; i < m->inodes->count; i++) {
		if (m->inodes->list[i].inode == inode) {
			struct dm_listener found = *socket;

			found.pid = m->inodes->list[i].pid;
			dm_listeners_add(m->out, &found);
			return; /* shared with a parent or child: the first one will do */
		}
	}
}

void
dm_proc_listeners(const struct dm_pids *pids, struct dm_listeners *out)
{
	struct inodes inodes = {.count = 0};
	struct match match = {.inodes = &inodes, .out = out};

	for (size_t i = 0; i < pids->count; i++)
		add_inodes(pids->list[i], &inodes);
	if (inodes.count > 0)
		each_socket(dm_tcp_sockets, match_inode, &match);
	free(inodes.list);
}

/* Sockets whose processes are being looked for; sorted by inode once they are complete. */
struct wanted {
	uint8_t ports[(UINT16_MAX + 1) / 8]; /* a bit for each */
	struct wanted_socket {
		uint64_t inode;
		struct dm_listener listener;
	} * list;
	size_t count, open; /* open: without a process so far */
};

static void
want_socket(const struct dm_listener *socket, uint64_t inode, void *user)
{
	struct wanted *w = user;

	if ((w->ports[socket->port / 8] & 1U << socket->port % 8) == 0)
		return;
	w->list = dm_reallocarray(w->list, w->count + 1, sizeof(*w->list));
	w->list[w->count++] = (struct wanted_socket){.inode = inode, .listener = *socket};
}

static int
by_inode(const void *a, const void *b)
{
	const struct wanted_socket *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void
find_sockets(struct wanted *w, pid_t pid)
{
	struct inodes inodes = {.count = 0};

	add_inodes(pid, &inodes);
	for (size_t i = 0; i < inodes.count; i++) {
		struct wanted_socket key = {.inode = inodes.list[i].inode}, *found;

		found = bsearch(&key, w->list, w->count, sizeof(*w->list), by_inode);
		/* shared with a parent or child: the first one will do */
		if (found != NULL && found->listener.pid == 0) {
			found->listener.pid = pid;
			w->open--;
		}
	}
	free(inodes.list);
}

static void
of_ports(void (*look)(struct dm_sockets *out), const uint16_t *ports, size_t count,
    struct dm_listeners *out)
{
	struct wanted w = {.count = 0};
	struct dm_pids all = {.count = 0};

	for (size_t i = 0; i < count; i++)
		w.ports[ports[i] / 8] |= (uint8_t)(1U << ports[i] % 8);
	each_socket(look, want_socket, &w);
	if (w.count > 0) {
		qsort(w.list, w.count, sizeof(*w.list), by_inode);
		dm_proc_all(&all);
	}
	w.open = w.count;
	for (size_t i = 0; i < all.count && w.open > 0; i++)
		find_sockets(&w, all.list[i]);
	for (size_t i = 0; i < w.count; i++)
		dm_listeners_add(out, &w.list[i].listener);
	dm_pids_release(&all);
	free(w.list);
}

void
dm_proc_of_ports(const uint16_t *ports, size_t count, struct dm_listeners *out)
{
	of_ports(dm_tcp_sockets, ports, count, out);
}

void
dm_proc_of_udp_port(uint16_t port, struct dm_listeners *out)
{
	of_ports(dm_udp_sockets, &port, 1, out);
}

bool
dm_proc_adopt_orphans(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}
