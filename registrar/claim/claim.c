/* SPDX-License-Identifier: MIT */
#include "claim/claim.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

enum {
	SCHEMA_VERSION = 1,
	STRING_MAX = 4096
};

/* The largest whole number that every double holds: what JSON's numbers can carry. */
#define START_MAX 9007199254740991.0

struct claim *
claim_new(void)
{
	return dm_calloc(1, sizeof(struct claim));
}

struct claim *
claim_dup(const struct claim *claim)
{
	struct claim *copy = claim_new();

	*copy = *claim;
	copy->branch = dm_strdup(claim->branch);
	copy->worktree = dm_strdup(claim->worktree);
	copy->socket = dm_strdup(claim->socket);
	copy->url = dm_strdup(claim->url);
	copy->host = dm_strdup(claim->host);
	copy->identity = dm_strdup(claim->identity);
	return copy;
}

void
claim_free(struct claim *claim)
{
	if (claim == NULL)
		return;
	free(claim->branch);
	free(claim->worktree);
	free(claim->socket);
	free(claim->url);
	free(claim->host);
	free(claim->identity);
	free(claim);
}

static void
put_text(cJSON *o, const char *key, const char *text)
{
	if (text != NULL)
		(void)cJSON_AddStringToObject(o, key, text);
}

static void
put_process(cJSON *o, const char *pid_key, const char *start_key, const struct dm_proc_id *id)
{
	(void)cJSON_AddNumberToObject(o, pid_key, (double)id->pid);
	(void)cJSON_AddNumberToObject(o, start_key, (double)id->start);
}

static void
put_run(cJSON *record, const struct claim_run *run)
{
	cJSON *o;

	if (run->runner.pid == 0)
		return;
	o = cJSON_AddObjectToObject(record, "run");
	put_process(o, "pid", "start", &run->runner);
	put_process(o, "child_pid", "child_start", &run->child);
	(void)cJSON_AddBoolToObject(o, "bridged", run->bridged);
	(void)cJSON_AddNumberToObject(o, "port", run->port);
	put_text(o, "socket", run->socket[0] == '\0' ? NULL : run->socket);
}

char *
claim_encode(const struct claim *claim)
{
	cJSON *o = cJSON_CreateObject();
	char *text;

	(void)cJSON_AddNumberToObject(o, "schema_version", SCHEMA_VERSION);
	put_text(o, "id", claim->id.s);
	put_text(o, "app", claim->app.s);
	if (claim->is_alias)
		put_text(o, "alias_of", claim->alias_of.s);
	put_text(o, "branch", claim->branch);
	put_text(o, "worktree", claim->worktree);
	put_text(o, "socket", claim->socket);
	if (claim->port != 0)
		(void)cJSON_AddNumberToObject(o, "port", claim->port);
	put_text(o, "registration", claim->registration == CLAIM_ROUTE ? "route" : "mesh");
	put_text(o, "url", claim->url);
	put_text(o, "host", claim->host);
	put_text(o, "identity", claim->identity);
	(void)cJSON_AddNumberToObject(o, "created", (double)claim->created);
	if (claim->pinned)
		(void)cJSON_AddTrueToObject(o, "pinned");
	put_run(o, &claim->run);
	text = cJSON_Print(o);
	cJSON_Delete(o);
	return text;
}

/* A text member of acceptable length. */
static bool
get_any_text(const cJSON *o, const char *key, char **out, struct dm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

	if (item == NULL)
		return true;
	if (!cJSON_IsString(item) || strlen(item->valuestring) > STRING_MAX)
		return dm_fail(
		    err, DM_FAILED, "its \"%s\" is not a text of acceptable length", key);
	*out = dm_strdup(item->valuestring);
	return true;
}

/* One without control characters. */
static bool
get_text(const cJSON *o, const char *key, char **out, struct dm_err *err)
{
	if (!get_any_text(o, key, out, err))
		return false;
	if (*out != NULL && dm_has_control(*out))
		return dm_fail(err, DM_FAILED, "its \"%s\" holds a control character", key);
	return true;
}

/* A path may hold anything: what shows it sees to it that it can be shown. */
static bool
get_path(const cJSON *o, const char *key, char **out, struct dm_err *err)
{
	if (!get_any_text(o, key, out, err))
		return false;
	if (*out != NULL && (*out)[0] != '/')
		return dm_fail(err, DM_FAILED, "its \"%s\" is not an absolute path", key);
	return true;
}

static bool
get_slug(const cJSON *o, const char *key, struct slug *out, struct dm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

	if (!cJSON_IsString(item) || !slug_valid(item->valuestring))
		return dm_fail(err, DM_FAILED, "its \"%s\" is not a service name", key);
	return slug_parse(item->valuestring, out, err);
}

static bool
get_number(const cJSON *o, const char *key, double max, double *out, struct dm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

	*out = 0;
	if (item == NULL)
		return true;
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= max) ||
	    item->valuedouble != (double)(int64_t)item->valuedouble)
		return dm_fail(err, DM_FAILED, "its \"%s\" is not a number in range", key);
	*out = item->valuedouble;
	return true;
}

