/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

enum {
	SEND_US = 500000,
	MESSAGE_MAX = 4096,
};

struct notify {
	struct sockaddr_un to;
	socklen_t to_len; /* 0: nobody */
	int64_t alive_ms;
};

/* A path, or with "@" in front an abstract name (unix(7)), which ends with the address. */
static void
read_address(struct notify *n, const char *text)
{
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(n->to.sun_path)) {
		dm_warn("NOTIFY_SOCKET is no address of a Unix socket: \"%.120s\"", text);
		return;
	}
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, text, len);
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (text[0] == '@')
		n->to.sun_path[0] = '\0';
	else
		n->to_len++; /* with its NUL */
}

static int64_t
read_watchdog(const char *usec, const char *pid)
{
	uint64_t interval, whose;

	if (usec == NULL || !dm_parse_uint(usec, 1, INT64_MAX, &interval))
		return 0;
	if (pid != NULL && (!dm_parse_uint(pid, 1, INT32_MAX, &whose) || (pid_t)whose != getpid()))
		return 0;
	interval /= 2000;
	return interval > 0 ? (int64_t)interval : 1;
}

struct notify *
notify_new(void)
{
	struct notify *n = dm_calloc(1, sizeof(*n));
	const char *address = getenv("NOTIFY_SOCKET");

	if (address != NULL && address[0] != '\0')
		read_address(n, address);
	if (n->to_len > 0)
		n->alive_ms = read_watchdog(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	return n;
}

void
notify_free(struct notify *n)
{
	free(n);
}

bool
notify_wanted(const struct notify *n)
{
	return n->to_len > 0;
}

/* A socket for each message: the service manager may have been restarted meanwhile. */
static bool
send_message(const struct notify *n, const char *text, size_t len)
{
	struct timeval most = {.tv_usec = SEND_US};
	DM_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ssize_t sent;

	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) != 0)
		return false;
	do
		sent = sendto(fd, text, len, 0, (const struct sockaddr *)&n->to, n->to_len);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)len;
}

static void
tell(struct notify *n, const char *state, const char *status)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(MESSAGE_MAX);
	DM_AUTO_FREE char *line = NULL;

	if (n->to_len == 0)
		return;
	if (state != NULL)
		(void)dm_str_addf(&text, "%s\n", state);
	if (status != NULL) {
		/* a newline would begin another assignment */
		line = dm_printable(status);
		(void)dm_str_addf(&text, "STATUS=%.1024s\n", line);
	}
	if (!send_message(n, text.data, text.len))
		dm_warn("telling the service manager \"%.*s\": %s", (int)strcspn(text.data, "\n"),
		    text.data, strerror(errno));
}

void
notify_ready(struct notify *n, const char *status)
{
	tell(n, "READY=1", status);
}

void
notify_reloading(struct notify *n)
{
	struct timespec now;
	char text[80];

	/* in microseconds: it has to be later than the request that it answers */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (dm_snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000))
		tell(n, text, NULL);
}

void
notify_stopping(struct notify *n)
{
	tell(n, "STOPPING=1", NULL);
}

void
notify_status(struct notify *n, const char *status)
{
	tell(n, NULL, status);
}

int64_t
notify_alive_interval_ms(const struct notify *n)
{
	return n->alive_ms;
}

void
notify_alive(struct notify *n)
{
	tell(n, "WATCHDOG=1", NULL);
}
