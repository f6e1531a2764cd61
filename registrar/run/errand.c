/* SPDX-License-Identifier: MIT */
#include "run/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

struct errand {
	pthread_t thread;
	int ended[2]; /* a pipe, closed at one end by the thread */
	errand_job *job;
	void *arg;
	atomic_bool cancel;
	bool ok;
	struct dm_err err;
};

static void *
work(void *user)
{
	struct errand *e = user;

	e->ok = e->job(e->arg, &e->cancel, &e->err);
	(void)close(e->ended[1]);
	return NULL;
}

struct errand *
errand_start(errand_job *job, void *arg, struct dm_err *err)
{
	struct errand *e = dm_calloc(1, sizeof(*e));
	sigset_t all, before;
	int error;

	e->job = job;
	e->arg = arg;
	if (pipe(e->ended) != 0) {
		(void)dm_fail_errno(err, errno, "making a pipe");
		free(e);
		return NULL;
	}
	(void)fcntl(e->ended[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(e->ended[1], F_SETFD, FD_CLOEXEC);
	/* signals are the loop's */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&e->thread, NULL, work, e);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		return e;
	(void)close(e->ended[0]);
	(void)close(e->ended[1]);
	free(e);
	(void)dm_fail_errno(err, error, "starting a thread");
	return NULL;
}

int
errand_fd(const struct errand *errand)
{
	return errand->ended[0];
}

bool
errand_join(struct errand *errand, struct dm_err *err)
{
	bool ok;

	atomic_store(&errand->cancel, true);
	(void)pthread_join(errand->thread, NULL);
	(void)close(errand->ended[0]);
	ok = errand->ok;
	if (!ok)
		*err = errand->err;
	free(errand);
	return ok;
}
