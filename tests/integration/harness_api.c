/* SPDX-License-Identifier: MIT */
#include "harness_api.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RAW_MAX (64 << 20)

/* ---- the daemon --------------------------------------------------------------------------- */

/* Not the copy that other users need: as root it runs from where it was built. */
static const char *
daemon_program(struct world *w)
{
	const char *program = getenv("DEVMESHD_BIN"), *devmesh = getenv("DEVMESH_BIN");

	if (program != NULL)
		return program;
	assert_non_null(devmesh);
	return fmt(w, "%.*s/devmeshd", (int)(strrchr(devmesh, '/') - devmesh), devmesh);
}

const char *
daemon_control(struct world *w)
{
	return fmt(w, "%s/devmeshd.sock", w->state);
}

const char *
daemon_socket(struct world *w)
{
	return fmt(w, "%s/devmesh.sock", w->sockets);
}

const char *
daemon_token(struct world *w)
{
	char *text = read_text(w, fmt(w, "%s/api-token", w->state));

	assert_non_null(text);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static bool
is_ready(struct world *w, const void *arg)
{
	const struct proc *p = arg;
	const char *said = read_text(w, p->err);

	return p->ended || (said != NULL && strstr(said, "ready: ") != NULL);
}

struct proc *
api_daemon(struct world *w)
{
	return api_daemon_with(w, NULL);
}

struct proc *
api_daemon_with(struct world *w, const char *config)
{
	struct proc *p = start(w, w->dir,
	    config == NULL ? ARGV(daemon_program(w)) : ARGV(daemon_program(w), "-c", config));

	if (!wait_until(w, is_ready, p, DEADLINE_MS) || p->ended)
		fail_msg("devmeshd does not become ready:\n%s", read_text(w, p->err));
	return p;
}

/* ---- the control socket ------------------------------------------------------------------- */

static void
delete_json(void *p)
{
	cJSON_Delete(p);
}

cJSON *
ctl(struct world *w, const char *method, const char *path, const char *body, int *status)
{
	struct raw *r = raw_unix(w, daemon_control(w));
	cJSON *o;

	raw_send(r, fmt(w, "{\"v\":1,\"method\":\"%s\",\"path\":\"%s\"%s%s}\n", method, path,
			body != NULL ? ",\"body\":" : "", body != NULL ? body : ""));
	raw_wait(r, "\n");
	o = cJSON_Parse(r->text);
	raw_close(r);
	if (o == NULL)
		fail_msg("%s %s on the control socket: %s", method, path, r->text);
	world_keep(w, o, delete_json);
	*status = (int)json_number(o, "status");
	return cJSON_GetObjectItemCaseSensitive(o, "body");
}

cJSON *
ctl_ok(struct world *w, const char *method, const char *path, const char *body)
{
	int status;
	cJSON *o = ctl(w, method, path, body, &status);

	if (status != 200)
		fail_msg("%s %s: %d %s", method, path, status, cJSON_PrintUnformatted(o));
	return o;
}

cJSON *
api_service(struct world *w, const char *id)
{
	int status;
	cJSON *o = ctl(w, "GET", fmt(w, "/api/v1/services/%s", id), NULL, &status);

	return status == 200 ? cJSON_GetObjectItemCaseSensitive(o, "service") : NULL;
}

struct wanted_state {
	const char *id, *state;
};

static bool
has_state(struct world *w, const void *arg)
{
	const struct wanted_state *want = arg;
	const cJSON *service = api_service(w, want->id);

	return service != NULL && strcmp(json_str(service, "state"), want->state) == 0;
}

void
api_wait_state(struct world *w, const char *id, const char *state)
{
	struct wanted_state want = {id, state};

	if (!wait_until(w, has_state, &want, ANSWER_MS)) {
		const cJSON *service = api_service(w, id);

		fail_msg("%s is %s, not %s", id,
		    service == NULL ? "unknown" : json_str(service, "state"), state);
	}
}

/* ---- HTTP --------------------------------------------------------------------------------- */

struct reply
api(struct world *w, const char *method, const char *path, const char *const headers[],
    const char *body)
{
	return http_unix(
	    w, daemon_socket(w), method, fmt(w, "http://" DAEMON_HOST "%s", path), headers, body);
}

struct reply
api_get_private(struct world *w, const char *path)
{
	return api(w, "GET", path, ARGV(fmt(w, "X-Devmesh: %s", daemon_token(w))), NULL);
}

struct reply
api_post(struct world *w, const char *path, const char *body)
{
	return api(w, "POST", path,
	    ARGV(fmt(w, "X-Devmesh: %s", daemon_token(w)), "Content-Type: application/json"), body);
}

/* ---- by hand ------------------------------------------------------------------------------ */

static void
raw_free(void *p)
{
	struct raw *r = p;

	raw_close(r);
	free(r->text);
	free(r);
}

static struct raw *
raw_new(struct world *w, int fd)
{
	struct raw *r = calloc(1, sizeof *r);

	assert_true(fd >= 0);
	r->fd = fd;
	r->text = calloc(1, 1);
	return world_keep(w, r, raw_free);
}

struct raw *
raw_unix(struct world *w, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof a.sun_path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		fail_msg("connecting to %s: %s", path, strerror(errno));
	return raw_new(w, fd);
}

struct raw *
raw_tcp(struct world *w, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		fail_msg("connecting to port %d: %s", port, strerror(errno));
	return raw_new(w, fd);
}

void
raw_send(struct raw *r, const char *text)
{
	size_t n = strlen(text);

	while (n > 0) {
		ssize_t put = send(r->fd, text, n, MSG_NOSIGNAL);

		if (put <= 0)
			return; /* it has been closed; who waits for an answer will see */
		text += put;
		n -= (size_t)put;
	}
}

/* Waits for more, and takes it; false when there is no more to come. */
static bool
raw_more(struct raw *r, int64_t deadline, const char *what)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	int64_t left = deadline - now_ms();
	char buf[65536];
	ssize_t n;

	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		fail_msg("waited for \"%s\"; what has come: %.3000s", what, r->text + r->seen);
	n = recv(r->fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n <= 0) {
		r->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		return !r->ended;
	}
	assert_true(r->length + (size_t)n < RAW_MAX);
	r->text = realloc(r->text, r->length + (size_t)n + 1);
	assert_non_null(r->text);
	memcpy(r->text + r->length, buf, (size_t)n);
	r->length += (size_t)n;
	r->text[r->length] = '\0';
	return true;
}

