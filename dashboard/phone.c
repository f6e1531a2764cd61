/* SPDX-License-Identifier: MIT */
#include "phone.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "lan.h"
#include "out.h"
#include "phone_impl.h"
#include "timer.h"
#include "workers.h"

enum {
	BACKLOG = 16,
	AGAIN_MS = 5000, /* until a port that was taken is tried again */
};

/* ---- what is known ------------------------------------------------------------------------- */

/* What was found before Caddy was there, or elsewhere, is of no use. */
static bool
has_looked(const struct phone *phone)
{
	return phone->looked && dm_same_text(phone->url, phone->d->url);
}

struct phone_facts
phone_facts(const struct phone *phone)
{
	const struct phone_found *found = &phone->found;

	return (struct phone_facts){.address = phone->address,
	    .port = phone->port,
	    .domain = phone->domain,
	    .url = phone->d->url,
	    .looked = has_looked(phone),
	    .dns = found->dns,
	    .reachable = found->reachable,
	    .ca = found->ca,
	    .root = has_looked(phone) && found->ca == PHONE_CA_PRIVATE ? &found->root : NULL};
}

static void
on_found(void *user, const struct worker_result *result)
{
	struct phone *phone = user;

	phone->busy = false;
	if (phone->stale) {
		phone->stale = false;
		(void)phone_want(phone, 0);
		daemon_drained(phone->d);
		return;
	}
	phone->looked = phone_look_read(result, &phone->found);
	phone->looked_ms = dm_now_ms();
	daemon_drained(phone->d);
}

static void
begin_look(struct phone *phone)
{
	const struct daemon *d = phone->d;
	struct phone_look *look = &phone->look;
	const char *host = d->host == NULL || d->url == NULL ? "" : d->host;
	const char *port = d->url == NULL ? "" : strrchr(d->url, ':');
	uint64_t number;

	look->https = d->url != NULL && dm_starts_with(d->url, "https:");
	if (!dm_snprintf(look->host, sizeof(look->host), "%s", host) ||
	    !dm_snprintf(look->domain, sizeof(look->domain), "%s", phone->domain) ||
	    !dm_snprintf(look->address, sizeof(look->address), "%s", phone->address))
		return;
	look->port = look->https ? 443 : 80;
	if (port != NULL && port[0] != '\0' && dm_parse_uint(port + 1, 1, 65535, &number))
		look->port = (uint16_t)number;
	phone->busy = true;
	free(phone->url);
	phone->url = dm_strdup(d->url);
	workers_run(d->workers, phone_look_job, look, PHONE_LOOK_MS, on_found, phone);
}

bool
phone_want(struct phone *phone, int64_t max_age_ms)
{
	if (has_looked(phone) && dm_now_ms() - phone->looked_ms < max_age_ms)
		return true;
	if (phone->listener == NULL || phone->d->draining)
		return true;
	if (!phone->busy)
		begin_look(phone);
	return false;
}

bool
phone_busy(const struct phone *phone)
{
	return phone->busy;
}

struct cJSON *
phone_document(const struct phone *phone)
{
	const struct daemon *d = phone->d;
	const struct lan_state *lan = lan_state(d->lan);
	const struct phone_facts facts = phone_facts(phone);
	bool listens = phone->listener != NULL;
	DM_AUTO_FREE char *page =
	    listens ? dm_asprintf("http://%s:%u/phone", phone->address, (unsigned)phone->port)
		    : NULL;
	cJSON *o = out_object();

	(void)cJSON_AddBoolToObject(o, "enabled", lan->enabled);
	out_add_text(o, "page", page);
	out_add_text(o, "address", listens ? phone->address : NULL);
	out_add_text(o, "domain", phone->domain);
	out_add_text(o, "url", d->url);
	out_add_text(o, "problem",
	    !lan->has_address		? lan->lack
	    : phone->problem[0] != '\0' ? phone->problem
					: phone_problem(&facts));
	(void)cJSON_AddItemToObject(
	    o, "dns", facts.looked ? cJSON_CreateBool(facts.dns) : cJSON_CreateNull());
	out_add_text(o, "ca", facts.looked ? phone_ca_name(facts.ca) : NULL);
	out_add_text(o, "ca_name", facts.root == NULL ? NULL : facts.root->owner);
	out_add_text(o, "fingerprint", facts.root == NULL ? NULL : facts.root->fingerprint);
	return o;
}

