/* SPDX-License-Identifier: MIT */
/*
 * examples/compose, by the commands in its comment, with a Docker daemon of the test's own and no
 * registry: the image of that name is made of this system's Node.js.
 *
 * The daemon makes bridges, mounts and files below /etc and /opt. So the whole program, Caddy
 * included, runs in namespaces of its own; they go when it ends, however it ends, and containers
 * with them.
 */
#include "harness_net.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSIDE	   "DEVMESH_TEST_INSIDE" /* set in those namespaces */
#define NAMESPACES "unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc"

enum {
	COMMANDS = 3,	 /* in the comment: up, claim, down */
	START_MS = 30000 /* for dockerd, containerd included */
};

/* What the daemon writes outside of its directories; the network that it expects. */
static const char place_script[] =
    "set -e\n"
    "mount -t tmpfs none /run\n"
    "for d in etc opt; do\n"
    "	[ -d /$d ] || continue\n"
    "	mkdir -p /run/over/$d /run/over/$d.work\n"
    "	mount -t overlay none /$d "
    "-o lowerdir=/$d,upperdir=/run/over/$d,workdir=/run/over/$d.work\n"
    "done\n"
    "rm -rf /etc/docker /etc/resolv.conf\n"
    "echo 'nameserver 127.0.0.1' >/etc/resolv.conf\n"
    "ip link set lo up\n";

/* `docker compose` also where Compose is a program of its own. */
static const char docker_script[] = "#!/bin/sh\n"
				    "[ \"$1\" = compose ] || exec '%s' \"$@\"\n"
				    "shift\n"
				    "exec docker-compose \"$@\"\n";

/* An image with Node.js and its libraries, where they are here. */
static const char image_script[] =
    "set -e\n"
    "node=$(node -p process.execPath)\n"
    "mkdir -p root/tmp\n"
    "for f in \"$node\" $(ldd \"$node\" | grep -o '/[^ )]*'); do\n"
    "	mkdir -p \"root${f%%/*}\"\n"
    "	cp -L \"$f\" \"root$f\"\n"
    "done\n"
    "tar -C root -c . | docker import -c \"ENV PATH=${node%%/*}\" - '%s'\n";

static char *
first_line(struct world *w, const char *text)
{
	return fmt(w, "%.*s", (int)strcspn(text, "\n"), text);
}

static char *
last_line(struct world *w, const char *text)
{
	size_t n = strlen(text), end;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	end = n;
	while (n > 0 && text[n - 1] != '\n')
		n--;
	return fmt(w, "%.*s", (int)(end - n), text + n);
}

static char *
which(struct world *w, const char *program)
{
	struct result r = run(w, NULL, ARGV("sh", "-c", fmt(w, "command -v %s", program)));

	return r.code == 0 ? line_of(w, r) : NULL;
}

/* ---- the daemon ---------------------------------------------------------------------------- */

static bool
has_ended(struct world *w, const void *arg)
{
	const struct proc *p = arg;

	(void)w;
	return p->ended;
}

static bool
answers_or_ended(struct world *w, const void *arg)
{
	return has_ended(w, arg) || run(w, NULL, ARGV("docker", "version")).code == 0;
}

