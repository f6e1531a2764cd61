/* SPDX-License-Identifier: MIT */
/* The process of a bridge: its event loop, which also takes the orders of the test. */
#ifndef DEVMESH_RIG_LOOP_H
#define DEVMESH_RIG_LOOP_H

#include "unit.h"

#include <event2/event.h>
#include <signal.h>

#include "run/bridge.h"

enum order {
	SET_TARGET,
	COUNT_CONNECTIONS,
	COUNT_MISSED,
	END
};

struct message {
	enum order order;
	struct bridge_target target;
};

struct loop {
	struct event_base *base;
	struct bridge *bridge;
	uint64_t missed;
};

static inline void
on_missed(void *user)
{
	struct loop *l = user;

	l->missed++;
}

static inline void
on_order(evutil_socket_t fd, short what, void *user)
{
	struct loop *l = user;
	struct message m;
	uint64_t answer = 0;

	(void)what;
	if (read(fd, &m, sizeof(m)) != (ssize_t)sizeof(m) || m.order == END) {
		(void)event_base_loopbreak(l->base);
		return;
	}
	if (m.order == SET_TARGET)
		bridge_set_target(l->bridge, &m.target);
	if (m.order == COUNT_CONNECTIONS)
		answer = bridge_connections(l->bridge);
	if (m.order == COUNT_MISSED)
		answer = l->missed;
	if (write(fd, &answer, sizeof(answer)) < 0)
		(void)event_base_loopbreak(l->base);
}

static inline _Noreturn void
be_the_bridge(int listening, int control, int64_t hold_ms)
{
	struct loop l = {.base = event_base_new()};
	struct event *orders;
	struct dm_err err;

	(void)signal(SIGPIPE, SIG_IGN);
	l.bridge = bridge_new(l.base, listening, hold_ms, on_missed, &l, &err);
	orders = event_new(l.base, control, EV_READ | EV_PERSIST, on_order, &l);
	if (l.bridge == NULL || orders == NULL)
		_exit(1);
	(void)event_add(orders, NULL);
	(void)event_base_dispatch(l.base);
	bridge_free(l.bridge);
	event_free(orders);
	event_base_free(l.base);
	_exit(0);
}

#endif
