/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as Caddy's /config/apps: every question is asked, and an answer is one that a request
 * to the admin API could be made of.
 */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "caddy/change.h"
#include "caddy/route.h"
#include "caddy/view.h"

#define HOST "shop-main.dev.localhost"
#define DIR  "/tmp/caddy-dev"

static const struct route_spec spec = {
    .id = "shop-main", .hosts = {HOST}, .host_count = 1, .dial = "unix/" DIR "/shop-main.sock"};

static void
look_at_route(const struct cJSON *route, void *user)
{
	const char *id = route_id(route), *dial = route_dial(route);

	(void)user;
	MUST(!route_is_ours(route, "shop-main") || strcmp(id, "shop-main") == 0);
	MUST(!route_is_mesh(route, "dev.localhost", DIR) || strstr(dial, DIR) != NULL);
	MUST(!route_equals(route, &spec) ||
	     (route_is_ours(route, "shop-main") && route_names_host(route, HOST) &&
		 route_catches(route, HOST)));
	(void)route_catches(route, "other.example.org");
}

static void
check_server(const struct caddy_view *view, const struct caddy_server *server)
{
	struct dm_err err;

	MUST(server->name != NULL && server->name[0] != '\0' && strchr(server->name, '/') == NULL);
	MUST(server->front.port != 0);
	MUST(server->routes == NULL || cJSON_IsArray(server->routes));
	(void)caddy_route_in_place(server->routes, &spec);
	if (!caddy_view_settled(view, server, HOST, &err))
		MUST(err.code == DM_DENIED && err.hint[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dm_err err;
	dm_auto(caddy_view) view = caddy_view_parse((const char *)data, size, &err);
	struct caddy_server server;
	const struct cJSON *object;
	char domain[HOST_MAX + 1];

	if (view == NULL) {
		MUST(err.code == DM_FAILED);
		return 0;
	}
	if (caddy_view_domain(view) != NULL)
		MUST(domain_parse(caddy_view_domain(view), domain, &err));
	object = caddy_view_object(view, "shop-main");
	MUST((object != NULL) == (caddy_view_count(view, "shop-main") > 0));
	MUST(object == NULL || strcmp(route_id(object), "shop-main") == 0);
	caddy_view_each_route(view, look_at_route, NULL);
	if (caddy_view_mesh(view, "dev.localhost", DIR, HOST, "shop-main", &server))
		check_server(view, &server);
	if (caddy_view_server(view, NULL, HOST, &server, &err))
		check_server(view, &server);
	else
		MUST(err.code == DM_NOT_FOUND);
	if (caddy_view_server(view, "srv0", HOST, &server, &err))
		MUST(strcmp(server.name, "srv0") == 0);
	return 0;
}
