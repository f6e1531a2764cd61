/* SPDX-License-Identifier: MIT */
/* The tools whose files are JSON. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "edit/json.h"
#include "init.h"
#include "skill.h"

#define RUN "devmesh run -- "

/* What the file says now; NULL with DM_CONFLICT and the lines to add if it cannot be edited. */
static struct json_doc *
open_doc(const struct init_file *file, const char *snippet, struct dm_err *err)
{
	dm_auto(json_doc) doc = NULL;
	struct dm_err why;

	if ((doc = json_parse(file->after, &why)) == NULL) {
		(void)init_refuse(err, file, why.msg, snippet);
		return NULL;
	}
	if (doc->root->kind != JSON_OBJECT || json_has_duplicates(doc->root)) {
		(void)init_refuse(err, file,
		    doc->root->kind == JSON_OBJECT ? "it has a key twice" : "it is no JSON object",
		    snippet);
		return NULL;
	}
	return DM_STEAL(&doc);
}

/* A string of JSON; the caller owns it. */
static char *
json_quote(const char *text)
{
	cJSON *string = cJSON_CreateString(text);
	char *out = cJSON_PrintUnformatted(string);

	cJSON_Delete(string);
	return out;
}

/* ---- claude ------------------------------------------------------------------------------ */

#define CLAUDE_COMMAND "devmesh hook claude"
/* The tabs are the depth in the file: see json_insert(). */
#define CLAUDE_ENTRY(t) \
	"{\n" t "\t\"hooks\": [\n" t "\t\t{\n" t "\t\t\t\"type\": \"command\",\n" t \
	"\t\t\t\"command\": \"" CLAUDE_COMMAND " || true\",\n" t "\t\t\t\"timeout\": 10\n" t \
	"\t\t}\n" t "\t]\n" t "}"
#define CLAUDE_HOOKS(t) \
	"{\n" t "\t\"SessionStart\": [\n" t "\t\t" CLAUDE_ENTRY(t "\t\t") "\n" t "\t]\n" t "}"
#define CLAUDE_FILE "{\n\t\"hooks\": " CLAUDE_HOOKS("\t") "\n}"

/* Our command in the array of entries; NULL: none. */
static const struct json_node *
find_claude(const struct json_node *entries)
{
	for (const struct json_node *e = entries == NULL ? NULL : entries->first; e != NULL;
	     e = e->next) {
		const struct json_node *hooks = json_member(e, "hooks");

		for (const struct json_node *h = hooks == NULL ? NULL : hooks->first; h != NULL;
		     h = h->next) {
			const struct json_node *command = json_member(h, "command");

			if (command != NULL && command->text != NULL &&
			    dm_starts_with(command->text, CLAUDE_COMMAND))
				return h;
		}
	}
	return NULL;
}

static bool
plan_skill(struct init *in, struct dm_err *err)
{
	DM_AUTO_FREE char *text = skill_text();
	struct init_file *file;

	if (!init_read_here(in, ".claude/skills/devmesh/SKILL.md", &file, err))
		return false;
	if (file->before != NULL && strcmp(file->before, text) != 0 &&
	    strstr(file->before, SKILL_MARK) == NULL)
		return in->remove || init_refuse(err, file, "it was not written by devmesh",
					 "the output of devmesh skill");
	init_set(file, in->remove ? NULL : dm_steal_pointer(&text));
	return true;
}

static bool
plan_settings(struct init *in, struct init_file *file, struct dm_err *err)
{
	dm_auto(json_doc) doc = NULL;
	const struct json_node *hooks, *entries, *ours;

	if ((doc = open_doc(file, CLAUDE_FILE, err)) == NULL)
		return false;
	hooks = json_member(doc->root, "hooks");
	entries = json_member(hooks, "SessionStart");
	if ((hooks != NULL && hooks->kind != JSON_OBJECT) ||
	    (entries != NULL && entries->kind != JSON_ARRAY))
		return in->remove ||
		       init_refuse(err, file, "its hooks have an unknown form", CLAUDE_FILE);
	ours = find_claude(entries);
	if (in->remove && ours != NULL)
		/* an entry without hooks is none, whatever else it has */
		init_set(file,
		    json_remove(doc,
			ours->parent->first == ours->parent->last ? ours->parent->parent : ours));
	else if (!in->remove && ours == NULL)
		init_set(file,
		    hooks == NULL ? json_insert(doc, doc->root, "hooks", CLAUDE_HOOKS(""))
		    : entries == NULL
			? json_insert(doc, hooks, "SessionStart", "[\n\t" CLAUDE_ENTRY("\t") "\n]")
			: json_insert(doc, entries, NULL, CLAUDE_ENTRY("")));
	return true;
}

bool
init_claude(struct init *in, struct dm_err *err)
{
	struct init_file *file;

	if (!init_read_here(in, ".claude/settings.json", &file, err))
		return false;
	if (file->before == NULL && !in->remove)
		init_set(file, json_layout(CLAUDE_FILE));
	else if (file->before != NULL && !plan_settings(in, file, err))
		return false;
	init_hint(in, "Claude Code reads it at the start of its next session");
	return (!in->skill && !in->remove) || plan_skill(in, err);
}

