/* SPDX-License-Identifier: MIT */
/*
 * Hooks as the tools call them: git for real; worktrunk by a stand-in (a script named wt, which
 * gives the hooks the JSON that its documentation describes: the program itself is not packaged);
 * the others by their command lines. And what the hooks stand on: down and gc --worktree, and
 * env --all.
 */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

/* A directory in front of PATH where devmesh is the one under test. */
static char *
bin_dir(struct world *w)
{
	char *dir = make_dir(w, "bin");

	assert_int_equal(symlink(w->devmesh, fmt(w, "%s/devmesh", dir)), 0);
	world_env(w, "PATH", fmt(w, "%s:%s", dir, getenv("PATH")));
	return dir;
}

static void
put_script(struct world *w, const char *path, const char *text)
{
	(void)w;
	write_text(path, text);
	assert_int_equal(chmod(path, 0755), 0);
}

/* devmesh hook <words> with this on standard input. */
static struct result
hook(struct world *w, const char *dir, const char *words, const char *input)
{
	char *file = fmt(w, "%s/input-%u", w->dir, w->serial++);

	write_text(file, input);
	return run(
	    w, dir, ARGV("sh", "-c", "exec \"$0\" hook $1 <\"$2\"", w->devmesh, words, file));
}

TEST(git_registers_a_new_worktree)
{
	char *repo = repo_new(w, "shop"), *wt = fmt(w, "%s/new", w->dir);
	char *path = fmt(w, "%s/.git/hooks/post-checkout", repo);

	bin_dir(w);
	caddy_mesh(w, "");
	/* a hook of the user's, which ends itself */
	put_script(w, path, fmt(w, "#!/bin/sh\nset -e\necho \"$3\" >>%s/ran\nexit 0\n", w->dir));
	assert_exit(w, DM(w, repo, "init", "git", "--yes"), 0);
	GIT(w, repo, "worktree", "add", "-q", "-b", "feature/x", wt);
	assert_string_equal(read_text(w, fmt(w, "%s/ran", w->dir)), "1\n");
	assert_string_equal(json_str(claim_of(w, "shop-feature-x"), "worktree"), wt);
	serve_id(w, "shop-feature-x");
	assert_answers(w, "shop-feature-x.dev.test", "shop-feature-x");
	/* a switch in a worktree that is registered registers the new branch, in others nothing */
	GIT(w, wt, "switch", "-q", "-c", "y");
	assert_non_null(claim_of(w, "shop-y"));
	GIT(w, repo, "switch", "-q", "-c", "z");
	assert_null(claim_of(w, "shop-z"));
	assert_exit(w, DM(w, repo, "init", "git", "--remove", "--yes"), 0);
	GIT(w, repo, "worktree", "add", "-q", "-b", "later", fmt(w, "%s/later", w->dir));
	assert_null(claim_of(w, "shop-later"));
}

/* A caller's GIT_DIR names another repository than the one that is worked in. */
TEST(git_variables_do_not_mislead)
{
	char *repo = repo_new(w, "shop"), *other = repo_new(w, "other");
	const char *zero = "0000000000000000000000000000000000000000";

	caddy_mesh(w, "");
	world_env(w, "GIT_DIR", fmt(w, "%s/.git", other));
	world_env(w, "GIT_WORK_TREE", other);
	assert_exit(w, DM(w, repo, "hook", "git", zero, "1234", "1"), 0);
	assert_non_null(claim_of(w, "shop-main"));
	assert_null(claim_of(w, "other-main"));
}

TEST(git_goes_on_whatever_happens)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	bin_dir(w);
	assert_exit(w, DM(w, repo, "init", "git", "--yes"), 0);
	/* no Caddy at all */
	world_env(w, "DEVMESH_CADDY_ADMIN", fmt(w, "http://localhost:%d", free_port(w)));
	r = GIT(w, repo, "worktree", "add", "-b", "x", fmt(w, "%s/x", w->dir));
	assert_non_null(strstr(r.err, "devmesh: hook git: "));
	world_env(w, "DEVMESH", "0");
	r = GIT(w, repo, "worktree", "add", "-b", "y", fmt(w, "%s/y", w->dir));
	assert_null(strstr(r.err, "devmesh"));
	world_env(w, "DEVMESH", NULL);
	world_env(w, "DEVMESH_CONFIG", fmt(w, "%s/none.ini", w->dir));
	GIT(w, repo, "worktree", "add", "-b", "z", fmt(w, "%s/z", w->dir));
}

