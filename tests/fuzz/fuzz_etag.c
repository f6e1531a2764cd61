/* SPDX-License-Identifier: MIT */
/* Any text as an ETag: the path that comes out lies below /config/ and needs no escaping. */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/etag.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	char path[ETAG_MAX];
	struct dm_err err;

	memset(path, 'x', sizeof(path));
	if (!etag_path(text, path, &err)) {
		MUST(err.code == DM_FAILED && err.msg[0] != '\0');
		return 0;
	}
	MUST(memchr(path, '\0', sizeof(path)) != NULL);
	MUST(dm_starts_with(path, "/config/") && strstr(path, "..") == NULL);
	for (const char *p = path; *p != '\0'; p++)
		MUST(*p > 0x20 && *p < 0x7f && strchr("\"'%?#\\{}<>|^`&;", *p) == NULL);
	MUST(text[0] == '"' && dm_starts_with(text + 1, path) && text[1 + strlen(path)] == ' ');
	MUST(dm_ends_with(text, "\""));
	return 0;
}
