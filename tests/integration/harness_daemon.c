/* SPDX-License-Identifier: MIT */
#include "harness_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_END 16 /* bytes to spare for one read */

/* ---- the control socket ------------------------------------------------------------------- */

/* The kernel notes who connects: root has to be the user whom the daemon answers. */
static int
ctl_connect(const struct devmeshd *d)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;
	uid_t me = geteuid();

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%.90s/devmeshd.sock", d->state);
	if (d->uid != me && seteuid(d->uid) != 0)
		fail_msg("cannot become uid %u", (unsigned)d->uid);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		error = errno;
	if (d->uid != me && seteuid(me) != 0)
		fail_msg("cannot become uid %u again", (unsigned)me);
	if (error == 0)
		return fd;
	close(fd);
	return -1;
}

static void
ctl_send(struct world *w, int fd, const char *method, const char *path, const char *body)
{
	char *line = fmt(w, "{\"v\":1,\"method\":\"%s\",\"path\":\"%s\"%s%s}\n", method, path,
	    body != NULL ? ",\"body\":" : "", body != NULL ? body : "");

	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
}

/* Reads what has come, or waits for it; false at the end. */
static bool
read_some(int fd, char **buf, size_t *len, size_t *cap, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, wait_ms) <= 0)
		return true;
	if (*cap < *len + 65536) {
		*cap = *cap * 2 + 131072;
		*buf = realloc(*buf, *cap);
		assert_non_null(*buf);
	}
	n = read(fd, *buf + *len, *cap - *len - ANSWER_END);
	if (n <= 0)
		return false;
	*len += (size_t)n;
	return true;
}

/* The first line, parsed, which is then gone from the buffer; NULL if there is no whole one. */
static cJSON *
take_line(struct world *w, char *buf, size_t *len)
{
	char *end = *len > 0 ? memchr(buf, '\n', *len) : NULL;
	cJSON *o;
	size_t n;

	if (end == NULL)
		return NULL;
	*end = '\0';
	n = (size_t)(end - buf) + 1;
	o = json_of(w, buf);
	assert_int_equal(json_number(o, "v"), 1);
	memmove(buf, buf + n, *len - n);
	*len -= n;
	return o;
}

/* One request and its answer; NULL when nobody answers there. */
static cJSON *
ctl_exchange(struct world *w, const struct devmeshd *d, const char *method, const char *path,
    const char *body)
{
	int fd = ctl_connect(d);
	int64_t end = now_ms() + DEADLINE_MS;
	char *buf = NULL;
	size_t len = 0, cap = 0;
	cJSON *o = NULL;

	if (fd < 0)
		return NULL;
	ctl_send(w, fd, method, path, body);
	while (o == NULL && now_ms() < end && read_some(fd, &buf, &len, &cap, 100))
		o = take_line(w, buf, &len);
	close(fd);
	free(buf);
	return o;
}

cJSON *
daemon_ask(struct world *w, const struct devmeshd *d, const char *method, const char *path,
    const char *body)
{
	cJSON *o = ctl_exchange(w, d, method, path, body);

	if (o == NULL)
		fail_msg("devmeshd does not answer %s %s: %s", method, path, daemon_log(w, d));
	if (json_number(o, "status") != 200)
		fail_msg("%s %s: %s", method, path, cJSON_Print(o));
	return cJSON_GetObjectItem(o, "body");
}

cJSON *
service_of(struct world *w, const struct devmeshd *d, const char *id)
{
	cJSON *state = daemon_ask(w, d, "GET", "/api/v1/state", NULL), *s;

	cJSON_ArrayForEach (s, cJSON_GetObjectItem(state, "services"))
		if (strcmp(json_str(s, "id"), id) == 0)
			return s;
	return NULL;
}

void
assert_probed(struct world *w, const struct devmeshd *d, const char *id, const char *state)
{
	cJSON *o = daemon_ask(w, d, "POST", fmt(w, "/api/v1/services/%s/probe", id), NULL);

	assert_string_equal(json_str(cJSON_GetObjectItem(o, "service"), "state"), state);
}

/* ---- the process -------------------------------------------------------------------------- */

void
daemon_conf(struct world *w, const char *key, const char *value)
{
	world_env(w, fmt(w, "DEVMESH_DAEMON_%s", key), value);
}

