/* SPDX-License-Identifier: MIT */
/*
 * The picture of the fault run: what the daemon says, what Caddy is configured to do and answers,
 * what is in the directory of sockets, and what others have. chaos_wrong() looks at all of it.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness_chaos.h"

/* ---- files ------------------------------------------------------------------------------- */

char *
chaos_files(struct chaos *c)
{
	struct world *w = c->w;
	char *all = fmt(w, "%s", ""), target[WORLD_PATH];
	struct stat st;

	for (int i = 0; i < c->file_count; i++) {
		const char *path = c->files[i], *text = "";
		ssize_t n;

		if (lstat(path, &st) != 0)
			return fmt(w, "%s: %s", path, strerror(errno));
		if (S_ISREG(st.st_mode))
			text = read_text(w, path);
		if (S_ISLNK(st.st_mode) && (n = readlink(path, target, sizeof target - 1)) > 0)
			text = fmt(w, "%.*s", (int)n, target);
		all = fmt(w, "%s%s inode %llu mode %o uid %u size %lld time %lld.%09ld: %s\n", all,
		    path, (unsigned long long)st.st_ino, (unsigned)st.st_mode, (unsigned)st.st_uid,
		    (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, text);
	}
	return all;
}

static bool
is_bystander_file(const struct chaos *c, const char *name)
{
	for (int i = 0; i < c->file_count; i++)
		if (strcmp(strrchr(c->files[i], '/') + 1, name) == 0)
			return true;
	return false;
}

static const struct service *
service_named(const struct chaos *c, const char *id)
{
	for (int i = 0; i < SERVICES; i++)
		if (strcmp(c->services[i].id, id) == 0)
			return &c->services[i];
	return NULL; /* of an earlier round */
}

/*
 * Whether the claim of a dead service has to stay a while: its route cannot be taken away without
 * Caddy, and without the claim nobody would know of it.
 */
static bool
waits_for_caddy(const struct chaos *c, const char *id)
{
	const struct service *s = service_named(c, id);
	const cJSON *claim;

	if (c->caddy_up || strncmp(id, "shop-", 5) != 0 || (s != NULL && s->claimed))
		return false;
	claim = claim_of(c->w, id);
	return claim != NULL && strcmp(json_str(claim, "registration"), "route") == 0;
}

/* Whether a service, or the daemon, has an entry of that name. */
static bool
is_accounted_for(const struct chaos *c, const char *name)
{
	size_t n = strcspn(name, ".");
	const char *suffix = name + n, *id;
	const struct service *s;

	if (n == strlen("devmesh") && strncmp(name, "devmesh", n) == 0)
		return strcmp(suffix, ".json") == 0 || strcmp(suffix, ".sock") == 0;
	id = fmt(c->w, "%.*s", (int)n, name);
	s = service_named(c, id);
	if (strcmp(suffix, ".json") == 0)
		return (s != NULL && s->claimed) || waits_for_caddy(c, id);
	return s != NULL && s->alive && s->kind != PORT && strcmp(suffix, ".sock") == 0;
}

static const char *
wrong_in_directory(struct chaos *c)
{
	struct world *w = c->w;
	DIR *d = opendir(w->sockets);
	const char *wrong = NULL;
	struct dirent *e;

	assert_non_null(d);
	while (wrong == NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && !is_bystander_file(c, e->d_name) &&
		    !is_accounted_for(c, e->d_name))
			wrong = fmt(w, "%s is left in the directory of sockets", e->d_name);
	closedir(d);
	for (int i = 0; i < SERVICES && wrong == NULL; i++) {
		const struct service *s = &c->services[i];

		if (s->claimed && claim_of(w, s->id) == NULL)
			wrong = fmt(w, "the claim of %s is gone", s->id);
		else if (s->alive && s->kind != PORT &&
			 !exists(fmt(w, "%s/%s.sock", w->sockets, s->id)))
			wrong = fmt(w, "the socket of %s is not there", s->id);
	}
	return wrong;
}

/* What `devmesh run` and the identity pages keep of services that are no more. */
static const char *
wrong_in_state_dir(struct chaos *c)
{
	static const char *const dirs[] = {"run", "identity"};
	struct world *w = c->w;
	const char *wrong = NULL;

	for (int i = 0; i < 2; i++) {
		DIR *d = opendir(fmt(w, "%s/%s", w->state, dirs[i]));
		struct dirent *e;

		while (d != NULL && wrong == NULL && (e = readdir(d)) != NULL) {
			bool known = e->d_name[0] == '.';

			if (!known) {
				const char *id =
				    fmt(w, "%.*s", (int)strcspn(e->d_name, "."), e->d_name);
				const struct service *s = service_named(c, id);

				known = (s != NULL && s->claimed) || waits_for_caddy(c, id);
			}
			if (!known && strncmp(e->d_name, "shop-", 5) == 0)
				wrong = fmt(w, "%s/%s is left", dirs[i], e->d_name);
		}
		if (d != NULL)
			closedir(d);
	}
	return wrong;
}

/* ---- the daemon -------------------------------------------------------------------------- */

static const char *
wanted_state(const struct chaos *c, const struct service *s)
{
	if (s->removed)
		return "orphan";
	if (!s->alive)
		return s->kind == PORT ? "down" : "starting";
	return c->caddy_up ? "up" : "degraded";
}

/* 0: it is not known. */
static pid_t
pid_in(const cJSON *service)
{
	return json_null(service, "pid") ? 0 : (pid_t)json_number(service, "pid");
}

static const char *
wrong_in_daemon(struct chaos *c)
{
	struct world *w = c->w;
	const cJSON *state = devmeshd_get(w, "/api/v1/state"), *one;
	const cJSON *caddy = cJSON_GetObjectItemCaseSensitive(state, "caddy");
	int wanted = 1;

	if (state == NULL)
		return c->daemon->ended ? "devmeshd has ended" : "devmeshd does not answer";
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(state, "node"), "ready")))
		return "devmeshd is not ready";
	if (strcmp(json_str(caddy, "state"), c->caddy_up ? "up" : "down") != 0)
		return fmt(w, "devmeshd takes Caddy for %s", json_str(caddy, "state"));
	for (int i = 0; i < SERVICES; i++) {
		const struct service *s = &c->services[i];
		const char *want = wanted_state(c, s);

		one = state_service(state, s->id);
		if (one != NULL && !s->claimed && !waits_for_caddy(c, s->id))
			return fmt(w, "devmeshd still has %s", s->id);
		if (!s->claimed)
			continue;
		wanted++;
		if (one == NULL || strcmp(json_str(one, "state"), want) != 0)
			return fmt(w, "%s is %s (%s), not %s", s->id, json_str(one, "state"),
			    json_str(one, "reason"), want);
		if (s->alive && s->kind != RUN && pid_in(one) != s->proc->pid)
			return fmt(w, "the server of %s has pid %ld, not %ld", s->id,
			    (long)pid_in(one), (long)s->proc->pid);
	}
	cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(state, "services"))
		wanted += waits_for_caddy(c, json_str(one, "id")) ? 1 : 0;
	if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(state, "services")) != wanted)
		return "devmeshd has services that nobody has claimed";
	one = state_service(state, "devmesh");
	if (strcmp(json_str(one, "state"), c->caddy_up ? "up" : "degraded") != 0)
		return fmt(w, "devmeshd itself is %s", json_str(one, "state"));
	return NULL;
}

