/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a client sends over HTTP: first to the parser and the guard alone, then to a
 * connection of a server without a name, which refuses everything in due form.
 */
#include "fuzz.h"

#include <event2/event.h>
#include <event2/util.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "http_guard.h"
#include "http_impl.h"
#include "http_parse.h"

enum {
	TURNS = 50
};

static const struct http_self self = {
    .host = "devmesh.dev.localhost", .url = "https://devmesh.dev.localhost", .token = "0123"};

static void
check_guard(const struct http_head *head)
{
	const struct http_ask ask = {.method = head->method,
	    .path = head->path,
	    .host = http_header(head, "Host"),
	    .origin = http_header(head, "Origin"),
	    .token = http_header(head, "X-Devmesh"),
	    .forwarded_for = http_header(head, "X-Forwarded-For"),
	    .content_type = http_header(head, "Content-Type"),
	    .fetch_site = http_header(head, "Sec-Fetch-Site"),
	    .fetch_mode = http_header(head, "Sec-Fetch-Mode")};
	bool has_token = ask.token != NULL && strcmp(ask.token, self.token) == 0;
	struct dm_err err;
	enum http_refusal why = http_guard(&self, &ask, &err);

	MUST((why == HTTP_ALLOWED) == (err.msg[0] == '\0'));
	if (why != HTTP_ALLOWED)
		return;
	MUST(ask.host != NULL && evutil_ascii_strncasecmp(ask.host, self.host, 21) == 0);
	MUST(strcmp(ask.method, "POST") != 0 || has_token);
	MUST(has_token || ask.forwarded_for == NULL || strcmp(ask.path, "/healthz") == 0 ||
	     strstr(ask.forwarded_for, "127.") != NULL ||
	     strstr(ask.forwarded_for, "::1") != NULL || strchr(ask.forwarded_for, ':') != NULL);
}

static void
check_parser(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_calloc(1, size + 1);
	struct http_head head;
	struct dm_err err;

	memcpy(text, data, size);
	if (!http_head_parse(text, size, &head, &err)) {
		MUST(err.code == DM_USAGE && err.msg[0] != '\0');
		return;
	}
	MUST(head.path[0] == '/' && !dm_has_control(head.path) && !dm_has_control(head.method));
	MUST(head.query == NULL || !dm_has_control(head.query));
	MUST(head.count <= HTTP_HEADERS_MAX);
	for (size_t i = 0; i < head.count; i++)
		MUST(
		    head.headers[i].name[0] != '\0' && strchr(head.headers[i].value, '\n') == NULL);
	check_guard(&head);
}

/* The answer, if there is one, has the form of an answer. */
static void
check_answer(int fd, bool is_head)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return;
	buf[n] = '\0';
	MUST(strncmp(buf, "HTTP/1.1 4", 10) == 0);
	MUST(strstr(buf, "\r\n\r\n") != NULL);
	MUST(is_head || strstr(buf, "\"error\"") != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct daemon d = {.lock = -1};
	struct http_server server = {.d = &d};
	int ends[2];

	check_parser(data, size);
	(void)signal(SIGPIPE, SIG_IGN);
	MUST((d.base = event_base_new()) != NULL);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	MUST(evutil_make_socket_nonblocking(ends[0]) == 0);
	MUST(evutil_make_socket_nonblocking(ends[1]) == 0);
	server.newest = &server.oldest;
	http_server_take(&server, ends[1]);
	/* in two parts, the second one with the end */
	(void)!write(ends[0], data, size / 2);
	(void)event_base_loop(d.base, EVLOOP_NONBLOCK);
	(void)!write(ends[0], data + size / 2, size - size / 2);
	for (int i = 0; i < TURNS && server.counts.connections > 0; i++) {
		(void)event_base_loop(d.base, EVLOOP_NONBLOCK);
		if (i == 3)
			(void)shutdown(ends[0], SHUT_WR);
	}
	MUST(server.counts.connections == 0);
	check_answer(ends[0], size > 5 && memcmp(data, "HEAD ", 5) == 0);
	(void)close(ends[0]);
	event_base_free(d.base);
	return 0;
}