const char *
daemon_log(struct world *w, const struct devmeshd *d)
{
	const char *text = read_text(w, d->p->err);

	return text != NULL ? text : "";
}

/* Its end is told by the control socket first, or by the kernel. */
static void
fail_if_ended(struct world *w, const struct devmeshd *d)
{
	reap(w);
	if (d->p->ended)
		fail_msg("devmeshd has ended (%d): %s", d->p->status, daemon_log(w, d));
}

static bool
is_ready(struct world *w, const void *arg)
{
	const struct devmeshd *d = arg;
	cJSON *o;

	fail_if_ended(w, d);
	o = ctl_exchange(w, d, "GET", "/api/v1/state", NULL);
	return o != NULL &&
	       cJSON_IsTrue(cJSON_GetObjectItem(
		   cJSON_GetObjectItem(cJSON_GetObjectItem(o, "body"), "node"), "ready"));
}

static void
daemon_free(void *p)
{
	struct devmeshd *d = p;

	if (d->fd >= 0)
		close(d->fd);
	free(d->buf);
	free(d->events);
	free(d);
}

static void
follow(struct world *w, struct devmeshd *d)
{
	int64_t end = now_ms() + DEADLINE_MS;

	d->fd = ctl_connect(d);
	assert_true(d->fd >= 0);
	ctl_send(w, d->fd, "GET", "/api/v1/events", NULL);
	while (d->hello == NULL && now_ms() < end) {
		cJSON *o;

		assert_true(read_some(d->fd, &d->buf, &d->len, &d->cap, 100));
		while (d->hello == NULL && (o = take_line(w, d->buf, &d->len)) != NULL)
			if (strcmp(json_str(o, "event"), "hello") == 0)
				d->hello = cJSON_GetObjectItem(o, "data");
	}
	assert_non_null(d->hello);
	d->seq = json_number(d->hello, "seq");
}

struct devmeshd *
daemon_start(struct world *w)
{
	struct devmeshd *d = world_keep(w, calloc(1, sizeof *d), daemon_free);
	const char *argv[16], *wrap = getenv("DEVMESHD_WRAP");
	size_t n = 0;

	while (wrap != NULL && *wrap != '\0' && n < 12) {
		size_t word = strcspn(wrap, " ");

		argv[n++] = fmt(w, "%.*s", (int)word, wrap);
		wrap += word + strspn(wrap + word, " ");
	}
	argv[n++] = fmt(w, "%sd", w->devmesh);
	argv[n] = NULL;
	d->fd = -1;
	d->uid = w->uid != 0 ? w->uid : geteuid();
	snprintf(d->state, sizeof d->state, "%s", w->state);
	d->next = w->daemons;
	d->p = start(w, w->dir, argv);
	w->daemons = d;
	if (!wait_until(w, is_ready, d, DEADLINE_MS))
		fail_msg("devmeshd does not get ready: %s", daemon_log(w, d));
	follow(w, d);
	return d;
}

static void
stop_following(struct devmeshd *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* What is wrong with how it has ended, or with what it has said; NULL: nothing. */
static const char *
complaint(struct world *w, const struct devmeshd *d)
{
	static const char *const words[] = {"which is a bug", "Sanitizer",
	    "runtime error:", /* and valgrind's */
	    "uninitialised value", "Invalid read", "Invalid write", "definitely lost"};
	const char *log = daemon_log(w, d);

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strstr(log, words[i]) != NULL)
			return words[i];
	return NULL;
}

void
daemon_end(struct world *w, struct devmeshd *d)
{
	stop_following(d);
	signal_proc(d->p, SIGTERM);
	assert_ends(w, d->p, 0);
	if (complaint(w, d) != NULL)
		fail_msg("devmeshd says: %s", daemon_log(w, d));
}

void
daemon_kill(struct world *w, struct devmeshd *d)
{
	stop_following(d);
	end_proc(w, d->p);
}

static bool
has_ended(struct world *w, const void *arg)
{
	const struct devmeshd *d = arg;

	(void)w;
	return d->p->ended;
}