/*
 * The stand-in: `wt switch BRANCH` and `wt remove BRANCH` run the commands of .config/wt.toml as
 * worktrunk does, post-start ones in the background; variables go to a file.
 */
static const char wt_script[] =
    "#!/bin/sh\n"
    "set -e\n"
    "[ \"$1\" = -C ] && { cd \"$2\"; shift 2; }\n"
    "dir=$(dirname \"$(git rev-parse --path-format=absolute --git-common-dir)\")-$2\n"
    "hooks() {\n"
    "	json=$(printf '{\"hook_type\":\"%s\",\"worktree_path\":\"%s\",\"branch\":\"%s\","
    "\"repo\":\"shop\",\"vars\":{},\"args\":[]}' \"$1\" \"$dir\" \"$2\")\n"
    "	sed -n \"/^\\[*$1\\]/,/^\\$/p\" \"$3/.config/wt.toml\" | sed -n 's/^[a-z-]* = "
    "\"\\(.*\\)\"$/\\1/p' |\n"
    "	while read -r line; do\n"
    "		case $line in *tether*)\n"
    "			[ -z \"$WT_TETHER\" ] || setsid sh -c \"$line\" </dev/null >/dev/null 2>&1 "
    "&\n"
    "			continue ;;\n"
    "		esac\n"
    "		printf '%s' \"$json\" | sh -c \"$line\"\n"
    "	done\n"
    "}\n"
    "case $1 in\n"
    "switch) git worktree add -q -b \"$2\" \"$dir\"; cd \"$dir\"; hooks post-start \"$2\" . ;;\n"
    "remove) here=$PWD; cd \"$dir\"; hooks pre-remove \"$2\" \"$here\"; cd \"$here\"\n"
    "	git worktree remove --force \"$dir\"; hooks post-remove \"$2\" . ;;\n"
    "step) [ \"$2 $3\" = 'tether --' ]; shift 3; exec \"$@\" ;;\n"
    "config) [ \"$2 $3 $4\" = 'state vars set' ]; echo \"$PWD $5\" >>\"$WT_VARS\" ;;\n"
    "esac\n";

TEST(worktrunk_from_beginning_to_end)
{
	char *repo = repo_new(w, "shop"), *vars = fmt(w, "%s/vars", w->dir);
	char *wt = fmt(w, "%s-x", repo), *sock = fmt(w, "%s/shop-x.sock", w->sockets);
	struct proc *server;

	put_script(w, fmt(w, "%s/wt", bin_dir(w)), wt_script);
	world_env(w, "WT_VARS", vars);
	caddy_mesh(w, "");
	assert_exit(w, DM(w, repo, "init", "worktrunk", "--command", "node server.js", "--yes"), 0);
	GIT(w, repo, "add", ".config");
	GIT(w, repo, "commit", "-q", "-m", "wt");
	/* the server that its other command would have started */
	server = serve_unix(w, sock, "shop-x");
	run_ok(w, repo, ARGV("wt", "switch", "x"));
	assert_answers(w, "shop-x.dev.test", "shop-x");
	assert_string_equal(
	    read_text(w, vars), fmt(w, "%s url=%s\n", wt, json_str(claim_of(w, "shop-x"), "url")));
	end_proc(w, server);
	run_ok(w, repo, ARGV("wt", "remove", "x"));
	assert_null(claim_of(w, "shop-x"));
	assert_false(exists(sock));
	assert_int_equal(count_claims(w), 0);
}

