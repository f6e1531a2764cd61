/* SPDX-License-Identifier: MIT */
/* ps: who listens in which worktree, registered or not. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "discover.h"
#include "out.h"

enum {
	COMMAND_WIDTH = 40 /* characters of it in the table */
};

/* ps has looked at all of it. */
struct ps {
	bool orphans; /* only those */
	struct registry_claims claims;
	struct found_list found;
};

/* At most COMMAND_WIDTH characters of UTF-8; the caller owns it. */
static char *
shorten(const char *text)
{
	size_t characters = 0, end = 0;

	for (size_t i = 0; text[i] != '\0'; i++) {
		if (((unsigned char)text[i] & 0xc0) == 0x80)
			continue;
		if (++characters == COMMAND_WIDTH)
			end = i;
	}
	return characters <= COMMAND_WIDTH ? dm_strdup(text)
					   : dm_asprintf("%.*s\xe2\x80\xa6", (int)end, text);
}

static void
print_table(const struct ps *ps)
{
	static const char *const headings[] = {
	    "PID", "COMMAND", "LISTENS", "SERVICE", "WORKTREE", NULL};
	struct table table;

	table_init(&table, headings);
	for (size_t i = 0; i < ps->found.count; i++) {
		const struct found *f = &ps->found.list[i];
		DM_AUTO_FREE char *command = shorten(f->command);
		DM_AUTO_FREE char *publish = found_publish(f, &ps->claims);
		DM_AUTO_FREE char *end = found_end(f, &ps->claims);
		DM_AUTO_FREE char *what = NULL;
		DM_AUTO_FREE char *where = NULL;
		char pid[16], port[16];
		const char *cells[] = {pid, command, port, f->claim, f->worktree};

		if (ps->orphans && !f->orphan)
			continue;
		(void)snprintf(pid, sizeof(pid), "%ld", (long)f->process.pid);
		(void)snprintf(port, sizeof(port), "%u", (unsigned)f->port);
		if (f->socket != NULL)
			cells[2] = f->socket;
		if (publish != NULL)
			cells[3] = publish;
		if (end != NULL) {
			what = f->claim != NULL ? dm_asprintf("%s, orphan: %s", f->claim, end)
						: dm_asprintf("orphan: %s", end);
			where = dm_asprintf("%s", f->worktree != NULL ? f->worktree
						  : f->cwd != NULL    ? f->cwd
								      : "-");
			cells[3] = what;
			cells[4] = where;
		}
		table_add(&table, cells);
	}
	if (table.rows > 1)
		table_print(&table);
	else
		dm_note(ps->orphans ? "no orphans" : "nothing of yours listens in a worktree");
	table_release(&table);
}

static void
add_number(cJSON *o, const char *key, long number)
{
	(void)cJSON_AddItemToObject(
	    o, key, number == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)number));
}

static void
print_json(const struct ps *ps)
{
	cJSON *o = out_object(), *list = cJSON_AddArrayToObject(o, "processes");

	for (size_t i = 0; i < ps->found.count; i++) {
		const struct found *f = &ps->found.list[i];
		DM_AUTO_FREE char *publish = found_publish(f, &ps->claims);
		DM_AUTO_FREE char *end = found_end(f, &ps->claims);
		cJSON *p;

		if (ps->orphans && !f->orphan)
			continue;
		p = cJSON_CreateObject();
		add_number(p, "pid", (long)f->process.pid);
		out_add_text(p, "command", f->command);
		add_number(p, "port", f->port);
		out_add_text(p, "address", f->address);
		out_add_text(p, "socket", f->socket);
		out_add_text(p, "id", f->claim);
		out_add_text(p, "worktree", f->worktree);
		out_add_text(p, "repository", f->repo);
		out_add_text(p, "cwd", f->cwd);
		(void)cJSON_AddBoolToObject(p, "orphan", f->orphan);
		out_add_text(p, "publish", publish);
		out_add_text(p, "end", end);
		(void)cJSON_AddItemToArray(list, p);
	}
	out_json(o);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct session *s = ctx->session;
	bool all = cmd_value(ctx, "all") != NULL;
	struct ps ps = {.orphans = cmd_value(ctx, "orphans") != NULL};
	struct discover_options options = {.port_from = all ? 1 : (uint16_t)s->conf->port_from,
	    .port_to = all ? UINT16_MAX : (uint16_t)s->conf->port_to};
	struct discovery *discovery;

	if (!session_need_registry(s, err) || !registry_scan(s->registry, &ps.claims, err))
		return false;
	options.sockets_dir = registry_dir(s->registry);
	discovery = discovery_new();
	discovery_look(discovery, &options, &ps.claims, &ps.found);
	if (ctx->line->json)
		print_json(&ps);
	else
		print_table(&ps);
	found_release(&ps.found);
	discovery_free(discovery);
	registry_claims_free(&ps.claims);
	return true;
}

static const struct cmd_opt opts[] = {
    {"orphans", 0, NULL, false, "only what has outlived its worktree, or its devmesh run"},
    {"all", 0, NULL, false, "any port, not only [daemon] port_from to port_to"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_ps;
const struct cmd cmd_ps = {
    .name = "ps",
    .args = "",
    .summary = "show what listens in the worktrees, registered or not",
    .help =
	"Lists your processes that listen on a TCP port or a Unix socket and work inside a git\n"
	"worktree: the service that each one is or, where it is none, the command that makes it\n"
	"one. An orphan's working directory was removed, or the devmesh run that has started it\n"
	"was killed; it is listed with the command that ends it.",
    .opts = opts,
    .run = run,
};
