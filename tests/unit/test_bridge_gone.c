/* SPDX-License-Identifier: MIT */
/* A target that cannot even be tried: its socket file is gone, or its backlog full. */
#include "peers.h"

enum {
	SHORT_MS = 300
};

/* As node leaves it between two of its lives: no file at all. */
static void
socket_file_is_gone_for_a_while(void **state)
{
	struct rig *r = *state;
	int client;

	serve(r, "unix");
	dm_closep(&r->listener);
	assert_int_equal(unlink(((struct sockaddr_un *)&r->target.address)->sun_path), 0);
	client = dial(r);
	wait_for_count(r, COUNT_CONNECTIONS, 1, 1);
	wait_for_count(r, COUNT_MISSED, 1, SIZE_MAX);
	bind_server(r, "unix");
	assert_int_equal(listen(r->listener, 10), 0);
	(void)close(take_connection(r));
	(void)close(client);
}

static void
waiting_for_a_socket_file_has_a_limit(void **state)
{
	struct rig *r = *state;
	char byte;
	int client;

	bind_server(r, "unix");
	assert_int_equal(unlink(((struct sockaddr_un *)&r->target.address)->sun_path), 0);
	start_bridge(r, SHORT_MS, 0);
	(void)tell(r, SET_TARGET, &r->target);
	client = dial(r);
	assert_true(is_ready(client, POLLIN, PATIENCE_MS));
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	(void)close(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_RIG(socket_file_is_gone_for_a_while),
	    IN_RIG(waiting_for_a_socket_file_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
