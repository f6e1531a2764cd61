/* SPDX-License-Identifier: MIT */
/* share and unshare: which services other devices may open. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/spawn.h"
#include "base/str.h"
#include "cmd.h"
#include "identity.h"
#include "out.h"
#include "placement.h"
#include "register.h"
#include "share.h"

enum {
	HASH_MS = 10000,
	PASSWORD_MIN = 8,
	PASSWORD_MAX = 72, /* what bcrypt looks at */
	PASSWORD_MADE = 16,
	UNTIL_MAX = 64,
};

#define DEFAULT_USER "devmesh"

/* What the command line wants. */
struct wish {
	struct share share;
	char password[PASSWORD_MAX + 1]; /* "": none */
	bool made;			 /* it was made up here, so it has to be told */
};

/* ---- the password ---------------------------------------------------------------------- */

/* 16 characters that nobody mistakes for others: 78 bits. */
static bool
make_password(char out[PASSWORD_MAX + 1], struct dm_err *err)
{
	static const char letters[] = "23456789abcdefghjkmnpqrstuvwxyz";
	FILE *source = fopen("/dev/urandom", "re");
	size_t n = 0;
	int c;

	if (source == NULL)
		return dm_fail(err, DM_FAILED, "making a password: no /dev/urandom");
	while (n < PASSWORD_MADE && (c = fgetc(source)) != EOF) {
		/* without a remainder each is as likely */
		if (c < 248)
			out[n++] = letters[(size_t)c % (sizeof(letters) - 1)];
	}
	(void)fclose(source);
	out[n] = '\0';
	return n == PASSWORD_MADE || dm_fail(err, DM_FAILED, "making a password");
}

/* The first line of the file, or of stdin ("-"). */
static bool
read_password(const char *file, char out[PASSWORD_MAX + 1], struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(4096);
	bool ok = strcmp(file, "-") == 0 ? dm_read_fd(STDIN_FILENO, &text, err)
					 : dm_read_file(file, &text, err);

	if (!ok)
		return dm_wrap(err, "reading the password");
	text.data[strcspn(text.data, "\r\n")] = '\0';
	if (strlen(text.data) < PASSWORD_MIN ||
	    !dm_snprintf(out, PASSWORD_MAX + 1, "%s", text.data) || dm_has_control(out)) {
		(void)dm_fail(err, DM_USAGE, "the password has to have %d to %d bytes, in one line",
		    PASSWORD_MIN, PASSWORD_MAX);
		return dm_hint(err, "without --password-file one is made");
	}
	return true;
}

/* As Caddy wants it. By stdin: arguments are to be seen by everybody. */
static bool
hash_password(
    struct session *s, const char *password, char out[SHARE_HASH_MAX + 1], struct dm_err *err)
{
	const char *argv[] = {s->conf->caddy, "hash-password", NULL};
	DM_AUTO_STR struct dm_str text = dm_str_make(4096);
	DM_AUTO_STR struct dm_str said = dm_str_make(4096);
	DM_AUTO_FREE char *line = dm_asprintf("%s\n", password);
	int status = 1;

	if (!dm_run_with_input(argv, line, HASH_MS, &text, &said, &status, err))
		return dm_wrap(err, "having %s hash the password", s->conf->caddy);
	text.data[strcspn(text.data, "\r\n")] = '\0';
	if (status != 0 || text.len < 20 ||
	    !dm_snprintf(out, SHARE_HASH_MAX + 1, "%s", text.data)) {
		said.data[strcspn(said.data, "\r\n")] = '\0';
		(void)dm_fail(err, DM_FAILED, "%s hash-password ended with status %d: %.200s",
		    s->conf->caddy, status, said.data);
		return dm_hint(err, "[local] caddy names the caddy program");
	}
	return true;
}

/* ---- what is wanted -------------------------------------------------------------------- */

