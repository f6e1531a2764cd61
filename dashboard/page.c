/* SPDX-License-Identifier: MIT */
#include "page.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "web.h"

enum {
	PAGE_MAX = 16 << 20
};

/* What is filled in. Borrowed. */
struct page {
	const cJSON *state;
	const char *nonce;
};

/* ---- text ---------------------------------------------------------------------------------- */

static const cJSON *
member(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* "" where there is none. */
static const char *
text_of(const cJSON *o, const char *key)
{
	const char *text = cJSON_GetStringValue(member(o, key));

	return text == NULL ? "" : text;
}

static double
number_of(const cJSON *o, const char *key)
{
	const cJSON *m = member(o, key);

	return cJSON_IsNumber(m) ? m->valuedouble : 0;
}

/* As text between tags, and between double quotes (WHATWG HTML §13.1.2.3). */
static void
add_text(struct dm_str *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		switch (*p) {
		case '&':
			(void)dm_str_addf(out, "&amp;");
			break;
		case '<':
			(void)dm_str_addf(out, "&lt;");
			break;
		case '>':
			(void)dm_str_addf(out, "&gt;");
			break;
		case '"':
			(void)dm_str_addf(out, "&quot;");
			break;
		default:
			(void)dm_str_add(out, p, 1);
		}
	}
}

/* A cell of the table; text of others may run from right to left, and stays in its cell. */
static void
add_cell(struct dm_str *out, const char *class, const char *text)
{
	(void)dm_str_addf(out, "<td class=\"%s\"><bdi>", class);
	add_text(out, text);
	(void)dm_str_addf(out, "</bdi></td>");
}

static bool
is_link(const char *url)
{
	return dm_starts_with(url, "https://") || dm_starts_with(url, "http://");
}

static void
add_link(struct dm_str *out, const char *url)
{
	if (!is_link(url)) {
		(void)dm_str_addf(out, "<td class=\"url\">—</td>");
		return;
	}
	(void)dm_str_addf(out, "<td class=\"url\"><a href=\"");
	add_text(out, url);
	(void)dm_str_addf(out, "\" rel=\"noopener\">");
	add_text(out, url);
	(void)dm_str_addf(out, "</a></td>");
}

/* UTC: where the reader is, the server does not know. */
static void
add_time(struct dm_str *out, double since)
{
	time_t t = (time_t)since;
	char machine[32] = "", human[32] = "";
	struct tm utc;

	if (since <= 0 || since > 253402300799.0 || gmtime_r(&t, &utc) == NULL ||
	    strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0 ||
	    strftime(human, sizeof(human), "%Y-%m-%d %H:%M UTC", &utc) == 0) {
		(void)dm_str_addf(out, "<td class=\"since\">—</td>");
		return;
	}
	(void)dm_str_addf(
	    out, "<td class=\"since\"><time datetime=\"%s\">%s</time></td>", machine, human);
}

/* ---- services, by repository --------------------------------------------------------------- */

struct row {
	const cJSON *service;
	char *group; /* owned */
};

/* "/src/shop/.git" and "/src/shop.git" are "shop". The caller owns it. */
static char *
repo_name(const char *repo)
{
	DM_AUTO_FREE char *dir = dm_ends_with(repo, "/.git") ? dm_path_dir(repo) : dm_strdup(repo);
	char *name = dm_path_base(dir);

	if (dm_ends_with(name, ".git"))
		name[strlen(name) - 4] = '\0';
	return name;
}

/* The repository of its worktree; of one that is in none, its app. The caller owns it. */
static char *
group_of(const cJSON *state, const cJSON *service)
{
	const char *worktree = text_of(service, "worktree");
	const cJSON *w;

	cJSON_ArrayForEach (w, member(state, "worktrees")) {
		if (strcmp(text_of(w, "path"), worktree) == 0)
			return repo_name(text_of(w, "repo"));
	}
	return dm_strdup(text_of(service, "app"));
}

static int
compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->group, y->group);

	return order != 0 ? order : strcmp(text_of(x->service, "id"), text_of(y->service, "id"));
}