int
daemon_teardown(void **state)
{
	struct world *w = *state;
	bool bad = false;

	for (struct devmeshd *d = w->daemons; d != NULL; d = d->next) {
		bool killed = d->p->ended;

		if (!w->passed)
			printf("--- devmeshd ---\n%s\n", daemon_log(w, d));
		if (!w->passed || killed)
			continue;
		signal_proc(d->p, SIGCONT);
		signal_proc(d->p, SIGTERM);
		if (wait_until(w, has_ended, d, DEADLINE_MS) && d->p->status == 0 &&
		    complaint(w, d) == NULL)
			continue;
		printf("--- devmeshd, status %d ---\n%s\n", d->p->status, daemon_log(w, d));
		bad = true;
	}
	return world_teardown(state) != 0 || bad ? -1 : 0;
}

/* ---- events ------------------------------------------------------------------------------- */

static void
note_event(struct devmeshd *d, cJSON *o)
{
	if (d->count == d->room) {
		d->room = d->room * 2 + 64;
		d->events = realloc(d->events, d->room * sizeof d->events[0]);
		assert_non_null(d->events);
	}
	d->events[d->count++] = (struct happened){.kind = json_str(o, "event"),
	    .id = json_str(cJSON_GetObjectItem(o, "data"), "id"),
	    .data = cJSON_GetObjectItem(o, "data"),
	    .at_ms = now_ms()};
	d->seq = json_number(o, "seq");
}

static void
pump_for(struct world *w, struct devmeshd *d, int ms)
{
	cJSON *o;

	assert_true(d->fd >= 0);
	if (!read_some(d->fd, &d->buf, &d->len, &d->cap, ms)) {
		fail_if_ended(w, d);
		fail_msg("devmeshd has closed the event stream: %s", daemon_log(w, d));
	}
	while ((o = take_line(w, d->buf, &d->len)) != NULL)
		note_event(d, o);
	reap(w);
}

void
pump(struct world *w, struct devmeshd *d)
{
	double seq = json_number(daemon_ask(w, d, "GET", "/api/v1/state", NULL), "seq");
	int64_t end = now_ms() + DEADLINE_MS;

	while (d->seq < seq && now_ms() < end)
		pump_for(w, d, 50);
	assert_true(d->seq >= seq);
}

struct sought {
	const char *kind, *id, *was, *state, *what, *mended, *reason;
};

static bool
is_text(const char *wanted, const cJSON *data, const char *key)
{
	return wanted == NULL || strcmp(wanted, json_str(data, key)) == 0;
}

/* A look at everything may be the first to see a change; then the reason is that of the look. */
static bool
is_reason(const struct sought *s, const struct happened *e)
{
	static const char *const looks[] = {
	    "the regular look", "after a mend", "a worktree was removed"};
	const char *reason = json_str(e->data, "reason");

	if (s->reason == NULL || strstr(reason, s->reason) != NULL)
		return true;
	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
		if (strcmp(e->kind, "service") == 0 && strcmp(reason, looks[i]) == 0)
			return true;
	return false;
}

static bool
matches(const struct sought *s, const struct happened *e)
{
	return strcmp(e->kind, s->kind) == 0 && (s->id == NULL || strcmp(e->id, s->id) == 0) &&
	       is_text(s->was, e->data, "was") && is_text(s->state, e->data, "state") &&
	       is_text(s->what, e->data, "what") && is_text(s->mended, e->data, "kind") &&
	       is_reason(s, e);
}

static char *
story(struct world *w, const struct devmeshd *d)
{
	char *all = fmt(w, "%s", "");

	for (size_t i = 0; i < d->count; i++) {
		const cJSON *data = d->events[i].data;

		all = fmt(w, "%s%s %s %s: %s %s -> %s (%s)%s\n", all, d->events[i].kind,
		    json_str(data, "what"), json_str(data, "kind"), d->events[i].id,
		    json_str(data, "was"), json_str(data, "state"), json_str(data, "reason"),
		    d->events[i].taken ? "" : " *");
	}
	return all;
}

static const struct happened *
seek(struct world *w, struct devmeshd *d, const struct sought *s)
{
	int64_t end = now_ms() + DEADLINE_MS;
	size_t i = 0;

	for (;;) {
		for (; i < d->count; i++) {
			if (d->events[i].taken || !matches(s, &d->events[i]))
				continue;
			d->events[i].taken = true;
			return &d->events[i];
		}
		if (now_ms() > end)
			break;
		pump_for(w, d, 50);
	}
	fail_msg("no event %s %s %s %s: %s -> %s (%s), but (* not waited for):\n%s", s->kind,
	    s->what != NULL ? s->what : "", s->mended != NULL ? s->mended : "",
	    s->id != NULL ? s->id : "", s->was != NULL ? s->was : "",
	    s->state != NULL ? s->state : "", s->reason != NULL ? s->reason : "", story(w, d));
	return NULL;
}

