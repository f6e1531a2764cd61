/* SPDX-License-Identifier: MIT */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "identity.h"
#include "out.h"
#include "register.h"
#include "run/errand.h"
#include "runner_impl.h"
#include "wait.h"

#include <cjson/cJSON.h>

enum {
	/* between two looks at what the processes listen on */
	SOON_MS = 10,
	LATER_MS = 200,
	SETTLED_MS = 1000,

	CHECK_MS = 2000,   /* of the claim, the worktree and the route */
	ANSWER_MS = 60000, /* for the first answer, from when it listens */
	IDENTITY_MS = 60000,
	GRACE_MS = 10000,    /* from the first signal to SIGKILL */
	AGAIN_MS = 500,	     /* signals so close together are one: timeout(1) sends two */
	STRAGGLER_MS = 3000, /* the same for what the command left running */
	RESTART_MS = 10000,  /* how long a server in the background may be without a listener */
	EARLY_MS = 10000,    /* not listening yet: a first word about it */
	ROUTE_MS = 5000,     /* between two looks at the route in Caddy */
	SIGNALS = 8
};

/* What blocks is done on a thread, one job at a time. */
enum job {
	JOB_ANSWER,   /* wait for the first answer through Caddy */
	JOB_ROUTE,    /* see whether Caddy still has the route */
	JOB_IDENTITY, /* renew the identity document */
};

struct loop {
	struct runner *r;
	struct event *tick, *errand_ended, *signals[SIGNALS];

	struct errand *errand;
	enum job job;
	struct claim *job_claim; /* the errand's, until it is joined */
	bool renewed;
	bool caddy_lost;

	int64_t git_state; /* changes with HEAD and the index */
	int64_t next_route;
	int64_t next_identity; /* when the identity document is renewed in any case */

	bool asked, announced, told_early, told_timeout, told_silence;

	int64_t began, next_check, kill_at; /* 0: not so */
	int64_t signalled_at;
	bool command_ended;
	bool by_us; /* we are ending it */
};

static void
schedule(struct loop *l, int64_t ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)event_add(l->tick, &t);
}

/* The server refuses: it may have moved, or be about to. */
static void
on_missed(void *user)
{
	schedule(user, 0);
}

/* ---- saying where it answers -------------------------------------------------------------- */

static void
describe_place(const struct loop *l, char *out, size_t size)
{
	if (l->r->place == PLACE_PORT)
		(void)snprintf(out, size, "port %u", (unsigned)l->r->listener.port);
	else
		(void)snprintf(out, size, "its Unix socket");
}

static void
print_json(const struct loop *l, const char *url)
{
	const struct runner *r = l->r;
	cJSON *o = out_object();

	if (r->claim != NULL)
		out_add_claim(o, r->claim);
	else
		out_add_text(o, "url", url);
	out_add_text(o, "tool", r->plan.tool);
	(void)cJSON_AddNumberToObject(o, "pid", r->child.pid);
	(void)cJSON_AddBoolToObject(o, "bridged", l->r->bridge != NULL);
	if (l->r->place == PLACE_PORT)
		(void)cJSON_AddNumberToObject(o, "server_port", l->r->listener.port);
	else
		(void)cJSON_AddNullToObject(o, "server_port");
	(void)cJSON_AddNumberToObject(o, "ready_ms", (double)(dm_now_ms() - l->began));
	out_json(o);
	(void)fflush(stdout);
	l->r->said_json = true;
}

/* Which of several ports it is was a guess. */
static void
mention_others(const struct loop *l)
{
	const struct runner *r = l->r;
	struct dm_pids pids = {.count = 0};
	struct dm_listeners listeners = {.count = 0};
	uint16_t told = r->listener.port;

	if (r->place != PLACE_PORT || r->options->port != 0 || r->listener.port == r->offered ||
	    r->listener.port == r->plan.fixed)
		return;
	runner_processes(r, &pids);
	dm_proc_listeners(&pids, &listeners);
	for (size_t i = 0; i < listeners.count; i++) {
		uint16_t port = listeners.list[i].port;

		if (port != r->listener.port && port != told) {
			dm_note("it also listens on port %u: --port %u leads there instead",
			    (unsigned)port, (unsigned)port);
			told = port;
		}
	}
	dm_listeners_release(&listeners);
	dm_pids_release(&pids);
}

static void
announce(struct loop *l)
{
	const struct runner *r = l->r;
	char place[64], url[64];

	l->announced = true;
	describe_place(l, place, sizeof(place));
	(void)snprintf(url, sizeof(url), "http://localhost:%u", (unsigned)l->r->listener.port);
	if (r->options->json) {
		output_log_note(r->log, "%s", r->claim != NULL ? r->claim->url : url);
		print_json(l, url);
	} else if (r->claim != NULL)
		dm_note("%s (%s on %s, after %.1f s)", r->claim->url,
		    r->plan.tool != NULL ? r->plan.tool : "it listens", place,
		    (double)(dm_now_ms() - l->began) / 1000);
	else if (l->r->place == PLACE_PORT)
		dm_note("%s (without Caddy)", url);
	mention_others(l);
}