static bool
choose_reach(struct cmd_ctx *ctx, enum gate_reach *out, bool *private, struct dm_err *err)
{
	int given = 0;

	*private = cmd_value(ctx, "private") != NULL;
	*out = cmd_value(ctx, "password-file") != NULL ? GATE_PASSWORD : GATE_LAN;
	for (int i = 0; i < GATE_REACHES; i++) {
		if (cmd_value(ctx, gate_reach_name((enum gate_reach)i)) != NULL) {
			*out = (enum gate_reach)i;
			given++;
		}
	}
	if (given + (*private ? 1 : 0) > 1)
		return dm_fail(
		    err, DM_USAGE, "only one of --private, --lan, --password and --public");
	if (*out != GATE_PASSWORD &&
	    (cmd_value(ctx, "password-file") != NULL || cmd_value(ctx, "user") != NULL))
		return dm_fail(err, DM_USAGE, "--user and --password-file go with --password");
	return true;
}

static bool
read_wish(struct cmd_ctx *ctx, struct wish *wish, struct dm_err *err)
{
	const char *period = cmd_value(ctx, "expires"), *user = cmd_value(ctx, "user");
	const char *file = cmd_value(ctx, "password-file");
	int64_t seconds;

	wish->share.since = dm_wall_seconds();
	wish->share.until = GATE_FOREVER;
	if (period != NULL) {
		if (!dm_parse_period(period, SHARE_S_MAX, &seconds)) {
			(void)dm_fail(err, DM_USAGE, "--expires %s: not a time", period);
			return dm_hint(err, "30m, 24h or 7d; at most a year");
		}
		wish->share.until = wish->share.since + seconds;
	}
	if (wish->share.reach != GATE_PASSWORD)
		return true;
	if (user == NULL)
		user = DEFAULT_USER;
	if (user[0] == '\0' || strpbrk(user, ":{}") != NULL || dm_has_control(user) ||
	    !dm_snprintf(wish->share.user, sizeof(wish->share.user), "%s", user))
		return dm_fail(err, DM_USAGE,
		    "--user: 1 to %d bytes without colons, braces and control characters",
		    SHARE_USER_MAX);
	wish->made = file == NULL;
	return (file == NULL ? make_password(wish->password, err)
			     : read_password(file, wish->password, err)) &&
	       hash_password(ctx->session, wish->password, wish->share.hash, err);
}

/* ---- whether it can be had ------------------------------------------------------------- */

static bool
check_claim(const struct session *s, const struct claim *claim, struct dm_err *err)
{
	const char *dot = claim->host == NULL ? NULL : strchr(claim->host, '.');
	char domain[HOST_MAX + 1];

	if (s->state_dir != NULL && strcmp(claim->worktree, s->state_dir) == 0)
		return dm_fail(err, DM_USAGE,
		    "%s is the dashboard: other devices see the list of what is shared there, and "
		    "nothing else",
		    claim->id.s);
	session_domain(s, domain);
	if (dot == NULL || strcmp(dot + 1, domain) == 0)
		return true;
	(void)dm_fail(err, DM_CONFLICT,
	    "sharing %s: it is registered below %s, and Caddy serves %s", claim->id.s, dot + 1,
	    domain);
	return dm_hint(err, "devmesh restart %s, or devmesh up in its worktree", claim->id.s);
}

/* Other devices reach the gate at all, and it goes by what will be written. */
static bool
check_way(
    struct session *s, const struct claim *claim, const struct placement *place, struct dm_err *err)
{
	bool own_mesh =
	    dm_starts_with(caddy_admin_address(s->admin), "unix://") && s->conf->admin == NULL;

