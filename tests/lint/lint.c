/* SPDX-License-Identifier: MIT */
/*
 * The layer test: reads the C files of the tree and the rules in tests/lint/rules.txt, and says
 * where one is broken. It knows C's comments, literals and braces, not its grammar; libc only.
 *
 *   lint RULES ROOT    exit 0: clean, 1: findings, 2: it could not do its work
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLANK	 " \t\r\n"
#define SPDX	 "/* SPDX-License-Identifier: MIT */"
#define PATH_LEN 512

struct rule { /* KIND LEFT: RIGHT */
	char kind[16], left[128], right[512];
	int line;
	bool used;
};

struct lint {
	struct rule rule[256]; /* in the file's order; behind the last one a rule without a kind */
	int files, findings;
};

struct file {
	const char *path, *dir;	  /* from the top of the tree */
	const struct rule *layer; /* the directory's rule */
	char *text;		  /* the contents without comments */
	char *code;		  /* nor the contents of string and character literals */
};

#define dm_each_line(r, l, k) \
	for (struct rule *r = (l)->rule; r->kind[0] != '\0'; r++) \
		if (strcmp(r->kind, k) == 0)

static _Noreturn void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "lint: %s: %s\n", what, why);
	exit(2);
}

static __attribute__((format(printf, 2, 3))) void
put(char path[PATH_LEN], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(path, PATH_LEN, fmt, ap) >= PATH_LEN)
		die(path, "name too long");
	va_end(ap);
}

/* The caller owns the text. */
static char *
read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;
	ssize_t len = -1;

	if (in == NULL || ((len = getdelim(&text, &cap, '\0', in)) < 0 && ferror(in)))
		die(path, strerror(errno));
	if (text == NULL || len <= 0 || text[len - 1] == '\0')
		die(path, "empty, or not a text file");
	(void)fclose(in);
	return text;
}

static void
load_rules(struct lint *l, const char *path)
{
	struct rule *r = l->rule, *last = r + sizeof(l->rule) / sizeof(l->rule[0]) - 1;
	char *text = read_file(path), kind[32];
	int line = 1, at = 0;

	for (char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n', line++, at = 0) {
		p += strspn(p, " \t");
		if (*p == '#' || *p == '\n')
			continue;
		r->line = line;
		(void)sscanf(
		    p, "%15s %127[^: \n]%n:%*[ ]%511[^\n]", r->kind, r->left, &at, r->right);
		if (at == 0 || p[at] != ':')
			die(p, "not a rule of the form KIND SUBJECT: REST");
		(void)snprintf(kind, sizeof(kind), " %s ", r->kind);
		if (r++ == last || strstr(" scan root layer home ban limit allow ", kind) == NULL)
			die(p, "no such kind of rule, or too many rules");
	}
	free(text);
}

/* Does the pattern name this path? DIR/ followed by ** is DIR and all below. */
static bool
matches(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (n < 3 || strcmp(pattern + n - 3, "/**") != 0)
		return fnmatch(pattern, path, FNM_PATHNAME) == 0;
	return strncmp(pattern, path, n - 3) == 0 && strchr("/", path[n - 3]) != NULL;
}

/* Is the path named by one of the blank-separated patterns? */
static bool
listed(const char *patterns, const char *path)
{
	char word[PATH_LEN];

	for (int n; sscanf(patterns, "%511s%n", word, &n) == 1; patterns += n)
		if (matches(word, path))
			return true;
	return false;
}

/* One finding, unless the rules allow it. */
static __attribute__((format(printf, 5, 6))) void
report(struct lint *l, const char *path, int line, const char *rule, const char *fmt, ...)
{
	va_list ap;

	dm_each_line (r, l, "allow")
		if (matches(r->left, path) && strlen(rule) == strcspn(r->right, BLANK) &&
		    strncmp(r->right, rule, strlen(rule)) == 0) {
			r->used = true;
			return;
		}
	printf("%s:%d: %s: ", path, line, rule);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	l->findings++;
}

static int
limit(struct lint *l, const char *what)
{
	dm_each_line (r, l, "limit")
		if (strcmp(r->left, what) == 0)
			return (int)strtol(r->right, NULL, 10);
	die(what, "the rules set no such limit");
}

static int
count_lines(const char *from, const char *to)
{
	int lines = 0;

	while (from < to)
		lines += *from++ == '\n';
	return lines;
}

/* Puts blanks for n bytes and returns what follows; newlines stay. */
static char *
blank(char *p, size_t n)
{
	for (; n > 0 && *p != '\0'; n--, p++)
		*p = *p == '\n' ? '\n' : ' ';
	return p;
}

/* Blanks comments; with `literals` also what stands between quotes. */
static void
strip(char *p, bool literals)
{
	while (*p != '\0') {
		if (p[0] == '/' && p[1] == '*') {
			const char *end = strstr(p + 2, "*/");

			p = blank(p, end == NULL ? strlen(p) : (size_t)(end + 2 - p));
		} else if (p[0] == '/' && p[1] == '/') {
			p = blank(p, strcspn(p, "\n"));
		} else if (*p == '"' || *p == '\'') {
			char quote = *p++;

			while (*p != '\0' && *p != quote && *p != '\n') {
				size_t n = p[0] == '\\' && p[1] != '\0' ? 2 : 1;

				p = literals ? blank(p, n) : p + n;
			}
			p += *p == quote;
		} else {
			p++;
		}
	}
}

