/* SPDX-License-Identifier: MIT */
/* The doctor on one worktree: what its frameworks and tools are set to. Files are only read. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/str.h"
#include "doctor.h"
#include "doctor_text.h"
#include "repo/repo.h"
#include "run/traps.h"

enum {
	FILE_MAX = 262144,
	PATH_LENGTH = 512,
	FINDINGS_MAX = 8,
};

/* The text of "<dir>/<name>"; NULL if there is none. The caller owns it. */
static char *
read_below(const char *dir, const char *name)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, name);

	return doctor_read(path, FILE_MAX);
}

/* Whether package.json in the directory depends on a package. */
static bool
depends_on(const char *dir, const char *package)
{
	static const char *const lists[] = {"dependencies", "devDependencies"};
	DM_AUTO_FREE char *text = read_below(dir, "package.json");
	cJSON *o = text == NULL ? NULL : cJSON_Parse(text);
	bool found = false;

	for (size_t i = 0; i < 2; i++)
		found |= cJSON_GetObjectItemCaseSensitive(
			     cJSON_GetObjectItemCaseSensitive(o, lists[i]), package) != NULL;
	cJSON_Delete(o);
	return found;
}

/* Which file a rule is about here, and its text ("" for a package without a file). */
static char *
text_for(const struct doctor *d, const struct trap_rule *rule, char name[PATH_LENGTH])
{
	DM_AUTO_FREE char *manage = NULL;
	char *text;

	if (dm_starts_with(rule->id, "django")) {
		manage = read_below(d->dir, "manage.py");
		if (manage == NULL || !trap_django_settings(manage, name, PATH_LENGTH))
			return NULL;
		return read_below(d->dir, name);
	}
	for (size_t i = 0; i < TRAP_FILES_MAX && rule->files[i] != NULL; i++) {
		if ((text = read_below(d->dir, rule->files[i])) == NULL)
			continue;
		(void)snprintf(name, PATH_LENGTH, "%s", rule->files[i]);
		return text;
	}
	if (rule->package == NULL || !depends_on(d->dir, rule->package))
		return NULL;
	(void)snprintf(name, PATH_LENGTH, "%s", rule->files[0]);
	return dm_strdup("");
}

void
doctor_check_trap(struct doctor *d)
{
	for (size_t i = 0; i < trap_rule_count; i++) {
		const struct trap_rule *rule = &trap_rules[i];
		DM_AUTO_FREE char *text = NULL, *code = NULL, *what = NULL, *why = NULL,
				  *fix = NULL;
		char name[PATH_LENGTH];

		if (strcmp(rule->id, d->current->id) != 0 ||
		    (text = text_for(d, rule, name)) == NULL)
			continue;
		code = trap_code(text, name);
		if (!rule->seems(code, d->domain))
			continue;
		what = trap_text(rule->what, d->domain);
		why = trap_text(rule->why, d->domain);
		fix = trap_text(rule->fix, d->domain);
		doctor_say(d, rule->serious ? DOCTOR_WARNING : DOCTOR_NOTE, "%s %s", name, what);
		doctor_why(d, "%s", why);
		doctor_fix(d, "%s", fix);
	}
}

void
doctor_check_env_files(struct doctor *d)
{
	static const char *const files[] = {
	    ".env", ".env.local", ".env.development", ".env.development.local"};
	unsigned found = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		DM_AUTO_FREE char *text = read_below(d->dir, files[i]);
		unsigned line = 0;
		char name[64];

		while (text != NULL && found < FINDINGS_MAX &&
		       (line = trap_env_line(text, line, name)) != 0) {
			found++;
			doctor_say(d, DOCTOR_NOTE,
			    "%s:%u: %s leads to a fixed port of this machine", files[i], line,
			    name);
			doctor_why(d, "that may be the server of another worktree");
			doctor_fix(
			    d, "devmesh env --all    (has the URLs of this branch's services)");
		}
	}
}

