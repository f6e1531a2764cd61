/* SPDX-License-Identifier: MIT */
/* What the CLI asks about phones. */
#include <stdlib.h>

#include "api_impl.h"
#include "daemon.h"
#include "phone.h"

enum {
	FRESH_MS = 1000
};

static void
wait_for_it(struct api_call *call)
{
	const struct phone *phone = api_daemon(call)->phone;

	if (phone_busy(phone))
		api_later(call, wait_for_it);
	else
		api_answer_json(call, 200, phone_document(phone));
}

void
api_get_phone(struct api_call *call, const struct api_request *request, const char *id)
{
	(void)request;
	(void)id;
	(void)phone_want(api_daemon(call)->phone, FRESH_MS);
	wait_for_it(call);
}
