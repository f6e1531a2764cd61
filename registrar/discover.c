/* SPDX-License-Identifier: MIT */
/*
 * Most looks find what the look before has found: then the kernel's list of listening sockets is
 * all that is read. Only a socket that is new, or whose process has ended, makes it necessary to
 * see which process has which socket.
 */
#include "discover.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/listen.h"
#include "base/mem.h"
#include "base/str.h"
#include "discover_impl.h"
#include "repo/checkout.h"

enum {
	PATIENCE_MAX = 6 /* a socket without a visible process: looked for again after 2^6 looks */
};

struct known {
	struct dm_socket socket; /* its path is owned */
	struct process *owner;	 /* NULL: none is visible, or it was not looked for */
	bool wanted;
	bool judged;	/* what follows was found out, of a Unix socket's path: */
	bool in_work;	/* it is inside of a worktree */
	bool lost;	/* its directory is gone */
	unsigned tries; /* to find the owner, in vain */
	uint64_t again; /* the look at which the next one is due */
};

struct discovery {
	struct known *sockets; /* by inode */
	size_t count;
	struct processes processes;
	uint64_t looks;
};

/* Of one look. */
struct look {
	struct discovery *d;
	const struct discover_options *options;
	const struct registry_claims *claims;
};

struct discovery *
discovery_new(void)
{
	return dm_calloc(1, sizeof(struct discovery));
}

void
discovery_free(struct discovery *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++)
		free(d->sockets[i].socket.path);
	free(d->sockets);
	processes_release(&d->processes);
	free(d);
}

/* ---- claims -------------------------------------------------------------------------------- */

static bool
same_process(const struct dm_proc_id *a, const struct dm_proc_id *b)
{
	return a->pid != 0 && a->pid == b->pid && a->start == b->start;
}

/* The claim whose server is to be on the Unix socket; NULL: none. */
static const struct claim *
claim_of_path(const struct look *look, const char *path)
{
	for (size_t i = 0; i < look->claims->count; i++) {
		const struct claim *c = look->claims->list[i];

		if (!c->is_alias && ((c->socket != NULL && strcmp(c->socket, path) == 0) ||
					strcmp(c->run.socket, path) == 0))
			return c;
	}
	return NULL;
}

static bool
is_claimed_port(const struct look *look, uint16_t port)
{
	for (size_t i = 0; i < look->claims->count; i++) {
		const struct claim *c = look->claims->list[i];

		if (!c->is_alias && (c->port == port || c->run.port == port))
			return true;
	}
	return false;
}

/* Whether the `devmesh run` of the claim leads to that port of the process. */
static bool
is_behind_run(const struct claim *c, const struct process *p)
{
	if (c->run.runner.pid == 0)
		return false;
	if (p->runner.pid != 0)
		return same_process(&p->runner, &c->run.runner);
	/* one whose environment was cleared */
	return p->worktree != NULL && strcmp(p->worktree, c->worktree) == 0 &&
	       dm_proc_alive(&c->run.runner);
}

/* The claim that a process with that TCP socket serves; NULL: none. */
static const struct claim *
claim_of_port(const struct look *look, const struct dm_listener *listener, const struct process *p)
{
	const struct claim *best = NULL;

	if (!dm_listener_is_local(listener))
		return NULL;
	for (size_t i = 0; i < look->claims->count; i++) {
		const struct claim *c = look->claims->list[i];

		if (c->is_alias)
			continue;
		if (c->run.port == listener->port && is_behind_run(c, p))
			return c;
		if (c->port == listener->port &&
		    (best == NULL ||
			(p->worktree != NULL && strcmp(c->worktree, p->worktree) == 0)))
			best = c;
	}
	return best;
}

/* What listens for the server behind it is not the server. */
static bool
is_runner(const struct look *look, const struct process *p)
{
	for (size_t i = 0; i < look->claims->count; i++) {
		if (same_process(&look->claims->list[i]->run.runner, &p->id))
			return true;
	}
	return false;
}

/* ---- sockets ------------------------------------------------------------------------------- */

