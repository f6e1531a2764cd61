/* SPDX-License-Identifier: MIT */
/* Starting and ending services: those that devmeshd runs, and a devmesh run in a terminal. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "api_impl.h"
#include "base/clock.h"
#include "base/proc.h"
#include "base/str.h"
#include "daemon.h"
#include "out.h"
#include "services.h"
#include "supervisor.h"

enum {
	END_MS = 20000 /* devmesh run gives its command 10 seconds */
};

/* Whose end is waited for; api_call.wants. */
struct ending {
	struct slug id;
	struct dm_proc_id runner; /* pid 0: that of the supervised one */
	int64_t deadline;
};

static void
answer(struct api_call *call, const char *id)
{
	cJSON *o = out_object();

	(void)cJSON_AddStringToObject(o, "id", id);
	(void)cJSON_AddItemToObject(
	    o, "supervised", supervised_json(supervisor_find(api_daemon(call)->supervisor, id)));
	api_answer_json(call, 200, o);
}

static void
look(struct api_call *call)
{
	const struct ending *e = call->wants;
	const struct supervised *s = supervisor_find(api_daemon(call)->supervisor, e->id.s);
	bool ends = e->runner.pid != 0 ? dm_proc_alive(&e->runner)
				       : s != NULL && s->state == SUPERVISED_STOPPING;
	struct dm_err err;

	if (!ends) {
		answer(call, e->id.s);
	} else if (dm_now_ms() < e->deadline) {
		api_later(call, look);
	} else {
		(void)dm_fail(&err, DM_TIMEOUT, "stopping %s: it still runs after %d s", e->id.s,
		    END_MS / 1000);
		api_answer_err(call, &err);
	}
}

static void
await_end(struct api_call *call, const char *id, const struct dm_proc_id *runner)
{
	struct ending *e = dm_calloc(1, sizeof(*e));

	if (!dm_snprintf(e->id.s, sizeof(e->id.s), "%s", id))
		e->id.s[0] = '\0';
	if (runner != NULL)
		e->runner = *runner;
	e->deadline = dm_now_ms() + END_MS;
	call->wants = e;
	look(call);
}

void
api_post_run_start(struct api_call *call, const struct api_request *request, const char *id)
{
	struct dm_err err;

	if (!api_body_is_empty(call, request))
		return;
	if (supervisor_start(api_daemon(call)->supervisor, id, &err))
		await_end(call, id, NULL);
	else
		api_answer_err(call, &err);
}

void
api_post_run_restart(struct api_call *call, const struct api_request *request, const char *id)
{
	struct dm_err err;

	if (!api_body_is_empty(call, request))
		return;
	/* until the one before has ended: else it might be taken for the new one */
	if (supervisor_restart(api_daemon(call)->supervisor, id, &err))
		await_end(call, id, NULL);
	else
		api_answer_err(call, &err);
}

/* One that runs in a terminal ends as by Ctrl-C there. */
static bool
end_run(const struct service *svc, struct dm_err *err)
{
	const struct dm_proc_id *runner = &svc->claim->run.runner;

	if (svc->claim->uid != geteuid() || runner->pid == 0 || !dm_proc_alive(runner)) {
		(void)dm_fail(err, DM_CONFLICT, "no devmesh run serves %s now", svc->claim->id.s);
		return dm_hint(err, "end its server where it was started");
	}
	return kill(runner->pid, SIGTERM) == 0 ||
	       dm_fail_errno(err, errno, "ending devmesh run (pid %ld)", (long)runner->pid);
}

void
api_post_run_stop(struct api_call *call, const struct api_request *request, const char *id)
{
	struct daemon *d = api_daemon(call);
	const struct service *svc = services_find(d->services, id);
	struct dm_err err;

	if (!api_body_is_empty(call, request))
		return;
	if (supervisor_find(d->supervisor, id) != NULL) {
		if (supervisor_stop(d->supervisor, id, &err))
			await_end(call, id, NULL);
		else
			api_answer_err(call, &err);
	} else if (svc == NULL) {
		api_answer_no_service(call, id);
	} else if (end_run(svc, &err)) {
		await_end(call, id, &svc->claim->run.runner);
	} else {
		api_answer_err(call, &err);
	}
}
