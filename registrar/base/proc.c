/* SPDX-License-Identifier: MIT */
/* What proc.h promises and no kernel has a say in. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static bool
no_descriptor_left(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE;
	(void)close(fd);
	return false;
}

bool
dm_proc_alive(const struct dm_proc_id *id)
{
	struct dm_proc_id now;

	if (id->pid <= 0)
		return false;
	if (dm_proc_id(id->pid, &now))
		return now.start == id->start;
	return (kill(id->pid, 0) == 0 || errno == EPERM) && no_descriptor_left();
}

void
dm_pids_add(struct dm_pids *pids, pid_t pid)
{
	/* sizes are powers of two */
	if ((pids->count & (pids->count - 1)) == 0)
		pids->list = dm_reallocarray(
		    pids->list, pids->count == 0 ? 1 : pids->count * 2, sizeof(*pids->list));
	pids->list[pids->count++] = pid;
}

bool
dm_pids_have(const struct dm_pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++) {
		if (pids->list[i] == pid)
			return true;
	}
	return false;
}

void
dm_pids_release(struct dm_pids *pids)
{
	free(pids->list);
	memset(pids, 0, sizeof(*pids));
}

void
dm_listeners_add(struct dm_listeners *l, const struct dm_listener *one)
{
	if ((l->count & (l->count - 1)) == 0)
		l->list =
		    dm_reallocarray(l->list, l->count == 0 ? 1 : l->count * 2, sizeof(*l->list));
	l->list[l->count++] = *one;
}

void
dm_listeners_release(struct dm_listeners *l)
{
	free(l->list);
	memset(l, 0, sizeof(*l));
}

static bool
is_any(const struct dm_listener *l)
{
	static const uint8_t zero[16];

	return memcmp(l->address, zero, l->ipv6 ? 16 : 4) == 0;
}

bool
dm_listener_is_local(const struct dm_listener *l)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, one[16] = {[15] = 1};

	if (is_any(l) || !l->ipv6)
		return is_any(l) || l->address[0] == 127;
	return memcmp(l->address, one, sizeof(one)) == 0 ||
	       (memcmp(l->address, mapped, sizeof(mapped)) == 0 && l->address[12] == 127);
}

/* The better of two listeners on a port: seen before not seen, loopback before any, the first. */
static bool
is_better(const struct dm_listener *a, const struct dm_listener *b)
{
	if ((a->pid != 0) != (b->pid != 0))
		return a->pid != 0;
	return !is_any(a) || is_any(b);
}

bool
dm_proc_owner_of_port(uint16_t port, pid_t *pid, uid_t *uid)
{
	struct dm_listeners found = {.count = 0};
	struct dm_listener best = {.pid = 0};
	bool any = false;

	dm_proc_of_ports(&port, 1, &found);
	for (size_t i = found.count; i-- > 0; any = true) {
		if (!any || is_better(&found.list[i], &best))
			best = found.list[i];
	}
	dm_listeners_release(&found);
	*pid = best.pid;
	*uid = best.uid;
	return any;
}

pid_t
dm_proc_of_port(uint16_t port)
{
	pid_t pid;
	uid_t uid;

	return dm_proc_owner_of_port(port, &pid, &uid) ? pid : 0;
}
