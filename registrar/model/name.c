/* SPDX-License-Identifier: MIT */
#include "model/name.h"

#include <string.h>

#include "base/str.h"

enum {
	REMOTE_NAME_MAX = 256
};

bool
name_parse_id_file(
    const char *bytes, size_t len, char line[NAME_ID_LINE_MAX + 1], struct dm_err *err)
{
	size_t n = 0;

	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
		bytes += 3;
		len -= 3;
	}
	while (n < len && bytes[n] != '\n')
		n++;
	if (n > NAME_ID_LINE_MAX)
		return dm_fail(
		    err, DM_USAGE, "its first line is longer than %d bytes", NAME_ID_LINE_MAX);
	while (n > 0 && (bytes[n - 1] == '\r' || bytes[n - 1] == ' ' || bytes[n - 1] == '\t'))
		n--;
	while (n > 0 && (bytes[0] == ' ' || bytes[0] == '\t')) {
		bytes++;
		n--;
	}
	if (n == 0) {
		(void)dm_fail(err, DM_USAGE, "its first line is empty");
		return dm_hint(err, "write the name of the app into .id, or delete the file");
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c < 0x20 || c == 0x7f)
			return dm_fail(
			    err, DM_USAGE, "its first line holds the control byte 0x%02x", c);
	}
	memcpy(line, bytes, n);
	line[n] = '\0';
	return true;
}

bool
name_from_remote(const char *url, char *out, size_t size)
{
	size_t end = strlen(url), start;

	while (end > 0 && url[end - 1] == '/')
		end--;
	if (end >= 4 && memcmp(url + end - 4, ".git", 4) == 0)
		end -= 4;
	while (end > 0 && url[end - 1] == '/')
		end--;
	for (start = end; start > 0 && url[start - 1] != '/' && url[start - 1] != ':'; start--)
		continue;
	return end > start && dm_snprintf(out, size, "%.*s", (int)(end - start), url + start);
}

/* Whether a text has anything that a slug can show. */
static bool
has_alnum(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || (unsigned char)*s >= 0x80)
			return true;
	}
	return false;
}

/* The branch part: its text (NULL: none) and where it came from. */
static const char *
choose_branch(const struct name_input *in, const struct slug *app, const char **from)
{
	if (in->branch != NULL) {
		*from = "branch";
		return in->branch;
	}
	if (in->worktree_dir != NULL && strcmp(slug_make(in->worktree_dir).s, app->s) != 0) {
		*from = "directory of the worktree (detached HEAD)";
		return in->worktree_dir;
	}
	if (in->commit != NULL) {
		*from = "commit (detached HEAD)";
		return in->commit;
	}
	*from = "none";
	return NULL;
}

/* `id` without "-<branch>" at its end: the app's part of a complete id. */
static struct slug
without_branch(const struct slug *id, const struct slug *branch)
{
	struct slug app = *id;
	size_t n = strlen(id->s), m = strlen(branch->s);

	if (n > m + 1 && dm_ends_with(id->s, branch->s) && id->s[n - m - 1] == '-')
		app.s[n - m - 1] = '\0';
	return app;
}

/* `.id` is, or ends with, the branch's slug: both habits of writing it work. */
static bool
covers_branch(const struct slug *id, const struct slug *branch)
{
	return strcmp(id->s, branch->s) == 0 || strcmp(without_branch(id, branch).s, id->s) != 0;
}

struct app_choice {
	const char *text;
	const char *from;
};

static struct app_choice
choose_app(const struct name_input *in, char remote[REMOTE_NAME_MAX])
{
	if (in->app_flag != NULL)
		return (struct app_choice){in->app_flag, "--app"};
	if (in->app_env != NULL)
		return (struct app_choice){in->app_env, "DEVMESH_APP"};
	if (in->id_file != NULL)
		return (struct app_choice){in->id_file, ".id"};
	if (in->app_config != NULL)
		return (struct app_choice){in->app_config, "configuration (mesh.app)"};
	if (in->remote_url != NULL && name_from_remote(in->remote_url, remote, REMOTE_NAME_MAX))
		return (struct app_choice){remote, "remote origin"};
	return (struct app_choice){in->main_dir != NULL ? in->main_dir : "", "directory"};
}

bool
name_wants_remote(const struct name_input *in)
{
	return in->id == NULL && in->app_flag == NULL && in->app_env == NULL &&
	       in->id_file == NULL && in->app_config == NULL;
}

/* An id that is complete as written: --id, DEVMESH_ID, or a .id with a dot at its end. */
static bool
compose_exact(const char *text, const char *from, struct name *out, struct dm_err *err)
{
	if (!slug_parse(text, &out->id, err))
		return dm_wrap(err, "%s", from);
	out->app = out->id;
	out->exact = true;
	out->app_from = out->id_from = from;
	out->branch_from = "none";
	return true;
}

bool
name_compose(const struct name_input *in, struct name *out, struct dm_err *err)
{
	char remote[REMOTE_NAME_MAX], text[NAME_ID_LINE_MAX + 1];
	struct app_choice app = choose_app(in, remote);
	const char *branch, *hashed[2];
	struct slug branch_slug;

	memset(out, 0, sizeof(*out));
	if (in->id != NULL) {
		if (!compose_exact(in->id, "--id or DEVMESH_ID", out, err))
			return false;
		if (in->app_flag != NULL && has_alnum(in->app_flag)) {
			out->app = slug_make(in->app_flag);
			out->app_from = "--app";
		}
		return true;
	}
	if (app.text == in->id_file && dm_ends_with(app.text, ".")) {
		if (!dm_snprintf(text, sizeof(text), "%.*s", (int)(strlen(app.text) - 1), app.text))
			text[0] = '\0';
		return compose_exact(text, ".id (complete: it ends in a dot)", out, err);
	}
	if (!has_alnum(app.text)) {
		(void)dm_fail(err, DM_USAGE,
		    "\"%s\" (from %s) has no letter or digit to make a name of", app.text,
		    app.from);
		return dm_hint(err, "give one with --app NAME, or write it into .id");
	}
	out->app = slug_make(app.text);
	out->app_from = app.from;
	branch = choose_branch(in, &out->app, &out->branch_from);
	hashed[0] = app.text;
	hashed[1] = branch == NULL ? "" : branch;
	out->hash = slug_hash(hashed, 2);
	if (branch == NULL) {
		out->id = out->app;
		out->id_from = "app";
		return true;
	}
	branch_slug = slug_make(branch);
	if (app.text == in->id_file && covers_branch(&out->app, &branch_slug)) {
		out->id = out->app;
		out->app = without_branch(&out->id, &branch_slug);
		out->id_from = ".id (it ends with the branch)";
	} else {
		out->id = slug_join(&out->app, &branch_slug, &out->hash);
		out->id_from = "app and branch";
	}
	out->has_alias =
	    in->branch != NULL && strcmp(out->id.s, out->app.s) != 0 &&
	    (in->is_default_branch || strcmp(branch, "main") == 0 || strcmp(branch, "master") == 0);
	return true;
}

struct slug
name_alternative(const struct name *name)
{
	return slug_with_hash(&name->id, &name->hash);
}

struct slug
name_last_resort(const struct name *name, const char *worktree)
{
	const char *texts[] = {name->hash.s, worktree};
	struct slug_hash hash = slug_hash(texts, 2);

	return slug_with_hash(&name->id, &hash);
}