static bool
get_upstream(const cJSON *o, struct claim *claim, struct dm_err *err)
{
	double port;

	if (!get_path(o, "socket", &claim->socket, err) ||
	    !get_number(o, "port", 65535, &port, err))
		return false;
	claim->port = (uint16_t)port;
	if ((claim->socket == NULL) == (claim->port == 0) && !claim->is_alias)
		return dm_fail(err, DM_FAILED, "it must have either a socket or a port");
	return true;
}

static bool
get_process(const cJSON *o, const char *pid_key, const char *start_key, struct dm_proc_id *out,
    struct dm_err *err)
{
	double pid, start;

	if (!get_number(o, pid_key, INT_MAX, &pid, err) ||
	    !get_number(o, start_key, START_MAX, &start, err))
		return false;
	*out = (struct dm_proc_id){.pid = (pid_t)pid, .start = (uint64_t)start};
	return true;
}

static bool
get_run(const cJSON *record, struct claim_run *run, struct dm_err *err)
{
	const cJSON *o = cJSON_GetObjectItemCaseSensitive(record, "run");
	DM_AUTO_FREE char *socket = NULL;
	double port;

	if (o == NULL)
		return true;
	if (!cJSON_IsObject(o))
		return dm_fail(err, DM_FAILED, "its \"run\" is not an object");
	if (!get_process(o, "pid", "start", &run->runner, err) ||
	    !get_process(o, "child_pid", "child_start", &run->child, err) ||
	    !get_number(o, "port", UINT16_MAX, &port, err) || !get_path(o, "socket", &socket, err))
		return false;
	if (socket != NULL && !dm_snprintf(run->socket, sizeof(run->socket), "%s", socket))
		return dm_fail(err, DM_FAILED, "the \"socket\" of its \"run\" is too long");
	run->bridged = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "bridged"));
	run->port = (uint16_t)port;
	return true;
}

static bool
decode_object(const cJSON *o, const char *id, struct claim *claim, struct dm_err *err)
{
	const cJSON *how = cJSON_GetObjectItemCaseSensitive(o, "registration");
	double created;

	if (!get_slug(o, "id", &claim->id, err) || !get_slug(o, "app", &claim->app, err))
		return false;
	if (strcmp(claim->id.s, id) != 0)
		return dm_fail(err, DM_FAILED, "it is a record of \"%s\"", claim->id.s);
	claim->is_alias = cJSON_HasObjectItem(o, "alias_of");
	if (claim->is_alias && !get_slug(o, "alias_of", &claim->alias_of, err))
		return false;
	if (!get_text(o, "branch", &claim->branch, err) ||
	    !get_path(o, "worktree", &claim->worktree, err) || !get_upstream(o, claim, err) ||
	    !get_text(o, "url", &claim->url, err) || !get_text(o, "host", &claim->host, err) ||
	    !get_path(o, "identity", &claim->identity, err) ||
	    !get_number(o, "created", 1e15, &created, err) || !get_run(o, &claim->run, err))
		return false;
	if (claim->worktree == NULL)
		return dm_fail(err, DM_FAILED, "it names no worktree");
	if (!cJSON_IsString(how) ||
	    (strcmp(how->valuestring, "mesh") != 0 && strcmp(how->valuestring, "route") != 0))
		return dm_fail(err, DM_FAILED, "its \"registration\" is neither mesh nor route");
	claim->registration = how->valuestring[0] == 'r' ? CLAIM_ROUTE : CLAIM_MESH;
	claim->created = (int64_t)created;
	claim->pinned = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "pinned"));
	return true;
}

struct claim *
claim_decode(const char *text, size_t len, const char *id, struct dm_err *err)
{
	dm_auto(claim) claim = claim_new();
	cJSON *o = len > CLAIM_FILE_MAX ? NULL : cJSON_ParseWithLength(text, len);
	bool ok;

	if (!cJSON_IsObject(o)) {
		cJSON_Delete(o);
		(void)dm_fail(err, DM_FAILED, "it is not a JSON object");
		return NULL;
	}
	ok = decode_object(o, id, claim, err);
	cJSON_Delete(o);
	return ok ? DM_STEAL(&claim) : NULL;
}

bool
claim_worktree_gone(const struct claim *claim)
{
	struct stat st;

	return stat(claim->worktree, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

bool
claim_stamps_equal(const struct claim_stamp *a, const struct claim_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->ctime == b->ctime &&
	       a->ctime_nsec == b->ctime_nsec;
}

bool
claim_taken_anew(const struct claim *then, const struct claim *now)
{
	const struct dm_proc_id *was = &then->run.runner, *is = &now->run.runner;

	if (strcmp(then->worktree, now->worktree) != 0)
		return true;
	return (is->pid != was->pid || is->start != was->start) &&
	       (is->pid == 0 || dm_proc_alive(is));
}

char *
claim_dial(const struct claim *claim)
{
	if (claim->socket != NULL)
		return dm_asprintf("unix/%s", claim->socket);
	return dm_asprintf("localhost:%u", (unsigned)claim->port);
}
