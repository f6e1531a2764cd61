/* SPDX-License-Identifier: MIT */
/*
 * The page that sets up a phone, on the network's address and [lan] phone_port: in plain HTTP,
 * since the phone trusts nothing yet. It is all that devmeshd itself shows to other devices: what
 * it takes to reach this machine's names, and the root certificate; no service, no key.
 */
#ifndef DEVMESH_PHONE_H
#define DEVMESH_PHONE_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;
struct daemon;
struct phone;

/* Listens as soon as the network is there (lan.h), and wherever it is. The caller owns it. */
struct phone *phone_new(struct daemon *d);
void phone_free(struct phone *phone);

/* The configuration was read again; or the daemon ends, and nobody new is let in. */
void phone_settle(struct phone *phone);

/* Whether what was found is younger than that; if not, a look begins, unless one is under way. */
bool phone_want(struct phone *phone, int64_t max_age_ms);
bool phone_busy(const struct phone *phone);
/* The document "Phone" of openapi.json; the caller owns it. */
struct cJSON *phone_document(const struct phone *phone);

#endif
