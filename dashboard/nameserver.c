/* SPDX-License-Identifier: MIT */
#include "nameserver.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "daemon.h"
#include "dns_places.h"
#include "lan.h"
#include "nameserver_impl.h"
#include "network.h"
#include "timer.h"

enum {
	PORT = 53,
	HIGH_PORT = 5453,
	AGAIN_MS = 5000,
	NO_FILES_MS = 100, /* pause when there is no descriptor for another client */
	BATCHES_MAX = 4,   /* of one socket in a turn of the loop */
};

/* ---- questions --------------------------------------------------------------------------- */

bool
nameserver_admits(struct nameserver *server, const struct dns_address *source)
{
	if (lan_state_admits(lan_state(server->d->lan), source))
		return true;
	server->counts.foreign++;
	return false;
}

bool
nameserver_within_rate(struct nameserver *server, const struct dns_address *source)
{
	if (dns_address_is_loopback(source) || dns_limit_take(server->limit, source, dm_now_ms()))
		return true;
	server->counts.limited++;
	return false;
}

static void
count(struct nameserver *server, enum dns_verdict verdict)
{
	switch (verdict) {
	case DNS_VERDICT_DROPPED:
		server->counts.dropped++;
		break;
	case DNS_VERDICT_ANSWERED:
		server->counts.answered++;
		break;
	case DNS_VERDICT_REFUSED:
		server->counts.refused++;
		break;
	case DNS_VERDICT_MALFORMED:
		server->counts.malformed++;
		break;
	}
}

size_t
nameserver_reply(struct endpoint *endpoint, bool tcp, const uint8_t *query, size_t len,
    uint8_t out[DNS_REPLY_MAX])
{
	struct nameserver *server = endpoint->server;
	struct dns_asked asked = endpoint->asked;
	enum dns_verdict verdict;
	size_t n = tcp ? 0 : dns_memo_find(endpoint->memo, query, len, out, &verdict);

	if (n == 0) {
		asked.tcp = tcp;
		asked.max = DNS_REPLY_MAX;
		n = dns_answer(server->zone, &asked, query, len, out, &verdict);
		if (!tcp)
			dns_memo_keep(endpoint->memo, query, len, out, n, verdict);
	}
	count(server, verdict);
	return n;
}

static void
answer_packet(struct endpoint *endpoint, struct dns_packet *packet)
{
	struct dns_address source;
	uint16_t port;

	if (dns_from_socket(&packet->from, &source, &port) &&
	    nameserver_admits(endpoint->server, &source) &&
	    nameserver_within_rate(endpoint->server, &source))
		packet->reply_len =
		    nameserver_reply(endpoint, false, packet->bytes, packet->len, packet->reply);
}

static void
on_packets(evutil_socket_t fd, short what, void *user)
{
	struct endpoint *endpoint = user;
	struct dns_packet *packets = endpoint->server->packets;
	size_t count = DNS_BATCH;

	(void)what;
	/* while each time as many come as there is room for; others have their turn, too */
	for (int i = 0; i < BATCHES_MAX && count == DNS_BATCH; i++) {
		count = dns_batch_read(fd, packets);
		for (size_t k = 0; k < count; k++)
			answer_packet(endpoint, &packets[k]);
		dns_batch_send(fd, packets, count);
	}
}

static void
on_connection(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len, void *user)
{
	struct sockaddr_storage copy = {0};

	(void)listener;
	memcpy(&copy, from, (size_t)len < sizeof(copy) ? (size_t)len : sizeof(copy));
	nameserver_tcp_take(user, (int)fd, &copy);
}

/*
 * Out of descriptors, most likely. Who connects waits in the backlog until they are tried again:
 * by themselves, as settling takes descriptors, too.
 */
static void
on_accept_error(struct evconnlistener *listener, void *user)
{
	struct endpoint *endpoint = user;

	dm_debug("accepting a connection for DNS: %s", strerror(errno));
	(void)evconnlistener_disable(listener);
	timer_in(endpoint->server->resume, NO_FILES_MS);
}

