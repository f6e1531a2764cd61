/* SPDX-License-Identifier: MIT */
/*
 * The unit of devmeshd (service_unit.h), written with the means of `devmesh setup`: as a part of
 * it, or by itself, for `devmesh service`.
 */
#ifndef DEVMESH_SETUP_DAEMON_H
#define DEVMESH_SETUP_DAEMON_H

#include "setup.h"

/*
 * Fills in what is written into it. False, with *why, if there is no devmeshd (DM_NOT_FOUND), or it
 * cannot become a service as it is configured: then it gets no unit. `config_file` (NULL: none) is
 * what the service is to read as well.
 */
bool setup_look_at_daemon(struct setup *setup, const char *config_file, struct dm_err *why) DM_MUST;

/* The configuration as the person with that home has it; the caller owns it. `file` as --config. */
struct conf *setup_conf_of(const char *home, const char *file, struct dm_err *err) DM_MUST;

/*
 * A setup of nothing but that unit, for setup_look(), setup_plan_commands() and what follows. The
 * caller owns it; the rest as setup_open().
 */
struct setup *setup_open_daemon(struct session *session, const struct setup_options *want,
    const char *config_file, struct dm_err *err) DM_MUST;

/* Ends a devmeshd of that person that its service manager has not started: they would collide. */
bool setup_end_by_hand(const struct setup *setup, struct dm_err *err) DM_MUST;

/*
 * Waits until the one that its service manager has started answers on its control socket; *pid is
 * its pid. At most 15 seconds.
 */
bool setup_verify_daemon(const struct setup *setup, pid_t *pid, struct dm_err *err) DM_MUST;

#endif
