/* SPDX-License-Identifier: MIT */
/* start, stop and restart of a service, by devmeshd; start and stop of the mesh: cmd_local.c. */
#include "cmd_restart.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "companion.h"
#include "detach.h"
#include "out.h"

enum {
	WAIT_MS = 60000
};

/* Also of one that was taken down by a restart of the machine, and whose command is known. */
static bool
get_id(struct cmd_ctx *ctx, struct slug *id, struct claim **claim, struct dm_err *err)
{
	if (cmd_claim(ctx, claim, err)) {
		*id = (*claim)->id;
		return true;
	}
	return err->code == DM_NOT_FOUND && cmd_arg(ctx, 0) != NULL &&
	       slug_parse(cmd_arg(ctx, 0), id, err);
}

static void
print(
    const struct cmd_ctx *ctx, const struct slug *id, const struct claim *claim, const char *state)
{
	if (ctx->line->json) {
		cJSON *o = out_object();

		(void)cJSON_AddStringToObject(o, "id", id->s);
		(void)cJSON_AddStringToObject(o, "state", state);
		out_add_text(o, "url", claim == NULL ? NULL : claim->url);
		out_json(o);
	} else if (claim != NULL && strcmp(state, "started") == 0) {
		(void)puts(claim->url);
	} else {
		dm_note("%s is %s", id->s, state);
	}
}

/* Without devmeshd a run in a terminal can be ended all the same. */
static bool
stop(struct cmd_ctx *ctx, const struct slug *id, const struct claim *claim, struct dm_err *err)
{
	if (detach_tell(ctx->session, id->s, "stop", err))
		return true;
	return err->code == DM_UNREACHABLE && claim != NULL && claim->run.runner.pid != 0 &&
	       dm_proc_alive(&claim->run.runner) && runner_stop(claim, err);
}

bool
restart_service(struct cmd_ctx *ctx, const char *verb, struct dm_err *err)
{
	COMPANION_AUTO struct companion daemon = {.pid = 0};
	dm_auto(claim) claim = NULL;
	dm_auto(claim) now = NULL;
	struct slug id;

	if (!get_id(ctx, &id, &claim, err))
		return false;
	if (strcmp(verb, "stop") == 0) {
		if (!stop(ctx, &id, claim, err))
			return false;
		print(ctx, &id, claim, "stopped");
		return true;
	}
	if (!session_need_state_dir(ctx->session, err) ||
	    !companion_start(ctx->session, session_config_file(ctx->line->config), &daemon, err) ||
	    !detach_tell(ctx->session, id.s, verb, err) ||
	    !detach_wait(ctx->session, id.s, WAIT_MS, &now, err))
		return false;
	print(ctx, &id, now, "started");
	return true;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	return restart_service(ctx, "restart", err);
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_restart;
const struct cmd cmd_restart = {
    .name = "restart",
    .args = "[ID]",
    .max_args = 1,
    .summary = "restart a service that devmesh run -d has started",
    .help = "Returns when it answers again, through Caddy.",
    .opts = opts,
    .run = run,
};