/* ---- Caddy ------------------------------------------------------------------------------- */

/* How many routes of the service there have to be; -1: none, or one. */
static int
wanted_routes(struct chaos *c, const struct service *s, bool mesh)
{
	const cJSON *claim;

	if (!s->claimed)
		return 0;
	/* a living server's route is not taken away, and not brought back either */
	if (s->removed)
		return -1;
	/* what the mesh route leads to as well does not need its own back */
	if (mesh && s->kind != PORT)
		return -1;
	claim = claim_of(c->w, s->id);
	return claim != NULL && strcmp(json_str(claim, "registration"), "route") == 0 ? 1 : 0;
}

static bool
is_ours(const struct chaos *c, const char *id)
{
	if (strcmp(id, "devmesh") == 0 || strcmp(id, "devmesh.mesh") == 0)
		return true;
	for (int i = 0; i < SERVICES; i++)
		if (c->services[i].id[0] != '\0' && strcmp(c->services[i].id, id) == 0)
			return true;
	return false;
}

static cJSON *
member(cJSON *o, const char *const path[])
{
	for (; *path != NULL; path++)
		o = cJSON_GetObjectItemCaseSensitive(o, *path);
	return o;
}

/* The whole configuration without our routes has to be one of the two files, as text. */
static const char *
wrong_in_config(struct chaos *c)
{
	static const char *const where[] = {"apps", "http", "servers", "srv0", "routes", NULL};
	struct world *w = c->w;
	struct reply r = admin(w, "GET", "/config/", NULL);
	cJSON *config, *list, *route, *next;
	int counts[SERVICES] = {0}, own = 0, mesh = 0;
	bool by_hand = false;
	char *rest;

	if (r.status != 200)
		return fmt(w, "Caddy's admin API: %ld %s", r.status, r.error);
	config = json_of(w, r.body);
	list = member(config, where);
	for (route = list == NULL ? NULL : list->child; route != NULL; route = next) {
		const char *id = json_str(route, "@id");

		next = route->next;
		for (int i = 0; i < SERVICES; i++)
			counts[i] += strcmp(id, c->services[i].id) == 0 && id[0] != '\0';
		own += strcmp(id, "devmesh") == 0;
		mesh += strcmp(id, "devmesh.mesh") == 0;
		by_hand = by_hand || strcmp(id, "mesh.by-hand") == 0;
		if (is_ours(c, id))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, route));
	}
	rest = world_keep(w, cJSON_PrintUnformatted(config), free);
	for (int i = 0; i < SERVICES; i++) {
		int want = wanted_routes(c, &c->services[i], mesh > 0 || by_hand);

		if (want >= 0 ? counts[i] != want : counts[i] > 1)
			return fmt(w, "%s has %d routes", c->services[i].id, counts[i]);
	}
	if (own > 1 || mesh > 1)
		return "a route of devmesh's own is there twice";
	if (!cJSON_Compare(config, json_of(w, c->config[0]), true) &&
	    !cJSON_Compare(config, json_of(w, c->config[1]), true))
		return fmt(w, "what others have in Caddy was changed: %s", rest);
	return NULL;
}

