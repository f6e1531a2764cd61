/* SPDX-License-Identifier: MIT */
/*
 * What reaches the page for phones from a network: the Host header, the query, and what a worker
 * has found out. Whatever is taken is a name below the domain, or a label; the page stays what it
 * is.
 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "phone_look.h"
#include "phone_text.h"
#include "workers.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	const struct worker_result result = {.out = text, .len = strlen(text)};
	struct phone_facts facts = {.address = "192.168.1.10",
	    .port = 5380,
	    .domain = "dev.test",
	    .url = "https://devmesh.dev.test:8443",
	    .looked = true,
	    .reachable = true};
	struct phone_found found;
	struct slug id;
	bool has_id = phone_query_id(text, &id);
	DM_AUTO_FREE char *page = NULL, *profile = NULL;

	MUST(!phone_host_ok(text, &facts) || strstr(text, facts.address) == text ||
	     strlen(text) >= strlen(facts.domain));
	MUST(!has_id || slug_valid(id.s));
	if (phone_look_read(&result, &found) && found.ca == PHONE_CA_PRIVATE) {
		facts.root = &found.root;
		profile = phone_profile(&found.root);
		MUST(dm_ends_with(profile, "</plist>\n"));
	}
	page = phone_page(&facts, has_id ? &id : NULL);
	MUST(dm_ends_with(page, "</html>\n"));
	return 0;
}