static bool
is_directly_in(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	while (n > 0 && dir[n - 1] == '/')
		n--;
	return strncmp(dir, path, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static void
judge_path(struct known *k)
{
	DM_AUTO_FREE char *dir = dm_path_dir(k->socket.path);
	DM_AUTO_FREE char *top = NULL;

	k->judged = true;
	k->lost = access(dir, F_OK) != 0;
	if (!k->lost && (top = checkout_top(dir)) != NULL)
		k->in_work = true;
}

/* Whether it matters whose it is. */
static bool
is_wanted(const struct look *look, struct known *k)
{
	const struct dm_socket *s = &k->socket;

	if (s->path == NULL)
		return (s->listener.port >= look->options->port_from &&
			   s->listener.port <= look->options->port_to) ||
		       is_claimed_port(look, s->listener.port);
	/* relative to a directory that only its owner tells */
	if (s->path[0] != '/' || is_directly_in(look->options->sockets_dir, s->path))
		return true;
	if (!k->judged)
		judge_path(k);
	return k->in_work || k->lost || claim_of_path(look, s->path) != NULL;
}

/* Takes the list of now over; what was known of those that are still there is kept. */
static void
take_sockets(struct discovery *d, struct dm_sockets *now)
{
	struct known *list = dm_calloc(now->count + 1, sizeof(*list));
	size_t old = 0, count = 0;

	for (size_t i = 0; i < now->count; i++) {
		struct dm_socket *s = &now->list[i];

		/* one inode, two answers: it was closed, and another one made, in between */
		if (count > 0 && list[count - 1].socket.inode == s->inode)
			continue;
		while (old < d->count && d->sockets[old].socket.inode < s->inode)
			old++;
		if (old < d->count && d->sockets[old].socket.inode == s->inode &&
		    d->sockets[old].socket.listener.port == s->listener.port) {
			list[count++] = d->sockets[old];
			d->sockets[old++].socket.path = NULL;
		} else {
			list[count++].socket = *s;
			s->path = NULL;
		}
	}
	for (size_t i = 0; i < d->count; i++)
		free(d->sockets[i].socket.path);
	free(d->sockets);
	d->sockets = list;
	d->count = count;
}

/*
 * Which of those who share a socket it belongs to: the one that has given it to the others, a
 * prefork server's parent.
 */
static pid_t
first_of(const struct dm_holder *holders, size_t count)
{
	for (size_t i = 0; i < count && holders[0].pid != holders[count - 1].pid; i++) {
		pid_t parent = dm_proc_parent(holders[i].pid);
		bool inherited = false;

		for (size_t j = 0; j < count; j++)
			inherited = inherited || holders[j].pid == parent;
		if (!inherited)
			return holders[i].pid;
	}
	return holders[0].pid;
}

static bool
needs_owner(const struct discovery *d, const struct known *k)
{
	return k->wanted && (k->owner == NULL || k->owner->ended) && d->looks >= k->again;
}

/* Sees which process has which of the wanted sockets. */
static void
find_owners(const struct look *look)
{
	struct discovery *d = look->d;
	DM_AUTO_FREE struct dm_socket *list = dm_calloc(d->count + 1, sizeof(*list));
	struct dm_sockets wanted = {.list = list};
	struct dm_holders holders = {.count = 0};
	size_t at = 0;

	for (size_t i = 0; i < d->count; i++) {
		if (d->sockets[i].wanted)
			list[wanted.count++] = d->sockets[i].socket;
	}
	dm_listen_holders(&wanted, &holders);
	for (size_t i = 0; i < d->count; i++) {
		struct known *k = &d->sockets[i];
		size_t first;

		while (at < holders.count && holders.list[at].inode < k->socket.inode)
			at++;
		first = at;
		while (at < holders.count && holders.list[at].inode == k->socket.inode)
			at++;
		k->owner = NULL;
		if (at > first)
			k->owner = processes_know(&d->processes,
			    first_of(holders.list + first, at - first), look->claims);
		if (k->owner != NULL) {
			k->tries = 0;
		} else if (k->wanted) {
			k->again = d->looks + (UINT64_C(1) << k->tries);
			k->tries += k->tries < PATIENCE_MAX ? 1 : 0;
		}
	}
	dm_holders_release(&holders);
}

/* ---- what is told -------------------------------------------------------------------------- */

/* The socket's path made absolute; the caller owns it. NULL where it cannot be told. */
static char *
absolute_path(const struct known *k, const struct process *p)
{
	if (k->socket.path[0] == '/')
		return dm_strdup(k->socket.path);
	return p->cwd == NULL ? NULL : dm_asprintf("%s/%s", p->cwd, k->socket.path);
}

static char *
address_text(const struct dm_listener *l)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(l->ipv6 ? AF_INET6 : AF_INET, l->address, text, sizeof(text)) == NULL)
		return NULL;
	return dm_strdup(text);
}

