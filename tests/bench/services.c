/* SPDX-License-Identifier: MIT */
/*
 * What fills the private world: claims with live sockets for devmesh, aliases for portless, routes
 * for the plain Caddy. Called by world.c to set up, by the rows to go from 10 to 1,000 services.
 */
#include "bench.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int services; /* how many of world_services() there are */

bool
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	bool ok = f != NULL && fputs(text, f) >= 0;

	return f != NULL && fclose(f) == 0 && ok;
}

void
world_claim(const struct world *w, const char *id, const char *app)
{
	char text[1024], path[256], worktree[160];

	snprintf(worktree, sizeof worktree, "%s/o/%s", w->tmp, id);
	mkdir(worktree, 0755);
	snprintf(path, sizeof path, "%s/%s.json", w->sockets, id);
	snprintf(text, sizeof text,
	    "{\"schema_version\":1,\"id\":\"%s\",\"app\":\"%s\",\"branch\":\"work\",\"worktree\":"
	    "\"%s\","
	    "\"socket\":\"%s/%s.sock\",\"registration\":\"mesh\","
	    "\"url\":\"https://"
	    "%s.dev.localhost:%d\",\"host\":\"%s.dev.localhost\",\"created\":%lld}\n",
	    id, app, worktree, w->sockets, id, id, w->https_port, id, (long long)time(NULL));
	write_file(path, text);
}

/* Holds listening sockets from..to until the bench ends (its end of the pipe closes). */
static void
hold_sockets(const struct world *w, int from, int to, int ready, int gone)
{
	struct rlimit lim;
	char byte = 0;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	for (int i = from; i < to; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		snprintf(a.sun_path, sizeof a.sun_path, "%.60s/svc-%04d-work.sock", w->sockets, i);
		if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
		    listen(fd, 4096) != 0)
			_exit(1);
	}
	if (write(ready, &byte, 1) != 1 || read(gone, &byte, 1) >= 0)
		_exit(0);
	_exit(1);
}

bool
world_services(struct world *w, int n)
{
	int ready[2], gone[2], from = services;
	char id[48], app[32], byte;
	bool ok;
	pid_t pid;

	if (n <= from)
		return true;
	if (pipe(ready) != 0)
		return false;
	if (pipe(gone) != 0) {
		close(ready[0]);
		close(ready[1]);
		return false;
	}
	fcntl(ready[0], F_SETFD, FD_CLOEXEC);
	fcntl(gone[1], F_SETFD, FD_CLOEXEC); /* stays open in us, and only in us, to the end */
	pid = fork();
	if (pid == 0) {
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_DFL);
		close(gone[1]);
		hold_sockets(w, from, n, ready[1], gone[0]);
	}
	close(ready[1]);
	close(gone[0]);
	if (pid > 0)
		proc_adopt(pid);
	ok = pid > 0 && read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	for (int i = from; i < n; i++) {
		snprintf(app, sizeof app, "svc-%04d", i);
		snprintf(id, sizeof id, "%s-work", app);
		world_claim(w, id, app);
	}
	services = n;
	return ok;
}

void
world_aliases(struct world *w, int n)
{
	char path[128];
	cJSON *all = cJSON_CreateArray();
	char *text;

	for (int i = -1; i < n; i++) {
		char name[64];
		cJSON *one = cJSON_CreateObject();

		if (i < 0)
			snprintf(name, sizeof name, "echo-main.localhost");
		else
			snprintf(name, sizeof name, "svc-%04d.localhost", i);
		cJSON_AddStringToObject(one, "hostname", name);
		cJSON_AddNumberToObject(one, "port", w->up_port);
		cJSON_AddNumberToObject(one, "pid", 0); /* an alias, as portless itself writes it */
		cJSON_AddItemToArray(all, one);
	}
	text = cJSON_Print(all);
	cJSON_Delete(all);
	if (text == NULL)
		abort();
	snprintf(path, sizeof path, "%s/px/routes.json", w->tmp);
	write_file(path, text);
	cJSON_free(text);
	sleep_ms(300); /* portless watches the file: let it read it before anything is timed */
}

char *
world_plain_config(const struct world *w, int n, const char *extra)
{
	size_t size = 4096 + strlen(extra) + (size_t)n * 320, at;
	char *text = malloc(size);

	if (text == NULL)
		abort();
	at = (size_t)snprintf(text, size,
	    "{\"admin\":{\"listen\":\"unix/"
	    "%s\"},\"apps\":{\"http\":{\"servers\":{\"srv0\":{\"listen\":"
	    "[\"127.0.0.1:%d\"],\"automatic_https\":{\"disable\":true},\"routes\":[%s",
	    w->admin, w->plain_port, extra);
	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, size - at,
		    "%s{\"@id\":\"svc-%04d\",\"match\":[{\"host\":[\"svc-%04d.dev.localhost\"]}],"
		    "\"handle\":"
		    "[{\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix/%s/"
		    "svc-%04d.sock\"}]}],"
		    "\"terminal\":true}",
		    i > 0 || extra[0] != '\0' ? "," : "", i, i, w->sockets, i);
	snprintf(text + at, size - at, "]}}}}}");
	return text;
}

bool
world_routes(struct world *w, int n, const char *extra)
{
	char *text = world_plain_config(w, n, extra);
	long status = admin_call(w->admin, "POST", "/load", text, NULL);

	free(text);
	return status == 200;
}

/* The object of Caddy's config that carries the "@id", wherever it is. Borrowed. */
static cJSON *
find_id(cJSON *node, const char *id)
{
	cJSON *child, *found = NULL;
	const cJSON *at = cJSON_GetObjectItemCaseSensitive(node, "@id");

	if (cJSON_IsString(at) && strcmp(at->valuestring, id) == 0)
		return node;
	cJSON_ArrayForEach (child, node) {
		found = find_id(child, id);
		if (found != NULL)
			break;
	}
	return found;
}

/* The private mesh's servers, and of them the one with the mesh route. To be freed with *all. */
static cJSON *
mesh_server(const struct world *w, cJSON **all)
{
	char *text = NULL;
	cJSON *server = NULL;

	*all = NULL;
	if (w->have_mesh &&
	    admin_call(w->mesh_admin, "GET", "/config/apps/http/servers", NULL, &text) == 200)
		*all = cJSON_Parse(text);
	free(text);
	cJSON_ArrayForEach (server, *all) {
		if (find_id(server, "devmesh.mesh") != NULL)
			break;
	}
	return server;
}

bool
world_mesh_server(const struct world *w, char *name, size_t size)
{
	cJSON *all, *server = mesh_server(w, &all);

	if (server != NULL)
		snprintf(name, size, "%s", server->string);
	cJSON_Delete(all);
	return server != NULL;
}

char *
world_mesh_route(const struct world *w)
{
	cJSON *all, *server = mesh_server(w, &all);
	char *route =
	    server != NULL ? cJSON_PrintUnformatted(find_id(server, "devmesh.mesh")) : NULL;

	cJSON_Delete(all);
	return route;
}

bool
url_id(const char *url, char *id, size_t size)
{
	const char *host = strstr(url, "://");
	size_t n = host != NULL ? strcspn(host + 3, ".:/\n") : 0;

	if (n == 0 || n >= size)
		return false;
	memcpy(id, host + 3, n);
	id[n] = '\0';
	return true;
}