void
raw_wait(struct raw *r, const char *text)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	const char *at;

	while ((at = strstr(r->text + r->seen, text)) == NULL) {
		if (!raw_more(r, deadline, text))
			fail_msg("it ended before \"%s\": %.3000s", text, r->text + r->seen);
	}
	r->seen = (size_t)(at - r->text) + strlen(text);
}

void
raw_wait_end(struct raw *r)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	while (raw_more(r, deadline, "its end"))
		continue;
}

void
raw_close(struct raw *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static struct raw *
begin_stream(
    struct world *w, struct raw *r, const char *host, const char *path, const char *headers)
{
	raw_send(r, fmt(w, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host,
			headers != NULL ? headers : ""));
	raw_wait(r, "HTTP/1.1 200 OK\r\n");
	raw_wait(r, "text/event-stream");
	raw_wait(r, "\r\n\r\n");
	raw_wait(r, "retry: ");
	return r;
}

struct raw *
stream_open(struct world *w, const char *path, const char *headers)
{
	return begin_stream(w, raw_unix(w, daemon_socket(w)), DAEMON_HOST, path, headers);
}

struct raw *
stream_open_by_caddy(struct world *w, const char *path, const char *headers)
{
	return begin_stream(
	    w, raw_tcp(w, w->port), fmt(w, DAEMON_HOST ":%d", w->port), path, headers);
}