static void
tell(const struct look *look, const struct known *k, struct found_list *out)
{
	const struct process *p = k->owner;
	const struct dm_socket *s = &k->socket;
	DM_AUTO_FREE char *path = s->path == NULL ? NULL : absolute_path(k, p);
	const struct claim *claim = NULL;
	bool orphan = p->removed || p->abandoned;

	if (p->ended || p->left_out || is_runner(look, p) || (s->path != NULL && path == NULL))
		return;
	claim = path != NULL ? claim_of_path(look, path) : claim_of_port(look, &s->listener, p);
	if (claim == NULL && !orphan &&
	    (p->worktree == NULL || k->lost ||
		(s->path != NULL && s->path[0] != '/' && !dm_path_inside(p->worktree, path))))
		return;
	out->list[out->count++] = (struct found){.process = p->id,
	    .command = dm_strdup(p->command),
	    .port = s->listener.port,
	    .address = path == NULL ? address_text(&s->listener) : NULL,
	    .socket = dm_steal_pointer(&path),
	    .cwd = dm_strdup(p->cwd),
	    .worktree = dm_strdup(p->worktree),
	    .repo = dm_strdup(p->repo),
	    .claim = claim == NULL ? NULL : dm_strdup(claim->id.s),
	    .orphan = orphan};
}

static void
found_free(struct found *f)
{
	free(f->command);
	free(f->address);
	free(f->socket);
	free(f->cwd);
	free(f->worktree);
	free(f->repo);
	free(f->claim);
}

void
found_release(struct found_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		found_free(&list->list[i]);
	free(list->list);
	memset(list, 0, sizeof(*list));
}

static int
compare_text(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

/* An IPv4 address goes first. */
static int
by_pid_port_and_path(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int paths;

	if (x->process.pid != y->process.pid)
		return x->process.pid < y->process.pid ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if ((paths = compare_text(x->socket, y->socket)) != 0)
		return paths;
	return (x->address != NULL && strchr(x->address, ':') != NULL) -
	       (y->address != NULL && strchr(y->address, ':') != NULL);
}

static int
by_place(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if ((order = compare_text(x->address, y->address)) != 0 ||
	    (order = compare_text(x->socket, y->socket)) != 0 ||
	    (order = compare_text(x->cwd, y->cwd)) != 0)
		return order;
	return x->process.pid < y->process.pid ? -1 : x->process.pid > y->process.pid;
}

/* Keeps the first one of each group. */
static void
thin_out(struct found_list *out, bool (*same)(const struct found *, const struct found *))
{
	size_t kept = 0;

	for (size_t i = 0; i < out->count; i++) {
		if (kept > 0 && same(&out->list[kept - 1], &out->list[i]))
			found_free(&out->list[i]);
		else
			out->list[kept++] = out->list[i];
	}
	out->count = kept;
}

/* Workers with a socket each on one port (SO_REUSEPORT). */
static bool
is_fellow(const struct found *a, const struct found *b)
{
	return a->port == b->port && a->port != 0 && compare_text(a->address, b->address) == 0 &&
	       a->cwd != NULL && compare_text(a->cwd, b->cwd) == 0;
}

/* One server, on 127.0.0.1 and on ::1. */
static bool
is_same_server(const struct found *a, const struct found *b)
{
	return a->process.pid == b->process.pid && a->port == b->port && a->port != 0;
}

static void
put_in_order(struct found_list *out)
{
	if (out->count == 0)
		return;
	qsort(out->list, out->count, sizeof(*out->list), by_place);
	thin_out(out, is_fellow);
	qsort(out->list, out->count, sizeof(*out->list), by_pid_port_and_path);
	thin_out(out, is_same_server);
}

void
discovery_look(struct discovery *d, const struct discover_options *options,
    const struct registry_claims *claims, struct found_list *out)
{
	const struct look look = {.d = d, .options = options, .claims = claims};
	struct dm_sockets now = {.count = 0};
	bool wanting = false;

	d->looks++;
	dm_listen_sockets(&now);
	take_sockets(d, &now);
	dm_sockets_release(&now);
	(void)processes_check(&d->processes, claims);
	for (size_t i = 0; i < d->count; i++) {
		d->sockets[i].wanted = is_wanted(&look, &d->sockets[i]);
		wanting = wanting || needs_owner(d, &d->sockets[i]);
	}
	if (wanting)
		find_owners(&look);
	*out = (struct found_list){.list = dm_calloc(d->count + 1, sizeof(*out->list))};
	for (size_t i = 0; i < d->processes.count; i++)
		d->processes.list[i]->used = false;
	for (size_t i = 0; i < d->count; i++) {
		struct known *k = &d->sockets[i];

		if (k->owner == NULL)
			continue;
		k->owner->used = true;
		if (k->wanted)
			tell(&look, k, out);
	}
	processes_sweep(&d->processes);
	put_in_order(out);
}
