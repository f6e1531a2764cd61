/* SPDX-License-Identifier: MIT */
#include "harness_lan.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSIDE	"DEVMESH_TEST_IN_LAN"
#define NETWORK "192.168.77.0/24"

/* The first process of a namespace gets no signal that it does not handle. */
static void
end_now(int sig)
{
	_exit(128 + sig);
}

static bool
can_be_made(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("unshare", "unshare", "-n", "ip", "link", "set", "lo", "up", (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void
lan_enter(int argc, char *argv[])
{
	char self[PATH_MAX];

	if (getenv(INSIDE) != NULL) {
		signal(SIGTERM, end_now);
		signal(SIGINT, end_now);
	} else if (geteuid() == 0 && argc > 0 && realpath(argv[0], self) != NULL && can_be_made()) {
		setenv(INSIDE, "1", 1);
		execlp("unshare", "unshare", "-n", self, (char *)NULL);
		fprintf(stderr, "cannot run unshare\n");
		_exit(1);
	}
}

static void
ip(struct world *w, const char *arguments)
{
	run_ok(w, w->dir, ARGV("sh", "-c", fmt(w, "ip %s", arguments)));
}

static bool
has_left(struct world *w, const void *arg)
{
	const struct proc *phone = arg;
	char ours[128] = "", its[128] = "";

	return readlink("/proc/self/ns/net", ours, sizeof ours - 1) > 0 &&
	       readlink(fmt(w, "/proc/%d/ns/net", (int)phone->pid), its, sizeof its - 1) > 0 &&
	       strcmp(ours, its) != 0;
}

struct proc *
lan_connect(struct world *w)
{
	struct proc *phone;

	if (getenv(INSIDE) == NULL)
		world_skip(w, "no network namespace can be made here");
	phone = start(w, w->dir, ARGV("unshare", "-n", "sleep", "3600"));
	if (!wait_until(w, has_left, phone, ANSWER_MS))
		fail_msg("the phone has no network namespace");
	ip(w, "link set lo up");
	/* what a test before this one has left goes with its phone, but not at once */
	run(w, w->dir, ARGV("ip", "link", "delete", LAN_DEVICE));
	ip(w, fmt(w, "link add " LAN_DEVICE " type veth peer name eth0 netns %d", (int)phone->pid));
	ip(w, "address add " LAN_LAPTOP "/24 dev " LAN_DEVICE);
	ip(w, "link set " LAN_DEVICE " up");
	lan_run(w, phone,
	    ARGV("sh", "-ec",
		"ip link set lo up; ip address add " LAN_PHONE
		"/24 dev eth0; ip link set eth0 up"));
	ip(w, "route replace default via 192.168.77.1 dev " LAN_DEVICE);
	return phone;
}

struct result
lan_run(struct world *w, const struct proc *phone, const char *const argv[])
{
	const char *all[64] = {"nsenter", "-n", "-t", fmt(w, "%d", (int)phone->pid)};
	size_t n = 4;

	for (size_t i = 0; argv[i] != NULL && n + 1 < sizeof all / sizeof all[0]; i++)
		all[n++] = argv[i];
	return run(w, w->dir, all);
}

struct lan_reply
lan_get(struct world *w, const struct proc *phone, const char *host, int port, const char *to,
    const char *path, const char *const more[])
{
	const char *argv[48] = {"curl", "--silent", "--show-error", "--noproxy", "*", "--max-time",
	    "20", "--cacert", w->ca, "--resolve", fmt(w, "%s:%d:%s", host, port, to),
	    "--dump-header", fmt(w, "%s/headers", w->dir), "--output", fmt(w, "%s/body", w->dir),
	    "--write-out", "%{http_code}", fmt(w, "https://%s:%d%s", host, port, path)};
	size_t n = 18;
	struct result r;

	for (size_t i = 0; more != NULL && more[i] != NULL && n + 1 < 48; i++)
		argv[n++] = more[i];
	write_text(fmt(w, "%s/body", w->dir), "");
	write_text(fmt(w, "%s/headers", w->dir), "");
	r = lan_run(w, phone, argv);
	return (struct lan_reply){.status = (int)strtol(r.out, NULL, 10),
	    .body = read_text(w, fmt(w, "%s/body", w->dir)),
	    .error = r.err,
	    .headers = read_text(w, fmt(w, "%s/headers", w->dir))};
}

void
lan_change_address(struct world *w, const char *from, const char *to)
{
	/* in this order: the second one of a network goes with the first */
	ip(w, fmt(w, "address delete %s/24 dev " LAN_DEVICE, from));
	ip(w, fmt(w, "address add %s/24 dev " LAN_DEVICE, to));
	ip(w, "route replace default via 192.168.77.1 dev " LAN_DEVICE);
}

/* A mesh for dev.test that listens on all addresses, its port; and `shop` of it, which runs. */
int
lan_mesh(struct world *w)
{
	int http = free_port(w), https = free_port(w);

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", http));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", https));
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/admin.sock", w->state);
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	assert_exit(w, DM(w, NULL, "start"), 0);
	return https;
}

struct lan_scene
lan_scene(struct world *w)
{
	struct lan_scene s = {.phone = lan_connect(w)};

	s.port = lan_mesh(w);
	s.repo = repo_new(w, "shop");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	serve_id(w, "shop-main");
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
	return s;
}

struct lan_reply
lan_phone_get(struct world *w, const struct lan_scene *s, const char *host)
{
	return lan_get(w, s->phone, host, s->port, LAN_LAPTOP, "/", NULL);
}

void
assert_refused(struct world *w, const struct lan_scene *s, const char *host)
{
	struct lan_reply r = lan_phone_get(w, s, host);

	if (r.status != 403 || strstr(r.body, "not shared") == NULL)
		fail_msg("%s: %d %s%s", host, r.status, r.body, r.error);
	assert_non_null(strstr(r.headers, "-devmesh-state: not-shared"));
	/* nothing about this machine */
	assert_null(strstr(r.body, w->dir));
	assert_null(strstr(r.headers, "x-devmesh-id"));
}

void
assert_served(struct world *w, const struct lan_scene *s, const char *host, const char *body)
{
	struct lan_reply r = lan_phone_get(w, s, host);

	if (r.status != 200 || strcmp(r.body, body) != 0)
		fail_msg("%s: %d %s%s", host, r.status, r.body, r.error);
}
