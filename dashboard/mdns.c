/* SPDX-License-Identifier: MIT */
#include "mdns.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"
#include "caddy/mesh.h"
#include "daemon.h"
#include "lan.h"
#include "services.h"
#include "shares.h"
#include "timer.h"

enum {
	AGAIN_MS = 60000, /* until a child that has ended by itself is replaced */
};

struct mdns {
	struct daemon *d;
	pid_t pid; /* 0: there is none, as there is nothing to announce */
	int to;	   /* its stdin; -1: none */
	int end;   /* readable when it has ended */
	struct event *ended, *again;
	bool resting; /* it has ended by itself */
	bool told_lack;
	char line[MDNS_LINE_MAX]; /* what it was told */
};

/* ---- the line ------------------------------------------------------------------------------ */

bool
mdns_line_parse(char *line, struct mdns_wish *out)
{
	char *words[MDNS_NAMES_MAX + 2];
	unsigned n = 0;

	memset(out, 0, sizeof(*out));
	line[strcspn(line, "\n")] = '\0';
	while (*line != '\0' && n < MDNS_NAMES_MAX + 2) {
		words[n++] = line;
		line += strcspn(line, " ");
		if (*line != '\0')
			*line++ = '\0';
	}
	if (n < 3)
		return false;
	out->interface = words[0];
	out->address = words[1];
	for (unsigned i = 2; i < n; i++)
		out->ids[out->count++] = words[i];
	return true;
}

/* By the mesh route, and without a login: the only ones that are reached by such a name. */
static bool
is_reached(const struct daemon *d, const struct service *service)
{
	const struct share *share = shares_find(d->shares, service->claim);

	return share != NULL && share->reach != GATE_PASSWORD &&
	       service->claim->registration == CLAIM_MESH && !service->claim->is_alias;
}

/* "\n" where there is nothing to announce. */
static void
make_line(struct mdns *mdns, char out[MDNS_LINE_MAX])
{
	const struct daemon *d = mdns->d;
	const struct lan_state *lan = lan_state(d->lan);
	DM_AUTO_STR struct dm_str line = dm_str_make(MDNS_LINE_MAX - 2);
	bool wanted = d->session->conf->mdns && lan->enabled && lan->has_address && !d->draining;
	char address[DNS_ADDRESS_TEXT];
	unsigned n = 0;

	(void)snprintf(out, MDNS_LINE_MAX, "\n");
	if (!wanted || d->session->view == NULL)
		return;
	if (caddy_view_object(d->session->view, MESH_LOCAL_ROUTE_ID) == NULL) {
		if (!mdns->told_lack)
			dm_note("[lan] mdns: this Caddy serves no names below .local; the private "
				"mesh does, after devmesh stop && devmesh start");
		mdns->told_lack = true;
		return;
	}
	dns_address_text(&lan->address.address, address);
	(void)dm_str_addf(&line, "%s %s", lan->address.name, address);
	for (size_t i = 0; i < services_count(d->services) && n < MDNS_NAMES_MAX; i++) {
		const struct service *service = services_at(d->services, i);

		if (is_reached(d, service) && ++n > 0)
			(void)dm_str_addf(&line, " %s", service->claim->id.s);
	}
	if (n > 0 && !line.overflow)
		(void)snprintf(out, MDNS_LINE_MAX, "%s\n", line.data);
}

/* ---- the child ----------------------------------------------------------------------------- */

static void
dismiss(struct mdns *mdns)
{
	int status;

	if (mdns->pid == 0)
		return;
	event_free(mdns->ended);
	mdns->ended = NULL;
	dm_closep(&mdns->to);
	dm_closep(&mdns->end);
	/* it ends by itself now; but it may just wait for a responder that hangs */
	(void)kill(mdns->pid, SIGTERM);
	while (waitpid(mdns->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	mdns->pid = 0;
	mdns->line[0] = '\0';
}

static void
on_ended(evutil_socket_t fd, short what, void *user)
{
	struct mdns *mdns = user;

	(void)fd;
	(void)what;
	dismiss(mdns);
	mdns->resting = true;
	timer_in(mdns->again, AGAIN_MS);
}

static void
on_again(evutil_socket_t fd, short what, void *user)
{
	struct mdns *mdns = user;

	(void)fd;
	(void)what;
	mdns->resting = false;
	mdns_settle(mdns);
}

/* Nothing of the daemon may stay open: its lock and sockets would outlive it. */
_Noreturn static void
become_child(int in, int out)
{
	static const int defaults[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		(void)signal(defaults[i], SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(in, STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO); /* for its end to be seen by */
	dm_close_others(-1);
	_exit(mdns_announce(STDIN_FILENO));
}

static bool
begin(struct mdns *mdns)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	bool ok = pipe(in) == 0 && pipe(out) == 0;

	(void)fflush(NULL);
	mdns->pid = ok ? fork() : -1;
	if (mdns->pid == 0)
		become_child(in[0], out[1]);
	dm_closep(&in[0]);
	dm_closep(&out[1]);
	if (mdns->pid < 0) {
		dm_warn("announcing names by multicast DNS: %s", strerror(errno));
		dm_closep(&in[1]);
		dm_closep(&out[0]);
		mdns->pid = 0;
		return false;
	}
	mdns->to = in[1];
	mdns->end = out[0];
	(void)fcntl(mdns->to, F_SETFD, FD_CLOEXEC);
	(void)fcntl(mdns->to, F_SETFL, O_NONBLOCK);
	(void)fcntl(mdns->end, F_SETFD, FD_CLOEXEC);
	mdns->ended = event_new(mdns->d->base, mdns->end, EV_READ, on_ended, mdns);
	(void)event_add(mdns->ended, NULL);
	return true;
}

void
mdns_settle(struct mdns *mdns)
{
	char line[MDNS_LINE_MAX];
	size_t len;

	if (mdns == NULL)
		return;
	make_line(mdns, line);
	len = strlen(line);
	if (len == 1) {
		dismiss(mdns);
		return;
	}
	if (mdns->resting || strcmp(line, mdns->line) == 0 || (mdns->pid == 0 && !begin(mdns)))
		return;
	/* one that does not read is about to end, or hangs: the next change tells it all */
	if (write(mdns->to, line, len) == (ssize_t)len)
		memcpy(mdns->line, line, len + 1);
}

struct mdns *
mdns_new(struct daemon *d)
{
	struct mdns *mdns = dm_calloc(1, sizeof(*mdns));

	mdns->d = d;
	mdns->to = mdns->end = -1;
	mdns->again = evtimer_new(d->base, on_again, mdns);
	mdns_settle(mdns);
	return mdns;
}

void
mdns_free(struct mdns *mdns)
{
	if (mdns == NULL)
		return;
	dismiss(mdns);
	event_free(mdns->again);
	mdns->d->mdns = NULL;
	free(mdns);
}
