/* SPDX-License-Identifier: MIT */
#include "usage.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "services.h"
#include "usage_os.h"
#include "usage_tree.h"

enum {
	AGAIN_US = 1000000,
	/* nobody has looked for so long: what was used since then says nothing about now */
	FORGET_US = 60000000,
	LOOK_FDS = 4,
};

struct usage {
	const char *dir;
	struct usage_snapshot now, before;
	struct usage_sum *sums; /* for each process of `now` */
	uint64_t roots;		/* which there were, as a number */
	unsigned turn;
	struct usage_machine machine;
	double cpu; /* share of all processors; -1: not known yet */
	int64_t disk_total, disk_available;
};

struct usage *
usage_new(const char *dir)
{
	struct usage *usage = dm_calloc(1, sizeof(*usage));

	usage->dir = dir;
	usage->cpu = -1;
	return usage;
}

void
usage_free(struct usage *usage)
{
	if (usage == NULL)
		return;
	usage_release(&usage->now);
	usage_release(&usage->before);
	free(usage->sums);
	free(usage);
}

/* Its server, told apart from a later process by when it began, where that was seen. */
static struct dm_proc_id
server_of(const struct service *svc)
{
	struct dm_proc_id id = {.pid = svc->pid};

	for (size_t i = 0; i < SERVICE_WATCHED; i++) {
		if (svc->watched[i].pid == svc->pid)
			id = svc->watched[i];
	}
	return id;
}

/* FNV-1a of all roots: whether they are the same as the last time. */
static uint64_t
number_of_roots(const struct services *services)
{
	uint64_t hash = 14695981039346656037ULL;

	for (size_t i = 0; i < services_count(services); i++) {
		const struct service *svc = services_at(services, i);
		const struct dm_proc_id server = server_of(svc), *run = &svc->claim->run.runner;
		const uint64_t words[] = {
		    (uint64_t)run->pid, run->start, (uint64_t)server.pid, server.start};

		for (size_t k = 0; k < 4; k++)
			hash = (hash ^ words[k]) * 1099511628211ULL;
	}
	return hash;
}

static void
look_at_processes(struct usage *usage, const struct services *services, int64_t now)
{
	uint64_t roots = number_of_roots(services);
	bool same = roots == usage->roots;

	usage->roots = roots;
	usage_release(&usage->before);
	usage->before = usage->now;
	usage->now = (struct usage_snapshot){.at_us = now};
	free(usage->sums);
	usage->sums = NULL;
	if (now - usage->before.at_us > FORGET_US)
		usage_release(&usage->before);
	if (!usage_read_processes(&usage->now, same ? &usage->before : NULL, usage->turn++)) {
		/* half of them would be a lie */
		usage->now.count = 0;
		usage->now.at_us = 0;
	}
	usage_order(&usage->now);
	for (size_t i = 0; i < services_count(services); i++) {
		const struct service *svc = services_at(services, i);
		const struct dm_proc_id server = server_of(svc);

		(void)usage_make_root(&usage->now, &svc->claim->run.runner, &server);
	}
	usage_grow(&usage->now);
	usage->sums = usage_compare(&usage->now, &usage->before);
}

static void
look_at_machine(struct usage *usage)
{
	struct usage_machine before = usage->machine;
	struct statvfs disk;

	usage_read_machine(&usage->machine);
	usage->cpu = -1;
	/* `total` of a machine that was never looked at is 0 */
	if (before.total > 0 && usage->machine.total > before.total &&
	    usage->machine.busy >= before.busy)
		usage->cpu = (double)(usage->machine.busy - before.busy) /
			     (double)(usage->machine.total - before.total);
	if (usage->cpu > 1)
		usage->cpu = 1;
	usage->disk_total = usage->disk_available = -1;
	if (statvfs(usage->dir, &disk) == 0) {
		usage->disk_total = (int64_t)disk.f_blocks * (int64_t)disk.f_frsize;
		usage->disk_available = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
	}
}

void
usage_look(struct usage *usage, const struct services *services)
{
	int64_t now = dm_now_us();

	if (usage->sums != NULL && now - usage->now.at_us < AGAIN_US)
		return;
	if (!dm_fds_left(LOOK_FDS))
		return;
	if (now - usage->now.at_us > FORGET_US)
		usage->machine = (struct usage_machine){.total = 0};
	look_at_processes(usage, services, now);
	look_at_machine(usage);
}

/* A measurement, or null while there is none. */
static void
add(cJSON *o, const char *key, double value)
{
	(void)cJSON_AddItemToObject(
	    o, key, value < 0 ? cJSON_CreateNull() : cJSON_CreateNumber(value));
}

/* Shares with three digits behind the point: more are noise. */
static double
rounded(double value)
{
	return value < 0 ? -1 : (double)(int64_t)(value * 1000 + 0.5) / 1000;
}

struct cJSON *
usage_node(const struct usage *usage)
{
	const struct usage_machine *m = &usage->machine;
	cJSON *o = cJSON_CreateObject();

	add(o, "cpu", rounded(usage->cpu));
	add(o, "cores", m->cores <= 0 ? -1 : m->cores);
	add(o, "load1", m->load1);
	add(o, "memory_total", (double)m->memory_total);
	add(o, "memory_available", (double)m->memory_available);
	add(o, "disk_total", (double)usage->disk_total);
	add(o, "disk_available", (double)usage->disk_available);
	add(o, "uptime_s", (double)m->uptime_s);
	return o;
}

/* The sum that the service is in; NULL: none of its processes is known. */
static const struct usage_sum *
sum_of(const struct usage *usage, const struct service *svc)
{
	const struct dm_proc_id ids[] = {svc->claim->run.runner, server_of(svc)};

	for (size_t i = 0; i < 2; i++) {
		size_t at = ids[i].pid == 0 ? USAGE_NOBODY : usage_find(&usage->now, &ids[i]);

		if (at != USAGE_NOBODY && usage->now.list[at].owner != USAGE_NOBODY)
			return &usage->sums[usage->now.list[at].owner];
	}
	return NULL;
}

void
usage_add_service(const struct usage *usage, const struct service *svc, struct cJSON *o)
{
	const struct usage_sum *sum = usage->sums == NULL ? NULL : sum_of(usage, svc);

	/* one that has ended, and was not waited for, uses nothing */
	if (sum != NULL && sum->processes == 0)
		sum = NULL;
	add(o, "cpu", sum == NULL ? -1 : rounded(sum->cpu));
	add(o, "rss", sum == NULL ? -1 : (double)sum->rss);
	add(o, "processes", sum == NULL ? -1 : (double)sum->processes);
}
