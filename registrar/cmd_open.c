/* SPDX-License-Identifier: MIT */
/* open: the dashboard, logged in. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/spawn.h"
#include "cmd.h"
#include "out.h"

enum {
	ANSWER_MS = 10000,
	OPENING_MS = 3000, /* what an opener takes to say that it cannot */
	POLL_MS = 20
};

/*
 * Whether the system's opener has taken the address. Some end at once, some only with the browser:
 * one that still runs after a moment has found it.
 */
static bool
open_browser(const char *url)
{
	const char *const argv[] = {dm_os_opener(), url, NULL};
	int64_t end = dm_now_ms() + OPENING_MS;
	struct dm_err err;
	int status = 0;
	pid_t pid;

	if (argv[0] == NULL)
		return false;
	if (!dm_start_background(argv, "/dev/null", &pid, &err)) {
		dm_debug("%s", err.msg);
		return false;
	}
	while (!dm_child_ended(pid, &status)) {
		if (dm_now_ms() > end)
			return true;
		dm_pause_ms(POLL_MS);
	}
	if (status != 0)
		dm_debug("%s: status %d", argv[0], status);
	return status == 0;
}

static bool
run_open(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct ask_status status;
	dm_auto(ctl) ctl = ask_open(ctx->session, &status, err);
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	const char *url;

	if (ctl == NULL || !ctl_ask(ctl, "POST", "/control/login", NULL, ANSWER_MS, &reply, err))
		return false;
	if (reply.status >= 400)
		return ctl_refused(&reply, "opening the dashboard", err);
	if (ctx->line->json) {
		out_json(cJSON_Duplicate(reply.body, true));
		return true;
	}
	url = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply.body, "url"));
	if (url == NULL)
		return dm_fail(err, DM_FAILED, "opening the dashboard: devmeshd gives no address");
	if (cmd_value(ctx, "print") == NULL && open_browser(url)) {
		dm_note("the browser has been asked to open the dashboard");
		return true;
	}
	(void)puts(url);
	dm_note("it logs in one browser, once, within a minute");
	return true;
}

static const struct cmd_opt open_opts[] = {
    {"print", 0, NULL, false, "print the address instead of opening a browser"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_open;

const struct cmd cmd_open = {
    .name = "open",
    .args = "",
    .summary = "open the dashboard in a browser, logged in",
    .help = "Without a login the dashboard only shows. Its address is good for one login within a\n"
	    "minute; the login lasts three days, or until devmeshd is restarted. Where no browser\n"
	    "can be started, the address is printed. It takes a mesh with HTTPS. Where others use\n"
	    "this machine, --print keeps the address out of the list of processes.",
    .opts = open_opts,
    .run = run_open,
};
