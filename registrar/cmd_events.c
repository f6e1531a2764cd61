/* SPDX-License-Identifier: MIT */
/* events and graph: what devmeshd tells. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "out.h"

/* ---- one event, for a person -------------------------------------------------------------- */

static const char *
text_of(const cJSON *data, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, name));

	return text == NULL ? "" : text;
}

static void
add_service(struct dm_str *out, const cJSON *data)
{
	const char *was = text_of(data, "was"), *state = text_of(data, "state");
	const char *change = text_of(data, "change");

	if (change[0] != '\0')
		(void)dm_str_addf(out, "%s: %s", state, change);
	else if (was[0] == '\0' || strcmp(was, state) == 0)
		(void)dm_str_addf(out, "%s (%s)", state, text_of(data, "reason"));
	else
		(void)dm_str_addf(out, "%s -> %s (%s)", was, state, text_of(data, "reason"));
}

static void
add_service_gone(struct dm_str *out, const cJSON *data)
{
	(void)dm_str_addf(out, "was %s (%s)", text_of(data, "was"), text_of(data, "reason"));
}

static void
add_caddy(struct dm_str *out, const cJSON *data)
{
	(void)dm_str_addf(out, "Caddy is %s (%s)", text_of(data, "state"), text_of(data, "reason"));
}

static void
add_found(struct dm_str *out, const cJSON *data)
{
	(void)dm_str_addf(out, "%s, in %s", text_of(data, "command"), text_of(data, "cwd"));
}

static void
add_worktree(struct dm_str *out, const cJSON *data)
{
	(void)dm_str_addf(out, "%s, at %.7s", text_of(data, "branch"), text_of(data, "head"));
}

static void
add_mend(struct dm_str *out, const cJSON *data)
{
	const char *kind = text_of(data, "kind");

	(void)dm_str_addf(out, "%s%s%s (%s)", text_of(data, "what"), kind[0] != '\0' ? " " : "",
	    kind, text_of(data, "reason"));
}

static void
add_network(struct dm_str *out, const cJSON *data)
{
	const char *address = text_of(data, "address");

	if (address[0] != '\0')
		(void)dm_str_addf(
		    out, "this machine is at %s (%s)", address, text_of(data, "interface"));
	else
		(void)dm_str_addf(out, "%s", text_of(data, "problem"));
}

static void
add_record(struct dm_str *out, const cJSON *data)
{
	const char *problem = text_of(data, "problem");

	if (problem[0] != '\0')
		(void)dm_str_addf(out, "%s", problem);
	else
		(void)dm_str_addf(
		    out, "%s leads to %s", text_of(data, "name"), text_of(data, "address"));
}

static void
add_daemon(struct dm_str *out, const cJSON *data)
{
	const char *reason = text_of(data, "reason");

	(void)dm_str_addf(out, "devmeshd %s: %s%s%s", text_of(data, "version"),
	    text_of(data, "what"), reason[0] != '\0' ? ", " : "", reason);
}

static void
add_hello(struct dm_str *out, const cJSON *data)
{
	(void)dm_str_addf(out, "%d services, %d servers that are not registered, Caddy is %s",
	    cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(data, "services")),
	    cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(data, "found")),
	    text_of(cJSON_GetObjectItemCaseSensitive(data, "caddy"), "state"));
}

static const struct {
	const char *kind;
	void (*add)(struct dm_str *out, const cJSON *data);
} kinds[] = {
    {"service", add_service},
    {"service-gone", add_service_gone},
    {"caddy", add_caddy},
    {"found", add_found},
    {"found-gone", add_found},
    {"worktree", add_worktree},
    {"mend", add_mend},
    {"network", add_network},
    {"record", add_record},
    {"daemon", add_daemon},
    {"hello", add_hello},
};

/* The time of day here; of a "hello", which has none, now. */
static void
format_time(const cJSON *data, char *out, size_t size)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(data, "time");
	time_t t = (time_t)dm_wall_seconds();
	struct tm local;

	if (cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble < 253402300800.0)
		t = (time_t)m->valuedouble;
	(void)localtime_r(&t, &local);
	if (strftime(out, size, "%H:%M:%S", &local) == 0)
		out[0] = '\0';
}

static void
print_line(const char *kind, const cJSON *data)
{
	DM_AUTO_STR struct dm_str detail = dm_str_make(4096);
	DM_AUTO_FREE char *shown = NULL, *id = dm_printable(text_of(data, "id"));
	char when[16];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].kind, kind) == 0)
			kinds[i].add(&detail, data);
	}
	format_time(data, when, sizeof(when));
	shown = dm_printable(detail.data);
	(void)printf("%s  %-13s  %-24s  %s\n", when, kind, id[0] != '\0' ? id : "-", shown);
}

/* ---- events ------------------------------------------------------------------------------- */

struct following {
	struct cmd_ctx *ctx;
	struct ctl *ctl;
	bool follow;
	bool has_since;
	uint64_t since; /* the number of the last event that was printed */
	uint64_t until; /* without follow: that of the last one to print */
};