/* ---- conductor --------------------------------------------------------------------------- */

/*
 * scripts.<key>: `prefix` goes in front of a command that is there, `alone` is what it says where
 * there is none (NULL: then nothing). They must not begin alike, so that both can be undone.
 */
static bool
plan_script(struct init *in, struct init_file *file, const char *key, const char *prefix,
    const char *alone, struct dm_err *err)
{
	dm_auto(json_doc) doc = NULL;
	const struct json_node *scripts, *node;
	DM_AUTO_FREE char *quoted = alone == NULL ? NULL : json_quote(alone);
	DM_AUTO_FREE char *object =
	    alone == NULL ? NULL : dm_asprintf("{\n\t\"%s\": %s\n}", key, quoted);

	/* everything that was there is undone already */
	if (file->after == NULL)
		return true;
	if ((doc = open_doc(file, "\"scripts\": { \"setup\": \"devmesh hook conductor setup\" }",
		 err)) == NULL)
		return false;
	scripts = json_member(doc->root, "scripts");
	node = json_member(scripts, key);
	if ((scripts != NULL && scripts->kind != JSON_OBJECT) ||
	    (node != NULL && node->kind != JSON_STRING))
		return in->remove || init_refuse(err, file, "its scripts have an unknown form",
					 quoted == NULL ? prefix : quoted);
	if (in->remove) {
		if (node == NULL)
			return true;
		if ((alone != NULL && strcmp(node->text, alone) == 0) ||
		    (strcmp(prefix, RUN) == 0 && dm_starts_with(node->text, "exec " RUN)))
			init_set(file, json_remove(doc, node));
		else if (dm_starts_with(node->text, prefix))
			init_set(file, json_splice(doc, node, 0, strlen(prefix), ""));
		return true;
	}
	/* also where the command itself is what calls devmesh: npm run dev, after init npm */
	if (node != NULL && (strstr(node->text, "devmesh ") != NULL ||
				(alone != NULL && dm_starts_with(alone, "exec ") &&
				    strcmp(alone + strlen("exec "), node->text) == 0)))
		return true;
	if (node != NULL && strcmp(prefix, RUN) == 0 && init_is_compound(node->text)) {
		init_hint(in,
		    "scripts.%s is left alone: put " RUN "in front of the server's command in it",
		    key);
		return true;
	}
	if (node != NULL)
		init_set(file, json_splice(doc, node, 0, 0, prefix));
	else if (alone != NULL && scripts != NULL)
		init_set(file, json_insert(doc, scripts, key, quoted));
	else if (alone != NULL)
		init_set(file, json_insert(doc, doc->root, "scripts", object));
	return true;
}

/* The file is shared: for those without devmesh the step must not fail. */
#define CONDUCTOR_SETUP	  "devmesh hook conductor setup"
#define CONDUCTOR_ARCHIVE "devmesh hook conductor archive"
#define OR_NOT		  " || true"

bool
init_conductor(struct init *in, struct dm_err *err)
{
	DM_AUTO_FREE char *command = init_run_command(in);
	DM_AUTO_FREE char *run = command == NULL ? NULL : dm_asprintf("exec %s", command);
	DM_AUTO_FREE char *quoted = run == NULL ? NULL : json_quote(run);
	struct init_file *file;

	if (in->command != NULL && init_is_compound(in->command))
		return dm_fail(
		    err, DM_USAGE, "--command holds more than one program and its words");
	if (!init_read_here(in, "conductor.json", &file, err))
		return false;
	if (file->before == NULL) {
		DM_AUTO_FREE char *text = dm_asprintf(
		    "{\n\t\"scripts\": {\n\t\t\"setup\": \"" CONDUCTOR_SETUP OR_NOT "\",\n"
		    "%s%s%s\t\t\"archive\": \"" CONDUCTOR_ARCHIVE OR_NOT "\"\n\t}\n}",
		    run == NULL ? "" : "\t\t\"run\": ", run == NULL ? "" : quoted,
		    run == NULL ? "" : ",\n");

		init_set(file, in->remove ? NULL : json_layout(text));
		return true;
	}
	return plan_script(in, file, "setup", CONDUCTOR_SETUP "; ", CONDUCTOR_SETUP OR_NOT, err) &&
	       plan_script(in, file, "run", RUN, run, err) &&
	       plan_script(
		   in, file, "archive", CONDUCTOR_ARCHIVE "; ", CONDUCTOR_ARCHIVE OR_NOT, err);
}

/* ---- cursor ------------------------------------------------------------------------------ */

#define CURSOR_COMMAND "devmesh hook cursor || true"
#define CURSOR_KEY     "setup-worktree-unix"

static const struct json_node *
find_text(const struct json_node *array, const char *text)
{
	for (const struct json_node *n = array == NULL ? NULL : array->first; n != NULL;
	     n = n->next) {
		if (n->text != NULL && strcmp(n->text, text) == 0)
			return n;
	}
	return NULL;
}

