/* SPDX-License-Identifier: MIT */
/*
 * Worktrees that are removed, moved and renamed, and a devmesh run that is killed, while devmeshd
 * watches: what belonged to them goes, or goes with them; what belongs to others stays.
 */
#include "harness_daemon.h"

#include <signal.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <unistd.h>

/* A repository with the worktrees "gone" and "stays", both registered, and a living neighbour. */
struct place {
	char *repo, *gone, *stays;
	struct devmeshd *d;
};

static struct place
set_place(struct world *w, const char *grace)
{
	struct place p = {.repo = repo_new(w, "shop")};

	caddy_plain(w, strangers(w, 3));
	/* the default branch, and so the bare name, is that of a worktree */
	GIT(w, p.repo, "checkout", "-q", "-b", "elsewhere");
	p.gone = fmt(w, "%s/gone", w->dir);
	GIT(w, p.repo, "worktree", "add", "-q", p.gone, "main");
	p.stays = worktree_add(w, p.repo, "stays");
	assert_string_equal(up_ok(w, p.gone), "shop-main");
	assert_string_equal(up_ok(w, p.stays), "shop-stays");
	(void)serve_in(w, p.stays, socket_of(w, "shop-stays"), "shop-stays");
	daemon_conf(w, "GRACE", grace);
	daemon_conf(w, "PROBE_INTERVAL", "1");
	p.d = daemon_start(w);
	wait_state(w, p.d, "shop-stays", "up");
	return p;
}

static const char *
document_of(struct world *w, const char *id)
{
	return fmt(w, "%s/identity/%s.json", w->state, id);
}

static void
assert_others_stay(struct world *w, struct place *p)
{
	assert_answers(w, "shop-stays.dev.test", "shop-stays");
	assert_non_null(claim_of(w, "shop-stays"));
	assert_int_equal(count_routes(w, "shop-stays"), 1);
	assert_true(exists(document_of(w, "shop-stays")));
	assert_strangers(w, 3);
	for (size_t i = 0; i < p->d->count; i++)
		if (strcmp(p->d->events[i].kind, "mend") == 0)
			assert_null(strstr(p->d->events[i].id, "stays"));
}

static bool
has_no_claim(struct world *w, const void *arg)
{
	return claim_of(w, arg) == NULL;
}

/* The claim, its route, its alias and its document have gone, with a word about it. */
static void
assert_goes(struct world *w, struct place *p)
{
	(void)wait_mend(w, p->d, "removed", "claim", "shop-main", "its worktree is gone");
	(void)wait_event(w, p->d, "service-gone", "shop-main", NULL);
	assert_true(wait_until(w, has_no_claim, "shop-main", ANSWER_MS));
	assert_null(claim_of(w, "shop"));
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_int_equal(count_routes(w, "shop"), 0);
	assert_false(exists(document_of(w, "shop-main")));
	assert_false(exists(socket_of(w, "shop-main")));
	assert_null(service_of(w, p->d, "shop-main"));
	assert_others_stay(w, p);
}

static void
assert_was_there(struct world *w)
{
	assert_non_null(claim_of(w, "shop"));
	assert_true(exists(document_of(w, "shop-main")));
	assert_int_equal(count_routes(w, "shop-main"), 1);
}

/* ---- removed ------------------------------------------------------------------------------- */

TEST(git_worktree_remove)
{
	struct place p = set_place(w, "1");
	const struct happened *orphan, *mended;

	assert_was_there(w);
	GIT(w, p.repo, "worktree", "remove", p.gone);
	(void)wait_event(w, p.d, "worktree-gone", p.gone, NULL);
	orphan = wait_move(w, p.d, "shop-main", "starting", "orphan", NULL);
	mended = wait_mend(w, p.d, "removed", "claim", "shop-main", "its worktree is gone");
	assert_true(mended->at_ms - orphan->at_ms >= 1000 - INEXACT_MS);
	p.d->events[mended - p.d->events].taken = false;
	assert_goes(w, &p);
}

TEST(rm_rf_of_a_worktree_with_a_dead_server)
{
	struct place p = set_place(w, "1");

	assert_was_there(w);
	stale_socket(socket_of(w, "shop-main"));
	remove_tree(p.gone);
	(void)wait_move(w, p.d, "shop-main", NULL, "orphan", NULL);
	assert_goes(w, &p);
}

TEST(a_worktree_that_is_back_in_time_stays)
{
	struct place p = set_place(w, "3");
	char *hidden = fmt(w, "%s/hidden", w->dir);

	assert_int_equal(rename(p.gone, hidden), 0);
	(void)wait_move(w, p.d, "shop-main", "starting", "orphan", NULL);
	assert_int_equal(rename(hidden, p.gone), 0);
	(void)wait_move(w, p.d, "shop-main", "orphan", "starting", NULL);
	outlast_grace(w, p.d);
	assert_was_there(w);
	assert_no_mends(w, p.d);
	assert_others_stay(w, &p);
}

