/* SPDX-License-Identifier: MIT */
/* proc(5). One open, one read and one close for each process: nothing else of it is looked at. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "usage_os.h"

enum {
	STAT_MAX = 1024,
	TEXT_MAX = 8192,
	PROCESSES_MAX = 65536,
	NAME_MAX_HERE = 32,
};

/* A small file of the kernel's, whole or its beginning; false if there is none. */
static bool
read_small(int dir, const char *path, char *buf, size_t size)
{
	DM_AUTO_CLOSE int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The process as it was, if it need not be read again; NULL: it has to be. */
static const struct usage_process *
known_nobodys(const struct usage_snapshot *known, pid_t pid, unsigned turn)
{
	const struct dm_proc_id id = {.pid = pid};
	size_t at = known == NULL || (unsigned)pid % USAGE_TURNS == turn % USAGE_TURNS
			? USAGE_NOBODY
			: usage_find(known, &id);

	return at == USAGE_NOBODY || known->list[at].owner != USAGE_NOBODY ? NULL
									   : &known->list[at];
}

bool
usage_read_processes(struct usage_snapshot *out, const struct usage_snapshot *known, unsigned turn)
{
	const struct usage_units units = {
	    .tick_us = 1000000 / sysconf(_SC_CLK_TCK), .page = sysconf(_SC_PAGESIZE)};
	DIR *dir = opendir("/proc");
	struct dirent *e;
	uint64_t pid;

	if (dir == NULL)
		return false;
	while ((e = readdir(dir)) != NULL && out->count < PROCESSES_MAX) {
		const struct usage_process *was;
		char path[NAME_MAX_HERE], text[STAT_MAX];
		struct usage_process p;

		if (!dm_parse_uint(e->d_name, 1, INT32_MAX, &pid))
			continue;
		if ((was = known_nobodys(known, (pid_t)pid, turn)) != NULL) {
			usage_add(out, was);
			continue;
		}
		/* one that ends meanwhile is not there */
		if (dm_snprintf(path, sizeof(path), "%s/stat", e->d_name) &&
		    read_small(dirfd(dir), path, text, sizeof(text)) &&
		    usage_text_process(text, &units, &p))
			usage_add(out, &p);
	}
	(void)closedir(dir);
	return e == NULL && out->count > 0;
}

void
usage_read_machine(struct usage_machine *out)
{
	char text[TEXT_MAX];

	*out = (struct usage_machine){.busy = -1,
	    .total = -1,
	    .cores = (int)sysconf(_SC_NPROCESSORS_ONLN),
	    .load1 = -1,
	    .memory_total = -1,
	    .memory_available = -1,
	    .uptime_s = -1};
	if (read_small(AT_FDCWD, "/proc/stat", text, sizeof(text)))
		(void)usage_text_processors(text, out);
	if (read_small(AT_FDCWD, "/proc/meminfo", text, sizeof(text)))
		(void)usage_text_memory(text, out);
	/* with a point, in the "C" locale that this program stays in */
	if (read_small(AT_FDCWD, "/proc/loadavg", text, sizeof(text)))
		out->load1 = strtod(text, NULL);
	if (read_small(AT_FDCWD, "/proc/uptime", text, sizeof(text)))
		out->uptime_s = strtoll(text, NULL, 10);
}