/* The errand itself; it alone uses the session's Caddy meanwhile. */
static bool
do_job(void *arg, const atomic_bool *cancel, struct dm_err *err)
{
	struct loop *l = arg;
	const struct registry *reg = l->r->s->registry;

	if (l->job == JOB_ROUTE) /* bounded by [caddy] timeout, and by its lock */
		return register_again(l->r->s, l->job_claim, &l->renewed, err);
	if (l->job == JOB_ANSWER && !wait_for_service(l->job_claim, ANSWER_MS, cancel, err))
		return false;
	(void)identity_publish(reg, l->job_claim);
	return true;
}

/* What a renewal has found out is worth a word only when it has changed. */
static void
report_renewal(struct loop *l, bool ok, const struct dm_err *err)
{
	if (!ok && !l->caddy_lost)
		dm_warn("%s; the URL is dead until it is back", err->msg);
	if (ok && (l->caddy_lost || l->renewed))
		dm_note("%s is registered again", l->job_claim->url);
	l->caddy_lost = !ok;
}

/* It listens, and yet does not answer at its URL: said once, but asked again. */
static void
report_silence(struct loop *l, const struct dm_err *err)
{
	if (!l->told_silence && !l->by_us && !l->command_ended)
		dm_warn("%s", err->msg);
	l->told_silence = true;
	l->asked = false;
}

static void
end_errand(struct loop *l)
{
	struct dm_err err = {.code = DM_OK};
	bool ok;

	if (l->errand == NULL)
		return;
	if (l->errand_ended != NULL)
		event_free(l->errand_ended);
	l->errand_ended = NULL;
	ok = errand_join(l->errand, &err);
	child_reap(&l->r->child); /* git, which it may have run, was in the way of others */
	l->errand = NULL;
	if (l->job == JOB_ROUTE)
		report_renewal(l, ok, &err);
	else if (l->job == JOB_ANSWER && ok)
		announce(l);
	else if (l->job == JOB_ANSWER)
		report_silence(l, &err);
	claim_free(l->job_claim);
	l->job_claim = NULL;
}

static void
on_errand_ended(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	end_errand(user);
}

/* If none is under way. */
static void
send_errand(struct loop *l, enum job job)
{
	struct dm_err err;

	if (l->errand != NULL)
		return;
	l->job_claim = claim_dup(l->r->claim);
	l->job_claim->run = l->r->run;
	l->job = job;
	l->renewed = false;
	l->errand = errand_start(do_job, l, &err);
	if (l->errand == NULL) {
		dm_warn("%s", err.msg);
		claim_free(l->job_claim);
		l->job_claim = NULL;
		return;
	}
	l->errand_ended = event_new(l->r->base, errand_fd(l->errand), EV_READ, on_errand_ended, l);
	if (l->errand_ended != NULL)
		(void)event_add(l->errand_ended, NULL);
}

/* The first time it listens: see whether it answers at its URL, and say so. */
static void
see_to_announcement(struct loop *l)
{
	if (l->announced || l->asked || l->errand != NULL || l->r->place == PLACE_NONE || l->by_us)
		return;
	l->asked = true;
	if (l->r->claim == NULL)
		announce(l);
	else
		send_errand(l, JOB_ANSWER);
}

/* What is said about the service grows old with every commit. */
static void
see_to_identity(struct loop *l)
{
	int64_t state = runner_tree_state(l->r), now = dm_now_ms();

	if (l->errand != NULL || (state == l->git_state && now < l->next_identity))
		return;
	l->git_state = state;
	l->next_identity = now + IDENTITY_MS;
	send_errand(l, JOB_IDENTITY);
}

/* While it serves: what may change behind our back. */
static void
look_after(struct loop *l)
{
	int64_t now = dm_now_ms();

	if (l->r->claim == NULL || !l->announced || l->by_us)
		return;
	/* first what is seldom due: there is one errand at a time */
	see_to_identity(l);
	/* a route of its own is lost when Caddy is restarted without it; the mesh route is not ours
	 */
	if (l->r->claim->registration == CLAIM_ROUTE && l->errand == NULL && now >= l->next_route) {
		l->next_route = now + ROUTE_MS;
		send_errand(l, JOB_ROUTE);
	}
}

