/* SPDX-License-Identifier: MIT */
#include "unsent.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

bool
unsent_too_much(struct bufferevent *bev, size_t *burst)
{
	size_t unsent = evbuffer_get_length(bufferevent_get_output(bev));

	if (unsent <= UNSENT_MAX)
		*burst = 0;
	return unsent > UNSENT_MAX + *burst;
}

void
unsent_flush(struct bufferevent *bev)
{
	struct evbuffer *output = bufferevent_get_output(bev);

	/* only bufferevents themselves may drain their output, otherwise */
	(void)evbuffer_unfreeze(output, 1);
	while (
	    evbuffer_get_length(output) > 0 && evbuffer_write(output, bufferevent_getfd(bev)) > 0)
		;
	(void)evbuffer_freeze(output, 1);
}