bool
init_cursor(struct init *in, struct dm_err *err)
{
	static const char snippet[] = "\"" CURSOR_KEY "\": [\"" CURSOR_COMMAND "\"]";
	dm_auto(json_doc) doc = NULL;
	const struct json_node *list, *ours;
	struct init_file *file;

	if (!init_read_here(in, ".cursor/worktrees.json", &file, err))
		return false;
	if (file->before == NULL) {
		if (!in->remove)
			init_set(file, json_layout("{\n\t\"" CURSOR_KEY
						   "\": [\n\t\t\"" CURSOR_COMMAND "\"\n\t]\n}"));
		return true;
	}
	if ((doc = open_doc(file, snippet, err)) == NULL)
		return false;
	/* where there is only the general key, the other would take its place */
	list = json_member(doc->root, CURSOR_KEY);
	if (list == NULL)
		list = json_member(doc->root, "setup-worktree");
	if (list != NULL && list->kind != JSON_ARRAY)
		return in->remove ||
		       init_refuse(err, file, "its set-up is a script", CURSOR_COMMAND);
	ours = find_text(list, CURSOR_COMMAND);
	if (in->remove && ours != NULL)
		init_set(file, json_remove(doc, ours));
	else if (!in->remove && ours == NULL)
		init_set(file, list != NULL ? json_insert(doc, list, NULL, "\"" CURSOR_COMMAND "\"")
					    : json_insert(doc, doc->root, CURSOR_KEY,
						  "[\n\t\"" CURSOR_COMMAND "\"\n]"));
	return true;
}

/* ---- npm --------------------------------------------------------------------------------- */

/* The length of "NAME=value " in front of the command: a shell's, not part of its words. */
static size_t
assignments(const char *command)
{
	const char *p = command;

	for (;;) {
		size_t n =
		    strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
		size_t value;

		if (n == 0 || (*p >= '0' && *p <= '9') || p[n] != '=')
			return (size_t)(p - command);
		value = strcspn(p + n + 1, " \\\"'$`");
		if (p[n + 1 + value] != ' ')
			return (size_t)(p - command);
		p += n + 1 + value;
		p += strspn(p, " ");
	}
}

/* Takes devmesh out of one script; false if it is not in there. */
static bool
unwrap_script(struct init_file *file, const struct json_doc *doc, const struct json_node *node)
{
	const char *raw = doc->text + node->start + 1;
	size_t at = node->kind == JSON_STRING ? assignments(raw) : 0;

	if (node->kind != JSON_STRING || !dm_starts_with(raw + at, RUN))
		return false;
	init_set(file, json_splice(doc, node, at, strlen(RUN), ""));
	return true;
}

/* Takes it out of --script, else out of all of them: nobody remembers which it was. */
static bool
unwrap_scripts(struct init *in, struct init_file *file, struct dm_err *err)
{
	bool again = true;

	while (again) {
		dm_auto(json_doc) doc = json_parse(file->after, err);
		const struct json_node *scripts =
		    doc == NULL ? NULL : json_member(doc->root, "scripts");

		if (doc == NULL)
			return false;
		again = false;
		for (const struct json_node *n = scripts == NULL ? NULL : scripts->first;
		     n != NULL && !again; n = n->next)
			again = n->key != NULL &&
				(in->script == NULL || strcmp(n->key, in->script) == 0) &&
				unwrap_script(file, doc, n);
	}
	return true;
}

bool
init_npm(struct init *in, struct dm_err *err)
{
	dm_auto(json_doc) doc = NULL;
	const struct json_node *scripts, *node;
	struct init_file *file;
	const char *raw;
	size_t at;

	if (!init_read_here(in, "package.json", &file, err))
		return false;
	if (file->before == NULL && in->remove)
		return true;
	if (file->before == NULL)
		return dm_fail(err, DM_NOT_FOUND, "%s has no package.json", in->repo->worktree);
	if ((doc = open_doc(file, "\"dev\": \"" RUN "COMMAND\"", err)) == NULL)
		return false;
	if (in->remove)
		return unwrap_scripts(in, file, err);
	scripts = json_member(doc->root, "scripts");
	node = json_member(scripts, in->script != NULL ? in->script : "dev");
	if (node == NULL && in->script == NULL)
		node = json_member(scripts, "start");
	if (node == NULL || node->kind != JSON_STRING) {
		(void)dm_fail(err, DM_NOT_FOUND, "%s has no script %s", file->path,
		    in->script != NULL ? in->script : "dev, and no script start");
		return dm_hint(err, "--script NAME names another one");
	}
	raw = doc->text + node->start + 1;
	at = assignments(raw);
	if (dm_starts_with(raw + at, RUN) || strstr(node->text, "devmesh ") != NULL)
		return true;
	/* what assignments() passes over is the same in the file and decoded */
	if (init_is_compound(node->text + at))
		return init_refuse(err, file, "the script is more than one program and its words",
		    RUN "COMMAND, where the server is started");
	init_set(file, json_splice(doc, node, at, 0, RUN));
	return true;
}