/* The example as it stands, its server included. */
TEST(worktrunk_example)
{
	static const char server[] = "require('http').createServer((q, r) => r.end('example'))"
				     ".listen(process.env.PORT, '127.0.0.1');\n";
	char *repo = repo_new(w, "shop"), *vars = fmt(w, "%s/vars", w->dir);
	char *example = fmt(w, "%s/examples/worktrunk/.config", source_dir());

	put_script(w, fmt(w, "%s/wt", bin_dir(w)), wt_script);
	world_env(w, "WT_VARS", vars);
	world_env(w, "WT_TETHER", "1");
	caddy_mesh(w, "");
	run_ok(w, repo, ARGV("cp", "-R", example, "."));
	write_text(fmt(w, "%s/server.js", repo), server);
	write_text(fmt(w, "%s/package.json", repo), "{\"scripts\":{\"dev\":\"node server.js\"}}\n");
	GIT(w, repo, "add", ".");
	GIT(w, repo, "commit", "-q", "-m", "wt");
	run_ok(w, repo, ARGV("wt", "switch", "x"));
	assert_answers(w, "shop-x.dev.test", "example");
	assert_non_null(strstr(read_text(w, vars), json_str(claim_of(w, "shop-x"), "url")));
	run_ok(w, repo, ARGV("wt", "remove", "x"));
	assert_int_equal(count_claims(w), 0);
	assert_false(exists(fmt(w, "%s/shop-x.sock", w->sockets)));
}

/* Before the removal the server may live: then its service is left to post-remove. */
TEST(worktrunk_leaves_a_live_server_until_the_worktree_is_gone)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x"), *json;
	struct proc *server;

	caddy_mesh(w, "");
	up_ok(w, wt);
	server = serve_id(w, "shop-x");
	json = fmt(w, "{\"hook_type\":\"pre-remove\",\"worktree_path\":\"%s\"}", wt);
	assert_exit(w, hook(w, wt, "worktrunk", json), 0);
	assert_non_null(claim_of(w, "shop-x"));
	end_proc(w, server);
	remove_tree(wt);
	json = fmt(w, "{\"hook_type\":\"post-remove\",\"worktree_path\":\"%s\"}", wt);
	assert_exit(w, hook(w, repo, "worktrunk", json), 0);
	assert_null(claim_of(w, "shop-x"));
	assert_false(exists(fmt(w, "%s/shop-x.sock", w->sockets)));
}

TEST(what_cannot_be_understood_does_nothing)
{
	static const char *const inputs[] = {"", "not JSON", "[]", "{}", "{\"hook_type\":\"else\"}",
	    "{\"hook_type\":\"post-remove\",\"worktree_path\":\"relative\"}",
	    "{\"hook_type\":\"post-remove\"}", "{\"hook_type\":\"pre-merge\",\"cwd\":7}"};
	char *repo = repo_new(w, "shop");

	caddy_mesh(w, "");
	up_ok(w, repo);
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct result r = hook(w, repo, "worktrunk --json", inputs[i]);

		assert_exit(w, r, 0);
		assert_string_equal(json_str(json_of(w, r.out), "action"), "none");
		assert_non_null(claim_of(w, "shop-main"));
	}
	assert_error(w, DM(w, repo, "hook"), 2, "no tool");
	assert_error(w, DM(w, repo, "hook", "nonsense"), 2, "no such tool");
}

/* The form that Claude Code documents for SessionStart. */
static const char *
context_of(struct world *w, const char *dir)
{
	static const char start[] = "{\"session_id\":\"1\",\"transcript_path\":\"/t\",\"hook_event_"
				    "name\":\"SessionStart\",\"source\":\"startup\"}";
	struct result r = hook(w, dir, "claude", start);
	cJSON *o, *inner;

	assert_exit(w, r, 0);
	assert_string_equal(r.err, "");
	o = json_of(w, r.out);
	assert_int_equal(cJSON_GetArraySize(o), 1);
	inner = cJSON_GetObjectItem(o, "hookSpecificOutput");
	assert_int_equal(cJSON_GetArraySize(inner), 2);
	assert_string_equal(json_str(inner, "hookEventName"), "SessionStart");
	return json_str(inner, "additionalContext");
}