static void
on_resume(evutil_socket_t fd, short what, void *user)
{
	const struct nameserver *server = user;

	(void)fd;
	(void)what;
	for (const struct endpoint *e = server->endpoints; e != NULL; e = e->next) {
		if (e->listener != NULL)
			(void)evconnlistener_enable(e->listener);
	}
}

/* ---- places ------------------------------------------------------------------------------ */

static void
say_problem(struct nameserver *server, const char *text)
{
	if (server->problem_count < NAMESERVER_PROBLEMS_MAX)
		server->problems[server->problem_count++] = dm_strdup(text);
}

/* What was passed on, else the port that is wished for. */
static bool
open_wanted(const struct nameserver *server, const struct dns_address *at, struct dns_pair *out,
    struct dm_err *err)
{
	return dns_passed_find(&server->passed, at, out, err) ||
	       dns_pair_open(at, server->port == 0 ? PORT : (uint16_t)server->port, out, err);
}

static void
set_why(struct endpoint *endpoint, const struct dm_err *err)
{
	free(endpoint->why);
	endpoint->why = err == NULL ? NULL : dm_strdup(err->msg);
	endpoint->denied = err != NULL && err->code == DM_DENIED;
}

/* Port 53 where that is allowed, else the high one, and why. */
static bool
open_pair(struct nameserver *server, const struct dns_address *at, struct endpoint *out)
{
	struct dm_err first, err;

	if (open_wanted(server, at, &out->pair, &first))
		return true;
	if (server->port == 0 && dns_pair_open(at, HIGH_PORT, &out->pair, &err)) {
		/* not for this machine, whose resolver is told the port; a phone asks 53 only */
		set_why(out, &first);
		if (!dns_address_is_loopback(at))
			dm_note("%s; devmeshd answers at port %d, where no phone asks", first.msg,
			    HIGH_PORT);
		return true;
	}
	say_problem(server, server->port == 0 ? err.msg : first.msg);
	server->unbound = true;
	return false;
}

/* Its pair is open: answers there. */
static void
begin_endpoint(struct endpoint *endpoint)
{
	struct nameserver *server = endpoint->server;
	const struct dns_pair *pair = &endpoint->pair;
	char text[DNS_ADDRESS_TEXT];

	endpoint->readable =
	    event_new(server->d->base, pair->udp, EV_READ | EV_PERSIST, on_packets, endpoint);
	(void)event_add(endpoint->readable, NULL);
	/* closed by dns_pair_close */
	endpoint->listener = evconnlistener_new(
	    server->d->base, on_connection, endpoint, LEV_OPT_CLOSE_ON_EXEC, 0, pair->tcp);
	if (endpoint->listener != NULL)
		evconnlistener_set_error_cb(endpoint->listener, on_accept_error);
	dns_address_text(&pair->address, text);
	dm_note("answering DNS for %s at %s port %u", server->domain, text, (unsigned)pair->port);
}

static void
end_endpoint(struct endpoint *endpoint)
{
	nameserver_tcp_end(endpoint);
	if (endpoint->listener != NULL)
		evconnlistener_free(endpoint->listener);
	event_free(endpoint->readable);
	dns_pair_close(&endpoint->pair);
}

static void
open_endpoint(struct nameserver *server, const struct dns_place *place)
{
	struct endpoint *endpoint = dm_calloc(1, sizeof(*endpoint));

	endpoint->server = server;
	if (!open_pair(server, &place->address, endpoint)) {
		free(endpoint);
		return;
	}
	endpoint->asked = place->asked;
	endpoint->memo = dns_memo_new();
	endpoint->next = server->endpoints;
	server->endpoints = endpoint;
	begin_endpoint(endpoint);
}

