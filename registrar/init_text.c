/* SPDX-License-Identifier: MIT */
/* The tools whose files are TOML, shell or lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/spawn.h"
#include "base/str.h"
#include "edit/block.h"
#include "edit/json.h"
#include "edit/toml.h"
#include "init.h"

enum {
	SECTIONS = 4,
	BODY_MAX = 8192,
	GIT_MS = 10000
};

/* ---- TOML: keys in tables ---------------------------------------------------------------- */

struct section {
	const char *table;
	bool array;	     /* as [[table]] where there is none yet */
	const char *keys[3]; /* NULL-terminated */
	char *lines;	     /* "key = value\n"...; owned; NULL: not wanted */

	size_t at; /* set by place(): where it goes; SIZE_MAX: into the block at the end */
	enum toml_kind kind;
	bool open; /* its table is the last line: the block at the end begins with its keys */
};

/* Where each section goes in the user's text; false if one cannot go anywhere. */
static bool
place(const struct init_file *file, const char *text, struct section *list, struct dm_err *err)
{
	for (struct section *s = list; s->table != NULL; s++) {
		DM_AUTO_FREE char *snippet = NULL, *why = NULL;
		bool taken = false;

		if (s->lines == NULL)
			continue;
		s->kind = toml_find(text, s->table, &s->at);
		if (s->kind != TOML_TABLE)
			s->at = SIZE_MAX;
		for (size_t i = 0; s->kind == TOML_TABLE && i < 3 && s->keys[i] != NULL; i++)
			taken = taken || toml_has_key(text, s->at, s->keys[i]);
		s->open = s->at == strlen(text);
		if (s->open)
			s->at = SIZE_MAX;
		if (s->kind != TOML_KEY && !taken)
			continue;
		snippet = dm_asprintf(s->array ? "[[%s]]\n%s" : "[%s]\n%s", s->table, s->lines);
		why = dm_asprintf("it has its own \"%s\"", s->table);
		return init_refuse(err, file, why, snippet);
	}
	return true;
}

/* What stands in the block at the end; the caller owns it. */
static char *
tail_body(const struct section *list)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(BODY_MAX);

	for (const struct section *s = list; s->table != NULL; s++) {
		if (s->open)
			(void)dm_str_addf(&out, "%s", s->lines);
	}
	for (const struct section *s = list; s->table != NULL; s++) {
		bool array = s->kind == TOML_ARRAY || (s->kind == TOML_NONE && s->array);

		if (s->lines == NULL || s->at != SIZE_MAX || s->open)
			continue;
		(void)dm_str_addf(&out, array ? "%s[[%s]]\n%s" : "%s[%s]\n%s",
		    out.len > 0 ? "\n" : "", s->table, s->lines);
	}
	return dm_str_take(&out);
}

/* Whether every piece is in the text already. */
static bool
have_all(const char *text, const char *mark, const struct section *list, const char *tail)
{
	bool all = tail[0] == '\0' || block_has(text, mark, tail);

	for (const struct section *s = list; all && s->table != NULL; s++)
		all = s->lines == NULL || s->at == SIZE_MAX || block_has(text, mark, s->lines);
	return all;
}

/* Adds the sections: below the headers that are there, the others at the end. */
static bool
put_sections(struct init *in, struct init_file *file, const char *mark, struct section *list,
    const char *head, struct dm_err *err)
{
	DM_AUTO_FREE char *rest = NULL, *tail = NULL;
	unsigned count;
	bool made = false;

	if (in->remove) {
		init_block(in, file, mark, "", SIZE_MAX, "");
		return true;
	}
	rest = file->after == NULL ? dm_strdup("") : block_strip(file->after, mark, &count, &made);
	if (!place(file, rest, list, err))
		return false;
	tail = tail_body(list);
	if (file->after == NULL || (made && rest[0] == '\0')) {
		DM_AUTO_FREE char *body = dm_asprintf("%s%s", head, tail);

		init_set(file, block_insert("", 0, mark, body, true));
		return true;
	}
	if (have_all(file->after, mark, list, tail))
		return true;
	/* the end first: the offsets of the headers stay what they are from the last to the first
	 */
	init_set(file,
	    tail[0] == '\0' ? dm_strdup(rest) : block_insert(rest, strlen(rest), mark, tail, made));
	for (;;) {
		struct section *last = NULL;

		for (struct section *s = list; s->table != NULL; s++) {
			if (s->lines != NULL && s->at != SIZE_MAX &&
			    (last == NULL || s->at > last->at))
				last = s;
		}
		if (last == NULL)
			return true;
		init_set(file, block_insert(file->after, last->at, mark, last->lines, made));
		last->at = SIZE_MAX;
	}
}

static void
free_lines(struct section *list)
{
	for (struct section *s = list; s->table != NULL; s++)
		free(s->lines);
}

