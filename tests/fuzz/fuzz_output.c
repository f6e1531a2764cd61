/* SPDX-License-Identifier: MIT */
/*
 * What a service writes, on its way to a terminal or a page: whatever it is, what comes out is text
 * and colours. And the record of how a service is started.
 */
#include "fuzz.h"

#include <string.h>

#include "base/str.h"
#include "commands.h"
#include "model/ansi.h"

/* No control character but the ESC of an SGR sequence, which is whole. */
static void
check(const char *text, bool colours)
{
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x20 && *p != 0x7f)
			continue;
		MUST(*p == 0x1b && colours && p[1] == '[');
		p += 2 + strspn(p + 2, "0123456789;:");
		MUST(*p == 'm');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_STR struct dm_str with = dm_str_make(size * 4 + 64);
	DM_AUTO_STR struct dm_str without = dm_str_make(size * 4 + 64);
	DM_AUTO_FREE char *again = NULL;
	dm_auto(command) c = NULL;
	struct dm_err err;

	ansi_clean((const char *)data, size, true, &with);
	ansi_clean((const char *)data, size, false, &without);
	check(with.data, true);
	check(without.data, false);
	c = command_decode((const char *)data, size, "shop-main", &err);
	if (c != NULL) {
		dm_auto(command) same = NULL;

		again = command_encode(c);
		same = command_decode(again, strlen(again), "shop-main", &err);
		MUST(same != NULL && strcmp(same->argv[0], c->argv[0]) == 0);
	}
	return 0;
}
