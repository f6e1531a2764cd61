/* SPDX-License-Identifier: MIT */
/*
 * What happens, as devmeshd tells it: event streams of browsers that stall, vanish and come back,
 * and the verbs that read the same by the control socket.
 */
#include "harness_api.h"
#include "harness_run.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAMS 64 /* at most */

static struct proc *
begin(struct world *w)
{
	caddy_mesh(w, "");
	return api_daemon(w);
}

/* Makes an event: a service of that name is claimed, or pinned. */
static void
happen(struct world *w, const char *id)
{
	up_ok(w, repo_new(w, id));
	api_wait_state(w, fmt(w, "%s-main", id), "starting");
}

static uint64_t
newest_event(struct world *w)
{
	return (uint64_t)json_number(ctl_ok(w, "GET", "/control/status", NULL), "seq");
}

static int
count_of_text(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

/* ---- event streams ------------------------------------------------------------------------ */

/* Every event of the stream is described; `seen` gets their kinds, each behind a blank. */
static void
check_events(struct world *w, const cJSON *openapi, const struct raw *r, char *seen, size_t size)
{
	const char *at = r->text;

	while ((at = strstr(at, "\nevent: ")) != NULL) {
		char *kind, *data;
		size_t n;

		at += strlen("\nevent: ");
		kind = fmt(w, "%.*s", (int)strcspn(at, "\n"), at);
		at += strlen(kind) + 1;
		assert_int_equal(strncmp(at, "data: ", 6), 0);
		if (strchr(at, '\n') == NULL)
			break; /* the rest is on its way */
		data = fmt(w, "%.*s", (int)strcspn(at, "\n") - 6, at + 6);
		assert_event_described(openapi, kind, json_of(w, data));
		n = strlen(seen);
		if (strstr(seen, fmt(w, " %s ", kind)) == NULL)
			snprintf(seen + n, size - n, " %s ", kind);
	}
}

TEST(every_event_is_as_described)
{
	static const char *const kinds[] = {"hello", "daemon", "service", "service-gone", "caddy",
	    "found", "found-gone", "worktree", "worktree-gone", "mend", "network", "record"};
	struct proc *daemon = begin(w), *server, *stray;
	cJSON *openapi = json_of(w, api(w, "GET", "/api/v1/openapi.json", NULL, NULL).body);
	char *repo = repo_new(w, "shop"), *tree, *id, seen[512] = "";
	struct raw *r = stream_open(w, "/api/v1/events", NULL);
	int port;
	size_t i;

	raw_wait(r, "\nevent: hello\n");
	id = up_ok(w, repo);
	raw_wait(r, "\"state\":\"starting\"");
	server = serve_in(w, repo, fmt(w, "%s/%s.sock", w->sockets, id), id);
	raw_wait(r, "\"state\":\"up\"");
	raw_wait(r, "\nevent: worktree\n");
	tree = worktree_add(w, repo, "extra");
	raw_wait(r, tree);
	GIT(w, repo, "worktree", "remove", tree);
	raw_wait(r, "\nevent: worktree-gone\n");
	stray = serve_tcp_in(w, repo, "stray", &port);
	raw_wait(r, "\nevent: found\n");
	end_proc(w, stray);
	raw_wait(r, "\nevent: found-gone\n");
	end_proc(w, server);
	raw_wait(r, "\"state\":\"stale\"");
	raw_wait(r, "\nevent: mend\n"); /* after the grace time: its socket */
	run_ok(w, repo, ARGV(w->devmesh, "down"));
	raw_wait(r, "\nevent: service-gone\n");
	caddy_restart(w);
	raw_wait(r, "\nevent: caddy\n");
	/* a record that cannot be kept is an event as well */
	write_text(fmt(w, "%s/devmesh.ini", w->home),
	    "[lan]\nenabled = yes\naddress = 127.0.0.9\n[record]\nprovider = cloudflare\n");
	signal_proc(daemon, SIGHUP);
	raw_wait(r, "\nevent: network\n");
	raw_wait(r, "\"what\":\"reloaded\"");
	write_text(fmt(w, "%s/devmesh.ini", w->home), "[record]\nprovider = cloudflare\n");
	signal_proc(daemon, SIGHUP);
	raw_wait(r, "\nevent: record\n");
	signal_proc(daemon, SIGTERM);
	raw_wait(r, "\"what\":\"stopping\"");
	raw_wait_end(r);
	assert_int_equal(finish(w, daemon).code, 0);
	check_events(w, openapi, r, seen, sizeof seen);
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strstr(seen, fmt(w, " %s ", kinds[i])) == NULL)
			fail_msg("no event %s was seen, but%s", kinds[i], seen);
	}
}

