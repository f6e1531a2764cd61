/* SPDX-License-Identifier: MIT */
#include "siblings.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static bool
same_text(const char *a, const char *b)
{
	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static bool
is_sibling(const struct claim *other, const struct claim *claim)
{
	if (other->is_alias || other->url == NULL || strcmp(other->app.s, claim->app.s) == 0 ||
	    !same_text(other->branch, claim->branch) ||
	    (claim->branch == NULL && strcmp(other->worktree, claim->worktree) != 0))
		return false;
	return !claim_worktree_gone(other);
}

/* Whether `a` stands for its app rather than `b`: the same answer whatever the order of both. */
static bool
is_nearer(const struct claim *a, const struct claim *b, const struct claim *claim)
{
	bool a_here = strcmp(a->worktree, claim->worktree) == 0;
	bool b_here = strcmp(b->worktree, claim->worktree) == 0;

	if (a_here != b_here)
		return a_here;
	if (a->created != b->created)
		return a->created < b->created;
	return strcmp(a->id.s, b->id.s) < 0;
}

/* "DEVMESH_URL_WEB_API=https://..."; the caller owns it. An app is [a-z0-9-]: none is lost. */
static char *
variable(const struct claim *claim)
{
	char *text = dm_asprintf("DEVMESH_URL_%s=%s", claim->app.s, claim->url);

	for (char *p = text; *p != '='; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
		else if (*p == '-')
			*p = '_';
	}
	return text;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool
siblings_find(
    struct session *s, const struct claim *claim, struct siblings *out, struct dm_err *err)
{
	struct registry_claims claims;
	DM_AUTO_FREE const struct claim **chosen = NULL;

	memset(out, 0, sizeof(*out));
	if (!session_need_registry(s, err) || !registry_scan(s->registry, &claims, err))
		return false;
	chosen = dm_calloc(claims.count + 1, sizeof(void *));
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *other = claims.list[i];
		size_t k = 0;

		if (!is_sibling(other, claim))
			continue;
		while (k < out->count && strcmp(chosen[k]->app.s, other->app.s) != 0)
			k++;
		if (k == out->count) {
			chosen[out->count++] = other;
			continue;
		}
		if (is_nearer(other, chosen[k], claim)) {
			const struct claim *swap = chosen[k];

			chosen[k] = other;
			other = swap;
		}
		dm_note("the app %s is there twice on this branch: %s is taken, not %s",
		    other->app.s, chosen[k]->id.s, other->id.s);
	}
	out->list = dm_calloc(out->count + 1, sizeof(*out->list));
	for (size_t i = 0; i < out->count; i++)
		out->list[i] = variable(chosen[i]);
	qsort(out->list, out->count, sizeof(*out->list), by_text);
	registry_claims_free(&claims);
	return true;
}

void
siblings_release(struct siblings *siblings)
{
	for (size_t i = 0; i < siblings->count; i++)
		free(siblings->list[i]);
	free(siblings->list);
	memset(siblings, 0, sizeof(*siblings));
}
