/* SPDX-License-Identifier: MIT */
/*
 * devmeshd with 300 services of which fifty change in every second, while clients of its events
 * read, come back, vanish, and stall.
 */
#include "harness_api.h"
#include "harness_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	WORKTREES = 30,
	APPS = 10, /* in each */
	COUNT = WORKTREES * APPS,
	RATE = 50, /* changes in a second */
	SECONDS = 10,
	BACKLOG = 4096,
	MORE_MB = 8, /* so much the daemon may have grown */
	MOST = 100000
};

struct one {
	char id[64], dir[WORLD_PATH], app[16];
	int fd; /* of its listening socket; -1: nobody listens */
	bool claimed;
	char shown[16]; /* its state, as the events have it; "": there is no such service */
};

/* A reader of events: every one of them, in order, once. */
struct reader {
	struct event_stream *stream;
	double seq; /* of the last one */
	int events;
	bool tells; /* what it reads is kept in `shown` */
};

struct load {
	struct world *w;
	struct proc *daemon;
	struct one *list;
	struct reader all, again;
	unsigned random;
};

static unsigned
draw(struct load *l, unsigned n)
{
	l->random = l->random * 1664525U + 1013904223U;
	return (l->random >> 8) % n;
}

/* ---- services ---------------------------------------------------------------------------- */

static int
listen_at(struct world *w, const char *id)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%.40s/%.60s.sock", w->sockets, id);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	return fd;
}

static void
start_or_end(struct load *l, struct one *s)
{
	char path[WORLD_PATH];

	if (s->fd < 0) {
		s->fd = listen_at(l->w, s->id);
		return;
	}
	snprintf(path, sizeof path, "%.40s/%.60s.sock", l->w->sockets, s->id);
	assert_int_equal(unlink(path), 0);
	close(s->fd);
	s->fd = -1;
}

static void
claim_or_release(struct load *l, struct one *s)
{
	struct world *w = l->w;

	if (s->claimed && s->fd >= 0)
		start_or_end(l, s);
	assert_exit(
	    w, s->claimed ? DM(w, s->dir, "down", s->id) : DM(w, s->dir, "up", "--app", s->app), 0);
	s->claimed = !s->claimed;
}

static void
change_one(struct load *l)
{
	struct one *s = &l->list[draw(l, COUNT)];

	if (!s->claimed || draw(l, 10) == 0)
		claim_or_release(l, s);
	else
		start_or_end(l, s);
}

static void
make_services(struct load *l)
{
	struct world *w = l->w;
	char *repo = repo_new(w, "shop");

	for (int i = 0; i < WORKTREES; i++) {
		char *dir = worktree_add(w, repo, fmt(w, "b%d", i));

		for (int k = 0; k < APPS; k++) {
			struct one *s = &l->list[i * APPS + k];

			snprintf(s->app, sizeof s->app, "app%d", k);
			snprintf(s->id, sizeof s->id, "app%d-b%d", k, i);
			snprintf(s->dir, sizeof s->dir, "%s", dir);
			s->fd = -1;
			claim_or_release(l, s);
			start_or_end(l, s);
		}
	}
}

/* ---- readers ----------------------------------------------------------------------------- */

static struct one *
find(struct load *l, const char *id)
{
	for (int i = 0; i < COUNT; i++)
		if (strcmp(l->list[i].id, id) == 0)
			return &l->list[i];
	return NULL;
}

static void
show(struct load *l, const char *id, const char *state)
{
	struct one *s = find(l, id);

	if (s != NULL)
		snprintf(s->shown, sizeof s->shown, "%s", state);
}

static void
take(struct load *l, struct reader *r, const cJSON *line)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(line, "data"), *one;
	const char *kind = json_str(line, "event");
	double seq = json_number(line, "seq");

	if (strcmp(kind, "hello") == 0) {
		/* only who has nothing yet gets everything */
		assert_true(r->seq <= 0);
		cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(data, "services"))
			if (r->tells)
				show(l, json_str(one, "id"), json_str(one, "state"));
	} else if (seq < r->seq + 1 || seq > r->seq + 1) {
		fail_msg("event %.0f follows %.0f", seq, r->seq);
	}
	r->seq = seq;
	r->events++;
	if (r->tells && strcmp(kind, "service") == 0)
		show(l, json_str(data, "id"), json_str(data, "state"));
	if (r->tells && strcmp(kind, "service-gone") == 0)
		show(l, json_str(data, "id"), "");
}

