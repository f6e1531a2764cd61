/* SPDX-License-Identifier: MIT */
/* How other devices reach this machine, as the configuration has it now, and as JSON. */
#ifndef DEVMESH_NETWORK_H
#define DEVMESH_NETWORK_H

#include "conf/conf.h"
#include "model/lan_choice.h"

struct cJSON;

/* [lan] of the configuration; borrows from it. */
struct lan_wish network_wish(const struct conf *conf);

/* Looks at the interfaces, and chooses. out->serial is left alone: devmeshd has it. */
bool network_look(const struct conf *conf, struct lan_state *out, struct dm_err *err) DM_MUST;

/* The document "Network" of openapi.json; without its serial that is null. The caller owns it. */
struct cJSON *network_json(const struct lan_state *state, bool has_serial);

#endif
