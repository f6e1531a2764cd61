/* SPDX-License-Identifier: MIT */
/* Calls that wait for something to be there: who follows a log, say (HTTP long polling). */
#include <event2/event.h>
#include <stdlib.h>

#include "api_impl.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "timer.h"

static void
on_later(evutil_socket_t fd, short what, void *user)
{
	struct api_call *call = user;

	(void)fd;
	(void)what;
	call->later(call);
}

void
api_later(struct api_call *call, api_resume *later)
{
	call->later = later;
	if (call->look == NULL)
		call->look = evtimer_new(api_daemon(call)->base, on_later, call);
	timer_in(call->look, API_LATER_MS);
}
