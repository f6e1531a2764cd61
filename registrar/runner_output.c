/* SPDX-License-Identifier: MIT */
/* What the command of a run writes: kept for `devmesh logs` and the dashboard. */
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "commands.h"
#include "outputs.h"
#include "runner_impl.h"

enum {
	LAST_WORDS_MS = 1000,
	SIZE_MS = 250, /* SIGWINCH goes to whoever has the terminal, which is not us */
};

/* What we say on our own stderr belongs to the story as well. */
static void
note_remark(void *user, const char *line)
{
	output_log_note(user, "%s", line);
}

void
runner_keep_output(struct runner *r)
{
	DM_AUTO_FREE char *command = command_line(r->options->argv);
	DM_AUTO_FREE char *dir = NULL;
	struct dm_err err;

	if (r->claim == NULL || r->s->conf->log_kb == 0 || !session_need_state_dir(r->s, &err))
		return;
	dir = outputs_dir(r->s);
	output_log_sweep(dir, OUTPUTS_DAYS);
	r->log = output_log_open(dir, r->claim->id.s, (size_t)r->s->conf->log_kb << 10, &err);
	if (r->log == NULL) {
		dm_warn("what it writes is not kept: %s", err.msg);
		return;
	}
	output_log_note(r->log, "starting %s in %s", command, r->worktree);
	dm_log_also(note_remark, r->log);
	r->tee = tee_open(r->log,
	    r->options->supervised ? TEE_KEEP
	    : r->options->json	   ? TEE_STDOUT_TO_STDERR
				   : TEE_STREAMS,
	    &err);
	if (r->tee == NULL)
		dm_warn("what it writes is not kept: %s", err.msg);
}

void
runner_output_ends(struct runner *r, int *out, int *err)
{
	*out = *err = -1;
	if (r->tee != NULL) {
		*out = tee_stdout(r->tee);
		*err = tee_stderr(r->tee);
	} else if (r->options->supervised) {
		/* our own stderr is a file of devmeshd's, for a few words of ours */
		r->nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
		*out = *err = r->nowhere;
	}
}

bool
runner_output_begin(struct runner *r, bool started, struct dm_err *err)
{
	struct dm_err ignored;

	if (r->nowhere > 0)
		(void)close(r->nowhere);
	r->nowhere = 0;
	if (r->tee == NULL || tee_begin(r->tee, started ? err : &ignored))
		return true;
	child_signal(&r->child, SIGKILL);
	return false;
}

static void
on_size(evutil_socket_t fd, short what, void *user)
{
	const struct runner *r = user;

	(void)fd;
	(void)what;
	if (tee_resize(r->tee))
		child_signal(&r->child, SIGWINCH);
}

void
runner_follow_size(struct runner *r)
{
	static const struct timeval interval = {.tv_usec = SIZE_MS * 1000L};

	if (r->tee == NULL || !tee_has_terminal(r->tee))
		return;
	r->resize = event_new(r->base, -1, EV_PERSIST, on_size, r);
	if (r->resize != NULL)
		(void)event_add(r->resize, &interval);
}

void
runner_forget_size(struct runner *r)
{
	if (r->resize != NULL)
		event_free(r->resize);
	r->resize = NULL;
}

void
runner_end_output(struct runner *r)
{
	bool through = tee_end(r->tee, LAST_WORDS_MS);

	dm_log_also(NULL, NULL);
	/* for a devmeshd that is not our parent (any more) */
	if (r->options->supervised && r->child.ended)
		(void)fprintf(stderr, RUNNER_EXIT_WORD "%d\n", r->status);
	if (!through)
		return;
	if (r->child.ended)
		output_log_note(r->log,
		    r->status > 128 ? "ended by signal %d" : "ended with status %d",
		    r->status > 128 ? r->status - 128 : r->status);
	output_log_close(r->log);
	r->tee = NULL;
	r->log = NULL;
}
