/* SPDX-License-Identifier: MIT */
/* requests: what a service was asked for, and how it went, as devmeshd knows it. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "claim/claim.h"
#include "cmd.h"
#include "out.h"

enum {
	FIRST_MAX = 10 /* old ones that --follow begins with */
};

struct asking {
	struct cmd_ctx *ctx;
	const char *id;
	const char *status; /* NULL: any */
	struct ctl *ctl;
	uint64_t after;
	bool begun; /* `after` is known */
};

static const char *
text_of(const cJSON *o, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));

	return text == NULL ? "" : text;
}

/* 0 where there is none; devmeshd is believed as little as anybody. */
static double
number_of(const cJSON *o, const char *name)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, name);

	/* 2^53 */
	return cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= 9007199254740992.0
		   ? m->valuedouble
		   : 0;
}

/* "14:03:59.120", the time of day here. */
static void
format_time(double seconds, char *out, size_t size)
{
	int64_t ms = seconds < 253402300800.0 ? (int64_t)(seconds * 1000 + 0.5) : 0;
	time_t t = (time_t)(ms / 1000);
	char day[16] = "";
	struct tm local;

	(void)localtime_r(&t, &local);
	(void)strftime(day, sizeof(day), "%H:%M:%S", &local);
	(void)snprintf(out, size, "%s.%03d", day, (int)(ms % 1000));
}

static void
print_line(const cJSON *request)
{
	DM_AUTO_FREE char *path = dm_printable(text_of(request, "path"));
	DM_AUTO_FREE char *method = dm_printable(text_of(request, "method"));
	DM_AUTO_FREE char *from = dm_printable(text_of(request, "from"));
	char when[32];

	format_time(number_of(request, "time"), when, sizeof(when));
	(void)printf("%s  %-7s %3.0f %9.1f ms %9.0f B  %s%s%s\n", when, method,
	    number_of(request, "status"), number_of(request, "ms"), number_of(request, "bytes"),
	    path, from[0] == '\0' ? "" : "  from ", from);
}

static void
print_json(const cJSON *request)
{
	cJSON *o = out_object();
	const cJSON *m;

	cJSON_ArrayForEach (m, request)
		(void)cJSON_AddItemToObject(o, m->string, cJSON_Duplicate(m, true));
	out_json(o);
}

/* Why there is nothing to tell; false if there is no log. */
static bool
check_log(const cJSON *body, struct dm_err *err)
{
	const char *log = text_of(body, "log");

	if (strcmp(log, "off") == 0) {
		(void)dm_fail(err, DM_NOT_FOUND, "the access log is turned off");
		return dm_hint(err, "set [local] access_log = yes; then: devmesh stop && devmesh "
				    "start");
	}
	if (strcmp(log, "on") == 0)
		return true;
	(void)dm_fail(err, DM_NOT_FOUND, "Caddy writes no access log that devmeshd could read");
	return dm_hint(err,
	    "devmesh stop && devmesh start, if the private mesh runs since before there was one; "
	    "any other Caddy than that and the one of devmesh setup --user has none");
}

/* Asks; the reply has the requests behind `after`. */
static bool
ask(struct asking *a, bool wait, struct ctl_reply *reply, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("/api/v1/services/%s/requests?after=%llu%s%s%s",
	    a->id, (unsigned long long)a->after, a->status != NULL ? "&status=" : "",
	    a->status != NULL ? a->status : "", wait ? "&wait=20" : "");

	return ask_get(a->ctl, path, reply, err) && check_log(reply->body, err);
}

/* All of the reply but, if `max` is not 0, no more than the last so many. */
static void
print_requests(struct asking *a, const cJSON *body, int max)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "requests"), *request;
	int skip = max == 0 ? 0 : cJSON_GetArraySize(list) - max;

	cJSON_ArrayForEach (request, list) {
		if (skip-- > 0)
			continue;
		if (a->ctx->line->json)
			print_json(request);
		else
			print_line(request);
	}
	a->after = (uint64_t)number_of(body, "seq");
	a->begun = true;
}

static bool
connect_to_it(void *user, struct dm_err *err)
{
	struct asking *a = user;
	struct ask_status ignored;

	ctl_free(a->ctl);
	a->ctl = ask_open(a->ctx->session, &ignored, err);
	return a->ctl != NULL;
}

/* Whoever reads wanted no more, as head(1) does: that is no failure. */
static bool
reader_has_gone(void)
{
	if (fflush(stdout) == 0 || errno != EPIPE)
		return false;
	/* what is left is for nobody */
	return freopen("/dev/null", "w", stdout) != NULL;
}

static bool
follow(struct asking *a, struct dm_err *err)
{
	for (;;) {
		CTL_AUTO_REPLY struct ctl_reply reply = {0};

		if (!ask(a, a->begun, &reply, err)) {
			if (err->code != DM_UNREACHABLE || !ask_again(connect_to_it, a, err, err))
				return false;
			continue;
		}
		print_requests(a, reply.body, a->begun ? 0 : FIRST_MAX);
		if (reader_has_gone() || ferror(stdout) != 0)
			return true;
	}
}

static bool
tell(struct asking *a, struct dm_err *err)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};

	if (!ask(a, false, &reply, err))
		return false;
	if (!a->ctx->line->json) {
		print_requests(a, reply.body, 0);
		(void)reader_has_gone();
		return true;
	}
	out_json(reply.body);
	reply.body = NULL;
	return true;
}

/* "2xx" or "404". */
static bool
check_status(const char *text, struct dm_err *err)
{
	uint64_t code;

	if (text == NULL || (strlen(text) == 3 && ((text[0] >= '1' && text[0] <= '5' &&
						       strcmp(text + 1, "xx") == 0) ||
						      dm_parse_uint(text, 100, 599, &code))))
		return true;
	(void)dm_fail(err, DM_USAGE, "--status: \"%.40s\" is no status", text);
	return dm_hint(err, "one of 1xx, 2xx, 3xx, 4xx and 5xx, or a number such as 404");
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct asking a = {.ctx = ctx, .status = cmd_value(ctx, "status")};
	dm_auto(claim) claim = NULL;
	bool ok;

	if (!check_status(a.status, err) || !cmd_claim(ctx, &claim, err))
		return false;
	a.id = claim->id.s;
	ok = connect_to_it(&a, err) &&
	     (cmd_value(ctx, "follow") != NULL ? follow(&a, err) : tell(&a, err));
	ctl_free(a.ctl);
	return ok;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"follow", 'f', NULL, false, "begin with the last ten, and go on until interrupted"},
    {"status", 0, "STATUS", false, "only those answered with this: 5xx, or 404"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_requests;
const struct cmd cmd_requests = {
    .name = "requests",
    .args = "[ID]",
    .max_args = 1,
    .summary = "show what a service was asked for: status, time taken, bytes, path",
    .help = "The last 500 at most, as Caddy's access log has them: that of devmesh start, or of\n"
	    "devmesh setup --user. Queries and headers are not in it. A WebSocket, or an answer\n"
	    "that goes on and on, is there when it has ended. With --json and --follow each is an\n"
	    "object on a line of its own; a restart of devmeshd is waited for.",
    .opts = opts,
    .run = run,
};