/* ---- listening ----------------------------------------------------------------------------- */

/* Only who is in the network, and not by way of a router. */
static bool
is_admitted(const struct phone *phone, const struct sockaddr *from)
{
	struct dns_address address = {.ipv6 = false};

	if (from->sa_family != AF_INET)
		return false;
	memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	return lan_state_admits(lan_state(phone->d->lan), &address);
}

static void
on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len, void *user)
{
	(void)listener;
	(void)len;
	if (is_admitted(user, from))
		phone_conn_take(user, (int)fd);
	else
		(void)evutil_closesocket(fd);
}

/* Out of descriptors, most likely: later. */
static void
on_accept_error(struct evconnlistener *listener, void *user)
{
	struct phone *phone = user;

	dm_debug("accepting a connection to the phone page: %s", strerror(errno));
	(void)evconnlistener_disable(listener);
	timer_in(phone->again, AGAIN_MS);
}

static void
stop(struct phone *phone)
{
	if (phone->listener != NULL)
		evconnlistener_free(phone->listener);
	phone->listener = NULL;
	while (phone->oldest != NULL)
		phone_conn_drop(phone->oldest);
	phone->looked = false;
	phone->looked_ms = 0;
	phone->stale = phone->busy;
}

static void
listen_there(struct phone *phone, const struct dns_address *address)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(phone->port)};

	memcpy(&at.sin_addr, address->bytes, 4);
	phone->listener = evconnlistener_new_bind(phone->d->base, on_accept, phone,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
	    (struct sockaddr *)&at, sizeof(at));
	if (phone->listener == NULL) {
		char why[sizeof(phone->problem)];

		(void)snprintf(why, sizeof(why),
		    "the phone page cannot listen on %s:%u (%s): set [lan] phone_port to another "
		    "one",
		    phone->address, (unsigned)phone->port, strerror(errno));
		if (strcmp(why, phone->problem) != 0)
			dm_warn("%s", why);
		memcpy(phone->problem, why, sizeof(why));
		timer_in(phone->again, AGAIN_MS);
		return;
	}
	evconnlistener_set_error_cb(phone->listener, on_accept_error);
	phone->problem[0] = '\0';
	dm_note("phones are set up at http://%s:%u/phone", phone->address, (unsigned)phone->port);
	(void)phone_want(phone, 0);
}

/* Listens where it should, if it does not. */
static void
settle(struct phone *phone)
{
	const struct daemon *d = phone->d;
	const struct lan_state *lan = lan_state(d->lan);
	bool wanted = lan->enabled && lan->has_address && !d->draining;
	uint16_t port = (uint16_t)d->session->conf->phone_port;
	char address[DNS_ADDRESS_TEXT] = "", domain[HOST_MAX + 1];

	session_domain(d->session, domain);
	if (wanted)
		dns_address_text(&lan->address.address, address);
	if (phone->listener != NULL && wanted && strcmp(address, phone->address) == 0 &&
	    port == phone->port && strcmp(domain, phone->domain) == 0) {
		(void)evconnlistener_enable(phone->listener);
		return;
	}
	stop(phone);
	memcpy(phone->address, address, sizeof(address));
	memcpy(phone->domain, domain, sizeof(domain));
	phone->port = port;
	if (wanted)
		listen_there(phone, &lan->address.address);
	else
		phone->problem[0] = '\0';
}

static void
on_again(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	settle(user);
}

static void
on_network(void *user, const struct lan_state *state)
{
	const struct daemon *d = user;

	(void)state;
	if (d->phone != NULL)
		settle(d->phone);
}

struct phone *
phone_new(struct daemon *d)
{
	struct phone *phone = dm_calloc(1, sizeof(*phone));

	phone->d = d;
	phone->newest = &phone->oldest;
	phone->look.config_file = d->config_file == NULL ? NULL : dm_strdup(d->config_file);
	phone->again = evtimer_new(d->base, on_again, phone);
	lan_subscribe(d->lan, on_network, d);
	settle(phone);
	return phone;
}

void
phone_free(struct phone *phone)
{
	if (phone == NULL)
		return;
	stop(phone);
	event_free(phone->again);
	free(phone->look.config_file);
	free(phone->url);
	phone->d->phone = NULL;
	free(phone);
}

void
phone_settle(struct phone *phone)
{
	if (phone == NULL)
		return;
	settle(phone);
	phone->looked_ms = 0;
}