TEST(claude_is_told_its_url)
{
	char *repo = repo_new(w, "shop"), *plain = make_dir(w, "plain"), *wt;
	const char *text;
	struct result r;

	/* also without Caddy */
	text = context_of(w, repo);
	assert_non_null(strstr(text, "shop-main"));
	assert_non_null(strstr(text, "devmesh up"));
	caddy_mesh(w, "");
	up_ok(w, repo);
	text = context_of(w, repo);
	assert_non_null(strstr(text, json_str(claim_of(w, "shop-main"), "url")));
	assert_non_null(strstr(text, "is not running"));
	serve_id(w, "shop-main");
	assert_non_null(strstr(context_of(w, repo), "is running"));
	r = hook(w, plain, "claude", "{\"hook_event_name\":\"SessionStart\"}");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "");
	r = hook(w, plain, "claude", fmt(w, "{\"cwd\":\"%s\"}", repo));
	assert_non_null(strstr(r.out, "shop-main"));
	wt = worktree_add(w, repo, "x");
	up_ok(w, wt);
	assert_exit(w,
	    hook(w, repo, "claude",
		fmt(w, "{\"hook_event_name\":\"WorktreeRemove\",\"worktree_path\":\"%s\"}", wt)),
	    0);
	assert_null(claim_of(w, "shop-x"));
	assert_non_null(claim_of(w, "shop-main"));
}

TEST(workspaces_of_other_tools)
{
	static const struct {
		const char *tool, *variable, *end;
	} rows[] = {{"conductor", "CONDUCTOR_WORKSPACE_PATH", "archive"},
	    {"codex", "CODEX_WORKTREE_PATH", "cleanup"}, {"cursor", "UNUSED", "cleanup"}};
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");

	caddy_mesh(w, "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool named = strcmp(rows[i].variable, "UNUSED") != 0;

		world_env(w, rows[i].variable, wt);
		assert_exit(w, DM(w, named ? repo : wt, "hook", rows[i].tool, "setup"), 0);
		assert_non_null(claim_of(w, "shop-x"));
		assert_exit(w, DM(w, named ? repo : wt, "hook", rows[i].tool, rows[i].end), 0);
		assert_null(claim_of(w, "shop-x"));
		assert_int_equal(count_claims(w), 0);
		world_env(w, rows[i].variable, NULL);
	}
}

TEST(down_and_gc_of_one_worktree)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x"), *link;
	struct result r;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	GIT(w, wt, "switch", "-q", "-c", "y");
	up_ok(w, wt);
	/* by another name of its parent, and after it has gone */
	link = fmt(w, "%s/link", w->dir);
	assert_int_equal(symlink(w->dir, link), 0);
	assert_exit(w, DM(w, repo, "gc", "--worktree", wt), 0);
	assert_int_equal(count_claims(w), 3);
	stale_socket(fmt(w, "%s/shop-x.sock", w->sockets));
	stale_socket(fmt(w, "%s/shop-main.sock", w->sockets));
	remove_tree(wt);
	r = DM(w, repo, "gc", "--dry-run", "--worktree", wt);
	assert_non_null(strstr(r.out, "shop-x"));
	assert_null(strstr(r.out, "shop-main"));
	assert_exit(w, DM(w, repo, "gc", "--worktree", fmt(w, "%s%s", link, strrchr(wt, '/'))), 0);
	assert_int_equal(count_claims(w), 1);
	assert_false(exists(fmt(w, "%s/shop-x.sock", w->sockets)));
	/* nobody asked for this one */
	assert_true(exists(fmt(w, "%s/shop-main.sock", w->sockets)));
	assert_exit(w, DM(w, w->dir, "down", "--worktree", fmt(w, "%s/../shop", repo)), 0);
	assert_int_equal(count_claims(w), 0);
	r = DM(w, w->dir, "down", "--worktree", wt);
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "nothing is registered"));
	assert_error(w, DM(w, repo, "down", "--worktree", wt, "--all"), 2, "--all");
}

