/* SPDX-License-Identifier: MIT */
/* What the API tells browsers: the page, what it consists of, and who is logged in. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/clock.h"
#include "base/str.h"
#include "daemon.h"
#include "http_login.h"
#include "http_server.h"
#include "out.h"
#include "page.h"
#include "qr.h"
#include "services.h"
#include "state.h"
#include "web.h"

void
api_get_page(struct api_call *call, const struct api_request *request, const char *id)
{
	cJSON *state = state_whole(api_daemon(call));
	struct http_token nonce;
	struct dm_err err;
	bool ok = http_token_random(&nonce, &err);
	DM_AUTO_FREE char *text = ok ? page_render(state, nonce.text) : NULL;
	struct api_reply reply = {
	    .status = 200, .type = "text/html; charset=utf-8", .text = text, .nonce = nonce.text};

	(void)request;
	(void)id;
	cJSON_Delete(state);
	if (text == NULL) {
		if (ok)
			(void)dm_fail(&err, DM_FAILED, "the page is too large");
		api_answer_err(call, &err);
		return;
	}
	reply.len = strlen(text);
	daemon_asked(api_daemon(call));
	api_answer(call, &reply);
}

void
api_get_web(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct web_file *file = web_find(request->path + strlen("/web/"));
	struct api_reply reply = {.status = 200, .gzip = request->gzip};
	struct dm_err err;

	(void)id;
	/* the page is served filled in, at its own address */
	if (file == NULL || dm_ends_with(file->name, ".html")) {
		(void)dm_fail(&err, DM_NOT_FOUND, "%.200s: there is no such file", request->path);
		api_answer_err(call, &err);
		return;
	}
	reply.type = web_type(file);
	reply.etag = reply.gzip ? file->gzip_etag : file->etag;
	reply.text = (const char *)(reply.gzip ? file->gzip : file->data);
	reply.len = reply.gzip ? file->gzip_len : file->len;
	if (request->if_none_match != NULL && strstr(request->if_none_match, reply.etag) != NULL)
		reply = (struct api_reply){
		    .status = 304, .type = reply.type, .text = "", .etag = reply.etag};
	api_answer(call, &reply);
}

void
api_get_session(struct api_call *call, const struct api_request *request, const char *id)
{
	cJSON *o = out_object();

	(void)id;
	(void)cJSON_AddBoolToObject(o, "may_change", request->trusted || request->may_change);
	api_answer_json(call, 200, o);
}

/* For the person in front of the browser; without a word of what was sent. */
static void
answer_not_logged_in(struct api_call *call)
{
	api_answer_text(call, 403, "text/html; charset=utf-8",
	    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width\">\n"
	    "<title>Not logged in</title>\n<h1>This address does not log in any more</h1>\n"
	    "<p>It is good for one login within a minute. <code>devmesh open</code> makes a new "
	    "one.\n");
}

void
api_get_login(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct daemon *d = api_daemon(call);
	struct http_token code, value, mark;
	DM_AUTO_FREE char *cookie = NULL, *page = NULL;
	struct dm_err err;

	(void)id;
	if (d->http == NULL || !api_query(request->query, "code", code.text, sizeof(code.text)) ||
	    !http_login_enter(
		http_server_login(d->http), dm_now_ms(), code.text, &value, &mark, &err)) {
		answer_not_logged_in(call);
		return;
	}
	cookie = dm_asprintf("%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Strict",
	    HTTP_LOGIN_COOKIE, value.text, HTTP_LOGIN_S);
	/* what is behind the hash goes to no server (RFC 3986 §3.5); the page keeps it (act.js) */
	page = dm_asprintf("/#login=%s", mark.text);
	api_answer(call, &(struct api_reply){.status = 303,
			     .type = "text/plain; charset=utf-8",
			     .text = "",
			     .location = page,
			     .cookie = cookie});
}

void
api_post_login(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct daemon *d = api_daemon(call);
	DM_AUTO_FREE char *url = NULL;
	struct http_token code;
	struct dm_err err;
	cJSON *o;

	(void)request;
	(void)id;
	if (d->http == NULL || d->url == NULL) {
		(void)dm_fail(
		    &err, DM_CONFLICT, "the dashboard has no address: no Caddy leads to it");
		(void)dm_hint(&err, "devmesh doctor says why");
		api_answer_err(call, &err);
		return;
	}
	/* browsers take such a cookie over HTTPS alone, and it must not be read on the way */
	if (!dm_starts_with(d->url, "https://")) {
		(void)dm_fail(
		    &err, DM_CONFLICT, "nobody can log in at %s, which is not HTTPS", d->url);
		(void)dm_hint(&err, "devmesh start runs a mesh with HTTPS; without a login the "
				    "dashboard shows all, and changes nothing");
		api_answer_err(call, &err);
		return;
	}
	if (!http_login_code(http_server_login(d->http), dm_now_ms(), &code, &err)) {
		api_answer_err(call, &err);
		return;
	}
	url = dm_asprintf("%s/login?code=%s", d->url, code.text);
	o = out_object();
	(void)cJSON_AddStringToObject(o, "url", url);
	(void)cJSON_AddNumberToObject(o, "expires_s", HTTP_LOGIN_CODE_S);
	api_answer_json(call, 200, o);
}

void
api_get_qr(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct service *service = services_find(api_daemon(call)->services, id);
	const struct claim *claim = service == NULL ? NULL : service->claim;
	DM_AUTO_FREE char *picture = NULL;
	struct dm_err err;

	(void)request;
	if (service == NULL) {
		api_answer_no_service(call, id);
		return;
	}
	if (claim->url == NULL || claim->host == NULL || domain_is_localhost(claim->host)) {
		(void)dm_fail(
		    &err, DM_CONFLICT, "%s has no address that another device could open", id);
		(void)dm_hint(&err, "names below .localhost lead to the device itself: set [mesh] "
				    "domain, or devmesh "
				    "setup --domain");
		api_answer_err(call, &err);
		return;
	}
	picture = qr_svg(claim->url, &err);
	if (picture == NULL)
		api_answer_err(call, &err);
	else
		api_answer_text(call, 200, "image/svg+xml", picture);
}
