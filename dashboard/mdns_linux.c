/* SPDX-License-Identifier: MIT */
/* In the child: Avahi's client library, loaded here alone (dlopen(3)), and its own small loop. */
#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/symbols.h"
#include "mdns.h"

#define SYMBOLS(X) \
	X(avahi_address_parse) \
	X(avahi_client_errno) \
	X(avahi_client_free) \
	X(avahi_client_new) \
	X(avahi_entry_group_add_address) \
	X(avahi_entry_group_commit) \
	X(avahi_entry_group_free) \
	X(avahi_entry_group_new) \
	X(avahi_simple_poll_free) \
	X(avahi_simple_poll_get) \
	X(avahi_simple_poll_loop) \
	X(avahi_simple_poll_new) \
	X(avahi_simple_poll_quit) \
	X(avahi_strerror)

struct avahi {
	SYMBOLS(DM_SYMBOL_MEMBER)
};

#define ROW(name) DM_SYMBOL(struct avahi, name)
static const struct dm_symbol symbols[] = {SYMBOLS(ROW)};

struct announcer {
	struct avahi a;
	AvahiSimplePoll *poll;
	AvahiClient *client;
	bool running; /* Avahi takes names */
	bool told;    /* that it does not */
	int fd, status;
	char line[MDNS_LINE_MAX]; /* as it came */
	size_t len;
	char current[MDNS_LINE_MAX]; /* the last whole one, taken apart: */
	struct mdns_wish wish;
	AvahiEntryGroup *groups[MDNS_NAMES_MAX]; /* one for each name: one may be somebody's */
};

static void
withdraw(struct announcer *m)
{
	for (unsigned i = 0; i < MDNS_NAMES_MAX; i++) {
		if (m->groups[i] != NULL)
			(void)m->a.avahi_entry_group_free(m->groups[i]);
		m->groups[i] = NULL;
	}
}

static void
on_group(AvahiEntryGroup *group, AvahiEntryGroupState state, void *user)
{
	struct announcer *m = user;

	if (state != AVAHI_ENTRY_GROUP_COLLISION)
		return;
	for (unsigned i = 0; i < m->wish.count; i++) {
		if (m->groups[i] == group)
			dm_warn("%s.local is somebody else's in this network", m->wish.ids[i]);
	}
}

static bool
announce_one(struct announcer *m, unsigned i, const AvahiAddress *address, AvahiIfIndex interface)
{
	DM_AUTO_FREE char *name = dm_asprintf("%s.local", m->wish.ids[i]);

	m->groups[i] = m->a.avahi_entry_group_new(m->client, on_group, m);
	/* the address has a name already, the machine's: this one does not lead back */
	return m->groups[i] != NULL &&
	       m->a.avahi_entry_group_add_address(m->groups[i], interface, AVAHI_PROTO_UNSPEC,
		   AVAHI_PUBLISH_NO_REVERSE, name, address) == 0 &&
	       m->a.avahi_entry_group_commit(m->groups[i]) == 0;
}

static void
announce(struct announcer *m)
{
	unsigned index = m->wish.count == 0 ? 0 : if_nametoindex(m->wish.interface);
	AvahiAddress address;

	withdraw(m);
	if (!m->running || index == 0 ||
	    m->a.avahi_address_parse(m->wish.address, AVAHI_PROTO_INET, &address) == NULL)
		return;
	for (unsigned i = 0; i < m->wish.count; i++) {
		if (!announce_one(m, i, &address, (AvahiIfIndex)index))
			dm_warn("announcing %s.local: %s", m->wish.ids[i],
			    m->a.avahi_strerror(m->a.avahi_client_errno(m->client)));
	}
}

static void
on_client(AvahiClient *client, AvahiClientState state, void *user)
{
	struct announcer *m = user;

	m->client = client; /* it is called before avahi_client_new() returns as well */
	m->running = state == AVAHI_CLIENT_S_RUNNING;
	if (state == AVAHI_CLIENT_CONNECTING && !m->told) {
		dm_note("names below .local are announced as soon as Avahi runs");
		m->told = true;
	}
	if (state == AVAHI_CLIENT_FAILURE) {
		dm_note("Avahi has gone: %s", m->a.avahi_strerror(m->a.avahi_client_errno(client)));
		m->status = 1;
		m->a.avahi_simple_poll_quit(m->poll);
		return;
	}
	announce(m);
}

static void
take_lines(struct announcer *m)
{
	char *end;

	while ((end = memchr(m->line, '\n', m->len)) != NULL) {
		size_t n = (size_t)(end - m->line) + 1;

		memcpy(m->current, m->line, n);
		m->current[n - 1] = '\0';
		memmove(m->line, m->line + n, m->len -= n);
		(void)mdns_line_parse(m->current, &m->wish);
		announce(m);
	}
}

static void
on_line(AvahiWatch *watch, int fd, AvahiWatchEvent event, void *user)
{
	struct announcer *m = user;
	ssize_t n = read(fd, m->line + m->len, sizeof(m->line) - m->len);

	(void)watch;
	(void)event;
	if (n <= 0) { /* devmeshd has no more to say, or has gone */
		m->a.avahi_simple_poll_quit(m->poll);
		return;
	}
	m->len += (size_t)n;
	take_lines(m);
}

int
mdns_announce(int fd)
{
	struct announcer *m = dm_calloc(1, sizeof(*m));
	const AvahiPoll *api;
	struct dm_err err;
	int error = 0;

	m->fd = fd;
	if (!dm_symbols_load("libavahi-client.so.3", symbols, sizeof(symbols) / sizeof(symbols[0]),
		&m->a, &err)) {
		dm_note("names below .local need Avahi (Debian: avahi-daemon): %s", err.msg);
		return 1;
	}
	m->poll = m->a.avahi_simple_poll_new();
	api = m->a.avahi_simple_poll_get(m->poll);
	(void)api->watch_new(api, fd, AVAHI_WATCH_IN, on_line, m);
	m->client = m->a.avahi_client_new(api, AVAHI_CLIENT_NO_FAIL, on_client, m, &error);
	if (m->client == NULL) {
		dm_note("names below .local are not announced: %s", m->a.avahi_strerror(error));
		return 1;
	}
	(void)m->a.avahi_simple_poll_loop(m->poll);
	withdraw(m);
	m->a.avahi_client_free(m->client);
	m->a.avahi_simple_poll_free(m->poll);
	return m->status;
}
