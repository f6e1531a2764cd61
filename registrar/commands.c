/* SPDX-License-Identifier: MIT */
#include "commands.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"

#define MAX_EXACT 9007199254740992.0 /* 2^53: beyond that a double leaves numbers out */

enum {
	VERSION = 1,
	OPTIONS_MAX = 16,
	LOCK_MS = 200, /* it is held for a write */
	LINE_MAX_LEN = 2000,
	IDLE_MAX_S = 30 * 86400
};

static void
free_list(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

struct command *
command_new(const char *id)
{
	struct command *c = dm_calloc(1, sizeof(*c));

	*c = (struct command){
	    .on_request = COMMAND_AS_CONFIGURED, .idle_stop_s = COMMAND_AS_CONFIGURED};
	if (!dm_snprintf(c->id.s, sizeof(c->id.s), "%s", id))
		c->id.s[0] = '\0';
	return c;
}

void
command_free(struct command *c)
{
	if (c == NULL)
		return;
	free_list(c->argv);
	free_list(c->env);
	free_list(c->options);
	free(c->dir);
	free(c);
}

char **
command_list(const char *const *texts)
{
	size_t n = 0;
	char **list;

	while (texts != NULL && texts[n] != NULL)
		n++;
	list = dm_calloc(n + 1, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = dm_strdup(texts[i]);
	return list;
}

char *
commands_dir(const struct session *s)
{
	return dm_asprintf("%s/commands", s->state_dir);
}

/* ---- the text ----------------------------------------------------------------------------- */

static void
add_list(cJSON *o, const char *key, char *const *list)
{
	cJSON *array = cJSON_AddArrayToObject(o, key);

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		(void)cJSON_AddItemToArray(array, cJSON_CreateString(list[i]));
}

char *
command_encode(const struct command *c)
{
	cJSON *o = cJSON_CreateObject();
	char *text;

	(void)cJSON_AddNumberToObject(o, "version", VERSION);
	(void)cJSON_AddStringToObject(o, "id", c->id.s);
	(void)cJSON_AddStringToObject(o, "app", c->app.s);
	add_list(o, "argv", c->argv);
	(void)cJSON_AddStringToObject(o, "dir", c->dir);
	add_list(o, "options", c->options);
	(void)cJSON_AddNumberToObject(o, "on_request", c->on_request);
	(void)cJSON_AddNumberToObject(o, "idle_stop", (double)c->idle_stop_s);
	(void)cJSON_AddBoolToObject(o, "wanted", c->wanted);
	(void)cJSON_AddNumberToObject(o, "pid", (double)c->runner.pid);
	(void)cJSON_AddNumberToObject(o, "pid_start", (double)c->runner.start);
	add_list(o, "env", c->env);
	text = cJSON_Print(o);
	cJSON_Delete(o);
	return text;
}

static bool
get_list(const cJSON *o, const char *key, int max, char ***out, struct dm_err *err)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(o, key), *item;
	size_t n = 0;

	if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) > max)
		return dm_fail(err, DM_FAILED, "\"%s\" is no list of at most %d texts", key, max);
	*out = dm_calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(**out));
	cJSON_ArrayForEach (item, array) {
		if (!cJSON_IsString(item))
			return dm_fail(err, DM_FAILED, "\"%s\" has a member that is no text", key);
		(*out)[n++] = dm_strdup(item->valuestring);
	}
	return true;
}

/* A whole number in [min, max]; `fallback` where it is missing. */
static bool
get_number(const cJSON *o, const char *key, double min, double max, double fallback, double *out,
    struct dm_err *err)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

	*out = m == NULL ? fallback : m->valuedouble;
	if (m == NULL || (cJSON_IsNumber(m) && *out >= min && *out <= max))
		return true;
	return dm_fail(err, DM_FAILED, "\"%s\" is no number from %.0f to %.0f", key, min, max);
}

