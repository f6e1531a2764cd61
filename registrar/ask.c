/* SPDX-License-Identifier: MIT */
#include "ask.h"

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "companion.h"

enum {
	CONNECT_MS = 2000,
	ANSWER_MS = 30000,
	RETRY_MS = 500
};

bool
ask_get(struct ctl *ctl, const char *path, struct ctl_reply *reply, struct dm_err *err)
{
	bool ok = ctl_ask(ctl, "GET", path, NULL, ANSWER_MS, reply, err);

	if (ok && reply->status >= 400) {
		ok = ctl_refused(reply, "asking devmeshd", err);
		ctl_reply_release(reply);
	}
	return ok;
}

static uint64_t
number(const cJSON *o, const char *name)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, name);

	/* 2^53: beyond that a double leaves numbers out */
	return cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= 9007199254740992.0
		   ? (uint64_t)m->valuedouble
		   : 0;
}

struct ctl *
ask_open(struct session *s, struct ask_status *status, struct dm_err *err)
{
	dm_auto(ctl) ctl = NULL;
	CTL_AUTO_REPLY struct ctl_reply reply = {0};

	if (!session_need_state_dir(s, err) ||
	    (ctl = ctl_open(s->state_dir, CONNECT_MS, err)) == NULL ||
	    !ask_get(ctl, "/control/status", &reply, err))
		return NULL;
	companion_check_version(reply.version);
	status->seq = number(reply.body, "seq");
	status->kept_since = number(reply.body, "kept_since");
	return DM_STEAL(&ctl);
}

bool
ask_again(ask_connect *connect, void *user, const struct dm_err *why, struct dm_err *err)
{
	dm_warn("%s; waiting for devmeshd to come back", why->msg);
	while (!connect(user, err)) {
		if (err->code != DM_UNREACHABLE && err->code != DM_TIMEOUT)
			return false;
		dm_pause_ms(RETRY_MS);
	}
	dm_note("devmeshd is back");
	return true;
}

bool
ask_events(struct ctl *ctl, const uint64_t *since, struct dm_err *err)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	char path[64];

	if (since == NULL)
		return ask_get(ctl, "/api/v1/events", &reply, err);
	return dm_snprintf(
		   path, sizeof(path), "/api/v1/events?since=%llu", (unsigned long long)*since) &&
	       ask_get(ctl, path, &reply, err);
}