/* The first word about a server that takes its time. */
static void
mention_delay(struct loop *l)
{
	l->told_early = true;
	dm_note("it does not listen yet; it was offered PORT=%u", (unsigned)l->r->offered);
}

/* It should long have listened: what does it do instead? */
static void
complain(struct loop *l)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(1024);
	struct dm_pids pids = {.count = 0};
	struct dm_listeners listeners = {.count = 0};

	l->told_timeout = true;
	runner_processes(l->r, &pids);
	dm_proc_listeners(&pids, &listeners);
	ports_describe(&listeners, &text);
	if (l->r->options->port != 0)
		dm_warn("after %lld s nothing listens on port %u; the command listens on: %s",
		    (long long)l->r->options->wait_ms / 1000, (unsigned)l->r->options->port,
		    text.data);
	else
		dm_warn("after %lld s the command listens on: %s; it was offered PORT=%u",
		    (long long)l->r->options->wait_ms / 1000, text.data, (unsigned)l->r->offered);
	dm_listeners_release(&listeners);
	dm_pids_release(&pids);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void
signal_all(const struct loop *l, int sig)
{
	struct dm_pids pids = {.count = 0};

	child_signal(&l->r->child, sig);
	runner_processes(l->r, &pids);
	for (size_t i = 0; i < pids.count; i++) {
		/* the group has had it */
		if (l->r->child.ended || getpgid(pids.list[i]) != l->r->child.pid)
			(void)kill(pids.list[i], sig);
	}
	dm_pids_release(&pids);
}

/* Passes the wish to end on; the second time, and after a while, it is no longer a wish. */
static void
begin_end(struct loop *l, int sig, int64_t grace_ms)
{
	bool again = l->by_us && l->kill_at != 0;
	int64_t now = dm_now_ms();

	if (again && now < l->signalled_at + AGAIN_MS)
		return;
	l->by_us = true;
	l->signalled_at = now;
	signal_all(l, again ? SIGKILL : sig);
	signal_all(l, SIGCONT); /* one that was stopped would not hear it */
	if (!again)
		l->kill_at = now + grace_ms;
	schedule(l, SOON_MS);
}

static void
on_signal(evutil_socket_t sig, short what, void *user)
{
	struct loop *l = user;

	(void)what;
	if (sig == SIGCHLD) {
		child_reap(&l->r->child);
		if (l->r->child.ended)
			schedule(l, 0);
	} else if (sig == SIGCONT) {
		child_continue(&l->r->child);
	} else if (sig == SIGUSR1 || sig == SIGUSR2) {
		child_signal(&l->r->child, (int)sig);
	} else {
		begin_end(l, (int)sig, GRACE_MS);
	}
}

/*
 * The command has ended. What it left running goes as well, unless the command succeeded and what
 * it left is a server (it has put itself into the background), or may yet become one.
 */
static bool
has_ended(struct loop *l)
{
	struct dm_pids pids = {.count = 0};
	int64_t now = dm_now_ms();
	bool server, left;

	if (!l->r->child.ended)
		return false;
	runner_processes(l->r, &pids);
	left = pids.count > 0;
	dm_pids_release(&pids);
	if (!l->command_ended) {
		l->command_ended = true;
		l->r->status = l->r->child.status;
		child_restore_terminal(&l->r->child);
	}
	if (!left)
		return true;
	/* it may be about to listen, for the first time or again */
	server = l->r->found_once ? now - l->r->seen_at < RESTART_MS
				  : now - l->began < l->r->options->wait_ms;
	if (!l->by_us && (l->r->status != 0 || !server))
		begin_end(l, SIGTERM, STRAGGLER_MS);
	return false;
}

/* ---- what happens around it --------------------------------------------------------------- */

/* The name is no longer ours: somebody took it, or it was taken down. */
static void
lose_claim(struct loop *l, const struct claim *now)
{
	struct runner *r = l->r;

	if (now != NULL)
		dm_warn("the name %s now belongs to the worktree %s; this server runs on without "
			"a URL",
		    r->claim->id.s, now->worktree);
	else
		dm_warn("%s was taken down; this server runs on without a URL", r->claim->id.s);
	/* first the bridge: what the errand waits for then ends at once; that has been explained */
	output_log_mute(r->log);
	bridge_free(r->bridge);
	r->bridge = NULL;
	l->told_silence = true;
	end_errand(l);
	runner_let_go(r);
	claim_free(r->claim);
	r->claim = NULL;
	l->announced = true;
}

static void
check_claim(struct loop *l)
{
	struct runner *r = l->r;
	dm_auto(claim) now = NULL;
	struct dm_err err;

	if (r->claim == NULL || !registry_find(r->s->registry, r->claim->id.s, &now, &err))
		return;
	if (now == NULL || now->uid != geteuid() || strcmp(now->worktree, r->worktree) != 0 ||
	    (now->run.runner.pid != r->run.runner.pid && dm_proc_alive(&now->run.runner)))
		lose_claim(l, now);
}

