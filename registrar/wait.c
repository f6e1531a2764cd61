/* SPDX-License-Identifier: MIT */
#include "wait.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/http.h"
#include "caddy/mesh.h"
#include "caddy/route.h"

enum {
	FIRST_PAUSE_MS = 5,
	LAST_PAUSE_MS = 100,
	REQUEST_MS = 10000,
	CANCELLABLE_REQUEST_MS = 1500,
	BODY_MAX = 65536
};

static bool
is_listening(const struct claim *claim)
{
	struct dm_sock_info info;

	if (claim->port != 0)
		return dm_tcp_listening(claim->port);
	dm_sock_probe(claim->socket, &info);
	/* a socket that we may not connect to may still be Caddy's to reach */
	return info.state == DM_SOCK_LISTENING || info.state == DM_SOCK_DENIED;
}

static bool
is_stale(const struct claim *claim)
{
	struct dm_sock_info info;

	if (claim->socket == NULL)
		return false;
	dm_sock_probe(claim->socket, &info);
	return info.state == DM_SOCK_REFUSED;
}

/* "127.0.0.1:<port of the URL>": names below the domain need not resolve on this machine. */
static char *
front_address(const char *url)
{
	const char *host = strstr(url, "://"), *colon;

	host = host == NULL ? url : host + 3;
	colon = strchr(host, ':');
	if (colon != NULL)
		return dm_asprintf("127.0.0.1:%.*s", (int)strcspn(colon + 1, "/"), colon + 1);
	return dm_strdup(dm_starts_with(url, "https:") ? "127.0.0.1:443" : "127.0.0.1:80");
}

enum wait_answer
wait_ask(struct http *http, const struct claim *claim, int64_t timeout_ms, struct dm_err *err)
{
	DM_AUTO_FREE char *to = front_address(claim->url);
	/* which machine answers is certain (loopback), so its certificate need not be */
	struct http_request request = {.method = "GET",
	    .url = claim->url,
	    .connect_to = to,
	    .headers = {MESH_CHECK_HEADER ": 1"},
	    .any_certificate = true,
	    .timeout_ms = timeout_ms,
	    .max_body = BODY_MAX};
	HTTP_AUTO_REPLY struct http_reply reply;
	char state[64], id[SLUG_MAX + 1];

	http_reply_init(&reply);
	/* headers alone will do: a page may be larger than the limit, or a stream without end */
	if (http_perform(http, &request, &reply, err) != HTTP_ANSWERED && reply.status == 0)
		return WAIT_NOBODY;
	if (http_reply_field(&reply, MESH_STATE_HEADER, state, sizeof(state), NULL)) {
		(void)dm_fail(err, DM_UNREACHABLE, "the mesh answers: %s", state);
		return WAIT_NOBODY;
	}
	if (reply.status == 502 || reply.status == 504) {
		(void)dm_fail(err, DM_UNREACHABLE, "Caddy answers %d", reply.status);
		return WAIT_NOBODY;
	}
	if (!http_reply_field(&reply, ROUTE_ID_HEADER, id, sizeof(id), NULL)) {
		(void)dm_fail(err, DM_UNREACHABLE,
		    "Caddy answers %d, but not by the service's route", reply.status);
		return WAIT_UNMARKED;
	}
	if (strcmp(id, claim->id.s) == 0 || (claim->is_alias && strcmp(id, claim->alias_of.s) == 0))
		return WAIT_SERVICE;
	(void)dm_fail(err, DM_UNREACHABLE, "the service %s answers there", id);
	return WAIT_OTHER;
}

/* The same, for who only wants to know whether it is up. */
static bool
answers(struct http *http, const struct claim *claim, int64_t timeout_ms, struct dm_err *err)
{
	enum wait_answer answer = wait_ask(http, claim, timeout_ms, err);

	/* our own routes bear the header; a mesh route that somebody else wrote may not */
	return answer == WAIT_SERVICE ||
	       (answer == WAIT_UNMARKED && claim->registration == CLAIM_MESH);
}

bool
wait_for_service(
    const struct claim *claim, int64_t timeout_ms, const atomic_bool *cancel, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + timeout_ms, pause = FIRST_PAUSE_MS, left;
	int64_t most = cancel != NULL ? CANCELLABLE_REQUEST_MS : REQUEST_MS;
	dm_auto(http) http = NULL;
	DM_AUTO_FREE char *where = NULL;
	bool listening;

	if (claim->url == NULL)
		return dm_fail(
		    err, DM_FAILED, "the record of %s has no URL; run devmesh up", claim->id.s);
	for (;;) {
		listening = is_listening(claim);
		if (listening && http == NULL && (http = http_new(err)) == NULL)
			return false;
		left = deadline - dm_now_ms();
		if (listening && answers(http, claim,
				     left < 1000   ? 1000
				     : left < most ? left
						   : most,
				     err))
			return true;
		if (cancel != NULL && atomic_load(cancel))
			return dm_fail(err, DM_FAILED, "waiting for %s: given up", claim->url);
		if (dm_now_ms() + pause >= deadline)
			break;
		dm_pause_ms(pause);
		pause = pause * 2 < LAST_PAUSE_MS ? pause * 2 : LAST_PAUSE_MS;
	}
	/* it may have died while its answer was being waited for: then that is the reason */
	if (is_listening(claim) && listening) {
		(void)dm_wrap(
		    err, "waiting for %s: after %lld s", claim->url, (long long)timeout_ms / 1000);
		err->code = DM_TIMEOUT;
		return dm_hint(
		    err, "devmesh up registers it anew; devmesh status shows the states");
	}
	where = claim->socket != NULL ? dm_strdup(claim->socket)
				      : dm_asprintf("port %u", (unsigned)claim->port);
	(void)dm_fail(err, DM_TIMEOUT, "waiting for %s: after %lld s nothing listens on %s",
	    claim->url, (long long)timeout_ms / 1000, where);
	if (is_stale(claim))
		return dm_hint(err,
		    "its last server has left the socket behind: devmesh up removes it; "
		    "then start the server in %s",
		    claim->worktree);
	return dm_hint(err, "start the server in %s", claim->worktree);
}
