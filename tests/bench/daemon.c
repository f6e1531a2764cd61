/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "farm.h"

enum {
	CHUNK = 65536
};

bool
listener_open(struct listener *l, const char *path, const char *request)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(request);

	memset(l, 0, sizeof *l);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (l->fd >= 0 && connect(l->fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	    send(l->fd, request, n, MSG_NOSIGNAL) == (ssize_t)n)
		return true;
	listener_close(l);
	return false;
}

void
listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->text);
	memset(l, 0, sizeof *l);
	l->fd = -1;
}

/* False at the end, or after so long. */
static bool
read_more(struct listener *l, long ms)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	ssize_t n;

	if (l->room - l->length < CHUNK) {
		l->room = l->room * 2 + 2 * CHUNK;
		l->text = realloc(l->text, l->room);
		if (l->text == NULL)
			abort();
	}
	if (l->fd < 0 || poll(&p, 1, (int)(ms > 0 ? ms : 0)) <= 0)
		return false;
	n = read(l->fd, l->text + l->length, l->room - l->length - 1);
	if (n <= 0)
		return false;
	l->length += (size_t)n;
	l->text[l->length] = '\0';
	return true;
}

double
listener_wait(struct listener *l, const char *one, const char *other, long ms, const char **line)
{
	static char found[CHUNK];
	double end = now_ms() + (double)ms;
	size_t at = 0;

	for (;;) {
		double came = now_ms();
		char *newline;

		while (l->length > at &&
		       (newline = memchr(l->text + at, '\n', l->length - at)) != NULL) {
			bool is_it;

			*newline = '\0';
			is_it = strstr(l->text + at, one) != NULL &&
				strstr(l->text + at, other) != NULL;
			snprintf(found, sizeof found, "%s", l->text + at);
			at = (size_t)(newline + 1 - l->text);
			if (!is_it)
				continue;
			l->length -= at;
			memmove(l->text, l->text + at, l->length);
			if (line != NULL)
				*line = found;
			return came;
		}
		l->length -= at;
		if (at > 0)
			memmove(l->text, l->text + at, l->length);
		at = 0;
		if (quitting() || !read_more(l, (long)(end - now_ms())))
			return (double)NAN;
	}
}

char *
daemon_ask(const char *state, const char *path)
{
	struct listener l;
	char request[256], socket_path[256];
	char *answer = NULL;

	snprintf(request, sizeof request, "{\"v\":1,\"method\":\"GET\",\"path\":\"%s\"}\n", path);
	snprintf(socket_path, sizeof socket_path, "%s/devmeshd.sock", state);
	if (!listener_open(&l, socket_path, request))
		return NULL;
	while (l.length == 0 || l.text[l.length - 1] != '\n')
		if (!read_more(&l, 5000))
			break;
	if (l.length > 0 && l.text[l.length - 1] == '\n') {
		answer = l.text;
		l.text = NULL;
	}
	listener_close(&l);
	return answer;
}