static void
read_until(struct load *l, struct reader *r, int64_t end)
{
	for (;;) {
		struct kept *mark = world_mark(l->w);
		int64_t left = end - now_ms();
		const cJSON *line = ctl_stream_next(l->w, r->stream, left > 0 ? (int)left : 0);

		if (line != NULL)
			take(l, r, line);
		world_forget(l->w, mark);
		if (r->stream->fd < 0)
			fail_msg("a client that reads was dropped after %d events", r->events);
		if (line == NULL)
			return;
	}
}

static void
begin(struct load *l, struct reader *r)
{
	r->stream = ctl_stream_open(l->w, r->seq > 0 ? fmt(l->w, "?since=%.0f", r->seq) : "");
}

static bool
was_dropped(const struct raw *r)
{
	struct pollfd p = {.fd = r->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* ---- the whole --------------------------------------------------------------------------- */

static double
memory_mb(struct load *l)
{
	const char *text = read_text(l->w, fmt(l->w, "/proc/%ld/status", (long)l->daemon->pid));
	const char *rss = text == NULL ? NULL : strstr(text, "VmRSS:");

	return rss == NULL ? 0 : strtod(rss + strlen("VmRSS:"), NULL) / 1024;
}

/* Fifty changes a second, and in each second one who comes, looks, and is gone. */
static void
work(struct load *l)
{
	int64_t began = now_ms();

	for (int i = 0; i < RATE * SECONDS; i++) {
		struct kept *mark = world_mark(l->w);

		change_one(l);
		world_forget(l->w, mark);
		if (i % RATE == RATE / 2) {
			ctl_stream_close(l->again.stream);
			begin(l, &l->again);
			raw_close(stream_open(l->w, "/api/v1/events", NULL));
		}
		read_until(l, &l->all, began + (i + 1) * 1000 / RATE);
		read_until(l, &l->again, 0);
	}
}

/* Every service is what it is, in the daemon's state and by the events that were read. */
static const char *
wrong(struct load *l)
{
	const cJSON *state = devmeshd_get(l->w, "/api/v1/state");

	if (state == NULL)
		return "devmeshd does not answer";
	for (int i = 0; i < COUNT; i++) {
		const struct one *s = &l->list[i];
		const char *want = !s->claimed ? "" : s->fd >= 0 ? "up" : "starting";
		const cJSON *is = state_service(state, s->id);

		if (strcmp(is == NULL ? "" : json_str(is, "state"), want) != 0)
			return fmt(l->w, "%s is \"%s\", not \"%s\"", s->id,
			    is == NULL ? "" : json_str(is, "state"), want);
		if (strcmp(s->shown, want) != 0)
			return fmt(
			    l->w, "%s is \"%s\" by its events, not \"%s\"", s->id, s->shown, want);
	}
	return NULL;
}

static void
settle(struct load *l)
{
	int64_t end = now_ms() + ANSWER_MS;
	const char *what;

	while ((what = wrong(l)) != NULL && now_ms() < end)
		read_until(l, &l->all, now_ms() + 20);
	if (what != NULL)
		fail_msg("%s", what);
}

TEST(three_hundred_services_and_fifty_changes_a_second)
{
	struct load l = {.w = w, .random = 17};
	struct raw *stalled;
	double before, after;
	int more = 0;

	l.list = world_keep(w, calloc(COUNT, sizeof *l.list), free);
	l.all.tells = true;
	caddy_mesh(w, "");
	make_services(&l);
	l.daemon = devmeshd_ready(w);
	begin(&l, &l.all);
	begin(&l, &l.again);
	read_until(&l, &l.all, 0);
	settle(&l);
	before = memory_mb(&l);
	read_until(&l, &l.all, 0);
	stalled = stream_open(w, fmt(w, "/api/v1/events?since=%.0f", l.all.seq), NULL);
	assert_false(was_dropped(stalled));
	work(&l);
	settle(&l);
	/* who does not read is held for so long, and no longer */
	while (!was_dropped(stalled) && more < MOST) {
		start_or_end(&l, &l.list[more++ % COUNT]);
		read_until(&l, &l.all, 0);
		read_until(&l, &l.again, 0);
	}
	assert_true(was_dropped(stalled));
	settle(&l);
	read_until(&l, &l.again, now_ms() + 20);
	assert_true(l.again.seq >= l.all.seq);
	assert_true(l.all.events >= RATE * SECONDS);
	after = memory_mb(&l);
	printf("           %d events, %d of them to have the stalled one dropped; "
	       "%.1f MB before, %.1f MB after\n",
	    l.all.events, more, before, after);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(after < before + MORE_MB);
#endif
	assert_false(l.daemon->ended);
	signal_proc(l.daemon, SIGTERM);
	assert_exit(w, finish(w, l.daemon), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    WORLD_TEST(three_hundred_services_and_fifty_changes_a_second),
	};

	return RUN_TESTS(tests);
}