/* Through Caddy as well: the first bytes at once, and each event when it happens. */
TEST(events_arrive_by_caddy)
{
	struct raw *r;

	begin(w);
	r = stream_open_by_caddy(w, "/api/v1/events", NULL);
	raw_wait(r, "event: hello\n");
	happen(w, "a");
	raw_wait(r, "event: service\n");
	raw_wait(r, "\"id\":\"a-main\"");
}

/* Who comes back gets what was missed: all of it, and nothing twice. */
TEST(streams_go_on_where_they_were)
{
	struct raw *r;
	uint64_t before, after;

	begin(w);
	before = newest_event(w);
	happen(w, "a");
	after = newest_event(w);
	assert_true(after > before);
	r = stream_open(w, fmt(w, "/api/v1/events?since=%llu", (unsigned long long)before), NULL);
	raw_wait(r, fmt(w, "\nid: %llu\nevent: ", (unsigned long long)before + 1));
	raw_wait(r, "\"id\":\"a-main\"");
	happen(w, "b");
	raw_wait(r, "\"id\":\"b-main\"");
	assert_int_equal(
	    count_of_text(r->text, fmt(w, "\nid: %llu\n", (unsigned long long)before + 1)), 1);
	assert_null(strstr(r->text, "event: hello"));
	/* a browser asks for the URL that it had, and says by a header what it has seen since */
	r = stream_open(w, fmt(w, "/api/v1/events?since=%llu", (unsigned long long)before),
	    fmt(w, "Last-Event-ID: %llu\r\n", (unsigned long long)after));
	raw_wait(r, "\"id\":\"b-main\"");
	assert_null(strstr(r->text, "a-main"));
	assert_null(strstr(r->text, "event: hello"));
}

/* What is not kept any more, or never was, is answered with everything. */
TEST(streams_begin_anew)
{
	static const char *const ways[] = {
	    "/api/v1/events?since=0", "/api/v1/events?since=99999999999999999", "/api/v1/events"};
	struct proc *daemon = begin(w);
	uint64_t newest;
	struct raw *r;
	size_t i;

	happen(w, "a");
	for (i = 0; i < 3; i++) {
		r = stream_open(w, ways[i], i == 2 ? "Last-Event-ID: x\r\n" : NULL);
		raw_wait(r, fmt(w, "\nid: %llu\nevent: hello\ndata: ",
				(unsigned long long)newest_event(w)));
		raw_wait(r, "\"id\":\"a-main\"");
	}
	newest = newest_event(w);
	end_proc(w, daemon);
	api_daemon(w);
	assert_true(newest_event(w) > newest); /* no number is given twice */
	r = stream_open(
	    w, "/api/v1/events", fmt(w, "Last-Event-ID: %llu\r\n", (unsigned long long)newest));
	raw_wait(r, "event: hello\n");
}

static bool
no_streams(struct world *w, const void *arg)
{
	(void)arg;
	return json_number(ctl_ok(w, "GET", "/control/status", NULL), "streams") == 0;
}

TEST(streams_are_limited)
{
	struct raw *r[STREAMS];
	struct reply refused;
	int round, i;

	begin(w);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < STREAMS; i++)
			r[i] = stream_open(w, "/api/v1/events", NULL);
		refused = api(w, "GET", "/api/v1/events", NULL, NULL);
		assert_int_equal(refused.status, 503);
		assert_string_equal(reply_header(w, refused, "Retry-After"), "1");
		happen(w, fmt(w, "round-%d", round));
		for (i = 0; i < STREAMS; i++)
			raw_wait(r[i], fmt(w, "\"id\":\"round-%d-main\"", round));
		/* they vanish without a word */
		for (i = 0; i < STREAMS; i++)
			raw_close(r[i]);
		assert_true(wait_until(w, no_streams, NULL, ANSWER_MS));
	}
}