/* A basic string of TOML; the caller owns it. */
static char *
toml_quote(const char *text)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(BODY_MAX);

	(void)dm_str_add(&out, "\"", 1);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			(void)dm_str_add(&out, "\\", 1);
		(void)dm_str_add(&out, p, 1);
	}
	(void)dm_str_add(&out, "\"", 1);
	return dm_str_take(&out);
}

/* ---- worktrunk --------------------------------------------------------------------------- */

/* Lines of [[post-start]]: both run side by side, since the server never ends. */
static char *
post_start(const struct init *in)
{
	DM_AUTO_FREE char *command = init_run_command(in);
	DM_AUTO_FREE char *run = NULL, *quoted = NULL;

	if (command == NULL)
		return dm_strdup("devmesh-url = \"devmesh hook worktrunk\"\n");
	run = dm_asprintf("wt step tether -- %s", command);
	quoted = toml_quote(run);
	return dm_asprintf("devmesh-run = %s\n"
			   "devmesh-url = \"devmesh hook worktrunk --wait 60\"\n",
	    quoted);
}

bool
init_worktrunk(struct init *in, struct dm_err *err)
{
	struct section list[SECTIONS + 1] = {
	    {.table = "post-start", .array = true, .keys = {"devmesh-run", "devmesh-url"}},
	    {.table = "pre-remove", .keys = {"devmesh"}},
	    {.table = "post-remove", .keys = {"devmesh"}},
	    {.table = "aliases", .keys = {"url"}},
	};
	struct init_file *file;
	bool ok;

	if (in->command != NULL && init_is_compound(in->command)) {
		(void)dm_fail(err, DM_USAGE, "--command holds more than one program and its words");
		return dm_hint(err, "put it into a script, and name that");
	}
	if (!init_read_here(in, ".config/wt.toml", &file, err))
		return false;
	list[0].lines = post_start(in);
	/* the file is shared: wt remove must not fail for those without devmesh */
	list[1].lines = dm_strdup("devmesh = \"devmesh hook worktrunk || true\"\n");
	list[2].lines = dm_strdup(list[1].lines);
	list[3].lines = dm_strdup("url = \"devmesh url\"\n");
	ok = put_sections(in, file, "worktrunk", list, "", err);
	free_lines(list);
	init_hint(in, "wt 0.61 or later; it asks once whether the commands may run "
		      "(wt config approvals add --yes)");
	init_hint(in, "for a column with the URL in wt list, in ~/.config/worktrunk/config.toml:\n"
		      "[list.custom-columns.Dev]\ntemplate = \"{{ vars.url }}\"");
	if (strstr(file->after == NULL ? "" : file->after, "devmesh-run") == NULL)
		init_hint(in, "no command for the dev server was found: --command CMD starts it");
	return ok;
}

/* ---- git --------------------------------------------------------------------------------- */

#define GIT_BODY \
	"if command -v devmesh >/dev/null 2>&1; then\n" \
	"\tdevmesh hook git \"$@\" </dev/null || :\n" \
	"fi\n"

/* The directory of hooks, as git says (core.hooksPath, the common directory); NULL: unknown. */
static char *
hooks_dir(const struct init *in, struct dm_err *err)
{
	const char *const argv[] = {
	    "git", "-C", in->repo->worktree, "rev-parse", "--git-path", "hooks", NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(4096);
	DM_AUTO_STR struct dm_str errout = dm_str_make(4096);
	int status = 0;

	if (!in->repo->is_git) {
		(void)dm_fail(
		    err, DM_NOT_FOUND, "%s is not in a git repository", in->repo->worktree);
		return NULL;
	}
	if (!dm_run(argv, "GIT_", GIT_MS, &out, &errout, &status, err))
		return NULL;
	out.data[strcspn(out.data, "\n")] = '\0';
	if (status != 0 || out.data[0] == '\0') {
		(void)dm_fail(err, DM_FAILED, "git does not say where the hooks of %s are",
		    in->repo->worktree);
		return NULL;
	}
	if (out.data[0] == '/')
		return dm_str_take(&out);
	return dm_asprintf("%s/%s", in->repo->worktree, out.data);
}

/* Which of the two the directory is below; the rest of its path is *name. */
static const char *
root_of(const struct init *in, const char *dir, const char **name)
{
	const char *const roots[] = {in->repo->common_dir, in->repo->worktree};

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(roots[i]);

		if (strncmp(dir, roots[i], n) == 0 && dir[n] == '/') {
			*name = dir + n + 1;
			return roots[i];
		}
	}
	return NULL;
}