	if (domain_is_localhost(place->domain)) {
		(void)dm_fail(err, DM_FAILED,
		    "sharing %s: names below %s lead every device to itself", claim->id.s,
		    place->domain);
		return dm_hint(err, "set [mesh] domain to one of your own, then: devmesh stop && "
				    "devmesh start; devmesh up");
	}
	if (!place->server.lan) {
		(void)dm_fail(err, DM_FAILED,
		    "sharing %s: Caddy listens on loopback addresses only", claim->id.s);
		return dm_hint(err, "%s",
		    own_mesh ? "set [lan] enabled = yes, then: devmesh stop && devmesh start"
			     : "devmesh setup --lan, or its addresses in Caddy's configuration");
	}
	if (place->how == CLAIM_MESH && place->server.gate_dir == NULL) {
		(void)dm_fail(err, DM_FAILED,
		    "sharing %s: Caddy's mesh route knows no sharing: it is open to every device",
		    claim->id.s);
		return dm_hint(err, "have it written anew: devmesh stop && devmesh start, or "
				    "devmesh setup");
	}
	if (place->how == CLAIM_MESH && strcmp(place->server.gate_dir, place->gate_dir) != 0) {
		(void)dm_fail(err, DM_FAILED,
		    "sharing %s: Caddy looks for what is shared in %s, and this is registered "
		    "with %s",
		    claim->id.s, place->server.gate_dir, place->gate_dir);
		return dm_hint(err, "register it anew, in its worktree: devmesh up");
	}
	return true;
}

/* ---- what is said ---------------------------------------------------------------------- */

static void
format_until(const struct share *share, char out[UNTIL_MAX])
{
	time_t t = (time_t)share->until;
	struct tm local;

	(void)localtime_r(&t, &local);
	if (share->until == GATE_FOREVER ||
	    strftime(out, UNTIL_MAX, "until %a %H:%M:%S, %F", &local) == 0)
		(void)snprintf(out, UNTIL_MAX, "until devmesh unshare");
}

/*
 * Other ways, for whoever is not on this network, where a program for them is at hand. They lead to
 * the server itself, so neither a password nor an end would be kept: for what is public alone.
 */
static void
say_tunnels(const struct claim *claim)
{
	DM_AUTO_FREE char *cloudflared = dm_find_program("cloudflared");
	DM_AUTO_FREE char *tailscale = dm_find_program("tailscale");

	if (cloudflared != NULL && claim->socket != NULL)
		dm_note(
		    "for the whole Internet, while it runs: cloudflared tunnel --unix-socket %s",
		    claim->socket);
	if (tailscale != NULL && claim->socket != NULL)
		dm_note("for your tailnet: tailscale serve unix:%s", claim->socket);
	if (tailscale != NULL && claim->port != 0)
		dm_note("for your tailnet: tailscale serve %u", (unsigned)claim->port);
}

static void
print_share(const struct cmd_ctx *ctx, const struct claim *claim, const struct wish *wish)
{
	static const char *const with[GATE_REACHES] = {
	    [GATE_LAN] = "devices of this network may open it",
	    [GATE_PASSWORD] = "whoever reaches this machine and has the password may open it",
	    [GATE_PUBLIC] = "whoever reaches this machine may open it"};
	char until[UNTIL_MAX];

	if (ctx->line->json) {
		cJSON *o = out_object();

		out_add_claim(o, claim);
		out_add_share(cJSON_AddObjectToObject(o, "share"), &wish->share);
		out_add_text(o, "password", wish->made ? wish->password : NULL);
		out_json(o);
		return;
	}
	format_until(&wish->share, until);
	dm_note("%s, %s", with[wish->share.reach], until);
	if (wish->made)
		dm_note("user %s, password %s", wish->share.user, wish->password);
	if (wish->share.reach == GATE_PUBLIC)
		say_tunnels(claim);
	(void)puts(claim->url);
}

/* ---- doing it -------------------------------------------------------------------------- */

static bool
check_owner(const struct claim *claim, struct dm_err *err)
{
	return claim->uid == geteuid() ||
	       dm_fail(err, DM_DENIED, "%s belongs to uid %u", claim->id.s, (unsigned)claim->uid);
}