/* A front end finds the back end of its own branch. */
TEST(env_all_names_the_services_of_the_branch)
{
	char *web = repo_new(w, "web"), *api = repo_new(w, "web-api"), *clone, *wt, *near;
	char *mine = worktree_add(w, web, "x"), *theirs = worktree_add(w, api, "x");
	const cJSON *env;
	const char *out, *url;

	caddy_mesh(w, "");
	up_ok(w, web);
	up_ok(w, api);
	up_ok(w, mine);
	up_ok(w, theirs);
	url = json_str(claim_of(w, "web-api-x"), "url");
	out = DM(w, mine, "env", "--all").out;
	assert_non_null(strstr(out, fmt(w, "\nexport DEVMESH_URL_WEB_API='%s'\n", url)));
	assert_null(strstr(out, "DEVMESH_URL_WEB="));
	assert_null(strstr(out, "api-main"));
	assert_null(strstr(DM(w, mine, "env").out, "DEVMESH_URL_"));
	env = cJSON_GetObjectItem(json_of(w, DM(w, mine, "env", "--all", "--json").out), "env");
	assert_string_equal(json_str(env, "DEVMESH_URL_WEB_API"), url);
	/* an app of the same worktree is nearer than that of another */
	near = line_of(w, DM(w, mine, "up", "--app", "web-api"));
	out = DM(w, mine, "env", "web-x", "--all").out;
	assert_non_null(strstr(out, fmt(w, "DEVMESH_URL_WEB_API='%s'", near)));
	assert_exit(w, DM(w, mine, "down", id_of_url(w, near)), 0);
	/* of two clones the older one, always; it is said */
	clone = fmt(w, "%s/clone", w->dir);
	GIT(w, w->dir, "clone", "-q", api, clone);
	wt = worktree_add(w, clone, "x");
	assert_exit(w, DM(w, wt, "up", "--app", "web-api"), 0);
	out = DM(w, mine, "env", "--all").out;
	url = json_str(claim_of(w, "web-api-x"), "url");
	assert_non_null(strstr(out, fmt(w, "DEVMESH_URL_WEB_API='%s'", url)));
	assert_non_null(strstr(DM(w, mine, "env", "--all").err, "web-api is there twice"));
	/* a worktree that is gone is no neighbour */
	remove_tree(theirs);
	remove_tree(wt);
	assert_null(strstr(DM(w, mine, "env", "--all").out, "DEVMESH_URL_"));
}

/* What .envrc runs must not be felt, least of all without Caddy. */
TEST(direnv_has_the_variables)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	bin_dir(w);
	caddy_mesh(w, "");
	up_ok(w, repo);
	end_proc(w, w->caddy);
	assert_exit(w, DM(w, repo, "init", "direnv", "--yes"), 0);
	run_ok(w, repo, ARGV("direnv", "allow"));
	r = run_ok(w, repo, ARGV("direnv", "exec", ".", "sh", "-c", "echo $DEVMESH_URL"));
	assert_string_equal(line_of(w, r), json_str(claim_of(w, "shop-main"), "url"));
	/* and where nothing is registered, nothing is in the way */
	assert_exit(w, DM(w, repo, "down", "--all"), 0);
	r = run_ok(w, repo, ARGV("direnv", "exec", ".", "sh", "-c", "echo x$DEVMESH_URL"));
	assert_string_equal(line_of(w, r), "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(git_registers_a_new_worktree),
	    WORLD_TEST(git_variables_do_not_mislead),
	    WORLD_TEST(git_goes_on_whatever_happens),
	    WORLD_TEST(worktrunk_from_beginning_to_end),
	    WORLD_TEST(worktrunk_example),
	    WORLD_TEST(worktrunk_leaves_a_live_server_until_the_worktree_is_gone),
	    WORLD_TEST(what_cannot_be_understood_does_nothing),
	    WORLD_TEST(claude_is_told_its_url),
	    WORLD_TEST(workspaces_of_other_tools),
	    WORLD_TEST(down_and_gc_of_one_worktree),
	    WORLD_TEST(env_all_names_the_services_of_the_branch),
	    WORLD_TEST(direnv_has_the_variables),
	};

	return RUN_TESTS(tests);
}