static void
start_daemon(struct world *w)
{
	char *bin = make_dir(w, "bin"), *own = fmt(w, "%s", w->devmesh), *docker;
	struct result r;
	struct proc *daemon;

	if (geteuid() != 0)
		world_skip(w, "only root starts a Docker daemon");
	if (getenv(INSIDE) == NULL)
		world_skip(w, "namespaces cannot be made here");
	*strrchr(own, '/') = '\0';
	world_env(w, "PATH", fmt(w, "%s:%s:%s:/usr/sbin:/sbin", bin, own, getenv("PATH")));
	docker = which(w, "docker");
	if (docker == NULL || which(w, "dockerd") == NULL)
		world_skip(w, "Docker is not installed");
	if (run(w, NULL, ARGV("docker", "compose", "version")).code != 0) {
		if (which(w, "docker-compose") == NULL)
			world_skip(w, "Docker Compose is not installed");
		write_text(fmt(w, "%s/docker", bin), fmt(w, docker_script, docker));
		run_ok(w, bin, ARGV("chmod", "+x", "docker"));
	}
	r = run(w, NULL, ARGV("sh", "-c", place_script));
	if (r.code != 0)
		world_skip(
		    w, fmt(w, "the namespaces cannot be furnished: %s", last_line(w, r.err)));
	world_env(w, "DOCKER_HOST", fmt(w, "unix://%s/docker.sock", w->dir));
	daemon = start(w, NULL,
	    ARGV("dockerd", "--data-root", fmt(w, "%s/data", w->dir), "--exec-root",
		fmt(w, "%s/exec", w->dir), "--pidfile", fmt(w, "%s/docker.pid", w->dir), "--host",
		fmt(w, "unix://%s/docker.sock", w->dir), "--bridge=none", "--iptables=false",
		"--ip6tables=false", "--exec-opt", "native.cgroupdriver=cgroupfs",
		"--cgroup-parent", strrchr(w->dir, '/')));
	if (!wait_until(w, answers_or_ended, daemon, START_MS) || daemon->ended)
		world_skip(w, fmt(w, "dockerd does not run here: %s",
				  last_line(w, read_text(w, daemon->err))));
}

static void
make_image(struct world *w, const char *image)
{
	struct result r;

	run_ok(w, NULL, ARGV("sh", "-c", fmt(w, image_script, image)));
	r = run(w, NULL, ARGV("docker", "network", "create", "probe"));
	if (r.code != 0)
		world_skip(w, fmt(w, "no network for containers: %s", first_line(w, r.err)));
	r = run(w, NULL,
	    ARGV("docker", "run", "--rm", "--network=probe", "--publish=127.0.0.1::3000", image,
		"node", "--version"));
	if (r.code == 125 || r.code == 126) /* docker-run(1): not the command, but Docker failed */
		world_skip(w, fmt(w, "no container runs here: %s", first_line(w, r.err)));
	assert_exit(w, r, 0);
	run_ok(w, NULL, ARGV("docker", "network", "rm", "probe"));
}

/* Ended by itself it also ends its containers, and takes their mounts and control groups away. */
static int
compose_teardown(void **state)
{
	struct world *w = *state;
	const char *pid = read_text(w, fmt(w, "%s/docker.pid", w->dir));
	const char *cmd = w->last_cmd, *err = w->last_err;

	for (struct proc *p = w->procs; pid != NULL && p != NULL; p = p->next)
		if ((long)p->pid == strtol(pid, NULL, 10)) {
			signal_proc(p, SIGTERM);
			(void)wait_until(w, has_ended, p, START_MS);
		}
	if (pid != NULL)
		(void)run(w, NULL,
		    ARGV("find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path",
			fmt(w, "*%s*", strrchr(w->dir, '/')), "-exec", "rmdir", "{}", ";"));
	w->last_cmd = cmd;
	w->last_err = err;
	return world_teardown(state);
}

/* ---- the example --------------------------------------------------------------------------- */

static struct result
shell(struct world *w, const char *dir, const char *command)
{
	return run_ok(w, dir, ARGV("sh", "-c", command));
}

static int
count_lines(struct world *w, const char *dir, const char *command)
{
	int n = 0;

	for (const char *p = shell(w, dir, command).out; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	return n;
}

/* What the comment says to type, in its order. */
static void
read_commands(struct world *w, const char *text, const char *commands[COMMANDS])
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, "\n#   ")) != NULL; n++) {
		p += strlen("\n#   ");
		assert_true(n < COMMANDS);
		commands[n] = first_line(w, p);
	}
	assert_int_equal(n, COMMANDS);
	assert_non_null(strstr(commands[0], "docker compose up"));
	assert_non_null(strstr(commands[1], "devmesh up"));
	assert_non_null(strstr(commands[2], "down"));
}

