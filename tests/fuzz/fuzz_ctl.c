/* SPDX-License-Identifier: MIT */
/* Any bytes as a line on the control socket, as a query and as a body: understood, or refused. */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "api.h"
#include "base/mem.h"
#include "ctl_server.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	struct ctl_request request;
	struct dm_err err = {.code = DM_OK};
	cJSON *body;
	char value[16];
	int status = 0;

	if (ctl_request_parse((const char *)data, size, &request, &status, &err)) {
		MUST(request.method != NULL && request.path[0] == '/');
		MUST(request.body == NULL || cJSON_IsObject(request.body));
		ctl_request_release(&request);
	} else {
		MUST(status == 400 || status == 426);
		MUST(err.code == DM_USAGE && err.msg[0] != '\0');
	}
	if (api_query(text, "since", value, sizeof(value)))
		MUST(strlen(value) < sizeof(value) && strchr(value, '&') == NULL);
	body = api_body_parse((const char *)data, size, &err);
	MUST(body == NULL || cJSON_IsObject(body));
	cJSON_Delete(body);
	return 0;
}
