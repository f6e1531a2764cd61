/* SPDX-License-Identifier: MIT */
#include "harness_chaos.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	OTHER_USER = 65534,
	SOON_MS = 2000,
	RIGHT_MS = 6000,     /* two seconds at most on a machine with nothing else to do */
	PATIENCE_MS = 20000, /* after that nobody waits any more to tell how late it was */
	NAP_US = 5000,
};

/* Instrumented programs are some times slower; they have to be right all the same. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 5
#else
#define SLOWER 1
#endif

const char *
chaos_kind_name(enum service_kind kind)
{
	static const char *const names[] = {"mesh", "route", "port", "run"};

	return names[kind];
}

/* xorshift32 */
unsigned
chaos_draw(struct chaos *c, unsigned n)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 17;
	c->random ^= c->random << 5;
	return c->random % n;
}

void
chaos_say(struct chaos *c, const char *format, ...)
{
	size_t n = strlen(c->said);
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->said + n, sizeof c->said - n, format, ap);
	va_end(ap);
	n = strlen(c->said);
	snprintf(c->said + n, sizeof c->said - n, "; ");
}

/* ---- starting ---------------------------------------------------------------------------- */

void
chaos_start_caddy(struct chaos *c)
{
	chaos_say(c, "start Caddy %s the mesh route", c->with_mesh ? "with" : "without");
	caddy_start(c->w, c->config[c->with_mesh]);
	c->caddy_up = true;
	c->with_mesh = chaos_draw(c, 4) != 0; /* the next one */
}

void
chaos_start_daemon(struct chaos *c)
{
	struct world *w = c->w;

	c->grace_s = chaos_draw(c, 4) == 0 ? 1 : 0;
	chaos_say(c, "start devmeshd with a grace period of %d s", c->grace_s);
	world_env(w, "DEVMESH_DAEMON_GRACE", c->grace_s == 0 ? "0" : "1");
	c->daemon = devmeshd_spawn(w);
	world_env(w, "DEVMESH_DAEMON_GRACE", NULL);
}

static void
new_worktree(struct chaos *c, struct service *s)
{
	unsigned n = ++c->made;

	snprintf(s->id, sizeof s->id, "shop-b%u", n);
	snprintf(s->host, sizeof s->host, "%s.dev.test", s->id);
	snprintf(s->dir, sizeof s->dir, "%s", worktree_add(c->w, c->repo, fmt(c->w, "b%u", n)));
	s->removed = s->claimed = false;
}

static void
register_service(struct chaos *c, struct service *s)
{
	struct world *w = c->w;

	if (s->kind != MESH)
		world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	assert_exit(w,
	    s->kind == PORT ? DM(w, s->dir, "up", "--port", fmt(w, "%d", s->port))
			    : DM(w, s->dir, "up"),
	    0);
	world_env(w, "DEVMESH_CADDY_REGISTRATION", NULL);
	s->claimed = true;
}

void
chaos_start_service(struct chaos *c, struct service *s)
{
	struct world *w = c->w;
	const char *const *serve = serve_command(w);

	if (!c->caddy_up && (s->kind == RUN || !s->claimed || s->removed))
		return;
	if (s->dir[0] == '\0' || s->removed)
		new_worktree(c, s);
	chaos_say(c, "start %s (%s)", s->id, chaos_kind_name(s->kind));
	if (s->kind != RUN && c->caddy_up)
		register_service(c, s);
	if (s->kind == RUN)
		s->proc = DM_BG(w, s->dir, "run", "--", serve[0], serve[1], serve[2]);
	else if (s->kind == PORT)
		s->proc = serve_program(w, s->dir, fmt(w, "%d", s->port), s->id);
	else
		s->proc = serve_program(w, s->dir, fmt(w, "%s/%s.sock", w->sockets, s->id), s->id);
	s->alive = s->claimed = true;
}

/* ---- what belongs to others -------------------------------------------------------------- */

static char *
bystander_file(struct chaos *c, const char *name)
{
	char *path = c->files[c->file_count++];

	assert_true(c->file_count <= BYSTANDER_FILES);
	snprintf(path, WORLD_PATH, "%.60s/%s", c->w->sockets, name);
	return path;
}

static void
make_bystander_files(struct chaos *c)
{
	struct world *w = c->w;
	char *elsewhere = fmt(w, "%s/elsewhere.sock", w->dir), *path;
	struct stat st;

	write_text(bystander_file(c, "notes.txt"), "of nobody's");
	write_text(bystander_file(c, "no-socket.sock"), "a file");
	stale_socket(elsewhere);
	assert_int_equal(symlink(elsewhere, bystander_file(c, "link.sock")), 0);
	(void)bound_socket(bystander_file(c, "bound.sock")); /* and about to listen, for ever */
	if (geteuid() == 0) {
		path = bystander_file(c, "theirs-main.json");
		write_text(path, "{\"schema_version\":1,\"id\":\"theirs-main\"}\n");
		assert_int_equal(lchown(path, OTHER_USER, OTHER_USER), 0);
		path = bystander_file(c, "theirs-main.sock");
		stale_socket(path);
		assert_int_equal(lchown(path, OTHER_USER, OTHER_USER), 0);
	}
	c->bystanders[0] = serve_program(w, w->dir, bystander_file(c, "live.sock"), "live");
	c->bystanders[1] = serve_program(w, c->repo, fmt(w, "%d", free_port(w)), "unregistered");
	c->bystanders[2] = serve_program(w, "/", fmt(w, "%s/far.sock", w->dir), "far");
	/* its mode is the last thing that the server does to it */
	while (stat(c->files[c->file_count - 1], &st) != 0 || (st.st_mode & 0777) != 0666)
		nap_us(NAP_US);
}

