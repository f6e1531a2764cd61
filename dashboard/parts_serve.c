/* SPDX-License-Identifier: MIT */
/* The parts that answer, and what they have to tell. */
#include "api.h"
#include "base/log.h"
#include "ctl_server.h"
#include "daemon.h"
#include "facts.h"
#include "http_server.h"
#include "load.h"
#include "mdns.h"
#include "nameserver.h"
#include "parts.h"
#include "phone.h"
#include "request_watch.h"
#include "requests.h"
#include "shares.h"
#include "wake.h"

/* Without it everything but the API over HTTP goes on: others may have put a file in the way. */
static bool
serve_http(struct daemon *d)
{
	struct dm_err err;

	d->http = http_server_open(d, d->socket_path, &err);
	if (d->http == NULL)
		dm_warn("%s; going on without: only the control socket answers", err.msg);
	return true;
}

bool
parts_serve(struct daemon *d, struct dm_err *err)
{
	nameserver_start(d->nameserver);
	d->requests = requests_new();
	d->request_watch = request_watch_new(d);
	d->load = load_new(d);
	d->wake = wake_new(d);
	wake_settle(d->wake);
	d->shares = shares_new(d);
	d->facts = facts_new(d);
	d->api = api_new(d);
	d->phone = phone_new(d);
	d->mdns = mdns_new(d);
	return (d->ctl = ctl_server_open(d, err)) != NULL && serve_http(d);
}

void
parts_caddy_changed(struct daemon *d)
{
	if (d->wake != NULL)
		wake_settle(d->wake);
	shares_settle(d->shares);
	nameserver_settle(d->nameserver);
}

void
parts_serve_settle(struct daemon *d)
{
	phone_settle(d->phone);
	mdns_settle(d->mdns);
}

void
parts_stop_serving(struct daemon *d)
{
	mdns_free(d->mdns);
	phone_free(d->phone);
	http_server_close(d->http);
	ctl_server_close(d->ctl);
	api_free(d->api);
	facts_free(d->facts);
	shares_free(d->shares);
	d->shares = NULL;
	load_free(d->load);
	request_watch_free(d->request_watch);
	requests_free(d->requests);
	wake_free(d->wake);
}