/* A name that is not registered now, and may be shared all the same. */
static bool
unshare_name(struct cmd_ctx *ctx)
{
	DM_AUTO_FREE char *usual = identity_dir(ctx->session, false);
	DM_AUTO_FREE char *dir = usual == NULL ? NULL : share_dir(usual);
	struct dm_err err;
	struct slug id;
	bool was;

	if (dir == NULL || !slug_parse(cmd_arg(ctx, 0), &id, &err))
		return false;
	if (!share_end_in(dir, id.s, &was, &err)) {
		dm_warn("%s", err.msg);
		return false;
	}
	if (was && ctx->line->json) {
		cJSON *o = out_object();

		(void)cJSON_AddStringToObject(o, "id", id.s);
		(void)cJSON_AddItemToObject(o, "share", cJSON_CreateNull());
		(void)cJSON_AddBoolToObject(o, "was_shared", true);
		out_json(o);
	} else if (was) {
		dm_note("%s, which is not registered, is not shared any more", id.s);
	}
	return was;
}

static bool
unshare(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	struct dm_err later;
	bool was, wrote;
	cJSON *o;

	if (!cmd_claim(ctx, &claim, err))
		return err->code == DM_NOT_FOUND && cmd_arg(ctx, 0) != NULL && unshare_name(ctx);
	if (!check_owner(claim, err) || !share_end(claim, &was, err))
		return false;
	/* by now nobody gets in; what is left is a route that asks for a password in vain */
	if (was && !register_again(ctx->session, claim, &wrote, &later))
		dm_warn("%s", later.msg);
	if (ctx->line->json) {
		o = out_object();
		out_add_claim(o, claim);
		(void)cJSON_AddItemToObject(o, "share", cJSON_CreateNull());
		(void)cJSON_AddBoolToObject(o, "was_shared", was);
		out_json(o);
	} else {
		dm_note(was ? "%s is private again" : "%s was not shared", claim->id.s);
	}
	return true;
}

/*
 * The password is asked for by a route of its own, and that has to be there before anybody is let
 * in; a route is written for what the share's file says. So the file first: until the route is
 * there, the mesh route lets nobody in who needs a password.
 */
static bool
put_share(struct session *s, const struct claim *claim, const struct wish *wish, struct dm_err *err)
{
	struct placement place;
	struct dm_err later;
	bool was, wrote;

	if (!session_need_view(s, err))
		return dm_wrap(err, "sharing %s", claim->id.s);
	if (!check_claim(s, claim, err) || !placement_of(s, claim, &place, err) ||
	    !check_way(s, claim, &place, err))
		return false;
	if (share_put(claim, place.has_alias ? &claim->app : NULL, &wish->share, err) &&
	    register_again(s, claim, &wrote, err))
		return true;
	if (!share_end(claim, &was, &later))
		dm_warn("%s", later.msg);
	return dm_wrap(err, "sharing %s: nothing is shared", claim->id.s);
}

struct listing {
	struct session *s;
	struct table *table;
	cJSON *list;
};

static void
list_one(void *user, const struct share *share, const char *worktree)
{
	struct listing *l = user;
	dm_auto(claim) claim = NULL;
	char until[UNTIL_MAX];
	struct dm_err ignored;
	const char *url = NULL;

	if (registry_find(l->s->registry, share->id.s, &claim, &ignored) && claim != NULL &&
	    claim->uid == geteuid() && strcmp(claim->worktree, worktree) == 0)
		url = claim->url;
	if (l->list != NULL) {
		cJSON *o = cJSON_CreateObject();

		out_add_text(o, "id", share->id.s);
		out_add_text(o, "url", url);
		out_add_text(o, "worktree", worktree);
		out_add_share(cJSON_AddObjectToObject(o, "share"), share);
		(void)cJSON_AddItemToArray(l->list, o);
		return;
	}
	format_until(share, until);
	table_add(l->table, (const char *const[]){share->id.s, gate_reach_name(share->reach), until,
				url == NULL ? "(not registered)" : url});
}