static bool
has_ended(struct world *w, const void *arg)
{
	const struct proc *p = arg;

	(void)w;
	return p->ended;
}

TEST(the_server_of_a_removed_worktree_is_kept)
{
	struct place p = set_place(w, "1");
	struct proc *server = serve_in(w, p.gone, socket_of(w, "shop-main"), "shop-main");

	wait_state(w, p.d, "shop-main", "up");
	remove_tree(p.gone);
	(void)wait_move(w, p.d, "shop-main", "up", "orphan", NULL);
	outlast_grace(w, p.d);
	assert_false(server->ended);
	assert_was_there(w);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_no_mends(w, p.d);
	/* until it ends by itself */
	end_proc(w, server);
	assert_goes(w, &p);
}

TEST(the_server_of_a_removed_worktree_is_ended_where_that_is_wanted)
{
	struct place p;
	struct proc *server;

	daemon_conf(w, "ORPHANS", "end");
	p = set_place(w, "1");
	server = serve_in(w, p.gone, socket_of(w, "shop-main"), "shop-main");
	wait_state(w, p.d, "shop-main", "up");
	GIT(w, p.repo, "worktree", "remove", p.gone);
	(void)wait_move(w, p.d, "shop-main", "up", "orphan", NULL);
	(void)wait_mend(w, p.d, "ended", "server", "shop-main", "its worktree is gone");
	assert_true(wait_until(w, has_ended, server, ANSWER_MS));
	assert_int_equal(server->status, SIGTERM);
	assert_goes(w, &p);
	assert_int_equal(count_events(w, p.d, "mend", "shop-main"), 2);
}

TEST(a_pinned_claim_stays)
{
	struct place p = set_place(w, "1");

	(void)daemon_ask(w, p.d, "POST", "/api/v1/services/shop-main/pin", "{\"pinned\":true}");
	remove_tree(p.gone);
	(void)wait_move(w, p.d, "shop-main", "starting", "orphan", NULL);
	outlast_grace(w, p.d);
	assert_was_there(w);
	assert_no_mends(w, p.d);
	(void)daemon_ask(w, p.d, "POST", "/api/v1/services/shop-main/pin", "{\"pinned\":false}");
	assert_goes(w, &p);
}

/* ---- moved, renamed ------------------------------------------------------------------------ */

static void
assert_followed(struct world *w, struct place *p, const char *to)
{
	(void)wait_mend(w, p->d, "moved", "claim", "shop-main", "its worktree was moved");
	assert_string_equal(json_str(claim_of(w, "shop-main"), "worktree"), to);
	assert_was_there(w);
	outlast_grace(w, p->d);
	assert_string_equal(json_str(claim_of(w, "shop-main"), "worktree"), to);
	assert_string_equal(json_str(service_of(w, p->d, "shop-main"), "worktree"), to);
	assert_was_there(w);
	assert_int_equal(count_events(w, p->d, "mend", "shop-main"), 1);
	/* the same name from there */
	assert_string_equal(line_of(w, DM(w, to, "name")), "shop-main");
	assert_others_stay(w, p);
}

static void
wait_branch(struct world *w, struct devmeshd *d, const char *worktree, const char *branch)
{
	const struct happened *e;

	do
		e = wait_event(w, d, "worktree", worktree, NULL);
	while (json_str(e->data, "branch") == NULL ||
	       strcmp(json_str(e->data, "branch"), branch) != 0);
}

TEST(git_worktree_move)
{
	struct place p = set_place(w, "1");
	char *to = fmt(w, "%s/moved", w->dir);

	GIT(w, p.repo, "worktree", "move", p.gone, to);
	assert_followed(w, &p, to);
	/* its git directory, which is the old one, is watched as before */
	GIT(w, to, "checkout", "-q", "-b", "later");
	wait_branch(w, p.d, to, "later");
	GIT(w, p.repo, "worktree", "remove", to);
	(void)wait_event(w, p.d, "worktree-gone", to, NULL);
}

