/* SPDX-License-Identifier: MIT */
/*
 * What the services stand on, found out by a doctor (doctor.h): Caddy, its certificate, names, and
 * the file of the history. It takes up to DOCTOR_BUDGET_MS.
 */
#ifndef DEVMESH_SYSTEM_FACTS_H
#define DEVMESH_SYSTEM_FACTS_H

#include "base/err.h"

struct cJSON;

/*
 * The document "System" of openapi.json, without what devmeshd alone knows. `config_file`
 * (--config) and `host`, whose certificate is looked at, may be NULL. DM_USAGE: the configuration
 * cannot be read. The caller owns it.
 */
struct cJSON *system_facts(const char *config_file, const char *host, struct dm_err *err) DM_MUST;

#endif