/* Whoever had port 53 may have let it go. Until then the high one stays. */
static void
improve_endpoint(struct endpoint *endpoint)
{
	struct dns_pair pair;
	struct dm_err err;

	if (!open_wanted(endpoint->server, &endpoint->pair.address, &pair, &err)) {
		set_why(endpoint, &err);
		return;
	}
	end_endpoint(endpoint);
	set_why(endpoint, NULL);
	endpoint->pair = pair;
	begin_endpoint(endpoint);
}

static void
close_endpoint(struct endpoint *endpoint)
{
	end_endpoint(endpoint);
	dns_memo_free(endpoint->memo);
	free(endpoint->why);
	free(endpoint);
}

/* Closes those that are not among the places, or all. */
static void
close_others(struct nameserver *server, const struct dns_place *places, size_t count, bool all)
{
	for (struct endpoint **p = &server->endpoints, *e; (e = *p) != NULL;) {
		bool stays = false;

		for (size_t i = 0; i < count && !all; i++)
			stays = stays || dns_address_same(&places[i].address, &e->pair.address);
		if (stays) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		close_endpoint(e);
	}
}

static struct endpoint *
find_endpoint(const struct nameserver *server, const struct dns_address *at)
{
	for (struct endpoint *e = server->endpoints; e != NULL; e = e->next) {
		if (dns_address_same(&e->pair.address, at))
			return e;
	}
	return NULL;
}

static bool
caddy_has_ipv6(const struct nameserver *server, const struct lan_state *lan)
{
	const struct caddy_view *view = server->d->session->view;

	return lan->has_ipv6 && view != NULL && caddy_view_listens(view, &lan->ipv6.address);
}

/*
 * What could not be seen for lack of descriptors is taken to be as it was: those of the endpoints
 * that may still be wished for join the places.
 */
static size_t
keep_places(const struct nameserver *server, struct dns_place places[DNS_PLACES_MAX], size_t count)
{
	const struct lan_state *lan = lan_state(server->d->lan);
	bool further = server->scope == DNS_SCOPE_ALL && lan->enabled && lan->has_address;

	for (const struct endpoint *e = server->endpoints; e != NULL; e = e->next) {
		bool skip = !further && !dns_address_is_loopback(&e->pair.address);

		for (size_t i = 0; i < count; i++)
			skip = skip || dns_address_same(&places[i].address, &e->pair.address);
		if (!skip && server->scope != DNS_SCOPE_NONE && count < DNS_PLACES_MAX)
			places[count++] = (struct dns_place){e->pair.address, e->asked};
	}
	return count;
}

static size_t
choose_places(struct nameserver *server, struct dns_place out[DNS_PLACES_MAX])
{
	const struct conf *conf = server->d->session->conf;
	const struct lan_state *lan = lan_state(server->d->lan);
	const struct lan_wish wish = network_wish(conf);
	struct netif_list list = {.count = 0};
	int lack;
	struct dns_places_input in = {.scope = server->scope,
	    .loopback6 = dm_find_ipv6_loopback(&lack),
	    .caddy6 = caddy_has_ipv6(server, lan),
	    .lan = lan,
	    .wish = &wish,
	    .list = &list};
	struct dm_err err;
	bool seen = lack == 0;
	size_t count;

	if (lan->enabled && !netif_read(&list, &err)) {
		dm_debug("%s", err.msg);
		seen = false;
	}
	count = dns_places(&in, out);
	if (seen)
		return count;
	server->unbound = true;
	return keep_places(server, out, count);
}

/* ---- what is answered for ---------------------------------------------------------------- */