/* Its branch; of another app than the others of its repository, with that. The caller owns it. */
static char *
name_of(const cJSON *service, const char *group)
{
	const char *branch = text_of(service, "branch"), *app = text_of(service, "app");

	if (branch[0] == '\0')
		return dm_strdup(text_of(service, "id"));
	return strcmp(app, group) == 0 ? dm_strdup(branch) : dm_asprintf("%s · %s", app, branch);
}

static void
add_service(struct dm_str *out, const cJSON *service, const char *group)
{
	DM_AUTO_FREE char *name = name_of(service, group);
	const char *state = text_of(service, "state");
	const char *worktree = text_of(service, "worktree");

	(void)dm_str_addf(out, "<tr data-id=\"");
	add_text(out, text_of(service, "id"));
	(void)dm_str_addf(out, "\"><td class=\"state\"><span class=\"badge\" data-state=\"");
	add_text(out, state);
	(void)dm_str_addf(out, "\">");
	add_text(out, state);
	(void)dm_str_addf(out, "</span></td>");
	add_cell(out, "name", name);
	add_link(out, text_of(service, "url"));
	add_cell(out, "worktree", worktree);
	add_cell(out, "server", text_of(service, "command"));
	/* what is measured all the time is for who stays */
	(void)dm_str_addf(out, "<td class=\"requests\"></td><td class=\"cpu\"></td>");
	add_time(out, number_of(service, "since"));
	(void)dm_str_addf(out, "</tr>\n");
}

static void
add_services(struct dm_str *out, const struct page *page)
{
	const cJSON *list = member(page->state, "services"), *service;
	size_t count = 0, room = (size_t)cJSON_GetArraySize(list);
	DM_AUTO_FREE struct row *rows = dm_calloc(room + 1, sizeof(*rows));

	cJSON_ArrayForEach (service, list)
		rows[count++] = (struct row){service, group_of(page->state, service)};
	qsort(rows, count, sizeof(*rows), compare_rows);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(rows[i].group, rows[i - 1].group) != 0) {
			(void)dm_str_addf(out,
			    "%s<tbody>\n<tr class=\"group\"><th colspan=\"8\" "
			    "scope=\"rowgroup\"><bdi>",
			    i == 0 ? "" : "</tbody>\n");
			add_text(out, rows[i].group);
			(void)dm_str_addf(out, "</bdi></th></tr>\n");
		}
		add_service(out, rows[i].service, rows[i].group);
	}
	(void)dm_str_addf(out, count == 0 ? "<tbody></tbody>" : "</tbody>");
	for (size_t i = 0; i < count; i++)
		free(rows[i].group);
}

/* ---- the other parts ----------------------------------------------------------------------- */

static void
add_domain(struct dm_str *out, const struct page *page)
{
	add_text(out, text_of(member(page->state, "node"), "domain"));
}

static void
add_summary(struct dm_str *out, const struct page *page)
{
	const cJSON *list = member(page->state, "services"), *service;
	int up = 0;

	cJSON_ArrayForEach (service, list)
		up += strcmp(text_of(service, "state"), "up") == 0;
	(void)dm_str_addf(out, "%d of %d services up · Caddy ", up, cJSON_GetArraySize(list));
	add_text(out, text_of(member(page->state, "caddy"), "state"));
}

static void
add_found(struct dm_str *out, const struct page *page)
{
	const cJSON *f;

	cJSON_ArrayForEach (f, member(page->state, "found")) {
		const char *socket = text_of(f, "socket");
		DM_AUTO_FREE char *place = socket[0] != '\0'
					       ? dm_strdup(socket)
					       : dm_asprintf("port %.0f", number_of(f, "port"));

		(void)dm_str_addf(out, "<tr>");
		add_cell(out, "server", text_of(f, "command"));
		add_cell(out, "place", place);
		add_cell(out, "worktree", text_of(f, "cwd"));
		(void)dm_str_addf(out, "</tr>\n");
	}
}

static void
add_worktrees(struct dm_str *out, const struct page *page)
{
	const cJSON *w;

	cJSON_ArrayForEach (w, member(page->state, "worktrees")) {
		DM_AUTO_FREE char *repo = repo_name(text_of(w, "repo"));

		(void)dm_str_addf(out, "<tr>");
		add_cell(out, "repo", repo);
		add_cell(out, "name", text_of(w, "branch"));
		add_cell(out, "worktree", text_of(w, "path"));
		add_time(out, number_of(w, "last_commit"));
		(void)dm_str_addf(out, "</tr>\n");
	}
}

