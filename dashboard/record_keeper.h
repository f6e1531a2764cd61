/* SPDX-License-Identifier: MIT */
/*
 * Keeps the public DNS record (record.h) at the address of this machine: looks, and writes, when
 * that has changed and once an hour, in a worker; after a failure again, later each time, and not
 * before the provider wants it.
 */
#ifndef DEVMESH_RECORD_KEEPER_H
#define DEVMESH_RECORD_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;
struct daemon;
struct record_keeper;

/* Begins at once, if [record] is configured. The caller owns it. */
struct record_keeper *record_keeper_new(struct daemon *d);
void record_keeper_free(struct record_keeper *keeper);

/* The configuration was read again: also what has failed is tried at once, if the provider lets it.
 */
void record_keeper_reload(struct record_keeper *keeper);

/* What was found last, the document "Record" of openapi.json. The caller owns it. */
struct cJSON *record_keeper_json(const struct record_keeper *keeper);

/*
 * How long to wait after so many failures in a row, in seconds: from 5 to an hour, and at least
 * what the provider has asked for, if that is less than a day. `lasting`: trying again alone will
 * not help. Pure.
 */
int64_t record_keeper_patience(unsigned failures, bool lasting, int64_t retry_after_s);

#endif
