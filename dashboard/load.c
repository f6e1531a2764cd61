/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon.h"
#include "out.h"
#include "request_watch.h"
#include "services.h"
#include "usage.h"

struct load_listener {
	load_fn *fn;
	void *user;
	struct load_listener *next, **back;
};

struct load {
	struct daemon *d;
	struct usage *usage;
	struct event *tick;
	struct load_listener *listeners;
	struct load_listener *next; /* to be told, while they are */
};

static cJSON *
load_of_service(const struct load *load, const struct service *svc)
{
	cJSON *o = cJSON_CreateObject();

	usage_add_service(load->usage, svc, o);
	(void)cJSON_AddItemToObject(
	    o, "requests", request_watch_figures(load->d->request_watch, svc->claim->id.s));
	return o;
}

struct cJSON *
load_document(struct load *load)
{
	const struct services *all = load->d->services;
	cJSON *o = out_object(), *list;

	usage_look(load->usage, all);
	(void)cJSON_AddNumberToObject(o, "time", (double)dm_wall_seconds());
	(void)cJSON_AddItemToObject(o, "node", usage_node(load->usage));
	list = cJSON_AddObjectToObject(o, "services");
	for (size_t i = 0; i < services_count(all); i++) {
		const struct service *svc = services_at(all, i);

		(void)cJSON_AddItemToObject(list, svc->claim->id.s, load_of_service(load, svc));
	}
	return o;
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	struct load *load = user;
	cJSON *document = load_document(load);
	DM_AUTO_FREE char *json = cJSON_PrintUnformatted(document);

	(void)fd;
	(void)what;
	cJSON_Delete(document);
	for (struct load_listener *l = load->listeners; l != NULL; l = load->next) {
		load->next = l->next;
		l->fn(l->user, json);
	}
	load->next = NULL;
}

struct load *
load_new(struct daemon *d)
{
	struct load *load = dm_calloc(1, sizeof(*load));

	load->d = d;
	load->usage = usage_new(d->session->state_dir);
	load->tick = event_new(d->base, -1, EV_PERSIST, on_tick, load);
	return load;
}

void
load_free(struct load *load)
{
	if (load == NULL)
		return;
	event_free(load->tick);
	usage_free(load->usage);
	free(load);
}

struct load_listener *
load_listen(struct load *load, load_fn *fn, void *user)
{
	static const struct timeval interval = {.tv_sec = LOAD_MS / 1000};
	struct load_listener *l = dm_calloc(1, sizeof(*l));

	if (load->listeners == NULL)
		(void)event_add(load->tick, &interval);
	*l = (struct load_listener){
	    .fn = fn, .user = user, .next = load->listeners, .back = &load->listeners};
	if (l->next != NULL)
		l->next->back = &l->next;
	load->listeners = l;
	return l;
}

void
load_unlisten(struct load *load, struct load_listener *l)
{
	if (load->next == l)
		load->next = l->next;
	*l->back = l->next;
	if (l->next != NULL)
		l->next->back = l->back;
	free(l);
	if (load->listeners == NULL)
		(void)event_del(load->tick);
}
