/* SPDX-License-Identifier: MIT */
/*
 * What the machine and the services use of it: processor, memory, disk. Measured when somebody
 * looks; what is a rate is over the time since the look before.
 */
#ifndef DEVMESH_USAGE_H
#define DEVMESH_USAGE_H

struct cJSON;
struct service;
struct services;
struct usage;

/* `dir`, which is borrowed: whose file system is looked at. The caller owns it. */
struct usage *usage_new(const char *dir);
void usage_free(struct usage *usage);

/* Looks at all processes and at the machine; again only after a second: ticks are coarse. */
void usage_look(struct usage *usage, const struct services *services);

/* The machine, as "NodeLoad" in openapi.json has it. The caller owns it. */
struct cJSON *usage_node(const struct usage *usage);

/*
 * Adds "cpu", "rss" and "processes" of the service: of its devmesh run with all below it, else of
 * its server. What is unknown is null.
 */
void
usage_add_service(const struct usage *usage, const struct service *service, struct cJSON *object);

#endif
