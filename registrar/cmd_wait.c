/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "identity.h"
#include "out.h"
#include "wait.h"

enum {
	DEFAULT_MS = 60000
};

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	int64_t timeout_ms;

	if (!cmd_seconds(ctx, "timeout", DEFAULT_MS, &timeout_ms, err) ||
	    !cmd_claim(ctx, &claim, err) || !wait_for_service(claim, timeout_ms, NULL, err))
		return false;
	/* now that it is known who serves it */
	(void)identity_publish(ctx->session->registry, claim);
	out_url(claim, ctx->line->json);
	return true;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"timeout", 0, "SECONDS", false, "give up after this time (default 60)"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_wait;
const struct cmd cmd_wait = {
    .name = "wait",
    .args = "[ID]",
    .max_args = 1,
    .summary = "return when something answers at the URL, through Caddy",
    .help = "Prints the URL once the service itself has answered a request, whatever its status.\n"
	    "Exits with 7 when the time is over, saying what was missing.",
    .opts = opts,
    .run = run,
};