static void
settle_zone(struct nameserver *server)
{
	const struct session *session = server->d->session;
	uint32_t serial = lan_state(server->d->lan)->serial;
	char domain[HOST_MAX + 1];
	struct dm_err err;

	session_domain(session, domain);
	if (!session->conf->dns_enabled) {
		server->scope = DNS_SCOPE_NONE;
	} else if ((server->scope = dns_domain_scope(domain, &err)) == DNS_SCOPE_NONE) {
		(void)dm_wrap(&err, "answering DNS");
		say_problem(server, err.msg);
	}
	if (server->zone != NULL && server->scope != DNS_SCOPE_NONE &&
	    strcmp(server->domain, domain) == 0 && server->serial == serial &&
	    server->depth == session->conf->dns_depth)
		return;
	dns_zone_free(server->zone);
	server->zone = NULL;
	memcpy(server->domain, domain, sizeof(domain));
	server->serial = serial;
	server->depth = session->conf->dns_depth;
	if (server->scope != DNS_SCOPE_NONE)
		server->zone = dns_zone_new(domain, server->depth, serial);
}

/* Each is said once, until it is another one. */
static void
tell_problems(struct nameserver *server, char *const *before, size_t before_count)
{
	for (size_t i = 0; i < server->problem_count; i++) {
		bool known = false;

		for (size_t k = 0; k < before_count; k++)
			known = known || strcmp(before[k], server->problems[i]) == 0;
		if (!known)
			dm_warn("%s", server->problems[i]);
	}
}

/* A domain that is not the user's stays that: no time makes it better. */
static bool
is_to_be_tried_again(const struct nameserver *server)
{
	for (const struct endpoint *e = server->endpoints; e != NULL; e = e->next) {
		if (e->why != NULL && !e->denied)
			return true;
	}
	return server->unbound;
}

void
nameserver_settle(struct nameserver *server)
{
	struct dns_place places[DNS_PLACES_MAX];
	char *before[NAMESERVER_PROBLEMS_MAX];
	size_t count, before_count = server->problem_count;
	uint32_t port = server->d->session->conf->dns_port;

	if (!server->started)
		return;
	memcpy(before, server->problems, sizeof(before));
	server->problem_count = 0;
	server->unbound = false;
	settle_zone(server);
	count = choose_places(server, places);
	close_others(server, places, count, port != server->port);
	server->port = port;
	for (size_t i = 0; i < count; i++) {
		struct endpoint *e = find_endpoint(server, &places[i].address);

		if (e == NULL) {
			open_endpoint(server, &places[i]);
			continue;
		}
		e->asked = places[i].asked;
		dns_memo_clear(e->memo);
		if (e->why != NULL)
			improve_endpoint(e);
	}
	tell_problems(server, before, before_count);
	for (size_t i = 0; i < before_count; i++)
		free(before[i]);
	if (is_to_be_tried_again(server))
		timer_in(server->again, AGAIN_MS);
	else
		(void)event_del(server->again);
}

static void
on_again(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	nameserver_settle(user);
}

static void
on_lan(void *user, const struct lan_state *state)
{
	(void)state;
	nameserver_settle(user);
}

/* ---- for others -------------------------------------------------------------------------- */

struct nameserver *
nameserver_new(struct daemon *d)
{
	struct nameserver *server = dm_calloc(1, sizeof(*server));

	server->d = d;
	server->limit = dns_limit_new(dm_random());
	server->packets = dm_calloc(DNS_BATCH, sizeof(*server->packets));
	server->again = evtimer_new(d->base, on_again, server);
	server->resume = evtimer_new(d->base, on_resume, server);
	dns_passed_take(&server->passed);
	return server;
}

void
nameserver_start(struct nameserver *server)
{
	server->started = true;
	lan_subscribe(server->d->lan, on_lan, server);
	nameserver_settle(server);
}

void
nameserver_free(struct nameserver *server)
{
	if (server == NULL)
		return;
	close_others(server, NULL, 0, true);
	dns_passed_close(&server->passed);
	for (size_t i = 0; i < server->problem_count; i++)
		free(server->problems[i]);
	event_free(server->again);
	event_free(server->resume);
	dns_zone_free(server->zone);
	dns_limit_free(server->limit);
	free(server->packets);
	free(server);
}

const struct nameserver_counts *
nameserver_counts(const struct nameserver *server)
{
	return &server->counts;
}
