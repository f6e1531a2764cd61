/* SPDX-License-Identifier: MIT */
/* Between api.c, which has the routes, and api_get.c and api_post.c, which answer. */
#ifndef DEVMESH_API_IMPL_H
#define DEVMESH_API_IMPL_H

#include "api.h"

struct event;
struct worker_result;

enum {
	API_LATER_MS = 200,
	API_WAIT_MAX = 20 /* seconds; less than clients give an answer */
};

/* Called again, to answer or to put it aside once more. */
typedef void api_resume(struct api_call *call);

struct api_call {
	struct api *api;
	api_done *done; /* NULL: whoever asked has gone */
	void *user;
	bool answered, asking; /* asking: api_ask() has not returned yet */
	const char *sweep;     /* look at everything before the answer, and why; NULL: no need */
	/* While it is put aside: */
	struct event *look;
	api_resume *later;
	void *wants; /* what it waits for: the handler's own, freed with the call */
	struct api_call *next, **back;
};

/*
 * One row's function: answers, or leaves that to a worker. `id` is what stands for ":id" in the
 * path: a valid name, but of a service only if somebody has looked.
 */
typedef void api_handler(struct api_call *call, const struct api_request *request, const char *id);

struct api_route {
	const char *method;
	const char *path; /* ":id" is one segment, a name; ":file" any one */
	bool trusted;	  /* on the control socket only */
	bool private;	  /* also to read: what services write and are asked for is nobody else's */
	api_handler *handler;
};

/* The i-th row of the table; NULL behind its end. */
const struct api_route *api_route_at(size_t i);

struct daemon *api_daemon(const struct api_call *call);

/* Each answers the call, which is not to be used any more then. */
void api_answer(struct api_call *call, const struct api_reply *reply);
void api_answer_json(struct api_call *call, int status, struct cJSON *document); /* takes it */
void api_answer_text(struct api_call *call, int status, const char *type, const char *text);
/* As the CLI fails: the code says which status. */
void api_answer_err(struct api_call *call, const struct dm_err *err);

/* Whether the body has no members; else the call is answered. */
bool api_body_is_empty(struct api_call *call, const struct api_request *request);

/* With one service, as state.h has it, which it takes; or that there is none of this name. */
void api_answer_service(struct api_call *call, struct cJSON *service);
void api_answer_no_service(struct api_call *call, const char *id);

/* Puts the call aside for API_LATER_MS. Whoever has gone meanwhile is forgotten. */
void api_later(struct api_call *call, api_resume *later);

/*
 * Answers with what a command line of devmesh says; `words` go behind "devmesh [--config FILE]",
 * and are NULL-terminated.
 */
void api_answer_verb(struct api_call *call, const char *const words[], int64_t timeout_ms);

api_handler api_get_page, api_get_web, api_get_login, api_get_session, api_get_qr, api_get_state,
    api_get_services, api_get_service, api_get_history, api_get_load, api_get_logs,
    api_get_requests, api_get_events, api_get_graph, api_get_metrics, api_get_doctor,
    api_get_system, api_get_dns, api_get_config, api_get_openapi, api_get_healthz, api_get_status,
    api_get_phone;
api_handler api_post_run_start, api_post_run_stop, api_post_run_restart;
api_handler api_post_forget, api_post_pin, api_post_share, api_post_unshare, api_post_probe,
    api_post_publish, api_post_gc, api_post_login, api_post_stop, api_post_reload;

#endif
