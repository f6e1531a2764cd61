/* SPDX-License-Identifier: MIT */
/* The name server of devmeshd, asked by dig(1) and by hand. The domain is dev.test. */
#ifndef DEVMESH_HARNESS_DNS_H
#define DEVMESH_HARNESS_DNS_H

#include "harness_daemon.h"

/* devmeshd with a name server at that port of the loopback addresses. */
struct devmeshd *dns_daemon(struct world *w, int port);

/* "dns_server" of the API. */
cJSON *dns_document(struct world *w, const struct devmeshd *d);
double dns_count(struct world *w, const struct devmeshd *d, const char *key);
/* The document as text, for messages and for a look at all of it. */
const char *json_text(struct world *w, const cJSON *o);
/* Waits until that many have been counted. */
void dns_wait_count(struct world *w, const struct devmeshd *d, const char *key, double least);

/*
 * What dig prints for these words, asked at 127.0.0.1: without its remarks, and without what
 * differs each time. It has to get an answer.
 */
char *dig(struct world *w, int port, const char *words);
/* The same by the program and address that are named ("kdig"). */
char *
dig_by(struct world *w, const char *program, const char *address, int port, const char *words);

/* One question in bytes, with id and EDNS; its length. */
size_t dns_make(uint8_t out[512], unsigned id, const char *name, unsigned type);

/* A socket of that type from one loopback address (127.0.0.x) to the server, with a time limit. */
int dns_connect(int type, int from, int port);
/* A message with its length in front, as TCP has it. */
void dns_send_tcp(int fd, const uint8_t *message, size_t n);
/* The next one; 0: the connection has ended. */
size_t dns_read_tcp(int fd, uint8_t *out, size_t room);

#endif
