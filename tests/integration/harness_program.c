/* SPDX-License-Identifier: MIT */
#include "harness_program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness_run.h"

static const char *
daemon_program(struct world *w)
{
	const char *given = getenv("DEVMESHD_BIN"), *cli = getenv("DEVMESH_BIN"), *slash;

	if (given != NULL)
		return given;
	slash = strrchr(cli, '/');
	return fmt(w, "%.*s/devmeshd", (int)(slash - cli), cli);
}

struct proc *
devmeshd_spawn(struct world *w)
{
	return start(w, w->dir, ARGV(daemon_program(w)));
}

static bool
is_ready(struct world *w, const void *arg)
{
	const struct proc *p = arg;
	const cJSON *state = devmeshd_get(w, "/api/v1/state");
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(state, "node");

	return p->ended || (node != NULL && (pid_t)json_number(node, "pid") == p->pid &&
			       cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(node, "ready")));
}

struct proc *
devmeshd_ready(struct world *w)
{
	struct proc *p = devmeshd_spawn(w);

	if (!wait_until(w, is_ready, p, DEADLINE_MS) || p->ended)
		fail_msg("devmeshd does not become ready:\n%s", read_text(w, p->err));
	return p;
}

/* A connection to the control socket; -1: nobody is there. */
static int
connect_control(struct world *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%.80s/devmeshd.sock", w->state);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
send_request(int fd, const char *path)
{
	char line[512];
	int n = snprintf(line, sizeof line, "{\"v\":1,\"method\":\"GET\",\"path\":\"%s\"}\n", path);

	return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

/* What has come so far of the next line, and more; its length without the newline, 0: not yet. */
static size_t
read_line(struct event_stream *s, int ms)
{
	int64_t end = now_ms() + ms;
	size_t looked = 0;

	for (;;) {
		char *newline =
		    s->length > looked ? memchr(s->text + looked, '\n', s->length - looked) : NULL;
		struct pollfd p = {.fd = s->fd, .events = POLLIN};
		int64_t left = end - now_ms();
		ssize_t n;

		if (newline != NULL)
			return (size_t)(newline - s->text);
		looked = s->length;
		if (s->fd < 0 || poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
			return 0;
		if (s->room - s->length < 65536) {
			s->room = s->room * 2 + 131072;
			s->text = realloc(s->text, s->room);
			assert_non_null(s->text);
		}
		n = read(s->fd, s->text + s->length, s->room - s->length);
		if (n <= 0) {
			close(s->fd);
			s->fd = -1;
			return 0;
		}
		s->length += (size_t)n;
	}
}

static cJSON *
next_document(struct world *w, struct event_stream *s, int ms)
{
	size_t n = read_line(s, ms);
	cJSON *o;

	if (n == 0)
		return NULL;
	s->text[n] = '\0';
	o = json_of(w, s->text);
	s->length -= n + 1;
	memmove(s->text, s->text + n + 1, s->length);
	return o;
}

cJSON *
devmeshd_get(struct world *w, const char *path)
{
	struct event_stream s = {.fd = connect_control(w)};
	cJSON *o = NULL;

	if (s.fd >= 0 && send_request(s.fd, path))
		o = next_document(w, &s, ANSWER_MS);
	if (s.fd >= 0)
		close(s.fd);
	free(s.text);
	return o != NULL && json_number(o, "status") == 200
		   ? cJSON_GetObjectItemCaseSensitive(o, "body")
		   : NULL;
}

const cJSON *
state_service(const cJSON *state, const char *id)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(state, "services"))
		if (strcmp(json_str(one, "id"), id) == 0)
			return one;
	return NULL;
}

/* ---- events ------------------------------------------------------------------------------ */

static void
destroy_stream(void *p)
{
	struct event_stream *s = p;

	ctl_stream_close(s);
	free(s->text);
	free(s);
}

struct event_stream *
ctl_stream_open(struct world *w, const char *query)
{
	struct event_stream *s = world_keep(w, calloc(1, sizeof *s), destroy_stream);

	s->fd = connect_control(w);
	if (s->fd < 0 || !send_request(s->fd, fmt(w, "/api/v1/events%s", query)))
		fail_msg("the control socket takes no request for events");
	assert_int_equal((int)json_number(next_document(w, s, ANSWER_MS), "status"), 200);
	return s;
}

cJSON *
ctl_stream_next(struct world *w, struct event_stream *s, int ms)
{
	return next_document(w, s, ms);
}

void
ctl_stream_close(struct event_stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* ---- servers ----------------------------------------------------------------------------- */

static const char SERVE[] = "serve-for-test";

static const char *
own_program(struct world *w)
{
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	assert_true(n > 0);
	path[n] = '\0';
	return fmt(w, "%s", path);
}

struct proc *
serve_program(struct world *w, const char *dir, const char *place, const char *name)
{
	return start(w, dir, ARGV(own_program(w), SERVE, w->dir, place, name));
}

const char *const *
serve_command(struct world *w)
{
	const char **argv = world_keep(w, calloc(4, sizeof *argv), free);

	argv[0] = own_program(w);
	argv[1] = SERVE;
	argv[2] = fmt(w, "%s", w->dir);
	return argv;
}

int
count_serving(struct world *w)
{
	const char *server = fmt(w, "%s %s", SERVE, w->dir);

	/* each has it in its arguments, but so has the devmesh run in front of it */
	return count_processes(w, server) -
	       count_processes(w, fmt(w, "-- %s %s", own_program(w), server));
}

static int
serve_listen(const char *place)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET};
	bool is_unix = place[0] == '/';
	int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc;

	if (is_unix) {
		unlink(place);
		snprintf(un.sun_path, sizeof un.sun_path, "%s", place);
		rc = bind(fd, (struct sockaddr *)&un, sizeof un);
		chmod(place, 0666);
	} else {
		in.sin_port = htons((uint16_t)strtol(place, NULL, 10));
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		rc = bind(fd, (struct sockaddr *)&in, sizeof in);
	}
	if (rc != 0 || listen(fd, 128) != 0) {
		perror(place);
		_exit(1);
	}
	return fd;
}

/* Until the head's end; false: the client went away, or talks too much. */
static bool
serve_read(int fd)
{
	char head[8192];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof head - 1 && (got = read(fd, head + n, sizeof head - 1 - n)) > 0) {
		n += (size_t)got;
		head[n] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

void
serve_main(int argc, char **argv)
{
	const char *place, *name;
	char answer[512], body[256];
	int listener, fd;

	if (argc < 3 || strcmp(argv[1], SERVE) != 0)
		return;
	signal(SIGPIPE, SIG_IGN);
	place = argc > 4 ? argv[3] : getenv("PORT");
	name = argc > 4 ? argv[4] : getenv("DEVMESH_ID");
	if (place == NULL || name == NULL)
		_exit(2);
	listener = serve_listen(place);
	puts("ready");
	fflush(stdout);
	snprintf(body, sizeof body, "%.64s %ld", name, (long)getpid());
	snprintf(answer, sizeof answer,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n%s",
	    strlen(body), body);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (serve_read(fd))
			(void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
		close(fd);
	}
	_exit(1);
}
