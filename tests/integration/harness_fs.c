/* SPDX-License-Identifier: MIT */
/*
 * Files, git worktrees, JSON and the assertions on what devmesh said. Knows nothing of Caddy.
 */
#define _XOPEN_SOURCE 700 /* nftw */

#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *
read_text(struct world *w, const char *path)
{
	size_t n = 0, cap = 4096, got;
	char *text, *more;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return NULL;
	text = malloc(cap + 1);
	assert_non_null(text);
	while ((got = fread(text + n, 1, cap - n, f)) > 0) {
		n += got;
		if (n == cap) {
			more = realloc(text, cap * 2 + 1);
			assert_non_null(more);
			text = more;
			cap *= 2;
		}
	}
	fclose(f);
	text[n] = '\0';
	return world_keep(w, text, free);
}

void
write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		fail_msg("cannot write %s: %s", path, strerror(errno));
	if (fwrite(bytes, 1, n, f) != n)
		fail_msg("cannot write all of %s", path);
	if (fclose(f) != 0)
		fail_msg("cannot write %s: %s", path, strerror(errno));
}

void
write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

const char *
source_dir(void)
{
	const char *src = getenv("DEVMESH_SRC");

	if (src == NULL || src[0] != '/' || !exists(src))
		fail_msg("DEVMESH_SRC must be the absolute path of the source tree");
	return src;
}

void
remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static uid_t new_owner;

static int
own_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return lchown(path, new_owner, (gid_t)new_owner);
}

void
own_tree(const char *path, uid_t uid)
{
	new_owner = uid;
	assert_int_equal(nftw(path, own_one, 16, FTW_PHYS), 0);
}

int
count_files(const char *dir, const char *suffix)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t len, want = strlen(suffix);
	int n = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		len = strlen(e->d_name);
		if (len > want && strcmp(e->d_name + len - want, suffix) == 0)
			n++;
	}
	closedir(d);
	return n;
}

char *
make_dir(struct world *w, const char *name)
{
	char *path = fmt(w, "%s/%s", w->dir, name);

	if (mkdir(path, 0755) != 0)
		fail_msg("mkdir %s: %s", path, strerror(errno));
	return path;
}

char *
repo_new(struct world *w, const char *name)
{
	char *path = make_dir(w, name);

	GIT(w, path, "init", "-q", "-b", "main");
	GIT(w, path, "commit", "-q", "--allow-empty", "-m", "first");
	return path;
}

char *
worktree_add(struct world *w, const char *repo, const char *branch)
{
	char *path = fmt(w, "%s/wt%u", w->dir, ++w->serial);

	GIT(w, repo, "worktree", "add", "-q", "-b", branch, path);
	return path;
}

static void
destroy_json(void *p)
{
	cJSON_Delete(p);
}

cJSON *
json_any(struct world *w, const char *text)
{
	const char *end = NULL;
	cJSON *v;

	if (text == NULL)
		fail_msg("there is no JSON to read");
	v = cJSON_ParseWithOpts(text, &end, false);
	if (v == NULL || end[strspn(end, " \t\r\n")] != '\0') {
		cJSON_Delete(v);
		fail_msg("not one JSON value: %s", text);
	}
	return world_keep(w, v, destroy_json);
}

cJSON *
json_of(struct world *w, const char *text)
{
	cJSON *v = json_any(w, text);

	if (!cJSON_IsObject(v))
		fail_msg("not a JSON object: %s", text);
	return v;
}

const char *
json_str(const cJSON *object, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return s != NULL ? s : "";
}

cJSON *
claim_of(struct world *w, const char *id)
{
	char *text = read_text(w, fmt(w, "%s/%s.json", w->sockets, id));

	return text != NULL ? json_of(w, text) : NULL;
}

int
count_claims(struct world *w)
{
	DIR *d = opendir(w->sockets);
	struct dirent *e;
	cJSON *c;
	size_t len;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		len = strlen(e->d_name);
		if (e->d_name[0] == '.' || len < 6 || strcmp(e->d_name + len - 5, ".json") != 0)
			continue;
		c = claim_of(w, fmt(w, "%.*s", (int)(len - 5), e->d_name));
		if (c != NULL && !cJSON_HasObjectItem(c, "alias_of"))
			n++;
	}
	closedir(d);
	return n;
}

char *
id_of_url(struct world *w, const char *url)
{
	const char *host = strstr(url, "://");

	if (host == NULL)
		fail_msg("not a URL: %s", url);
	host += 3;
	return fmt(w, "%.*s", (int)strcspn(host, "."), host);
}

char *
line_of(struct world *w, struct result r)
{
	size_t len = strlen(r.out);

	if (len < 2 || strchr(r.out, '\n') != r.out + len - 1)
		fail_msg("stdout is not exactly one line: \"%s\"", r.out);
	return fmt(w, "%.*s", (int)(len - 1), r.out);
}

void
assert_exit(struct world *w, struct result r, int code)
{
	if (r.code != code)
		fail_msg("%s: exit %d, wanted %d\nstdout: %s\nstderr: %s",
		    w->last_cmd != NULL ? w->last_cmd : "devmesh", r.code, code, r.out, r.err);
}

/* A failure says what failed (with `word` in it) and what to try, and leaves stdout alone. */
void
assert_error(struct world *w, struct result r, int code, const char *word)
{
	if (code != ANY_ERROR)
		assert_exit(w, r, code);
	else if (r.code < 1 || r.code > 7 || r.code == 2)
		fail_msg("%s: exit %d is no failure: %s", w->last_cmd, r.code, r.err);
	if (strstr(r.err, "devmesh: error: ") == NULL)
		fail_msg("no \"devmesh: error: \" on stderr: %s", r.err);
	if (word != NULL && strstr(r.err, word) == NULL)
		fail_msg("the error does not say \"%s\": %s", word, r.err);
	assert_string_equal(r.out, "");
}

void
assert_label(const char *id)
{
	size_t len = strlen(id);

	if (len == 0 || len > 63 || strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
	    id[0] == '-' || id[len - 1] == '-')
		fail_msg("not a DNS label: \"%s\"", id);
}

char *
up_ok(struct world *w, const char *dir)
{
	struct result r = DM(w, dir, "up");

	assert_exit(w, r, 0);
	return id_of_url(w, line_of(w, r));
}

bool
json_null(const cJSON *o, const char *key)
{
	return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(o, key));
}

double
json_number(const cJSON *o, const char *key)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

	if (!cJSON_IsNumber(n))
		fail_msg("\"%s\" is no number", key);
	return n->valuedouble;
}

char *
head_of(struct world *w, const char *dir)
{
	return line_of(w, GIT(w, dir, "rev-parse", "HEAD"));
}