/* Events, as many as it takes: each a claim that is pinned, or no longer. */
static void
flood(struct world *w, struct raw *control, int from, int n)
{
	int i;

	for (i = from; i < from + n; i++) {
		raw_send(control,
		    fmt(w,
			"{\"v\":1,\"method\":\"POST\",\"path\":\"/api/v1/services/a-main/pin\","
			"\"body\":{\"pinned\":%s}}\n",
			i % 2 == 0 ? "true" : "false"));
		raw_wait(control, "\"status\":200");
		raw_wait(control, "\n");
	}
}

/* One that does not read is dropped, and keeps neither the daemon nor the others from going on. */
TEST(readers_that_stall_are_dropped)
{
	struct raw *stalled, *stalled_ctl, *reader, *control;
	uint64_t last;
	int n;

	begin(w);
	happen(w, "a");
	stalled = stream_open(w, "/api/v1/events", NULL);
	stalled_ctl = raw_unix(w, daemon_control(w));
	raw_send(stalled_ctl, "{\"v\":1,\"method\":\"GET\",\"path\":\"/api/v1/events\"}\n");
	raw_wait(stalled_ctl, "\"event\":\"hello\"");
	reader = stream_open(w, "/api/v1/events", NULL);
	control = raw_unix(w, daemon_control(w));
	for (n = 0; n < 20000; n += 50) {
		flood(w, control, n, 50);
		last = newest_event(w);
		raw_wait(reader, fmt(w, "\nid: %llu\n", (unsigned long long)last));
		if (json_number(ctl_ok(w, "GET", "/control/status", NULL), "streams") < 2)
			break;
	}
	assert_true(n < 20000);
	raw_wait_end(stalled);
	raw_wait_end(stalled_ctl);
	/* it comes back, with where it was: too long ago */
	stalled = stream_open(w, "/api/v1/events?since=1", NULL);
	raw_wait(stalled, "event: hello\n");
	happen(w, "b");
	raw_wait(reader, "\"id\":\"b-main\"");
	raw_wait(stalled, "\"id\":\"b-main\"");
}

/* ---- the verbs ---------------------------------------------------------------------------- */

TEST(events_shows_what_has_happened)
{
	uint64_t seq;
	struct result r;
	cJSON *openapi, *event;
	char *line;

	assert_error(w, DM(w, w->dir, "events"), 5, "devmeshd does not run");
	assert_error(w, DM(w, w->dir, "graph"), 5, "devmeshd does not run");
	begin(w);
	happen(w, "a");
	r = run_ok(w, w->dir, ARGV(w->devmesh, "events"));
	assert_non_null(strstr(r.out, "  daemon         -     "));
	assert_non_null(strstr(r.out, "  service        a-main     "));
	seq = newest_event(w);
	r = run_ok(w, w->dir,
	    ARGV(w->devmesh, "events", "--since", fmt(w, "%llu", (unsigned long long)seq)));
	assert_string_equal(r.out, "");
	happen(w, "b");
	openapi = json_of(w, api(w, "GET", "/api/v1/openapi.json", NULL, NULL).body);
	r = run_ok(w, w->dir,
	    ARGV(w->devmesh, "events", "--json", "--since",
		fmt(w, "%llu", (unsigned long long)seq)));
	for (line = fmt(w, "%s", r.out); *line != '\0'; line += strlen(line) + 1) {
		line[strcspn(line, "\n")] = '\0';
		event = json_of(w, line);
		assert_int_equal(json_number(event, "seq"), ++seq);
		assert_event_described(
		    openapi, json_str(event, "event"), cJSON_GetObjectItem(event, "data"));
	}
	assert_int_equal(seq, newest_event(w));
	r = run_ok(w, w->dir, ARGV(w->devmesh, "events", "--since", "1"));
	assert_non_null(strstr(r.out, "  hello          -     "));
	assert_error(w, DM(w, w->dir, "events", "--since", "x"), 2, "--since");
}

TEST(events_follows_over_a_restart)
{
	struct proc *daemon = begin(w);
	struct proc *text = DM_BG(w, w->dir, "events", "--follow");
	struct proc *json = DM_BG(w, w->dir, "events", "--follow", "--json");

	wait_printed(w, text, "  hello          -     ");
	wait_printed(w, json, "\"event\":\"hello\"");
	happen(w, "a");
	wait_printed(w, text, "  service        a-main     ");
	wait_printed(w, json, "\"id\":\"a-main\"");
	signal_proc(daemon, SIGTERM);
	assert_int_equal(finish(w, daemon).code, 0);
	wait_printed(w, text, "stopping");
	wait_said(w, text, "waiting for devmeshd to come back");
	api_daemon(w);
	wait_said(w, text, "devmeshd is back");
	happen(w, "b");
	wait_printed(w, text, "  service        b-main     ");
	wait_printed(w, json, "\"id\":\"b-main\"");
	/* once is enough */
	assert_int_equal(count_of_text(read_text(w, text->err), "waiting"), 1);
	assert_false(text->ended);
	end_proc(w, text);
	end_proc(w, json);
}