/* Says it if the Node.js here is too old for what a package.json asks for. */
static void
check_engines(struct doctor *d, const char *file, unsigned version, const char *shown)
{
	DM_AUTO_FREE char *text = read_below(d->dir, file);
	cJSON *o = text == NULL ? NULL : cJSON_Parse(text);
	const cJSON *range = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(o, "engines"), "node");

	if (cJSON_IsString(range) && !text_version_fits(version, range->valuestring)) {
		doctor_say(d, DOCTOR_WARNING, "Node.js is %s, and %s asks for %s", shown, file,
		    range->valuestring);
		doctor_why(d, "it may fail to start, or behave in ways nobody tests");
		doctor_fix(d, "install another Node.js, for example: mise use node@lts");
	}
	cJSON_Delete(o);
}

void
doctor_check_node(struct doctor *d)
{
	static const char *const tools[] = {"vite", "next", "astro", "nuxt", "@angular/cli",
	    "@react-router/dev", "webpack-dev-server", "storybook", "expo"};
	const char *argv[] = {"node", "--version", NULL};
	DM_AUTO_FREE char *package = read_below(d->dir, "package.json");
	DM_AUTO_FREE char *shown = NULL;
	unsigned version;

	if (package == NULL)
		return;
	shown = doctor_output(d, argv);
	if (shown == NULL || (version = text_version(shown)) == 0) {
		doctor_skip(d, "node does not say its version");
		return;
	}
	check_engines(d, "package.json", version, shown);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		DM_AUTO_FREE char *file = dm_asprintf("node_modules/%s/package.json", tools[i]);

		check_engines(d, file, version, shown);
	}
}

/* What a configuration of worktrunk's has that does not do what it says. */
static void
check_wt_file(struct doctor *d, const char *path, const char *text)
{
	if (!trap_toml_key(text, "post-create"))
		return;
	doctor_say(d, DOCTOR_WARNING, "%s has a post-create hook", path);
	doctor_why(d,
	    "since worktrunk 0.53 it runs in the background like post-start, where it once "
	    "held up what follows; versions between refuse it");
	doctor_fix(d, "rename it to post-start (in the background) or pre-start (waited for)");
}

void
doctor_check_worktrunk(struct doctor *d)
{
	const char *argv[] = {"wt", "--version", NULL};
	DM_AUTO_FREE char *user = dm_user_config_file();
	DM_AUTO_FREE char *dir = user == NULL ? NULL : dm_path_dir(user);
	DM_AUTO_FREE char *base = dir == NULL ? NULL : dm_path_dir(dir);
	DM_AUTO_FREE char *path =
	    base == NULL ? NULL : dm_asprintf("%s/worktrunk/config.toml", base);
	DM_AUTO_FREE char *own = path == NULL ? NULL : doctor_read(path, FILE_MAX);
	DM_AUTO_FREE char *project = read_below(d->dir, ".config/wt.toml");
	DM_AUTO_FREE char *shown = NULL;
	unsigned version;

	if (project != NULL)
		check_wt_file(d, ".config/wt.toml", project);
	if (own != NULL)
		check_wt_file(d, path, own);
	if ((project == NULL && own == NULL) || (shown = doctor_output(d, argv)) == NULL)
		return;
	version = text_version(shown);
	if (version != 0 && version < VERSION(0, 61, 0)) {
		doctor_say(d, DOCTOR_WARNING, "worktrunk is %s", shown);
		doctor_why(d, "the hooks and the URL column of devmesh init worktrunk need 0.61");
		doctor_fix(d, "cargo install worktrunk    (Homebrew: brew upgrade worktrunk)");
	}
}

void
doctor_check_git_hooks(struct doctor *d)
{
	const char *argv[] = {"git", "-C", d->dir, "config", "core.hooksPath", NULL};
	struct dm_err ignored;
	dm_auto(repo) repo = repo_open(d->dir, &ignored);
	DM_AUTO_FREE char *hook = NULL, *elsewhere = NULL;

	if (repo == NULL || repo->common_dir == NULL)
		return;
	hook = read_below(repo->common_dir, "hooks/post-checkout");
	if (hook == NULL || strstr(hook, "devmesh") == NULL ||
	    (elsewhere = doctor_output(d, argv)) == NULL || elsewhere[0] == '\0')
		return;
	doctor_say(d, DOCTOR_WARNING, "git takes its hooks from %s, not from %s/hooks", elsewhere,
	    repo->common_dir);
	doctor_why(d, "the post-checkout hook that calls devmesh never runs");
	doctor_fix(d, "git config --unset core.hooksPath    (or: devmesh init git)");
}