/* Of every directory that Caddy may look into for a service of ours. */
static bool
list(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const char *const headings[] = {"ID", "SHARED WITH", "UNTIL", "URL", NULL};
	DM_AUTO_FREE char *usual = identity_dir(ctx->session, false);
	cJSON *o = ctx->line->json ? out_object() : NULL;
	struct table table;
	struct registry_claims claims;
	struct listing l = {.s = ctx->session, .table = &table};
	DM_AUTO_FREE const char **dirs = NULL;
	size_t count = 0;

	if (!session_need_registry(ctx->session, err) ||
	    !registry_scan(ctx->session->registry, &claims, err)) {
		cJSON_Delete(o);
		return false;
	}
	table_init(&table, headings);
	l.list = o == NULL ? NULL : cJSON_AddArrayToObject(o, "shares");
	dirs = dm_calloc(claims.count + 1, sizeof(*dirs));
	if (usual != NULL)
		dirs[count++] = usual;
	for (size_t i = 0; i < claims.count; i++) {
		const char *dir = claims.list[i]->identity;
		bool known = dir == NULL;

		for (size_t k = 0; !known && k < count; k++)
			known = strcmp(dirs[k], dir) == 0;
		if (!known)
			dirs[count++] = dir;
	}
	for (size_t i = 0; i < count; i++) {
		DM_AUTO_FREE char *dir = share_dir(dirs[i]);

		share_each(dir, list_one, &l);
	}
	if (o != NULL)
		out_json(o);
	else if (table.rows <= 1)
		dm_note("nothing is shared");
	else
		table_print(&table);
	table_release(&table);
	registry_claims_free(&claims);
	return true;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct wish wish = {.made = false};
	dm_auto(claim) claim = NULL;
	bool private;

	if (cmd_value(ctx, "list") != NULL)
		return list(ctx, err);
	if (!choose_reach(ctx, &wish.share.reach, &private, err))
		return false;
	if (private)
		return unshare(ctx, err);
	/* the password takes its time: the claim is read after it */
	if (!read_wish(ctx, &wish, err) || !cmd_claim(ctx, &claim, err) || !check_owner(claim, err))
		return false;
	wish.share.id = claim->id;
	if (!put_share(ctx->session, claim, &wish, err))
		return false;
	print_share(ctx, claim, &wish);
	return true;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"lan", 0, NULL, false, "with devices that have a private address (the default)"},
    {"password", 0, NULL, false, "with whoever logs in; a password is made and printed"},
    {"public", 0, NULL, false, "with everybody who reaches this machine"},
    {"private", 0, NULL, false, "with nobody any more, as devmesh unshare"},
    {"expires", 0, "TIME", false, "for that long: 30m, 24h, 7d"},
    {"user", 0, "NAME", false, "who logs in (devmesh)"},
    {"password-file", 0, "FILE", false, "take the password from its first line; -: from stdin"},
    {"list", 'l', NULL, false, "show what is shared"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_share;
const struct cmd cmd_share = {
    .name = "share",
    .args = "[ID]",
    .max_args = 1,
    .summary = "let other devices open a service; without this they cannot",
    .help =
	"Other devices get a page that says so, for what is not shared. Caddy itself sees to\n"
	"it, and to the end of --expires, whether or not devmeshd runs; a connection that is\n"
	"open then, a WebSocket for instance, stays open. A share lasts while the worktree keeps\n"
	"its name: devmesh down ends it, a restart of the server does not.",
    .opts = opts,
    .run = run,
};

static const struct cmd_opt unshare_opts[] = {
    CMD_OPT_DIRECTORY,
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_unshare;
const struct cmd cmd_unshare = {
    .name = "unshare",
    .args = "[ID]",
    .max_args = 1,
    .summary = "let only this machine open a service again",
    .opts = unshare_opts,
    .run = unshare,
};