TEST(graph_shows_what_leads_where)
{
	struct result r;
	cJSON *o;

	begin(w);
	happen(w, "a");
	r = run_ok(w, w->dir, ARGV(w->devmesh, "graph"));
	assert_non_null(strstr(r.out, "digraph devmesh {\n"));
	assert_non_null(strstr(r.out, "a-main"));
	assert_string_equal(
	    run_ok(w, w->dir, ARGV(w->devmesh, "graph", "--format", "dot")).out, r.out);
	r = run_ok(w, w->dir, ARGV(w->devmesh, "graph", "--format=mermaid"));
	assert_int_equal(strncmp(r.out, "flowchart LR\n", 13), 0);
	o = json_of(w, run_ok(w, w->dir, ARGV(w->devmesh, "graph", "--json")).out);
	assert_int_equal(json_number(o, "schema_version"), 1);
	assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(o, "nodes")) >= 3);
	assert_error(w, DM(w, w->dir, "graph", "--format", "svg"), 2, "--format");
}

/* With the daemon a change is shown when it happens; the second that it takes without is not
 * waited for. */
TEST(status_watches_by_events)
{
	struct proc *daemon = begin(w), *watch;
	char *repo = repo_new(w, "shop"), *id = up_ok(w, repo);

	watch = DM_BG(w, w->dir, "status", "--watch", "--json");
	wait_printed(w, watch, "\"id\":\"shop-main\"");
	serve_in(w, repo, fmt(w, "%s/%s.sock", w->sockets, id), id);
	wait_printed(w, watch, "\"state\":\"up\",\"pid\"");
	/* and goes on without it */
	end_proc(w, daemon);
	up_ok(w, repo_new(w, "later"));
	wait_printed(w, watch, "\"id\":\"later-main\"");
	api_daemon(w);
	up_ok(w, repo_new(w, "last"));
	wait_printed(w, watch, "\"id\":\"last-main\"");
	assert_false(watch->ended);
	end_proc(w, watch);
}

/* Answers like a devmeshd of another version, once. */
static struct proc *
other_version(struct world *w)
{
	static const char said[] =
	    "{\"v\":1,\"version\":\"9.9.9\",\"status\":200,\"body\":{\"seq\":1,\"kept_since\":1}}\n"
	    "{\"v\":1,\"version\":\"9.9.9\",\"status\":200}\n";
	int fd = bound_socket(daemon_control(w)), client;
	struct proc *p;

	assert_int_equal(listen(fd, 4), 0);
	p = start_child(w);
	if (p == NULL) {
		client = accept(fd, NULL, NULL);
		if (client < 0 || write(client, said, sizeof said - 1) != (ssize_t)sizeof said - 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	close(fd);
	return p;
}

TEST(another_version_is_warned_about)
{
	struct result r;

	make_dir(w, "state");
	(void)other_version(w);
	r = run_ok(w, w->dir, ARGV(w->devmesh, "events"));
	assert_string_equal(r.out, "");
	assert_int_equal(count_of_text(r.err, "devmeshd 9.9.9 runs"), 1);
	assert_non_null(strstr(r.err, "devmesh daemon restart"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(every_event_is_as_described),
	    WORLD_TEST(events_arrive_by_caddy),
	    WORLD_TEST(streams_go_on_where_they_were),
	    WORLD_TEST(streams_begin_anew),
	    WORLD_TEST(streams_are_limited),
	    WORLD_TEST(readers_that_stall_are_dropped),
	    WORLD_TEST(events_shows_what_has_happened),
	    WORLD_TEST(events_follows_over_a_restart),
	    WORLD_TEST(graph_shows_what_leads_where),
	    WORLD_TEST(status_watches_by_events),
	    WORLD_TEST(another_version_is_warned_about),
	};

	return RUN_TESTS(tests);
}
