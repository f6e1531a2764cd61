/* SPDX-License-Identifier: MIT */
/* Caddy's routes, put right: what the look has found, in one write for each server. */
#include <stdlib.h>

#include "caddy/change.h"
#include "mend_impl.h"

static void
told_release(struct mend_told *told)
{
	for (size_t i = 0; i < told->count; i++)
		free(told->changes[i].name);
	free(told->changes);
	free(told);
}

static bool
write_job(struct mend_look *l, const struct mend_job *job, struct dm_err *err)
{
	DM_AUTO_FREE struct route_spec *specs = dm_calloc(job->put_count, sizeof(*specs));
	struct route_batch batch = {.put = specs,
	    .put_count = job->put_count,
	    .remove = (const char *const *)job->remove,
	    .remove_count = job->remove_count,
	    .mesh = job->has_mesh ? &job->mesh : NULL};
	struct route_batch_result result;

	for (size_t i = 0; i < job->put_count; i++)
		specs[i] =
		    placement_spec(&job->put[i]->place, job->put[i]->claim, job->put[i]->dial);
	if (!caddy_routes_change(l->run->s->admin, job->server, &batch, &result, err))
		return false;
	/* else somebody else was quicker */
	for (size_t i = 0; i < job->change_count; i++)
		l->told->changes[job->changes[i]].made = result.wrote;
	return true;
}

static bool
write_singly(struct mend_look *l, size_t i, struct dm_err *err)
{
	const struct mend_wanted *w = l->singly[i];
	const struct route_spec spec = placement_spec(&w->place, w->claim, w->dial);
	struct session *s = l->run->s;
	enum route_change change;

	if (!caddy_route_put(s->admin, w->place.server.name, &spec,
		caddy_view_count(s->view, w->claim->id.s), &change, err))
		return false;
	l->told->changes[l->singly_changes[i]].made = change != ROUTE_UNCHANGED;
	return true;
}

static void
write_all(struct mend_look *l)
{
	struct dm_err err;

	for (size_t i = 0; i < l->job_count; i++) {
		if (!write_job(l, &l->jobs[i], &err))
			mend_look_failed(l, &err);
	}
	for (size_t i = 0; i < l->singly_count; i++) {
		if (!write_singly(l, i, &err))
			mend_look_failed(l, &err);
	}
	session_drop_view(l->run->s);
}

/* One look, and what follows from it: *work when there is something to do. */
static struct mend_told *
look_and_write(struct mend_run *run, const struct mend_route_wants *wants, bool write, bool *work)
{
	struct mend_look l = {.run = run, .wants = wants};
	struct dm_err err;

	if (!mend_look(&l, &err))
		mend_look_failed(&l, &err);
	*work = l.job_count + l.singly_count > 0;
	if (*work && write)
		write_all(&l);
	for (size_t i = 0; !write && i < l.told->count; i++)
		l.told->changes[i].made = true; /* in a dry run it would be */
	if ((write || !*work || run->options->dry_run) && l.first.code != DM_OK)
		mend_failed(run, &l.first);
	mend_look_release(&l);
	return l.told;
}

struct mend_told *
mend_routes(struct mend_run *run, const struct mend_route_wants *wants)
{
	DM_AUTO_CLOSE int lock = -1;
	struct mend_told *told;
	bool work;

	/* mostly there is nothing to do, and nobody has to wait for that */
	told = look_and_write(run, wants, false, &work);
	if (!work || run->options->dry_run)
		return told;
	told_release(told);
	lock = placement_lock(run->s);
	session_drop_view(run->s);
	return look_and_write(run, wants, true, &work);
}

void
mend_routes_tell(const struct mend_run *run, struct mend_told *told)
{
	for (size_t i = 0; i < told->count; i++) {
		const struct mend_change *change = &told->changes[i];

		if (change->made)
			mend_tell(run, change->what, "route", change->name, change->reason);
	}
	told_release(told);
}

bool
mend_caddy(struct session *s, const struct mend_options *options, struct dm_err *err)
{
	const struct mend_route_wants wants = {
	    .dead = options->worktree == NULL && !options->keep_routes, .lost = true};
	struct mend_run run = {.s = s, .options = options};

	session_drop_view(s);
	if (!session_need_registry(s, err) || !session_need_view(s, err))
		return false;
	mend_routes_tell(&run, mend_routes(&run, &wants));
	return mend_end(&run, err);
}
