/* SPDX-License-Identifier: MIT */
/* status and list. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd.h"
#include "out.h"
#include "survey.h"

enum {
	WATCH_MS = 1000, /* without devmeshd */
	LOOK_MS = 10000, /* with it: also ages change */
	SETTLE_MS = 100	 /* events that come together are shown together */
};

static char *
render_json(const struct session *s, const struct survey *survey, int64_t now)
{
	cJSON *o = out_object(), *caddy = cJSON_AddObjectToObject(o, "caddy"), *list;
	bool ok = survey->caddy.code == DM_OK;
	char *text;

	out_add_text(caddy, "admin", s->admin == NULL ? NULL : caddy_admin_address(s->admin));
	/* without services it was not asked */
	(void)cJSON_AddItemToObject(
	    caddy, "answers", s->admin == NULL ? cJSON_CreateNull() : cJSON_CreateBool(ok));
	list = cJSON_AddArrayToObject(o, "services");
	for (size_t i = 0; i < survey->count; i++) {
		const struct survey_row *row = &survey->rows[i];
		cJSON *service = cJSON_CreateObject();

		out_add_claim(service, row->claim);
		(void)cJSON_AddStringToObject(service, "state", service_state_name(row->state));
		(void)cJSON_AddItemToObject(service, "pid",
		    row->pid != 0 ? cJSON_CreateNumber((double)row->pid) : cJSON_CreateNull());
		out_add_text(service, "other_worktree", row->other_worktree);
		(void)cJSON_AddNumberToObject(service, "age", (double)(now - row->claim->created));
		(void)cJSON_AddItemToArray(list, service);
	}
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

static void
print_table(const struct survey *survey)
{
	static const char *const headings[] = {
	    "STATE", "ID", "BRANCH", "PID", "AGE", "URL", "WORKTREE", NULL};
	struct table table;

	table_init(&table, headings);
	for (size_t i = 0; i < survey->count; i++) {
		const struct survey_row *row = &survey->rows[i];
		char pid[16] = "-", age[16];
		const char *cells[7] = {service_state_name(row->state), row->claim->id.s,
		    row->claim->branch, pid, age, row->claim->url, row->claim->worktree};
		DM_AUTO_FREE char *both = NULL;

		if (row->other_worktree != NULL) {
			both = dm_asprintf(
			    "%s (served from %s)", row->claim->worktree, row->other_worktree);
			cells[6] = both;
		}
		if (row->pid != 0)
			(void)snprintf(pid, sizeof(pid), "%ld", (long)row->pid);
		format_age(dm_wall_seconds() - row->claim->created, age, sizeof(age));
		table_add(&table, cells);
	}
	table_print(&table);
	table_release(&table);
}

/* One look, printed; *last is what was shown before, and replaced. JSON only if it changed. */
static bool
show(struct cmd_ctx *ctx, char **last, struct dm_err *err)
{
	struct session *s = ctx->session;
	struct survey survey;
	DM_AUTO_FREE char *json = NULL;

	if (!survey_take(s, &survey, err))
		return false;
	/* ages change by themselves: they do not count as a change */
	json = render_json(s, &survey, 0);
	if (ctx->line->json) {
		if (*last == NULL || strcmp(*last, json) != 0) {
			DM_AUTO_FREE char *text = render_json(s, &survey, dm_wall_seconds());

			(void)puts(text);
		}
	} else {
		if (isatty(STDOUT_FILENO) && *last != NULL)
			(void)fputs("\033[H\033[J", stdout);
		if (survey.count == 0)
			dm_note(
			    "no services; in a worktree: devmesh run -- COMMAND, or devmesh up");
		else
			print_table(&survey);
		if (survey.caddy.code != DM_OK)
			dm_warn("%s", survey.caddy.msg);
	}
	free(*last);
	*last = dm_steal_pointer(&json);
	survey_release(&survey);
	return true;
}

/* The events of devmeshd, if it runs, so that nothing has to be looked at for nothing. */
static struct ctl *
open_events(struct session *s)
{
	struct ask_status status;
	struct dm_err why;
	dm_auto(ctl) ctl = ask_open(s, &status, &why);

	if (ctl == NULL || !ask_events(ctl, &status.seq, &why)) {
		dm_debug("%s", why.msg);
		return NULL;
	}
	return DM_STEAL(&ctl);
}

/* Returns when something has changed, or could have. */
static void
wait_for_change(struct session *s, struct ctl **ctl)
{
	int64_t deadline = 0, wait_ms = LOOK_MS;
	cJSON *event;
	struct dm_err why;

	if (*ctl == NULL) {
		dm_pause_ms(WATCH_MS);
		*ctl = open_events(s);
		return;
	}
	while (wait_ms > 0 && (event = ctl_next(*ctl, wait_ms, &why)) != NULL) {
		cJSON_Delete(event);
		if (deadline == 0)
			deadline = dm_now_ms() + SETTLE_MS;
		wait_ms = deadline - dm_now_ms();
	}
	if (wait_ms > 0 && why.code != DM_TIMEOUT) {
		ctl_free(*ctl);
		*ctl = NULL;
	}
}

static bool
run_status(struct cmd_ctx *ctx, struct dm_err *err)
{
	DM_AUTO_FREE char *last = NULL;
	dm_auto(ctl) events = NULL;
	bool watch = cmd_value(ctx, "watch") != NULL;

	if (watch && isatty(STDOUT_FILENO) && !ctx->line->json)
		(void)fputs("\033[H\033[J", stdout);
	if (watch) /* before the first look: nothing is missed in between */
		events = open_events(ctx->session);
	for (;;) {
		if (!show(ctx, &last, err))
			return false;
		/* a reader that has gone away ends the watching */
		if (!watch || fflush(stdout) != 0)
			return true;
		wait_for_change(ctx->session, &events);
		session_drop_view(ctx->session);
	}
}

static bool
run_list(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct registry_claims claims;
	cJSON *o, *list;

	if (!session_need_registry(ctx->session, err) ||
	    !registry_scan(ctx->session->registry, &claims, err))
		return false;
	o = out_object();
	list = cJSON_AddArrayToObject(o, "services");
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];

		if (claim->is_alias)
			continue;
		if (ctx->line->json) {
			cJSON *service = cJSON_CreateObject();

			out_add_claim(service, claim);
			(void)cJSON_AddItemToArray(list, service);
		} else {
			(void)printf(
			    "%s\t%s\n", claim->id.s, claim->url == NULL ? "-" : claim->url);
		}
	}
	registry_claims_free(&claims);
	if (ctx->line->json)
		out_json(o);
	else
		cJSON_Delete(o);
	return true;
}

static const struct cmd_opt status_opts[] = {
    {"watch", 0, NULL, false, "look again whenever something changes, until interrupted"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_status, cmd_list;

const struct cmd cmd_status = {
    .name = "status",
    .args = "",
    .summary = "show all services: state, branch, pid, age, URL, worktree",
    .help = "starting  claimed, and no socket, or no server behind it, is there (yet)\n"
	    "up        something listens, and Caddy leads the URL there\n"
	    "degraded  something listens, but Caddy is down or has lost the route\n"
	    "stale     a socket file that nobody listens on\n"
	    "down      nobody listens on the TCP port\n"
	    "orphan    the worktree is gone\n"
	    "foreign   the socket belongs to another user, or another checkout answers",
    .opts = status_opts,
    .run = run_status,
};

const struct cmd cmd_list = {
    .name = "list",
    .args = "",
    .summary = "print ids and URLs, separated by a tab, for scripts",
    .run = run_list,
};