static void
add_nonce(struct dm_str *out, const struct page *page)
{
	add_text(out, page->nonce);
}

static void
add_style(struct dm_str *out, const struct page *page)
{
	const struct web_file *file = web_find("app.css");

	(void)page;
	(void)dm_str_add(out, (const char *)file->data, file->len);
}

static const struct {
	const char *name;
	void (*add)(struct dm_str *out, const struct page *page);
} fillings[] = {
    {"{{domain}}", add_domain},
    {"{{summary}}", add_summary},
    {"{{services}}", add_services},
    {"{{found}}", add_found},
    {"{{worktrees}}", add_worktrees},
    {"{{nonce}}", add_nonce},
    {"{{style}}", add_style},
};

/* Fills in what stands at `at`; how long its name is, 0 if nothing stands there. */
static size_t
fill(struct dm_str *out, const char *at, size_t left, const struct page *page)
{
	for (size_t i = 0; i < sizeof(fillings) / sizeof(fillings[0]); i++) {
		size_t n = strlen(fillings[i].name);

		if (n <= left && memcmp(at, fillings[i].name, n) == 0) {
			fillings[i].add(out, page);
			return n;
		}
	}
	return 0;
}

char *
page_render(const struct cJSON *state, const char *nonce)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(PAGE_MAX);
	const struct web_file *file = web_find("index.html");
	const struct page page = {.state = state, .nonce = nonce};
	const char *text = (const char *)file->data;

	for (size_t i = 0; i < file->len;) {
		size_t filled = fill(&out, text + i, file->len - i, &page);

		if (filled == 0)
			(void)dm_str_add(&out, text + i, 1);
		i += filled == 0 ? 1 : filled;
	}
	return out.overflow ? NULL : dm_str_take(&out);
}

static void
add_shared(struct dm_str *out, const cJSON *service)
{
	const char *url = text_of(service, "url"), *state = text_of(service, "state");
	const char *reach = text_of(member(service, "share"), "reach");

	(void)dm_str_addf(out, "<li>");
	if (is_link(url)) {
		(void)dm_str_addf(out, "<a href=\"");
		add_text(out, url);
		(void)dm_str_addf(out, "\">");
	}
	add_text(out, text_of(service, "id"));
	(void)dm_str_addf(out, "%s<span>%s%s</span></li>\n", is_link(url) ? "</a>" : "",
	    strcmp(state, "up") == 0 || strcmp(state, "degraded") == 0 ? "running" : "not running",
	    strcmp(reach, "password") == 0 ? ", asks for a password" : "");
}

char *
page_render_shared(const struct cJSON *state, bool *any)
{
	static const char head[] =
	    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	    "<title>devmesh</title>\n<style>"
	    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
	    "main{max-width:36rem;margin:auto;padding:1rem}h1{font-size:1.25rem}"
	    "ul{padding:0;list-style:none}li{margin:.5rem 0;border:1px solid #8886;"
	    "border-radius:.5rem;padding:.5rem 1rem}a{display:block;padding:.6rem 0;"
	    "font-weight:600;overflow-wrap:anywhere}span,p{font-size:.875rem;opacity:.75}"
	    "code{font-family:ui-monospace,monospace}</style>\n<main>\n";
	DM_AUTO_STR struct dm_str out = dm_str_make(PAGE_MAX);
	const cJSON *service;

	(void)dm_str_addf(&out, "%s", head);
	*any = false;
	cJSON_ArrayForEach (service, member(state, "services")) {
		if (!cJSON_IsObject(member(service, "share")))
			continue;
		if (!*any)
			(void)dm_str_addf(&out, "<h1>Shared with you</h1>\n<ul>\n");
		*any = true;
		add_shared(&out, service);
	}
	(void)dm_str_addf(&out,
	    "%s\n<p>%s of this machine are for its user. To see them from here: "
	    "<code>devmesh open --print</code>, there, makes an address that logs "
	    "in.</p>\n</main>\n",
	    *any ? "</ul>" : "<h1>Nothing is shared with the network</h1>",
	    *any ? "The other services" : "The services");
	return out.overflow ? NULL : dm_str_take(&out);
}