const struct happened *
wait_event(
    struct world *w, struct devmeshd *d, const char *kind, const char *id, const char *reason)
{
	return seek(w, d, &(struct sought){.kind = kind, .id = id, .reason = reason});
}

const struct happened *
wait_move(struct world *w, struct devmeshd *d, const char *id, const char *was, const char *state,
    const char *reason)
{
	const struct happened *e = seek(w, d,
	    &(struct sought){
		.kind = "service", .id = id, .was = was, .state = state, .reason = reason});
	const cJSON *now = service_of(w, d, id);

	/* unless it has gone on meanwhile */
	pump_for(w, d, 0);
	for (size_t i = 0; i < d->count; i++)
		if (!d->events[i].taken && strcmp(d->events[i].id, id) == 0)
			return e;
	assert_non_null(now);
	assert_string_equal(json_str(now, "state"), json_str(e->data, "state"));
	assert_string_equal(json_str(now, "reason"), json_str(e->data, "reason"));
	return e;
}

const struct happened *
wait_mend(struct world *w, struct devmeshd *d, const char *what, const char *kind, const char *name,
    const char *reason)
{
	return seek(w, d,
	    &(struct sought){
		.kind = "mend", .what = what, .mended = kind, .id = name, .reason = reason});
}

int
count_events(struct world *w, struct devmeshd *d, const char *kind, const char *id)
{
	int n = 0;

	pump(w, d);
	for (size_t i = 0; i < d->count; i++)
		n += strcmp(d->events[i].kind, kind) == 0 &&
		     (id == NULL || strcmp(d->events[i].id, id) == 0);
	return n;
}

void
assert_no_event(struct world *w, struct devmeshd *d, const char *kind, const char *id)
{
	if (count_events(w, d, kind, id) > 0)
		fail_msg("there is an event %s %s:\n%s", kind, id != NULL ? id : "", story(w, d));
}

void
assert_no_mends(struct world *w, struct devmeshd *d)
{
	pump(w, d);
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->events[i].kind, "mend") == 0 &&
		    strstr(d->events[i].id, "canary-") == NULL &&
		    strcmp(d->events[i].id, "devmesh") != 0 &&
		    strstr(json_str(d->events[i].data, "reason"), "no answer in time") == NULL)
			fail_msg("something was mended:\n%s", story(w, d));
}

void
assert_never(struct world *w, struct devmeshd *d, const char *id, const char *state)
{
	pump(w, d);
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->events[i].id, id) == 0 && is_text(state, d->events[i].data, "state"))
			fail_msg("%s was %s:\n%s", id, state, story(w, d));
}

struct awaited {
	struct devmeshd *d;
	const char *id, *state;
};

static bool
has_state(struct world *w, const void *arg)
{
	const struct awaited *a = arg;
	const cJSON *s = service_of(w, a->d, a->id);

	pump_for(w, a->d, 0);
	return s != NULL && strcmp(json_str(s, "state"), a->state) == 0;
}

void
wait_state(struct world *w, struct devmeshd *d, const char *id, const char *state)
{
	if (!wait_until(w, has_state, &(struct awaited){d, id, state}, DEADLINE_MS))
		fail_msg("%s does not get %s:\n%s", id, state, story(w, d));
}

void
outlast_socket(struct world *w, struct devmeshd *d)
{
	char *stray = socket_of(w, fmt(w, "canary-%u", ++w->serial));

	stale_socket(stray);
	(void)wait_mend(w, d, "removed", "socket", stray, "nobody listens on it");
}

void
outlast_grace(struct world *w, struct devmeshd *d)
{
	char *id = fmt(w, "canary-%u", ++w->serial), *repo = repo_new(w, id);
	char *stray = socket_of(w, fmt(w, "%s-stray", id));

	assert_exit(w, DM(w, repo, "up", "--id", id), 0);
	(void)wait_event(w, d, "service", id, "it was claimed");
	stale_socket(stray);
	remove_tree(repo);
	(void)wait_mend(w, d, "removed", "socket", stray, "nobody listens on it");
	(void)wait_mend(w, d, "removed", "claim", id, "its worktree is gone");
	(void)wait_event(w, d, "service-gone", id, NULL);
}
