/* SPDX-License-Identifier: MIT */
/* What can be done about a process that was found. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "discover.h"
#include "runner.h"

/* The oldest service that the worktree has; NULL: none. With `app`, the one of that name. */
static const struct claim *
service_of(const char *worktree, const char *app, const struct registry_claims *claims)
{
	const struct claim *best = NULL;

	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *c = claims->list[i];

		if (!c->is_alias && strcmp(c->worktree, worktree) == 0 &&
		    (app == NULL || strcmp(c->app.s, app) == 0) &&
		    (best == NULL || c->created < best->created))
			best = c;
	}
	return best;
}

/* A name for a second service: that of its directory, else the first one's with a number behind. */
static struct slug
name_of(const struct found *f, const struct claim *first, const struct registry_claims *claims)
{
	DM_AUTO_FREE char *base = dm_path_base(f->cwd == NULL ? f->worktree : f->cwd);
	DM_AUTO_FREE char *file = f->socket == NULL ? NULL : dm_path_base(f->socket);
	DM_AUTO_FREE char *numbered = NULL;
	struct slug slug = slug_make(base);

	if (f->cwd != NULL && strcmp(f->cwd, f->worktree) != 0 &&
	    service_of(f->worktree, slug.s, claims) == NULL)
		return slug;
	if (file != NULL && strrchr(file, '.') != NULL)
		*strrchr(file, '.') = '\0';
	numbered = file != NULL ? dm_asprintf("%s-%s", first->app.s, file)
				: dm_asprintf("%s-%u", first->app.s, (unsigned)f->port);
	return slug_make(numbered);
}

char *
found_publish(const struct found *f, const struct registry_claims *claims)
{
	DM_AUTO_STR struct dm_str line = dm_str_make(16384);
	DM_AUTO_FREE char *dir = f->worktree == NULL ? NULL : dm_shell_word(f->worktree);
	DM_AUTO_FREE char *socket = f->socket == NULL ? NULL : dm_shell_word(f->socket);
	const struct claim *first;

	if (f->claim != NULL || f->orphan || dir == NULL)
		return NULL;
	(void)dm_str_addf(&line, "devmesh up -C %s", dir);
	if (socket != NULL)
		(void)dm_str_addf(&line, " --socket %s", socket);
	else
		(void)dm_str_addf(&line, " --port %u", (unsigned)f->port);
	first = service_of(f->worktree, NULL, claims);
	if (first != NULL)
		(void)dm_str_addf(&line, " --app %s", name_of(f, first, claims).s);
	return dm_str_take(&line);
}

/* Whether gc ends it: there is a claim that says by which devmesh run it was started. */
static bool
is_known_leftover(const struct found *f, const struct registry_claims *claims)
{
	struct dm_proc_id runner;

	if (!dm_proc_alive(&f->process) || !runner_of(f->process.pid, &runner))
		return false;
	for (size_t i = 0; i < claims->count; i++) {
		const struct dm_proc_id *claimed = &claims->list[i]->run.runner;

		if (claimed->pid == runner.pid && claimed->start == runner.start &&
		    !claims->list[i]->pinned)
			return !dm_proc_alive(&runner);
	}
	return false;
}

char *
found_end(const struct found *f, const struct registry_claims *claims)
{
	if (!f->orphan)
		return NULL;
	return is_known_leftover(f, claims) ? dm_strdup("devmesh gc")
					    : dm_asprintf("kill %ld", (long)f->process.pid);
}