static bool
decode(const cJSON *o, struct command *c, struct dm_err *err)
{
	const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "id"));
	const char *app = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "app"));
	const char *dir = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "dir"));
	double version, on_request, idle, pid, start;

	if (!get_number(o, "version", VERSION, VERSION, 0, &version, err) ||
	    !get_list(o, "argv", COMMAND_WORDS_MAX, &c->argv, err) ||
	    !get_list(o, "env", COMMAND_ENV_MAX, &c->env, err) ||
	    !get_list(o, "options", OPTIONS_MAX, &c->options, err) ||
	    !get_number(o, "on_request", -1, 1, -1, &on_request, err) ||
	    !get_number(o, "idle_stop", -1, IDLE_MAX_S, -1, &idle, err) ||
	    !get_number(o, "pid", 0, INT32_MAX, 0, &pid, err) ||
	    !get_number(o, "pid_start", 0, MAX_EXACT, 0, &start, err))
		return false;
	if (id == NULL || strcmp(id, c->id.s) != 0 || app == NULL || !slug_valid(app) ||
	    !dm_snprintf(c->app.s, sizeof(c->app.s), "%s", app) || dir == NULL || dir[0] != '/' ||
	    c->argv[0] == NULL || c->argv[0][0] == '\0')
		return dm_fail(err, DM_FAILED, "id, app, dir or argv is not as it should be");
	for (size_t i = 0; c->options[i] != NULL; i++) {
		if (!dm_starts_with(c->options[i], "--"))
			return dm_fail(err, DM_FAILED, "\"options\" has what is no option");
	}
	for (size_t i = 0; c->env[i] != NULL; i++) {
		if (strchr(c->env[i], '=') == NULL)
			return dm_fail(err, DM_FAILED, "\"env\" has what is no variable");
	}
	c->dir = dm_strdup(dir);
	c->on_request = (int)on_request;
	c->idle_stop_s = (int64_t)idle;
	c->runner.pid = (pid_t)pid;
	c->runner.start = (uint64_t)start;
	c->wanted = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "wanted"));
	return true;
}

struct command *
command_decode(const char *text, size_t len, const char *id, struct dm_err *err)
{
	dm_auto(command) c = command_new(id);
	cJSON *o = cJSON_ParseWithLength(text, len);
	bool ok =
	    cJSON_IsObject(o) ? decode(o, c, err) : dm_fail(err, DM_FAILED, "it is no JSON object");

	cJSON_Delete(o);
	return ok ? DM_STEAL(&c) : NULL;
}

/* ---- the files ---------------------------------------------------------------------------- */

static char *
path_of(const char *dir, const char *id)
{
	return dm_asprintf("%s/%s.json", dir, id);
}

bool
command_exists(const char *dir, const char *id)
{
	DM_AUTO_FREE char *path = path_of(dir, id);

	return access(path, F_OK) == 0;
}

struct command *
command_load(const char *dir, const char *id, struct dm_err *err)
{
	DM_AUTO_FREE char *path = path_of(dir, id);
	DM_AUTO_STR struct dm_str text = dm_str_make(COMMAND_FILE_MAX);
	struct command *c = NULL;

	if (!slug_valid(id) || access(path, F_OK) != 0) {
		(void)dm_fail(err, DM_NOT_FOUND, "how %s is started is not known", id);
		(void)dm_hint(err, "in its worktree: devmesh run -d -- npm run dev");
		return NULL;
	}
	if (dm_read_file(path, &text, err))
		c = command_decode(text.data, text.len, id, err);
	if (c == NULL)
		(void)dm_wrap(err, "reading %s", path);
	return c;
}

bool
command_save(const char *dir, const struct command *c, struct dm_err *err)
{
	DM_AUTO_FREE char *path = path_of(dir, c->id.s);
	DM_AUTO_FREE char *text = command_encode(c);
	size_t len = strlen(text);

	if (len > COMMAND_FILE_MAX)
		return dm_fail(err, DM_USAGE, "the command and its environment are too long");
	return dm_make_dirs(dir, 0700, err) && dm_write_file(path, text, len, 0600, err);
}

/* A verb forgets a record while devmeshd writes down what has become of it. */
static int
lock(const char *dir)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/.lock", dir);
	struct dm_err err;
	int fd = -1;

	if (!dm_lock(path, LOCK_MS, &fd, &err))
		dm_debug("%s", err.msg);
	return fd;
}

bool
command_update(const char *dir, const struct command *c, struct dm_err *err)
{
	DM_AUTO_CLOSE int held = lock(dir);

	(void)held;
	if (!command_exists(dir, c->id.s))
		return dm_fail(err, DM_NOT_FOUND, "%s was taken down meanwhile", c->id.s);
	return command_save(dir, c, err);
}

void
command_forget(const char *dir, const char *id)
{
	DM_AUTO_FREE char *path = path_of(dir, id);
	DM_AUTO_CLOSE int held = command_exists(dir, id) ? lock(dir) : -1;

	(void)held;
	(void)unlink(path);
}

void
commands_each(const char *dir, void (*fn)(void *user, const char *id), void *user)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	char id[SLUG_MAX + 1];

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (dm_ends_with(entry->d_name, ".json") &&
		    dm_snprintf(
			id, sizeof(id), "%.*s", (int)strlen(entry->d_name) - 5, entry->d_name) &&
		    slug_valid(id))
			fn(user, id);
	}
	if (d != NULL)
		(void)closedir(d);
}

char *
command_line(const char *const *argv)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(LINE_MAX_LEN);

	for (size_t i = 0; argv[i] != NULL; i++) {
		DM_AUTO_FREE char *word = dm_shell_word(argv[i]);

		(void)dm_str_addf(&text, "%s%s", i > 0 ? " " : "", word);
	}
	return dm_printable(text.data);
}