/* One #include; true if it is one of ours, looked up as the compiler does. */
static bool
check_include(struct lint *l, const struct file *f, int line, const char *name, bool quoted)
{
	char path[PATH_LEN], *dir;
	struct stat st;

	dm_each_line (r, l, "home")
		if (fnmatch(r->left, name, 0) == 0) {
			if (!listed(r->right, f->path))
				report(l, f->path, line, "home", "%s is for: %s", name, r->right);
			return false;
		}
	put(path, "%s/%s", f->dir, name);
	dm_each_line (r, l, "root")
		if (stat(path, &st) != 0)
			put(path, "%s/%s", r->left, name);
	if (strstr(name, "./") != NULL || stat(path, &st) != 0) {
		if (quoted)
			report(l, f->path, line, "include", "there is no header %s of ours", name);
		return quoted;
	}
	*strrchr(path, '/') = '\0';
	dir = path + (strncmp(path, "./", 2) == 0 ? 2 : 0);
	if (f->layer != NULL && strcmp(dir, f->dir) != 0 && !listed(f->layer->right, dir))
		report(l, f->path, line, "layer", "must not include %s of %s", name, dir);
	return true;
}

/* A body is what stands between a { and a } in the first column, as .clang-format has it. */
static void
check_lines(struct lint *l, const struct file *f)
{
	int own = 0, body = 0, line = 1, n, most = limit(l, "function");
	char name[256], open, close;

	for (const char *p = f->code; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n', line++) {
		const char *text = f->text + (p - f->code) + strspn(p, " \t");

		if (sscanf(text, "# include %c%255[^>\"\n]%c", &open, name, &close) == 3)
			own += check_include(l, f, line, name, open == '"');
		n = line - body - 1;
		if (*p == '}' && body > 0 && n > most)
			report(l, f->path, body, "function", "%d lines, at most %d", n, most);
		body = *p == '{' ? line : *p == '}' ? 0 : body;
	}
	if (own > limit(l, "includes"))
		report(l, f->path, 1, "includes", "%d of our headers are too many", own);
}

static void
check_guard(struct lint *l, const struct file *f)
{
	char want[PATH_LEN], ifndef[128], define[128];

	put(want, "DEVMESH_%s", f->path + strlen(f->dir) + 1);
	for (char *s = want; *s != '\0'; s++)
		*s = (char)(isalnum((unsigned char)*s) ? toupper((unsigned char)*s) : '_');
	if (sscanf(f->text, " # ifndef %127s # define %127s", ifndef, define) != 2 ||
	    strcmp(ifndef, want) != 0 || strcmp(define, want) != 0)
		report(l, f->path, 1, "guard", "does not begin with #ifndef and #define %s", want);
}

static void
check_calls(struct lint *l, const struct file *f)
{
	size_t n;

	for (const char *p = f->code; *p != '\0'; p += n + (n == 0)) {
		for (n = 0; isalnum((unsigned char)p[n]) || p[n] == '_';)
			n++;
		if (n == 0 || p[n + strspn(p + n, BLANK)] != '(')
			continue;
		if (p > f->code + 1 && (p[-1] == '.' || (p[-2] == '-' && p[-1] == '>')))
			continue; /* a member */
		dm_each_line (r, l, "ban")
			if (strlen(r->left) == n && strncmp(p, r->left, n) == 0)
				report(l, f->path, 1 + count_lines(f->code, p), "banned",
				    "%s(): use %s", r->left, r->right);
	}
}

static void
check_file(struct lint *l, const char *dir, const char *path, const char *ext)
{
	struct file f = {
	    .path = path, .dir = dir, .text = read_file(path), .code = read_file(path)};
	int lines = count_lines(f.text, f.text + strlen(f.text));

	l->files++;
	dm_each_line (r, l, "layer")
		if (f.layer == NULL && matches(r->left, dir))
			f.layer = r;
	if (f.layer == NULL)
		report(l, path, 1, "layer", "the rules have no layer line for %s", dir);
	if (strncmp(f.text, SPDX "\n", sizeof(SPDX)) != 0)
		report(l, path, 1, "spdx", "the first line is not " SPDX);
	if (lines > limit(l, ext))
		report(l, path, lines, "size", "%d lines, at most %d", lines, limit(l, ext));
	strip(f.text, false);
	strip(f.code, true);
	if (strcmp(ext, ".h") == 0)
		check_guard(l, &f);
	check_lines(l, &f);
	check_calls(l, &f);
	free(f.text);
	free(f.code);
}

static void
check_tree(struct lint *l, const char *dir)
{
	struct dirent **entry = NULL;
	int n = scandir(dir, &entry, NULL, alphasort);

	if (n < 0 && errno != ENOTDIR && errno != ENOENT)
		die(dir, strerror(errno));
	for (int i = 0; i < n; free(entry[i++])) {
		const char *name = entry[i]->d_name, *ext = strrchr(name, '.');
		char path[PATH_LEN];

		put(path, "%s/%s", dir, name);
		if (ext != NULL && (strcmp(ext, ".c") == 0 || strcmp(ext, ".h") == 0))
			check_file(l, dir, path, ext);
		else if (name[0] != '.')
			check_tree(l, path);
	}
	free(entry);
}

int
main(int argc, char **argv)
{
	struct lint l = {.files = 0};

	if (argc != 3)
		die("usage", "lint RULES ROOT");
	load_rules(&l, argv[1]);
	if (chdir(argv[2]) != 0)
		die(argv[2], strerror(errno));
	dm_each_line (r, &l, "scan")
		check_tree(&l, r->left);
	dm_each_line (r, &l, "allow")
		if (!r->used || strpbrk(r->right, BLANK) == NULL)
			report(&l, argv[1], r->line, "allow", "not needed, or without a reason");
	if (l.files == 0)
		report(&l, argv[2], 1, "scan", "no C files found");
	printf("lint: %d files, %d findings\n", l.files, l.findings);
	return l.findings == 0 ? 0 : 1;
}
