/* SPDX-License-Identifier: MIT */
/* Avahi's client library, which waits for D-Bus as long as it likes: hence a child asks it. */
#include "base/zeroconf.h"

#include <avahi-client/client.h>
#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/symbols.h"

#define SYMBOLS(X) \
	X(avahi_client_new) \
	X(avahi_simple_poll_get) \
	X(avahi_simple_poll_new) \
	X(avahi_strerror)

struct avahi {
	SYMBOLS(DM_SYMBOL_MEMBER)
};

#define ROW(name) DM_SYMBOL(struct avahi, name)
static const struct dm_symbol symbols[] = {SYMBOLS(ROW)};

/* The library wants to have one. */
static void
on_client(AvahiClient *client, AvahiClientState state, void *user)
{
	(void)client;
	(void)state;
	(void)user;
}

/* As devmeshd's child does it, but not content with an Avahi that may come later. */
static bool
ask(struct dm_err *err)
{
	struct avahi a;
	AvahiSimplePoll *loop;
	int error = 0;

	if (!dm_symbols_load(
		"libavahi-client.so.3", symbols, sizeof(symbols) / sizeof(symbols[0]), &a, err)) {
		err->code = DM_NOT_FOUND;
		return false;
	}
	loop = a.avahi_simple_poll_new();
	if (loop == NULL)
		return dm_fail(err, DM_FAILED, "asking Avahi: out of memory");
	if (a.avahi_client_new(a.avahi_simple_poll_get(loop), 0, on_client, NULL, &error) == NULL)
		return dm_fail(
		    err, DM_UNREACHABLE, "asking Avahi by D-Bus: %s", a.avahi_strerror(error));
	return true;
}

bool
dm_zeroconf_ready(int64_t timeout_ms, struct dm_err *err)
{
	struct dm_err said = {.code = DM_OK};
	struct pollfd answer = {.events = POLLIN};
	int ends[2];
	pid_t pid;
	bool told;

	if (pipe(ends) != 0)
		return dm_fail_errno(err, errno, "asking Avahi");
	if ((pid = fork()) == 0) {
		(void)ask(&said);
		(void)!write(ends[1], &said, sizeof(said));
		_exit(0);
	}
	(void)close(ends[1]);
	answer.fd = ends[0];
	/* one write of less than PIPE_BUF is read whole */
	told = pid > 0 && poll(&answer, 1, (int)timeout_ms) > 0 &&
	       read(ends[0], &said, sizeof(said)) == (ssize_t)sizeof(said);
	(void)close(ends[0]);
	if (pid > 0)
		(void)kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (!told)
		return dm_fail(
		    err, DM_TIMEOUT, "Avahi does not answer within %lld ms", (long long)timeout_ms);
	if (said.code == DM_OK)
		return true;
	*err = said;
	return false;
}