/* The right server answers, or, where none runs, nobody. */
static const char *
wrong_in_answers(struct chaos *c)
{
	struct world *w = c->w;

	for (int i = 0; i < SERVICES; i++) {
		const struct service *s = &c->services[i];
		size_t n = strlen(s->id);
		struct reply r;

		/* at a dead socket the mesh route waits for somebody to come */
		if (n == 0 || (s->alive && s->removed) ||
		    (!s->alive && (s->kind != PORT || !s->claimed)))
			continue;
		r = http_get(w, w->port, s->host, "/");
		if (r.status == 200 && r.body[0] != '\0' &&
		    (strncmp(r.body, s->id, n) != 0 || r.body[n] != ' '))
			fail_msg("%s is answered by \"%s\"\n%s", s->host, r.body, c->said);
		if (s->alive != (r.status == 200 && r.body[0] != '\0'))
			return fmt(w, "%s is %s, and answers %ld \"%s\" %s", s->host,
			    s->alive ? "alive" : "dead", r.status, r.body, r.error);
		if (s->alive && s->kind != RUN && strtol(r.body + n + 1, NULL, 10) != s->proc->pid)
			return fmt(w, "%s is answered by another process", s->host);
	}
	return NULL;
}

/* ---- others ------------------------------------------------------------------------------ */

static const char *
wrong_in_processes(struct chaos *c)
{
	int wanted = BYSTANDERS, n;

	for (int i = 0; i < BYSTANDERS; i++)
		if (c->bystanders[i]->ended)
			fail_msg("a server of nobody's was ended\n%s", c->said);
	for (int i = 0; i < SERVICES; i++)
		wanted += c->services[i].alive ? 1 : 0;
	n = count_serving(c->w);
	return n == wanted ? NULL : fmt(c->w, "%d servers run, not %d", n, wanted);
}

/* Nothing is mended, but whoever was started begins to serve. */
static const char *
wrong_without_daemon(struct chaos *c)
{
	for (int i = 0; i < SERVICES; i++) {
		const struct service *s = &c->services[i];
		const char *said;

		if (!s->alive)
			continue;
		said = read_text(c->w, s->kind == RUN ? s->proc->err : s->proc->out);
		if (said == NULL || strstr(said, s->kind == RUN ? "http://" : "ready") == NULL)
			return fmt(c->w, "%s does not serve yet", s->id);
	}
	return NULL;
}

const char *
chaos_wrong(struct chaos *c)
{
	const char *wrong = NULL;

	for (int i = 0; i < SERVICES; i++)
		if (c->services[i].alive && c->services[i].proc->ended)
			fail_msg("%s has ended by itself\n%s\n%s", c->services[i].id,
			    read_text(c->w, c->services[i].proc->err), c->said);
	if (strcmp(chaos_files(c), c->files_before) != 0)
		fail_msg("files of others were changed: %s\n%s", chaos_files(c), c->said);
	if (c->daemon == NULL)
		return wrong_without_daemon(c);
	if ((wrong = wrong_in_directory(c)) == NULL && (wrong = wrong_in_state_dir(c)) == NULL &&
	    (wrong = wrong_in_processes(c)) == NULL && (wrong = wrong_in_daemon(c)) == NULL &&
	    c->caddy_up && (wrong = wrong_in_config(c)) == NULL &&
	    (wrong = wrong_in_answers(c)) == NULL)
		return NULL;
	return wrong;
}
