/* SPDX-License-Identifier: MIT */
#include "harness_netns.h"

#include <unistd.h>

enum {
	WORDS = 24
};

struct netns {
	struct proc *holder;
	char *wrap; /* DEVMESHD_WRAP as it was; NULL: unset */
};

/* The holder ends with the other processes of the world, and the namespace with its last one. */
static void
netns_free(void *p)
{
	struct netns *ns = p;

	if (ns->wrap != NULL)
		setenv("DEVMESHD_WRAP", ns->wrap, 1);
	else
		unsetenv("DEVMESHD_WRAP");
	free(ns->wrap);
	free(ns);
}

static bool
is_apart(struct world *w, const void *arg)
{
	const struct proc *holder = arg;
	char ours[64], theirs[64];
	ssize_t n = readlink("/proc/self/ns/net", ours, sizeof ours);
	ssize_t m = readlink(fmt(w, "/proc/%ld/ns/net", (long)holder->pid), theirs, sizeof theirs);

	return holder->ended ||
	       (n > 0 && m > 0 && (n != m || memcmp(ours, theirs, (size_t)n) != 0));
}

/* "nsenter ... argv" */
static const char *const *
within(struct world *w, const struct netns *ns, const char *const argv[])
{
	const char **all = world_keep(w, calloc(WORDS + 1, sizeof *all), free);
	size_t n = 0;

	all[n++] = "nsenter";
	all[n++] = fmt(w, "--net=/proc/%ld/ns/net", (long)ns->holder->pid);
	all[n++] = "--";
	for (; *argv != NULL; argv++) {
		assert_true(n < WORDS);
		all[n++] = *argv;
	}
	return all;
}

struct result
netns_run(struct world *w, const struct netns *ns, const char *const argv[])
{
	return run(w, w->dir, within(w, ns, argv));
}

struct proc *
netns_start(struct world *w, const struct netns *ns, const char *const argv[])
{
	return start(w, w->dir, within(w, ns, argv));
}

static struct result
ip(struct world *w, const struct netns *ns, const char *words)
{
	const char *argv[WORDS] = {"ip"};

	for (size_t n = 1; *words != '\0'; n++) {
		size_t len = strcspn(words, " ");

		assert_true(n < WORDS - 4);
		argv[n] = fmt(w, "%.*s", (int)len, words);
		words += len + strspn(words + len, " ");
	}
	return netns_run(w, ns, argv);
}

void
netns_ip(struct world *w, const struct netns *ns, const char *words)
{
	struct result r = ip(w, ns, words);

	if (r.code != 0)
		fail_msg("ip %s: %s", words, r.err);
}

struct netns *
netns_new(struct world *w)
{
	struct netns *ns = world_keep(w, calloc(1, sizeof *ns), netns_free);
	const char *wrap = getenv("DEVMESHD_WRAP");

	ns->wrap = wrap == NULL ? NULL : strdup(wrap);
	if (geteuid() != 0)
		world_skip(w, "only root can make network namespaces");
	ns->holder = start(w, w->dir, ARGV("unshare", "--net", "sleep", "100000"));
	if (!wait_until(w, is_apart, ns->holder, DEADLINE_MS) || ns->holder->ended ||
	    ip(w, ns, "link add probe0 type veth peer name probe1").code != 0 ||
	    ip(w, ns, "link del probe0").code != 0)
		world_skip(w, "this kernel gives no network namespace, or no veth");
	netns_ip(w, ns, "link set lo up");
	setenv("DEVMESHD_WRAP",
	    fmt(w, "nsenter --net=/proc/%ld/ns/net -- %s", (long)ns->holder->pid,
		wrap == NULL ? "" : wrap),
	    1);
	return ns;
}

void
netns_interface(struct world *w, const struct netns *ns, const char *name, const char *address)
{
	netns_ip(w, ns, fmt(w, "link add %s type veth peer name %s-peer", name, name));
	netns_ip(w, ns, fmt(w, "link set %s-peer up", name));
	netns_ip(w, ns, fmt(w, "addr add %s dev %s", address, name));
	netns_ip(w, ns, fmt(w, "link set %s up", name));
}