static void
check_worktree(struct loop *l)
{
	enum runner_tree tree = l->by_us ? RUNNER_TREE_THERE : runner_tree_look(l->r);

	if (tree == RUNNER_TREE_MOVED)
		l->next_identity = 0; /* what is said about it has changed */
	if (tree != RUNNER_TREE_GONE)
		return;
	if (l->r->s->conf->worktree_gone == CONF_WORKTREE_GONE_KEEP) {
		dm_debug("the worktree %s is gone", l->r->worktree);
		return;
	}
	dm_note("the worktree %s is gone: ending its server", l->r->worktree);
	begin_end(l, SIGTERM, GRACE_MS);
}

/* While it starts: what the look may add to the time it takes, a twentieth, decides. */
static int64_t
next_look(const struct loop *l)
{
	int64_t pause = (dm_now_ms() - l->began) / 20;

	if (l->by_us || l->r->stray_since != 0)
		return SOON_MS;
	if (l->r->place != PLACE_NONE)
		return SETTLED_MS;
	return pause < SOON_MS ? SOON_MS : pause > LATER_MS ? LATER_MS : pause;
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	struct loop *l = user;
	int64_t now = dm_now_ms();

	(void)fd;
	(void)what;
	if (has_ended(l)) {
		(void)event_base_loopbreak(l->r->base);
		return;
	}
	if (l->kill_at != 0 && now >= l->kill_at) {
		signal_all(l, SIGKILL);
		l->kill_at = now + GRACE_MS;
	}
	if (now >= l->next_check) {
		l->next_check = now + CHECK_MS;
		check_worktree(l); /* first: the claim may have followed it already */
		check_claim(l);
		look_after(l);
	}
	runner_look(l->r);
	see_to_announcement(l);
	if (!l->r->found_once && !l->told_early && !l->by_us && !l->command_ended &&
	    now - l->began > EARLY_MS)
		mention_delay(l);
	if (!l->r->found_once && !l->told_timeout && now - l->began > l->r->options->wait_ms)
		complain(l);
	schedule(l, next_look(l));
}

static bool
set_up(struct loop *l, struct dm_err *err)
{
	static const int wanted[SIGNALS] = {
	    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD, SIGCONT};

	l->r->base = event_base_new();
	if (l->r->base == NULL)
		return dm_fail(err, DM_FAILED, "setting up the event loop: libevent refuses");
	l->tick = event_new(l->r->base, -1, 0, on_tick, l);
	for (size_t i = 0; i < SIGNALS; i++) {
		struct sigaction now;

		/* nohup(1) */
		if (wanted[i] == SIGHUP && sigaction(SIGHUP, NULL, &now) == 0 &&
		    now.sa_handler == SIG_IGN)
			continue;
		l->signals[i] = evsignal_new(l->r->base, wanted[i], on_signal, l);
		if (l->signals[i] == NULL || event_add(l->signals[i], NULL) != 0)
			return dm_fail(
			    err, DM_FAILED, "setting up the event loop: signal %d", wanted[i]);
	}
	if (l->tick == NULL)
		return dm_fail(err, DM_FAILED, "setting up the event loop: no timer");
	l->r->missed = on_missed;
	l->r->missed_user = l;
	runner_follow_size(l->r);
	return runner_start_bridge(l->r, err);
}

/* The command has ended: ending us now would leave half of it behind. SIGQUIT is the way out. */
static void
hold_wishes(void)
{
	static const int wishes[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		(void)sigaddset(&set, wishes[i]);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void
tear_down(struct loop *l)
{
	for (size_t i = 0; i < SIGNALS; i++) {
		if (l->signals[i] != NULL)
			event_free(l->signals[i]);
	}
	/* then the bridge: what the errand waits for then ends at once */
	bridge_free(l->r->bridge);
	l->r->bridge = NULL;
	end_errand(l);
	runner_forget_size(l->r);
	if (l->tick != NULL)
		event_free(l->tick);
	if (l->r->base != NULL)
		event_base_free(l->r->base);
}

bool
runner_loop(struct runner *r, struct dm_err *err)
{
	struct loop l = {.r = r, .began = dm_now_ms()};
	bool ok = set_up(&l, err);

	if (ok) {
		(void)sigprocmask(SIG_SETMASK, &r->mask, NULL);
		/* it may have ended before anybody listened for the signal */
		child_reap(&r->child);
		schedule(&l, 0);
		(void)event_base_dispatch(r->base);
	} else {
		child_signal(&r->child, SIGKILL);
	}
	hold_wishes();
	tear_down(&l);
	return ok;
}