TEST(a_worktree_is_moved_below_its_server)
{
	struct place p = set_place(w, "1");
	char *to = fmt(w, "%s/moved", w->dir);

	(void)serve_in(w, p.gone, socket_of(w, "shop-main"), "shop-main");
	wait_state(w, p.d, "shop-main", "up");
	GIT(w, p.repo, "worktree", "move", p.gone, to);
	assert_followed(w, &p, to);
	wait_state(w, p.d, "shop-main", "up");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(a_branch_is_renamed)
{
	struct place p = set_place(w, "1");
	char *record = fmt(w, "%s/shop-stays.json", w->sockets), *before = read_text(w, record);

	GIT(w, p.stays, "branch", "-m", "stays", "renamed");
	wait_branch(w, p.d, p.stays, "renamed");
	outlast_grace(w, p.d);
	/* the name that it has stays its own until somebody registers it anew */
	assert_string_equal(read_text(w, record), before);
	assert_string_equal(json_str(service_of(w, p.d, "shop-stays"), "state"), "up");
	assert_no_mends(w, p.d);
	assert_others_stay(w, &p);
}

/* ---- descriptors run out ------------------------------------------------------------------- */

#ifdef __linux__
/* struct rlimit64 of prlimit(2), whose own function POSIX hides. */
struct limit {
	uint64_t now, most;
};

static bool
has_complained(struct world *w, const void *arg)
{
	const char *at = daemon_log(w, arg);
	int times = 0;

	while ((at = strstr(at, "Too many open files")) != NULL) {
		at++;
		times++;
	}
	return times >= 4;
}

/* What cannot be seen for a while stays as it was. */
TEST(without_descriptors_nothing_is_concluded)
{
	struct place p = set_place(w, "1");
	struct limit before, few;
	const char *const kinds[] = {"service", "service-gone"};
	int counts[2];

	/* whatever was under way until now has come once a later event has */
	GIT(w, p.stays, "checkout", "-q", "-b", "sooner");
	wait_branch(w, p.d, p.stays, "sooner");
	for (size_t i = 0; i < 2; i++)
		counts[i] = count_events(w, p.d, kinds[i], "shop-stays");
	assert_int_equal(syscall(SYS_prlimit64, p.d->p->pid, RLIMIT_NOFILE, NULL, &before), 0);
	few = before;
	few.now = 3;
	assert_int_equal(syscall(SYS_prlimit64, p.d->p->pid, RLIMIT_NOFILE, &few, NULL), 0);
	GIT(w, p.stays, "commit", "-q", "--allow-empty", "-m", "more");
	assert_true(wait_until(w, has_complained, p.d, ANSWER_MS));
	assert_int_equal(syscall(SYS_prlimit64, p.d->p->pid, RLIMIT_NOFILE, &before, NULL), 0);
	GIT(w, p.stays, "checkout", "-q", "-b", "later");
	wait_branch(w, p.d, p.stays, "later");
	assert_probed(w, p.d, "shop-stays", "up");
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(count_events(w, p.d, kinds[i], "shop-stays"), counts[i]);
	assert_no_event(w, p.d, "worktree-gone", NULL);
	assert_no_event(w, p.d, "service-gone", NULL);
	assert_null(strstr(daemon_log(w, p.d), "Caddy is "));
	assert_was_there(w);
	assert_others_stay(w, &p);
}
#endif

/* ---- devmesh run --------------------------------------------------------------------------- */

TEST(a_killed_run_goes_with_what_it_has_left)
{
	struct place p = set_place(w, "1");
	char *wt = worktree_add(w, p.repo, "run"), *url;
	struct proc *run;
	pid_t server;

	url = RUN_URL(w, wt, &run, "ignore");
	assert_answers(w, "shop-run.dev.test", "shop-run");
	server = (pid_t)pid_of_server(w, url);
	wait_state(w, p.d, "shop-run", "up");
	end_proc(w, run);
	(void)wait_mend(w, p.d, "removed", "claim", "shop-run", "its devmesh run was killed");
	(void)wait_event(w, p.d, "service-gone", "shop-run", NULL);
	wait_servers(w, 0);
	assert_int_equal(kill(server, 0), -1);
	wait_gone(w, socket_of(w, "shop-run"));
	assert_nothing_left(w, "shop-run");
	assert_others_stay(w, &p);
}

TEST(a_killed_run_that_is_followed_in_time_stays)
{
	struct place p = set_place(w, "6");
	char *wt = worktree_add(w, p.repo, "run"), *url;
	struct proc *run;

	url = RUN_URL(w, wt, &run, NULL);
	wait_state(w, p.d, "shop-run", "up");
	end_proc(w, run);
	url = RUN_URL(w, wt, &run, NULL);
	outlast_grace(w, p.d);
	assert_url_answers(w, url, "shop-run");
	assert_string_equal(json_str(service_of(w, p.d, "shop-run"), "state"), "up");
	assert_no_event(w, p.d, "mend", "shop-run");
	assert_others_stay(w, &p);
	signal_proc(run, SIGTERM);
	assert_ends(w, run, 128 + SIGTERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(git_worktree_remove),
	    DAEMON_TEST(rm_rf_of_a_worktree_with_a_dead_server),
	    DAEMON_TEST(a_worktree_that_is_back_in_time_stays),
	    DAEMON_TEST(the_server_of_a_removed_worktree_is_kept),
	    DAEMON_TEST(the_server_of_a_removed_worktree_is_ended_where_that_is_wanted),
	    DAEMON_TEST(a_pinned_claim_stays),
	    DAEMON_TEST(git_worktree_move),
	    DAEMON_TEST(a_worktree_is_moved_below_its_server),
	    DAEMON_TEST(a_branch_is_renamed),
#ifdef __linux__
	    DAEMON_TEST(without_descriptors_nothing_is_concluded),
#endif
	    DAEMON_TEST(a_killed_run_goes_with_what_it_has_left),
	    DAEMON_TEST(a_killed_run_that_is_followed_in_time_stays),
	};

	return RUN_TESTS(tests);
}
