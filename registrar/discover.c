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
	struct dm_searched searched; /* when owners were looked for */
	uint64_t looks;
	bool in_doubt; /* every process is looked at anew */
};

/* Of one look. */
struct look {
	struct discovery *d;
	const struct discover_options *options;
	const struct registry_claims *claims;
	const struct claim_index *index;
};

struct discovery *
discovery_new(void)
{
	return dm_calloc(1, sizeof(struct discovery));
}

void
discovery_doubt(struct discovery *d)
{
	d->in_doubt = true;
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
	dm_searched_release(&d->searched);
	free(d);
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
		       claims_have_port(look->index, s->listener.port);
	/* relative to a directory that only its owner tells */
	if (s->path[0] != '/' || is_directly_in(look->options->sockets_dir, s->path))
		return true;
	if (!k->judged)
		judge_path(k);
	return k->in_work || k->lost || claim_of_path(look->index, s->path) != NULL;
}

/* Takes the list of now over; what was known of those that are still there is kept. Whether any has
 * come or gone. */
static bool
take_sockets(struct discovery *d, struct dm_sockets *now)
{
	struct known *list = dm_calloc(now->count + 1, sizeof(*list));
	size_t old = 0, count = 0, same = 0;
	bool changed;

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
			same++;
		} else {
			list[count++].socket = *s;
			s->path = NULL;
		}
	}
	for (size_t i = 0; i < d->count; i++)
		free(d->sockets[i].socket.path);
	free(d->sockets);
	changed = same != count || same != d->count;
	d->sockets = list;
	d->count = count;
	return changed;
}

static bool
needs_owner(const struct discovery *d, const struct known *k)
{
	return k->wanted && (k->owner == NULL || k->owner->ended) && d->looks >= k->again;
}

/* Sees which processes have the sockets that are wanted and have no owner. */
static void
find_owners(const struct look *look)
{
	struct discovery *d = look->d;
	DM_AUTO_FREE struct dm_socket *list = dm_calloc(d->count + 1, sizeof(*list));
	struct dm_sockets open = {.list = list}; /* borrows the paths */

	for (size_t i = 0; i < d->count; i++) {
		if (needs_owner(d, &d->sockets[i]))
			list[open.count++] = d->sockets[i].socket;
	}
	dm_listen_owners(&open, &d->searched);
	for (size_t i = 0; i < d->count; i++) {
		struct known *k = &d->sockets[i];
		const struct dm_socket *s;

		if (!needs_owner(d, k))
			continue;
		s = dm_sockets_find(&open, k->socket.inode);
		k->owner = s->listener.pid == 0
			       ? NULL
			       : processes_know(&d->processes, s->listener.pid, look->claims);
		if (k->owner != NULL) {
			k->tries = 0;
		} else {
			k->again = d->looks + (UINT64_C(1) << k->tries);
			k->tries += k->tries < PATIENCE_MAX ? 1 : 0;
		}
	}
	processes_settle(&d->processes, look->claims);
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

	if (p->ended || p->left_out || claims_have_runner(look->index, &p->id) ||
	    (s->path != NULL && path == NULL))
		return;
	claim = path != NULL ? claim_of_path(look->index, path)
			     : claim_of_port(look->index, &s->listener, p);
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
	struct claim_index *index = claim_index_new(claims);
	const struct look look = {.d = d, .options = options, .claims = claims, .index = index};
	struct dm_sockets now = {.count = 0};
	bool wanting = false, changed;

	d->looks++;
	dm_listen_sockets(&now);
	changed = take_sockets(d, &now);
	dm_sockets_release(&now);
	processes_check(&d->processes, claims, changed, d->in_doubt);
	d->in_doubt = false;
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
	claim_index_free(index);
	put_in_order(out);
}
