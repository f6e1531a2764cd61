/* SPDX-License-Identifier: MIT */
/* url, name and env: what is known of one service, without asking Caddy. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cmd.h"
#include "out.h"
#include "siblings.h"

static bool
fail_no_url(const struct claim *claim, struct dm_err *err)
{
	(void)dm_fail(err, DM_NOT_FOUND, "%s has not been registered to its end", claim->id.s);
	return dm_hint(err, "devmesh up -C '%s'", claim->worktree);
}

static bool
run_url(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;

	if (!cmd_claim(ctx, &claim, err))
		return false;
	if (claim->url == NULL)
		return fail_no_url(claim, err);
	out_url(claim, ctx->line->json);
	return true;
}

/* Everything that `name` has to say. */
struct explanation {
	const struct repo *repo;
	const struct name *name;
	const char *id; /* the one that is, or would be, claimed */
	bool held;
};

static void
print_name_json(const struct explanation *e)
{
	cJSON *o = out_object(), *from;

	(void)cJSON_AddStringToObject(o, "id", e->id);
	(void)cJSON_AddStringToObject(o, "app", e->name->app.s);
	out_add_text(o, "branch", e->repo->branch);
	out_add_text(o, "worktree", e->repo->worktree);
	(void)cJSON_AddBoolToObject(o, "git", e->repo->is_git);
	(void)cJSON_AddBoolToObject(o, "claimed", e->held);
	(void)cJSON_AddBoolToObject(o, "collision", strcmp(e->id, e->name->id.s) != 0);
	out_add_text(o, "alias", e->name->has_alias ? e->name->app.s : NULL);
	from = cJSON_AddObjectToObject(o, "from");
	(void)cJSON_AddStringToObject(from, "id", e->name->id_from);
	(void)cJSON_AddStringToObject(from, "app", e->name->app_from);
	(void)cJSON_AddStringToObject(from, "branch", e->name->branch_from);
	out_json(o);
}

static void
print_explanation(const struct explanation *e)
{
	DM_AUTO_FREE char *branch =
	    dm_printable(e->repo->branch == NULL ? "(none)" : e->repo->branch);
	DM_AUTO_FREE char *worktree = dm_printable(e->repo->worktree);

	(void)printf("id        %s\n          from: %s\n", e->id, e->name->id_from);
	if (strcmp(e->id, e->name->id.s) != 0)
		(void)printf("          %s is another worktree's, so a hash of app and branch is "
			     "appended\n",
		    e->name->id.s);
	(void)printf("app       %s\n          from: %s\n", e->name->app.s, e->name->app_from);
	(void)printf("branch    %s\n          from: %s\n", branch, e->name->branch_from);
	(void)printf("worktree  %s%s\n", worktree,
	    !e->repo->is_git	 ? " (not a git repository)"
	    : e->repo->is_linked ? " (linked)"
				 : "");
	(void)printf("claimed   %s\n", e->held ? "yes" : "no");
	if (e->name->has_alias)
		(void)printf(
		    "alias     %s, if nobody claims it (default branch)\n", e->name->app.s);
}

static bool
run_name(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct name_flags flags = cmd_name_flags(ctx);
	dm_auto(repo) repo = NULL;
	struct name name;
	struct slug id;
	struct explanation e;
	bool held;

	if (!session_name(ctx->session, &flags, &repo, &name, err) ||
	    !session_need_registry(ctx->session, err) ||
	    !registry_resolve(
		ctx->session->registry, &name, repo->worktree, false, &id, &held, err))
		return false;
	e = (struct explanation){.repo = repo, .name = &name, .id = id.s, .held = held};
	if (ctx->line->json)
		print_name_json(&e);
	else if (cmd_value(ctx, "explain") != NULL)
		print_explanation(&e);
	else
		(void)puts(id.s);
	return true;
}

/* A shell assignment: single quotes, which sh, bash, zsh and fish read alike. */
static void
print_export(const char *name, const char *value)
{
	(void)printf("export %s='", name);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\'')
			(void)fputs("'\\''", stdout);
		else
			(void)putchar(*p);
	}
	(void)puts("'");
}