static bool
connect_to_it(void *user, struct dm_err *err)
{
	struct following *f = user;
	struct ask_status status;

	ctl_free(f->ctl);
	f->ctl = ask_open(f->ctx->session, &status, err);
	if (f->ctl == NULL)
		return false;
	if (!f->follow && !f->has_since) {
		f->has_since = true;
		f->since = status.kept_since;
	}
	f->until = status.seq;
	return ask_events(f->ctl, f->has_since ? &f->since : NULL, err);
}

/* Prints and frees it. False: whoever reads has gone. */
static bool
print_event(struct following *f, cJSON *event)
{
	const cJSON *seq = cJSON_GetObjectItemCaseSensitive(event, "seq");

	if (cJSON_IsNumber(seq) && seq->valuedouble >= 0) {
		f->since = (uint64_t)seq->valuedouble;
		f->has_since = true;
	}
	if (f->ctx->line->json) {
		cJSON *o = out_object();

		/* the protocol's own member is nobody else's business */
		cJSON_DeleteItemFromObjectCaseSensitive(event, "v");
		while (event->child != NULL) {
			cJSON *m = cJSON_DetachItemViaPointer(event, event->child);
			DM_AUTO_FREE char *name = dm_strdup(m->string);

			(void)cJSON_AddItemToObject(o, name, m);
		}
		out_json(o);
	} else {
		print_line(
		    text_of(event, "event"), cJSON_GetObjectItemCaseSensitive(event, "data"));
	}
	cJSON_Delete(event);
	return fflush(stdout) == 0;
}

static bool
follow_events(struct following *f, struct dm_err *err)
{
	while (f->follow || f->since < f->until) {
		struct dm_err why;
		cJSON *event = ctl_next(f->ctl, -1, &why);

		if (event != NULL) {
			if (!print_event(f, event))
				return true;
		} else if (!f->follow || why.code != DM_UNREACHABLE) {
			*err = why;
			return false;
		} else if (!ask_again(connect_to_it, f, &why, err)) {
			return false;
		}
	}
	return true;
}

static bool
run_events(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct following f = {.ctx = ctx, .follow = cmd_value(ctx, "follow") != NULL};
	const char *since = cmd_value(ctx, "since");
	bool ok;

	f.has_since = since != NULL;
	if (since != NULL && !dm_parse_uint(since, 0, UINT64_MAX, &f.since)) {
		(void)dm_fail(
		    err, DM_USAGE, "--since: \"%.40s\" is not the number of an event", since);
		return dm_hint(err, "devmesh events --json shows it, as \"seq\"");
	}
	ok = connect_to_it(&f, err) && follow_events(&f, err);
	ctl_free(f.ctl);
	return ok;
}

/* ---- graph -------------------------------------------------------------------------------- */

static bool
run_graph(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const char *const formats[] = {"dot", "mermaid", "json"};
	const char *format = cmd_value(ctx, "format");
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct ask_status status;
	dm_auto(ctl) ctl = NULL;
	char path[64];
	size_t i = 0;

	if (format == NULL)
		format = ctx->line->json ? "json" : "dot";
	while (i < 3 && strcmp(formats[i], format) != 0)
		i++;
	if (i == 3 || (ctx->line->json && strcmp(format, "json") != 0)) {
		(void)dm_fail(err, DM_USAGE, "--format: \"%.40s\" is none%s", format,
		    i == 3 ? "" : " that --json could be");
		return dm_hint(err, "dot, mermaid or json");
	}
	if ((ctl = ask_open(ctx->session, &status, err)) == NULL ||
	    !dm_snprintf(path, sizeof(path), "/api/v1/graph?format=%s", format) ||
	    !ask_get(ctl, path, &reply, err))
		return false;
	if (cJSON_IsString(reply.body)) {
		(void)fputs(reply.body->valuestring, stdout);
	} else {
		out_json(reply.body);
		reply.body = NULL;
	}
	return true;
}

static const struct cmd_opt events_opts[] = {
    {"follow", 0, NULL, false, "go on, with what happens from now on, until interrupted"},
    {"since", 0, "SEQ", false, "only what came after the event of this number"},
    {NULL, 0, NULL, false, NULL},
};

static const struct cmd_opt graph_opts[] = {
    {"format", 0, "FORMAT", false, "dot (the default), mermaid or json"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_events, cmd_graph;

const struct cmd cmd_events = {
    .name = "events",
    .args = "",
    .summary = "show what devmeshd has seen and done: states, mends, worktrees, Caddy",
    .help = "Without --follow the last 1024 events at most, those of a daemon that has ended left\n"
	    "out. With it, first how everything is now (\"hello\"), unless --since says what is\n"
	    "known already; a restart of devmeshd is waited for. With --json each event is an\n"
	    "object on a line of its own.",
    .opts = events_opts,
    .run = run_events,
};

const struct cmd cmd_graph = {
    .name = "graph",
    .args = "",
    .summary = "print what leads where, as a graph for Graphviz or Mermaid",
    .opts = graph_opts,
    .run = run_graph,
};
