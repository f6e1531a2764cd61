/* SPDX-License-Identifier: MIT */
/* route(8). Not yet run on a Mac. */
#include "base/gateway.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/spawn.h"
#include "base/str.h"

enum {
	ROUTE_MS = 1000,
};

bool
dm_gateway(struct dns_address *out)
{
	static const char *const argv[] = {"/sbin/route", "-n", "get", "default", NULL};
	static const char key[] = "gateway: ";
	DM_AUTO_STR struct dm_str text = dm_str_make(4096);
	DM_AUTO_STR struct dm_str errors = dm_str_make(4096);
	struct dm_err ignored;
	char *at;
	int status;

	if (!dm_run(argv, NULL, ROUTE_MS, &text, &errors, &status, &ignored) || status != 0 ||
	    (at = strstr(text.data, key)) == NULL)
		return false;
	at += strlen(key);
	at[strcspn(at, " \n")] = '\0';
	memset(out, 0, sizeof(*out));
	return inet_pton(AF_INET, at, out->bytes) == 1;
}