struct variable {
	const char *name;
	const char *value; /* NULL: not set */
};

/* One variable, to the JSON object or to the shell. */
static void
put_variable(const struct cmd_ctx *ctx, cJSON *env, const char *name, const char *value)
{
	if (ctx->line->json)
		out_add_text(env, name, value);
	else
		/* empty rather than left out: the shell may hold an earlier value */
		print_export(name, value == NULL ? "" : value);
}

static void
put_siblings(const struct cmd_ctx *ctx, cJSON *env, const struct siblings *siblings)
{
	for (size_t i = 0; i < siblings->count; i++) {
		const char *text = siblings->list[i];
		DM_AUTO_FREE char *name = dm_strndup(text, strcspn(text, "="));

		put_variable(ctx, env, name, text + strlen(name) + 1);
	}
}

static bool
run_env(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	struct siblings siblings = {.count = 0};
	char port[8] = "";

	if (!cmd_claim(ctx, &claim, err))
		return false;
	if (claim->url == NULL)
		return fail_no_url(claim, err);
	if (cmd_value(ctx, "all") != NULL && !siblings_find(ctx->session, claim, &siblings, err))
		return false;
	if (claim->port != 0)
		(void)snprintf(port, sizeof(port), "%u", (unsigned)claim->port);
	{
		const struct variable vars[] = {
		    {"DEVMESH_URL", claim->url},
		    {"DEVMESH_HOST", claim->host},
		    {"DEVMESH_ID", claim->id.s},
		    {"DEVMESH_APP_NAME", claim->app.s},
		    {"DEVMESH_BRANCH", claim->branch},
		    {"DEVMESH_SOCKET", claim->socket},
		    {"DEVMESH_PORT", claim->port != 0 ? port : NULL},
		    {"DEVMESH_WORKTREE", claim->worktree},
		};
		cJSON *o = out_object(), *env = cJSON_AddObjectToObject(o, "env");

		for (size_t i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
			put_variable(ctx, env, vars[i].name, vars[i].value);
		put_siblings(ctx, env, &siblings);
		if (ctx->line->json)
			out_json(o);
		else
			cJSON_Delete(o);
	}
	siblings_release(&siblings);
	return true;
}

static const struct cmd_opt directory_opts[] = {CMD_OPT_DIRECTORY, {NULL, 0, NULL, false, NULL}};

static const struct cmd_opt env_opts[] = {
    CMD_OPT_DIRECTORY,
    {"all", 0, NULL, false, "also DEVMESH_URL_<APP> of the other services of this branch"},
    {NULL, 0, NULL, false, NULL},
};

static const struct cmd_opt name_opts[] = {
    CMD_OPT_DIRECTORY,
    {"app", 0, "NAME", false, "name of the app, before DEVMESH_APP and .id"},
    {"id", 0, "ID", false, "the whole name"},
    {"explain", 0, NULL, false, "say where each part comes from"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_url, cmd_name, cmd_env;

const struct cmd cmd_url = {
    .name = "url",
    .args = "[ID]",
    .max_args = 1,
    .summary = "print the URL of a registered service",
    .opts = directory_opts,
    .run = run_url,
};

const struct cmd cmd_name = {
    .name = "name",
    .args = "",
    .summary = "print the name that this worktree has, or would get",
    .opts = name_opts,
    .run = run_name,
};

const struct cmd cmd_env = {
    .name = "env",
    .args = "[ID]",
    .max_args = 1,
    .summary = "print shell assignments: eval \"$(devmesh env)\"",
    .help = "DEVMESH_URL, DEVMESH_HOST, DEVMESH_ID, DEVMESH_APP_NAME, DEVMESH_BRANCH,\n"
	    "DEVMESH_SOCKET or DEVMESH_PORT, and DEVMESH_WORKTREE. With --all also the URLs of\n"
	    "other apps on the same branch, as DEVMESH_URL_API: a front end finds the back end\n"
	    "that belongs to it.",
    .opts = env_opts,
    .run = run_env,
};