/* What nobody may touch, and what looks a little like ours: another directory, no @id at all. */
static const char FOREIGN_ROUTES[] =
    "{\"@id\":\"other-0\",\"match\":[{\"host\":[\"other-0.example\"]}],\"handle\":["
    "{\"handler\":\"static_response\",\"body\":\"other 0\"}]},"
    "{\"match\":[{\"host\":[\"no-id.example\"]}],\"handle\":["
    "{\"handler\":\"static_response\",\"body\":\"no id\"}]},"
    "{\"@id\":\"hand-made\",\"match\":[{\"host\":[\"hand-made.dev.test\"]}],\"handle\":["
    "{\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix//nowhere/hand-made.sock\"}]}],"
    "\"terminal\":true},"
    "{\"match\":[{\"host\":[\"no-id.dev.test\"]}],\"handle\":["
    "{\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix/%s/no-id.sock\"}]}],"
    "\"terminal\":true}";

/* Caddy's file with the mesh route (which somebody wrote by hand) and without it. */
static void
make_configs(struct chaos *c)
{
	struct world *w = c->w;
	cJSON *config, *list, *mesh;

	caddy_mesh(w, fmt(w, FOREIGN_ROUTES, w->sockets));
	config = json_of(w, read_text(w, w->caddy_config));
	list = cJSON_GetObjectItem(
	    cJSON_GetObjectItem(
		cJSON_GetObjectItem(
		    cJSON_GetObjectItem(cJSON_GetObjectItem(config, "apps"), "http"), "servers"),
		"srv0"),
	    "routes");
	mesh = cJSON_GetArrayItem(list, 0);
	cJSON_ReplaceItemInObject(mesh, "@id", cJSON_CreateString("mesh.by-hand"));
	c->config[1] = world_keep(w, cJSON_PrintUnformatted(config), free);
	cJSON_DeleteItemFromArray(list, 0);
	c->config[0] = world_keep(w, cJSON_PrintUnformatted(config), free);
	end_proc(w, w->caddy);
	c->with_mesh = true;
}

void
chaos_begin(struct chaos *c)
{
	static const enum service_kind kinds[SERVICES] = {
	    MESH, MESH, MESH, ROUTE, ROUTE, ROUTE, PORT, PORT, RUN, RUN};
	struct world *w = c->w;

	c->repo = repo_new(w, "shop");
	make_configs(c);
	make_bystander_files(c);
	c->files_before = chaos_files(c);
	stale_socket(fmt(w, "%s/left-behind.sock", w->sockets)); /* ours, dead, and unclaimed */
	chaos_start_caddy(c);
	chaos_start_daemon(c);
	for (int i = 0; i < SERVICES; i++) {
		c->services[i].kind = kinds[i];
		if (kinds[i] == PORT)
			c->services[i].port = free_port(w);
		chaos_start_service(c, &c->services[i]);
	}
	chaos_settle(c);
}

/* ---- waiting ----------------------------------------------------------------------------- */

void
chaos_settle(struct chaos *c)
{
	struct world *w = c->w;
	int64_t began = now_ms(), took, limit = (RIGHT_MS + c->grace_s * 1000) * SLOWER;
	char before[512] = "";
	const char *wrong;

	for (int i = 0; i < SERVICES; i++)
		if (c->services[i].removed && !c->services[i].alive)
			c->services[i].claimed = false;
	for (;;) {
		struct kept *mark = world_mark(w);

		reap(w);
		wrong = chaos_wrong(c);
		took = now_ms() - began;
		if (wrong == NULL || took > PATIENCE_MS)
			break;
		/* what it waited for is told when it waited too long */
		if (strcmp(wrong, before) != 0)
			chaos_say(c, "\n\t%lld ms: %s", (long long)took, wrong);
		snprintf(before, sizeof before, "%s", wrong);
		world_forget(w, mark);
		nap_us(NAP_US);
	}
	if (took > limit) {
		printf("--- devmeshd ---\n%s\n",
		    c->daemon == NULL ? "" : read_text(w, c->daemon->err));
		fail_msg("%s after %lld ms: %s", wrong == NULL ? "only right" : "still wrong",
		    (long long)took, c->said);
	}
	c->settles++;
	c->late += took > (SOON_MS + c->grace_s * 1000) * SLOWER;
	c->total_ms += took;
	if (took > c->slowest_ms)
		c->slowest_ms = took;
}
