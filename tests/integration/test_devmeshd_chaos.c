/* SPDX-License-Identifier: MIT */
/*
 * The fault run: servers, `devmesh run`, Caddy and devmeshd are killed with SIGKILL in random
 * order, several at once, and started again, or not. After each time the whole picture has to be
 * right again soon (and after the grace period), looked at from outside; how soon it was is told at
 * the end. Whatever belongs to others has to be what it was, byte for byte.
 *
 *	DEVMESH_CHAOS_SEED    which order (it is printed)
 *	DEVMESH_CHAOS_ROUNDS  how many rounds (100)
 */
#include "harness_chaos.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

enum {
	ROUNDS = 100,
	KILLS = 3 /* at most in one round */
};

/* ---- one step each ----------------------------------------------------------------------- */

static void
kill_service(struct chaos *c, struct service *s)
{
	chaos_say(c, "kill %s (%s)", s->id, chaos_kind_name(s->kind));
	end_proc(c->w, s->proc);
	s->alive = false;
	s->claimed = s->claimed && s->kind != RUN;
}

static bool
has_ended(struct world *w, const void *arg)
{
	(void)w;
	return ((const struct proc *)arg)->ended;
}

/* The server behind a `devmesh run`, which ends with it, and takes its name back by itself. */
static void
kill_server_of_run(struct chaos *c, struct service *s)
{
	struct world *w = c->w;
	struct reply r = http_get(w, w->port, s->host, "/");
	const char *blank = strchr(r.body, ' ');
	long pid = r.status == 200 && blank != NULL ? strtol(blank, NULL, 10) : 0;

	if (pid <= 1) {
		kill_service(c, s);
		return;
	}
	chaos_say(c, "kill the server of %s (run)", s->id);
	kill((pid_t)pid, SIGKILL);
	s->alive = s->claimed = false;
	if (!wait_until(w, has_ended, s->proc, ANSWER_MS))
		fail_msg("devmesh run of %s goes on without its server", s->id);
}

static void
remove_worktree(struct chaos *c, struct service *s)
{
	chaos_say(c, "remove the worktree of %s", s->id);
	if (chaos_draw(c, 2) == 0)
		remove_tree(s->dir);
	else
		GIT(c->w, c->repo, "worktree", "remove", "--force", s->dir);
	s->removed = true;
}

static void
kill_daemon(struct chaos *c)
{
	chaos_say(c, "kill devmeshd");
	end_proc(c->w, c->daemon);
	c->daemon = NULL;
}

static void
kill_caddy(struct chaos *c)
{
	chaos_say(c, "kill Caddy");
	end_proc(c->w, c->w->caddy);
	c->caddy_up = false;
}

/* Kills somebody who lives; nobody twice. */
static void
kill_somebody(struct chaos *c)
{
	unsigned who = chaos_draw(c, SERVICES + 4);
	struct service *s = &c->services[who % SERVICES];

	if (who >= SERVICES + 2 && c->daemon != NULL) {
		kill_daemon(c);
	} else if (who >= SERVICES && c->caddy_up) {
		kill_caddy(c);
	} else if (who < SERVICES && s->alive && s->kind == RUN && !s->removed &&
		   chaos_draw(c, 2) == 0) {
		kill_server_of_run(c, s);
	} else if (who < SERVICES && s->alive && s->kind != RUN && !s->removed &&
		   chaos_draw(c, 8) == 0) {
		remove_worktree(c, s); /* under a living server */
	} else if (who < SERVICES && s->alive) {
		kill_service(c, s);
	}
	if (who < SERVICES && !s->alive && s->claimed && !s->removed && chaos_draw(c, 4) == 0)
		remove_worktree(c, s);
}

/* ---- coming back ------------------------------------------------------------------------- */

static void
revive_services(struct chaos *c)
{
	unsigned first = chaos_draw(c, SERVICES);

	for (unsigned i = 0; i < SERVICES; i++) {
		struct service *s = &c->services[(first + i) % SERVICES];

		if (!s->alive && chaos_draw(c, 2) == 0)
			chaos_start_service(c, s);
	}
}

/* Whoever was missing for a whole round comes back now; who was killed in this one, mostly. */
static void
revive(struct chaos *c, bool caddy_missed, bool daemon_missed)
{
	bool caddy = !c->caddy_up && (caddy_missed || chaos_draw(c, 4) != 0);
	bool daemon = c->daemon == NULL && (daemon_missed || chaos_draw(c, 4) != 0);
	unsigned order = chaos_draw(c, 6);

	/* all six orders of the three */
	for (unsigned turn = 0; turn < 3; turn++) {
		static const unsigned char orders[6][3] = {
		    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

		if (orders[order][turn] == 0 && caddy)
			chaos_start_caddy(c);
		else if (orders[order][turn] == 1 && daemon)
			chaos_start_daemon(c);
		else if (orders[order][turn] == 2)
			revive_services(c);
	}
}

static void
play_round(struct chaos *c, int number)
{
	bool caddy_missed = !c->caddy_up, daemon_missed = c->daemon == NULL;
	unsigned kills = 1 + chaos_draw(c, KILLS);

	c->said[0] = '\0';
	chaos_say(c, "round %d", number);
	for (unsigned i = 0; i < kills; i++)
		kill_somebody(c);
	revive(c, caddy_missed, daemon_missed);
	chaos_settle(c);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void
end_everything(struct chaos *c)
{
	c->said[0] = '\0';
	chaos_say(c, "the end");
	if (c->caddy_up)
		kill_caddy(c);
	c->with_mesh = true;
	chaos_start_caddy(c);
	if (c->daemon == NULL)
		chaos_start_daemon(c);
	for (int i = 0; i < SERVICES; i++) {
		struct service *s = &c->services[i];

		if (s->alive)
			kill_service(c, s);
		if (s->claimed && !s->removed)
			remove_worktree(c, s);
	}
	chaos_settle(c);
}

static unsigned
number_of(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

TEST(killed_in_any_order_it_is_soon_right_again)
{
	unsigned seed = number_of("DEVMESH_CHAOS_SEED", (unsigned)time(NULL) ^ (unsigned)getpid());
	unsigned rounds = number_of("DEVMESH_CHAOS_ROUNDS", ROUNDS);
	struct chaos c = {.w = w, .random = seed * 2654435761U + 1};
	int64_t began = now_ms();

	printf("           DEVMESH_CHAOS_SEED=%u\n", seed);
	chaos_begin(&c);
	for (unsigned i = 1; i <= rounds; i++) {
		struct kept *mark = world_mark(w);

		play_round(&c, (int)i);
		world_forget(w, mark);
	}
	end_everything(&c);
	/* soon, but for a moment in which the machine did something else */
	assert_true(c.late * 20 <= c.settles);
	printf(
	    "           %u rounds in %lld s; right again after %lld ms at most, %lld on average\n",
	    rounds, (long long)(now_ms() - began) / 1000, (long long)c.slowest_ms,
	    (long long)(c.settles == 0 ? 0 : c.total_ms / c.settles));
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    WORLD_TEST(killed_in_any_order_it_is_soon_right_again),
	};

	serve_main(argc, argv);
	return RUN_TESTS(tests);
}
