/* SPDX-License-Identifier: MIT */
/* Avahi's client library, which waits for D-Bus as long as it likes: hence a child asks it. */
#include "base/zeroconf.h"

#include <avahi-client/client.h>
#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>

#include "base/spawn.h"
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

static void
ask_in_child(void *arg)
{
	struct dm_err err;

	if (!ask(&err))
		*(struct dm_err *)arg = err;
}

bool
dm_zeroconf_ready(int64_t timeout_ms, struct dm_err *err)
{
	struct dm_err said = {.code = DM_OK};
	struct dm_child_call call;

	if (!dm_child_call_begin(&call, ask_in_child, &said, sizeof(said), err) ||
	    !dm_child_call_end(&call, &said, sizeof(said), timeout_ms, err))
		return err->code == DM_TIMEOUT
			   ? dm_fail(err, DM_TIMEOUT, "Avahi does not answer within %lld ms",
				 (long long)timeout_ms)
			   : dm_wrap(err, "asking Avahi");
	if (said.code == DM_OK)
		return true;
	*err = said;
	return false;
}