static bool
is_shell_script(const char *text)
{
	static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ksh"};
	size_t n = strcspn(text, "\r\n");
	DM_AUTO_FREE char *line = dm_strndup(text, n);
	char *end, *word;

	if (!dm_starts_with(line, "#!"))
		return false;
	/* "#!/bin/sh -e" and "#!/usr/bin/env bash": the first word, or the one after env */
	end = line + 2 + strspn(line + 2, " \t");
	word = end;
	end += strcspn(end, " \t");
	if (end - word >= 4 && strncmp(end - 4, "/env", 4) == 0) {
		word = end + strspn(end, " \t");
		end = word + strcspn(word, " \t");
	}
	*end = '\0';
	word = strrchr(word, '/') == NULL ? word : strrchr(word, '/') + 1;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(word, shells[i]) == 0)
			return true;
	}
	return false;
}

bool
init_git(struct init *in, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = hooks_dir(in, err);
	DM_AUTO_FREE char *path = NULL;
	const char *root, *name;
	struct init_file *file;
	bool husky;

	if (dir == NULL)
		return false;
	/* husky owns the directory that git looks into, and reads the user's hooks beside it */
	husky = dm_ends_with(dir, "/.husky/_");
	if (husky)
		dir[strlen(dir) - 2] = '\0';
	path = dm_asprintf("%s/post-checkout", dir);
	root = root_of(in, path, &name);
	if (root == NULL) {
		(void)dm_fail(err, DM_DENIED,
		    "git's hooks are in %s, outside this repository (core.hooksPath)", dir);
		return dm_hint_lines(err, "add this to post-checkout there:\n" GIT_BODY);
	}
	if (!init_read(in, root, name, &file, err))
		return false;
	if (file->before == NULL)
		file->mode = 0755;
	if (in->remove || file->before == NULL) {
		init_block(in, file, "git", GIT_BODY, SIZE_MAX, husky ? "" : "#!/bin/sh\n");
		return true;
	}
	if (!husky && !is_shell_script(file->before))
		return init_refuse(err, file, "it is no shell script", GIT_BODY);
	if (!husky && (file->mode & 0100) == 0)
		return init_refuse(
		    err, file, "it is not executable, so git does not run it", GIT_BODY);
	/* at the top: what is there may end with exit or exec */
	init_block(in, file, "git", GIT_BODY,
	    is_shell_script(file->before) ? block_after_first_line(file->before) : 0,
	    "#!/bin/sh\n");
	return true;
}

/* ---- mise, direnv, codex ----------------------------------------------------------------- */

bool
init_mise(struct init *in, struct dm_err *err)
{
	static const char *const names[] = {"mise.toml", ".mise.toml", ".config/mise.toml"};
	struct section list[2] = {{.table = "env", .keys = {"DEVMESH_URL", "DEVMESH_SOCKET"}}};
	struct init_file *file;
	size_t use = 0;
	bool ok;

	for (size_t i = 3; i > 0; i--) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/%s", in->repo->worktree, names[i - 1]);

		use = access(path, F_OK) == 0 ? i - 1 : use;
	}
	if (!init_read_here(in, names[use], &file, err))
		return false;
	list[0].lines =
	    dm_strdup("DEVMESH_URL = '''{{ exec(command=`devmesh url 2>/dev/null || true`) }}'''\n"
		      "DEVMESH_SOCKET = '''{{ exec(command=`eval \"$(devmesh env 2>/dev/null)\"; "
		      "printf %s \"$DEVMESH_SOCKET\"`) }}'''\n");
	ok = put_sections(in, file, "mise", list, "", err);
	free_lines(list);
	init_hint(in, "mise trust, in each worktree; after devmesh up, cd there again");
	return ok;
}

bool
init_direnv(struct init *in, struct dm_err *err)
{
	struct init_file *file;

	if (!init_read_here(in, ".envrc", &file, err))
		return false;
	init_block(in, file, "direnv", "eval \"$(devmesh env --all 2>/dev/null || true)\"\n",
	    SIZE_MAX, "");
	init_hint(in, "direnv allow; and after devmesh up: direnv reload");
	return true;
}

#define CODEX_LINES(verb) "script = '''\ndevmesh hook codex " verb " || true\n'''\n"

bool
init_codex(struct init *in, struct dm_err *err)
{
	struct section list[3] = {
	    {.table = "setup", .keys = {"script"}}, {.table = "cleanup", .keys = {"script"}}};
	DM_AUTO_FREE char *shown = dm_printable(in->repo->main_dir);
	DM_AUTO_FREE char *quoted = toml_quote(shown);
	DM_AUTO_FREE char *head = dm_asprintf("version = 1\nname = %s\n\n", quoted);
	struct init_file *file;
	bool ok;

	if (!init_read_here(in, ".codex/environments/environment.toml", &file, err))
		return false;
	list[0].lines = dm_strdup(CODEX_LINES("setup"));
	list[1].lines = dm_strdup(CODEX_LINES("cleanup"));
	ok = put_sections(in, file, "codex", list, head, err);
	free_lines(list);
	init_hint(in, "the app may end without its cleanup: devmesh gc clears up then");
	return ok;
}
