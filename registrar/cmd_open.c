/* SPDX-License-Identifier: MIT */
/* open: the dashboard, logged in. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "ask.h"
#include "base/log.h"
#include "base/os.h"
#include "base/spawn.h"
#include "cmd.h"
#include "out.h"

enum {
	ANSWER_MS = 10000,
	BROWSER_MS = 10000,
	WORDS_MAX = 4096
};

/* Whether the system's opener has taken the address. */
static bool
open_browser(const char *url)
{
	const char *const argv[] = {dm_os_opener(), url, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(WORDS_MAX), words = dm_str_make(WORDS_MAX);
	struct dm_err err;
	int status = 0;

	if (argv[0] == NULL)
		return false;
	if (dm_run(argv, NULL, BROWSER_MS, &out, &words, &status, &err) && status == 0)
		return true;
	dm_debug("%s: status %d %s", argv[0], status, words.data);
	return false;
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
	    "can be started, the address is printed.",
    .opts = open_opts,
    .run = run_open,
};
