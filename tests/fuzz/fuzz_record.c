/* SPDX-License-Identifier: MIT */
/* Any text as an answer of the provider of DNS records: what is taken from it can be used as it is.
 */
#include "fuzz.h"

#include <string.h>

#include "record_provider.h"

static void
check_id(const char *id)
{
	MUST(memchr(id, '\0', RECORD_ID_MAX) != NULL);
	MUST(strpbrk(id, "/?#%.&\r\n ") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char zone_id[RECORD_ID_MAX];
	struct record_entries entries;

	if (!record_cloudflare_read(
		(const char *)data, size, "*.dev.example.com", zone_id, &entries))
		return 0;
	check_id(zone_id);
	check_id(entries.id);
	MUST(memchr(entries.content, '\0', sizeof(entries.content)) != NULL);
	MUST((entries.count > 0) == (entries.id[0] != '\0'));
	return 0;
}