/* The claim names the port that Docker has chosen, on the loopback. */
static void
assert_claimed(struct world *w, const char *id, const char *dir)
{
	cJSON *claim = claim_of(w, id);
	char *address = line_of(w, shell(w, dir, "docker compose port web 3000"));

	assert_non_null(claim);
	assert_ptr_equal(strstr(address, "127.0.0.1:"), address);
	assert_int_equal((int)json_number(claim, "port"), (int)strtol(address + 10, NULL, 10));
}

static void
assert_gone(struct world *w, const char *id, const char *url)
{
	assert_null(claim_of(w, id));
	assert_true(fetch(w, url, NULL).status >= 400);
}

TEST(as_its_comment_says_in_two_worktrees)
{
	char *repo = repo_new(w, "shop"), *text, *image;
	char *x = worktree_add(w, repo, "feature/x"), *y = worktree_add(w, repo, "feature/y");
	char *from = fmt(w, "%s/examples/compose/.", source_dir());
	char *url_x, *url_y, *from_x, *from_y;
	const char *commands[COMMANDS];
	int https;

	start_daemon(w);
	run_ok(w, NULL, ARGV("cp", "-R", from, x));
	run_ok(w, NULL, ARGV("cp", "-R", from, y));
	run_ok(w, y, ARGV("sed", "-i", "s/ for / by y for /", "server.js"));
	text = read_text(w, fmt(w, "%s/compose.yaml", x));
	read_commands(w, text, commands);
	image = strstr(text, " image: ");
	assert_non_null(image);
	make_image(w, first_line(w, image + strlen(" image: ")));
	https = private_mesh(w);
	url_x = fmt(w, "https://shop-feature-x.dev.localhost:%d", https);
	url_y = fmt(w, "https://shop-feature-y.dev.localhost:%d", https);
	from_x = fmt(w, "GET / for shop-feature-x.dev.localhost:%d\n", https);
	from_y = fmt(w, "GET / by y for shop-feature-y.dev.localhost:%d\n", https);

	shell(w, x, commands[0]);
	shell(w, y, commands[0]);
	assert_int_equal(count_lines(w, NULL, "docker ps --quiet"), 2);
	assert_string_equal(line_of(w, shell(w, x, commands[1])), url_x);
	assert_string_equal(line_of(w, shell(w, y, commands[1])), url_y);
	assert_url_answers(w, url_x, from_x);
	assert_url_answers(w, url_y, from_y);
	assert_claimed(w, "shop-feature-x", x);
	assert_claimed(w, "shop-feature-y", y);

	/* a container that is made anew has another port */
	shell(w, x, fmt(w, "%s --force-recreate", commands[0]));
	shell(w, x, commands[1]);
	assert_url_answers(w, url_x, from_x);
	assert_claimed(w, "shop-feature-x", x);
	assert_url_answers(w, url_y, from_y);

	shell(w, x, commands[2]);
	assert_gone(w, "shop-feature-x", url_x);
	assert_int_equal(count_lines(w, NULL, "docker ps --all --quiet"), 1);
	assert_url_answers(w, url_y, from_y);
	shell(w, y, commands[2]);
	assert_gone(w, "shop-feature-y", url_y);
	assert_int_equal(count_lines(w, NULL, "docker ps --all --quiet"), 0);
}

/* ---- the namespaces ------------------------------------------------------------------------ */

static bool
can_be_made(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("unshare", NAMESPACES, "true", (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* The first process of a namespace gets no signal that it does not handle. */
static void
end_now(int sig)
{
	_exit(128 + sig);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		as_its_comment_says_in_two_worktrees, world_setup, compose_teardown),
	};
	char self[PATH_MAX];

	if (getenv(INSIDE) != NULL) {
		signal(SIGTERM, end_now);
		signal(SIGINT, end_now);
	} else if (geteuid() == 0 && argc > 0 && realpath(argv[0], self) != NULL && can_be_made()) {
		setenv(INSIDE, "1", 1);
		execlp("unshare", NAMESPACES, self, (char *)NULL);
		fprintf(stderr, "cannot run unshare\n");
		return 1;
	}
	return RUN_TESTS(tests);
}
