/* SPDX-License-Identifier: MIT */
/*
 * devmeshd: one thread, one loop, and the parts that hang off it. Everything it knows of the
 * present can be found again by looking; it is never needed for a verb to work.
 *
 * The parts know each other only through this struct. They are opened in the order of its members
 * and closed in reverse (daemon.c).
 */
#ifndef DEVMESH_DAEMON_H
#define DEVMESH_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"
#include "session.h"

struct event;
struct event_base;

struct daemon {
	const char *config_file; /* --config; NULL: none. Borrowed */
	struct event_base *base;
	struct session
	    *session; /* registry and configuration; its view is Caddy's last known one */
	struct events *events;
	struct store *store;
	struct workers *workers;
	struct lan *lan;
	struct nameserver *nameserver;
	struct record_keeper *record;
	struct shares *shares;
	struct exits *exits;
	struct watch *watch;
	struct services *services;
	struct supervisor *supervisor;
	struct wake *wake;
	struct caddy_watch *caddy;
	struct tree_watch *trees;
	struct finder *finder;
	struct mender *mender;
	struct requests *requests;
	struct request_watch *request_watch;
	struct load *load;
	struct facts *facts;
	struct api *api;
	struct phone *phone;
	struct mdns *mdns;
	struct ctl_server *ctl;
	struct http_server *http;
	struct notify *notify;

	int64_t started;  /* seconds since the epoch */
	bool ready;	  /* the first full scan is done */
	bool draining;	  /* SIGTERM has come */
	int64_t asked_at; /* when somebody last looked (dm_now_ms); the scans are quicker then */
	int lock;	  /* descriptor of the lock file; -1: none */

	/* Its own service: home.h. */
	char *id, *socket_path;
	char *host;    /* NULL: none yet */
	char *url;     /* NULL: nothing leads there */
	bool settling; /* these are about to change */

	struct event *signals[4], *tick;
};

/*
 * Opens everything, runs until SIGTERM, SIGINT or daemon_stop(), closes everything.
 */
bool daemon_run(const char *config_file, struct dm_err *err) DM_MUST;

/* Only reads the configuration and looks at the places that it names: what `devmeshd -n` does. */
bool daemon_check(const char *config_file, struct dm_err *err) DM_MUST;

/* From within the loop: what SIGTERM and SIGHUP do. */
void daemon_stop(struct daemon *d);
/* Reads the configuration again; a bad one is an error, and changes nothing. */
bool daemon_reload(struct daemon *d, struct dm_err *err) DM_MUST;

/* The view of Caddy is another one: whether it leads to the daemon itself may have changed. */
void daemon_caddy_changed(struct daemon *d);

/* Hints of watch.h and exits.h, to whom they concern. */
void daemon_hint(struct daemon *d, const char *dir, const char *name);
void daemon_process_ended(struct daemon *d, const struct dm_proc_id *id);

/* Something that was under way while it stops has ended. */
void daemon_drained(struct daemon *d);

/* Somebody looks: a request, a listener. */
void daemon_asked(struct daemon *d);

#endif
