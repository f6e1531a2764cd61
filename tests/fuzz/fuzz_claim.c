/* SPDX-License-Identifier: MIT */
/* Any bytes as the record shop-main.json: what is accepted is safe, and survives a round trip. */
#include "fuzz.h"

#include <string.h>

#include "claim/claim.h"

static void
check_text(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		MUST((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void
check_claim(const struct claim *c)
{
	DM_AUTO_FREE char *dial = NULL;

	MUST(strcmp(c->id.s, "shop-main") == 0 && slug_valid(c->app.s) && c->uid == 0);
	MUST(!c->is_alias || slug_valid(c->alias_of.s));
	MUST(c->worktree != NULL && c->worktree[0] == '/');
	MUST(c->socket == NULL || c->socket[0] == '/');
	MUST(c->is_alias || (c->socket == NULL) == (c->port != 0));
	MUST(c->created >= 0);
	check_text(c->branch);
	/* paths may hold anything: whoever shows them makes them printable */
	check_text(c->url);
	check_text(c->host);
	dial = claim_dial(c);
	MUST(dial[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dm_err err;
	dm_auto(claim) c = claim_decode((const char *)data, size, "shop-main", &err);
	dm_auto(claim) back = NULL;
	DM_AUTO_FREE char *text = NULL;
	DM_AUTO_FREE char *again = NULL;

	if (c == NULL) {
		MUST(err.code == DM_FAILED && err.msg[0] != '\0');
		return 0;
	}
	MUST(size <= CLAIM_FILE_MAX);
	check_claim(c);
	text = claim_encode(c);
	if (strlen(text) > CLAIM_FILE_MAX)
		return 0; /* indented, it may just exceed what is read */
	back = claim_decode(text, strlen(text), "shop-main", &err);
	MUST(back != NULL);
	again = claim_encode(back);
	MUST(strcmp(text, again) == 0);
	return 0;
}
