/* SPDX-License-Identifier: MIT */
/* The doctor on servers that other devices reach without Caddy, and so without its gate. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "doctor_lan.h"
#include "run/ports.h"
#include "run/tools.h"
#include "survey.h"

/* Programs that hold a container's port on this machine: the container is what has to be told. */
static bool
is_for_container(const char *name)
{
	static const char *const names[] = {
	    "docker-proxy", "rootlessport", "rootlesskit", "pasta", "pasta.avx2", "slirp4netns"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static void
say_fix(struct doctor *d, const struct claim *claim, const struct dm_listener *l, const char *name)
{
	DM_AUTO_FREE char *command = l->pid == 0 ? NULL : dm_proc_command(l->pid), *words = NULL;
	const char *tool = NULL;

	if (name == NULL || is_for_container(name)) {
		/* whose program it is cannot be seen: mostly Docker's, which is root's */
		doctor_fix(d,
		    "of a container: publish its port on 127.0.0.1 only (in compose.yaml ports: "
		    "\"127.0.0.1:%u:...\"); else have that program listen on 127.0.0.1",
		    (unsigned)l->port);
		return;
	}
	if (command != NULL)
		words = tool_host_words(command, claim->worktree, l->port, &tool);
	if (words != NULL)
		doctor_fix(d, "start %s with %s, and no other address", tool, words);
	else
		doctor_fix(d,
		    "have it listen on 127.0.0.1: --host 127.0.0.1 (Next.js: -H 127.0.0.1), or "
		    "listen(port, \"127.0.0.1\") in its code, which may read HOST: devmesh run "
		    "sets that; or on a socket: devmesh run --socket");
}

static void
say_open(struct doctor *d, const struct claim *claim, const struct dm_listener *l)
{
	DM_AUTO_FREE char *name = l->pid == 0 ? NULL : dm_proc_name(l->pid);
	char who[64] = "another user's program", where[64] = "every address of this machine";

	if (name != NULL)
		(void)snprintf(who, sizeof(who), "%.31s, pid %ld", name, (long)l->pid);
	if (!ports_is_open(l) &&
	    inet_ntop(l->ipv6 ? AF_INET6 : AF_INET, l->address, where, sizeof(where)) == NULL)
		where[0] = '\0';
	doctor_say(d, DOCTOR_WARNING, "the server of %s (%s) listens on port %u of %s", claim->id.s,
	    who, (unsigned)l->port, where);
	doctor_why(d,
	    "other devices of the network reach it there past Caddy, whether or not it is "
	    "shared: no password is asked for, and devmesh unshare does not end it");
	say_fix(d, claim, l, name);
}

/* Whether others get there. */
static bool
is_reachable(const struct dm_listener *l)
{
	return ports_is_open(l) || !dm_listener_is_local(l);
}

/* Whether an open listener of the list before this one has its port: the other address family. */
static bool
is_said(const struct dm_listeners *list, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (list->list[i].port == list->list[at].port && ports_is_open(&list->list[i]))
			return true;
	}
	return false;
}

/* What the service's server listens on: all of its sockets, or who shares the claimed port. */
static void
find_listeners(
    const struct survey_row *row, const struct dm_listeners *of_ports, struct dm_listeners *out)
{
	struct dm_pids server = {.count = 0};

	for (size_t i = 0; i < of_ports->count; i++) {
		/* seldom more than one, and those of the server itself are found below */
		if (row->claim->port == of_ports->list[i].port &&
		    (row->pid == 0 || of_ports->list[i].pid != row->pid))
			dm_listeners_add(out, &of_ports->list[i]);
	}
	if (row->pid == 0)
		return;
	dm_pids_add(&server, row->pid);
	dm_proc_listeners(&server, out);
	dm_pids_release(&server);
}

/* Returns how many ports it has said. */
static unsigned
check_service(struct doctor *d, const struct claim *claim, const struct dm_listeners *of_ports)
{
	struct dm_listeners found = {.count = 0};
	struct survey_row row;
	unsigned said = 0;

	survey_look(d->session, claim, of_ports, &row, NULL);
	/* another checkout's server is not this service's: the check "stale" has said so */
	if (service_answers(&row.evidence) && !row.evidence.foreign)
		find_listeners(&row, of_ports, &found);
	for (size_t i = 0; i < found.count; i++) {
		if (!is_reachable(&found.list[i]) || is_said(&found, i))
			continue;
		say_open(d, claim, &found.list[i]);
		said++;
	}
	dm_listeners_release(&found);
	survey_row_release(&row);
	return said;
}

void
doctor_check_servers(struct doctor *d)
{
	struct registry_claims claims = {.count = 0};
	struct dm_listeners of_ports = {.count = 0};
	struct dm_err err;
	unsigned said = 0;

	if (!registry_scan(d->session->registry, &claims, &err)) {
		doctor_skip(d, "the services cannot be read");
		return;
	}
	survey_listeners(&claims, &of_ports);
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];

		/* another user's servers are theirs to mend, and not to be seen anyhow */
		if (!claim->is_alias && claim->uid == geteuid())
			said += check_service(d, claim, &of_ports);
	}
	if (said == 0)
		doctor_say(d, DOCTOR_OK, "every server that runs listens for this machine alone");
	dm_listeners_release(&of_ports);
	registry_claims_free(&claims);
}
