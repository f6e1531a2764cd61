/* SPDX-License-Identifier: MIT */
/*
 * The layer test, tested: runs the lint program on small trees that each break one of the real
 * rules, and expects to hear about it; and on trees that only look as if they did.
 *
 * DEVMESH_LINT is the program, DEVMESH_LINT_RULES the rules (tests/lint/rules.txt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPDX	 "/* SPDX-License-Identifier: MIT */\n"
#define PATH_LEN 1024

struct tree {
	char dir[64];	 /* a private directory */
	char *rules;	 /* the real ones without their exceptions */
	char *files[16]; /* and rules.txt, every time it is written */
	size_t count;
	char out[8192]; /* what lint said */
	int status;
};

/* The caller owns the text. */
static char *
read_all(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (in == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	if (getdelim(&text, &cap, '\0', in) < 0)
		fail_msg("%s: empty or unreadable", path);
	(void)fclose(in);
	return text;
}

/* Adds a file; its directories are made. */
static void
put(struct tree *t, const char *name, const char *head, const char *text)
{
	char path[PATH_LEN];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	assert_true(t->count < sizeof(t->files) / sizeof(t->files[0]));
	t->files[t->count] = strdup(path);
	assert_non_null(t->files[t->count++]);
	for (char *s = strchr(path + strlen(t->dir) + 1, '/'); s != NULL; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(path, 0700) != 0)
			assert_int_equal(errno, EEXIST);
		*s = '/';
	}
	out = fopen(path, "we");
	assert_non_null(out);
	assert_true(fputs(head, out) >= 0 && fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* Adds a header of ours with nothing wrong in it. */
static void
put_header(struct tree *t, const char *name)
{
	char guard[128] = "DEVMESH_", text[512];
	size_t n = strlen(guard);

	for (const char *s = strrchr(name, '/') + 1; *s != '\0'; s++)
		guard[n++] = (char)(*s == '.' ? '_' : *s - 'a' + 'A');
	(void)snprintf(text, sizeof(text), "#ifndef %s\n#define %s\n\n#endif\n", guard, guard);
	put(t, name, SPDX, text);
}

/* Runs lint on the tree. */
static void
run(struct tree *t)
{
	const char *lint = getenv("DEVMESH_LINT");
	char rules[128];
	size_t len = 0;
	ssize_t got;
	int fds[2];
	pid_t pid;

	(void)snprintf(rules, sizeof(rules), "%s/rules.txt", t->dir);
	put(t, "rules.txt", t->rules, "");
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(fds[1], 1) == 1 && dup2(fds[1], 2) == 2) {
			(void)close(fds[0]);
			(void)close(fds[1]);
			(void)execl(lint, lint, rules, t->dir, (char *)NULL);
		}
		_exit(127);
	}
	(void)close(fds[1]);
	while ((got = read(fds[0], t->out + len, sizeof(t->out) - 1 - len)) > 0)
		len += (size_t)got;
	t->out[len] = '\0';
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &t->status, 0), pid);
	assert_true(WIFEXITED(t->status));
	t->status = WEXITSTATUS(t->status);
}

/* Expects exactly one finding, which begins with this. */
static void
expect(struct tree *t, const char *finding)
{
	run(t);
	if (t->status != 1 || strncmp(t->out, finding, strlen(finding)) != 0 ||
	    strstr(t->out, ", 1 findings\n") == NULL)
		fail_msg(
		    "expected only \"%s\", got status %d and:\n%s", finding, t->status, t->out);
}

static void
expect_clean(struct tree *t)
{
	run(t);
	if (t->status != 0 || strstr(t->out, ", 0 findings\n") == NULL)
		fail_msg("expected nothing, got status %d and:\n%s", t->status, t->out);
}

static int
setup(void **state)
{
	const char *rules = getenv("DEVMESH_LINT_RULES");
	struct tree *t = calloc(1, sizeof(*t));
	char *from, *to;

	if (getenv("DEVMESH_LINT") == NULL) {
		print_error("DEVMESH_LINT must name the lint program\n");
		free(t);
		return -1;
	}
	assert_non_null(t);
	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/devmesh-lint-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->rules = read_all(rules == NULL ? "tests/lint/rules.txt" : rules);
	/* The exceptions are for files that these trees do not have. */
	for (from = to = t->rules; *from != '\0';) {
		size_t n = strcspn(from, "\n") + 1;

		if (from[n - 1] == '\0')
			n--;
		if (strncmp(from, "allow ", 6) != 0) {
			memmove(to, from, n);
			to += n;
		}
		from += n;
	}
	*to = '\0';
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct tree *t = *state;

	while (t->count-- > 0) {
		char *path = t->files[t->count], *slash;

		(void)unlink(path);
		while ((slash = strrchr(path, '/')) != NULL && slash > path + strlen(t->dir)) {
			*slash = '\0';
			(void)rmdir(path);
		}
		free(path);
	}
	(void)rmdir(t->dir);
	free(t->rules);
	free(t);
	return 0;
}

/* Every pair of layers: who may include whom. */
static void
layers(void **state)
{
	static const struct {
		const char *from, *header, *as;
		bool allowed;
	} cases[] = {
	    {"registrar/base/x.c", "registrar/base/err.h", "base/err.h", true},
	    {"registrar/base/x.c", "registrar/model/slug.h", "model/slug.h", false},
	    {"registrar/base/x.c", "registrar/conf/conf.h", "conf/conf.h", false},
	    {"registrar/base/x.c", "registrar/cmd.h", "cmd.h", false},
	    {"registrar/model/x.c", "registrar/base/err.h", "base/err.h", true},
	    {"registrar/model/x.c", "registrar/repo/repo.h", "repo/repo.h", false},
	    {"registrar/conf/x.c", "registrar/base/err.h", "base/err.h", true},
	    {"registrar/conf/x.c", "registrar/model/slug.h", "model/slug.h", true},
	    {"registrar/conf/x.c", "registrar/claim/claim.h", "claim/claim.h", false},
	    {"registrar/repo/x.c", "registrar/model/slug.h", "model/slug.h", true},
	    {"registrar/repo/x.c", "registrar/conf/conf.h", "conf/conf.h", false},
	    {"registrar/claim/x.c", "registrar/model/slug.h", "model/slug.h", true},
	    {"registrar/claim/x.c", "registrar/caddy/caddy.h", "caddy/caddy.h", false},
	    {"registrar/caddy/x.c", "registrar/base/err.h", "base/err.h", true},
	    {"registrar/caddy/x.c", "registrar/claim/claim.h", "claim/claim.h", false},
	    {"registrar/caddy/x.c", "registrar/cmd.h", "cmd.h", false},
	    {"registrar/x.c", "registrar/repo/repo.h", "repo/repo.h", true},
	    {"registrar/x.c", "registrar/caddy/caddy.h", "caddy/caddy.h", true},
	    {"registrar/x.c", "dashboard/loop.h", "dashboard/loop.h", false},
	    {"registrar/x.c", "dashboard/loop.h", "loop.h", false},
	    {"registrar/claim/x.c", "dashboard/loop.h", "loop.h", false},
	    {"dashboard/x.c", "registrar/caddy/caddy.h", "caddy/caddy.h", true},
	    {"dashboard/x.c", "registrar/claim/claim.h", "claim/claim.h", true},
	    {"dashboard/x.c", "dashboard/loop.h", "loop.h", true},
	    {"dashboard/x.c", "registrar/repo/repo.h", "repo/repo.h", true},
	    {"dashboard/x.c", "registrar/cli.h", "cli.h", true},
	    {"dashboard/x.c", "registrar/edit/diff.h", "edit/diff.h", false},
	    {"dashboard/x.c", "tests/harness.h", "tests/harness.h", false},
	    {"tests/unit/x.c", "registrar/repo/repo.h", "repo/repo.h", true},
	    {"tests/unit/x.c", "dashboard/loop.h", "dashboard/loop.h", true},
	    {"tests/unit/x.c", "tests/integration/harness.h", "integration/harness.h", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int angled = 0; angled < 2; angled++) {
			char text[128], finding[128];
			struct tree *t;
			void *p = NULL;

			assert_int_equal(setup(&p), 0);
			t = p;
			put_header(t, cases[i].header);
			(void)snprintf(text, sizeof(text), "\n  # include %c%s%c\n",
			    angled ? '<' : '"', cases[i].as, angled ? '>' : '"');
			put(t, cases[i].from, SPDX, text);
			(void)snprintf(finding, sizeof(finding), "%s:3: layer: ", cases[i].from);
			if (cases[i].allowed)
				expect_clean(t);
			else
				expect(t, finding);
			(void)teardown(&p);
		}
}

/* A directory that the rules do not know has to say where it stands. */
static void
unknown_directory(void **state)
{
	put(*state, "registrar/new/x.c", SPDX, "int x;\n");
	expect(*state, "registrar/new/x.c:1: layer: ");
}

static void
unknown_header(void **state)
{
	put(*state, "registrar/x.c", SPDX, "#include <stdio.h>\n#include \"base/gone.h\"\n");
	expect(*state, "registrar/x.c:3: include: ");
}

static void
header_by_a_detour(void **state)
{
	put_header(*state, "registrar/base/err.h");
	put(*state, "registrar/model/x.c", SPDX, "#include \"../base/err.h\"\n");
	expect(*state, "registrar/model/x.c:2: include: ");
}

static void
third_party_homes(void **state)
{
	static const struct {
		const char *from, *header;
		bool allowed;
	} cases[] = {
	    {"registrar/caddy/x.c", "<curl/curl.h>", true},
	    {"registrar/caddy/x.h", "<curl/curl.h>", true},
	    {"registrar/claim/x.c", "<curl/curl.h>", false},
	    {"registrar/x.c", "<curl/easy.h>", false},
	    {"dashboard/x.c", "\"curl/curl.h\"", false},
	    {"registrar/caddy/x.c", "<cjson/cJSON.h>", true},
	    {"registrar/claim/x.c", "<cjson/cJSON.h>", true},
	    {"registrar/x.c", "<cjson/cJSON.h>", true},
	    {"registrar/x.h", "<cjson/cJSON.h>", false},
	    {"registrar/caddy/x.h", "<cjson/cJSON.h>", false},
	    {"registrar/model/x.c", "<cjson/cJSON.h>", false},
	    {"registrar/conf/x.c", "<ini.h>", true},
	    {"registrar/x.c", "<ini.h>", false},
	    {"tests/unit/x.c", "<cmocka.h>", true},
	    {"registrar/base/x.c", "<cmocka.h>", false},
	    {"registrar/repo/x.c", "<git2.h>", false},
	    {"registrar/repo/x.c", "<git2/refs.h>", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_header = cases[i].from[strlen(cases[i].from) - 1] == 'h';
		char text[256], finding[128];
		void *p = NULL;

		assert_int_equal(setup(&p), 0);
		(void)snprintf(text, sizeof(text), "%s#include %s\n%s",
		    is_header ? "#ifndef DEVMESH_X_H\n#define DEVMESH_X_H\n" : "\n\n",
		    cases[i].header, is_header ? "#endif\n" : "");
		put(p, cases[i].from, SPDX, text);
		(void)snprintf(finding, sizeof(finding), "%s:4: home: ", cases[i].from);
		if (cases[i].allowed)
			expect_clean(p);
		else
			expect(p, finding);
		(void)teardown(&p);
	}
}

static void
banned_calls(void **state)
{
	static const char *const calls[] = {"strcpy", "strcat", "sprintf", "strncpy", "strtok",
	    "gets", "atoi", "atol", "system", "popen", "tmpnam", "mktemp", "alloca"};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char text[128];
		void *p = NULL;

		assert_int_equal(setup(&p), 0);
		(void)snprintf(
		    text, sizeof(text), "\nint\nf(int a)\n{\n\treturn a >%s (0);\n}\n", calls[i]);
		put(p, "tests/unit/x.c", SPDX, text);
		expect(p, "tests/unit/x.c:6: banned: ");
		(void)teardown(&p);
	}
}

/* What looks like a call, or an include, and is none. */
static void
comments_and_literals(void **state)
{
	put(*state, "registrar/base/x.c", SPDX,
	    "/* strcpy(a, b);\n#include \"cmd.h\"\n*/\n// atoi(\"1\") '\n"
	    "const char *s = \"\\\" system(\\\"x\\\") /* \";\nint c = '\"', d = '\\'';\n"
	    "/* \" */ int (*f)(int) = my_atoi(p->system(o.gets(0), xpopen (2)));\n"
	    "int strcpy, systems(void), gets_(void);\n");
	expect_clean(*state);
}

static void
comment_ends(void **state)
{
	put(*state, "registrar/base/x.c", SPDX,
	    "const char *s = \"/*\"; int a = atoi(s);\n/**/ int b = '\"';\nchar *c = \"//\";\n");
	expect(*state, "registrar/base/x.c:2: banned: atoi()");
}

static void
a_call_in_a_macro(void **state)
{
	put(*state, "registrar/base/x.c", SPDX,
	    "#define X(a) \\\n\tsystem \\\n\t(a)\n#define Y system(1)\n");
	expect(*state, "registrar/base/x.c:5: banned: system()");
}

static void
licence_line(void **state)
{
	put(*state, "registrar/x.c", "\n", SPDX);
	expect(*state, "registrar/x.c:1: spdx: ");
}

static void
guards(void **state)
{
	static const struct {
		const char *text;
		bool allowed;
	} cases[] = {
	    {"#ifndef DEVMESH_OS_LINUX_H\n#define DEVMESH_OS_LINUX_H\n#endif\n", true},
	    {"/* a */\n\n# ifndef DEVMESH_OS_LINUX_H /* b */\n# define "
	     "DEVMESH_OS_LINUX_H\n#endif\n",
		true},
	    {"#pragma once\n", false},
	    {"int x;\n", false},
	    {"#ifndef OS_LINUX_H\n#define OS_LINUX_H\n#endif\n", false},
	    {"#ifndef DEVMESH_OS_LINUX_H\n#define DEVMESH_OS_LINUX_H_\n#endif\n", false},
	    {"int x;\n#ifndef DEVMESH_OS_LINUX_H\n#define DEVMESH_OS_LINUX_H\n#endif\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *p = NULL;

		assert_int_equal(setup(&p), 0);
		put(p, "registrar/base/os_linux.h", SPDX, cases[i].text);
		if (cases[i].allowed)
			expect_clean(p);
		else
			expect(p, "registrar/base/os_linux.h:1: guard: ");
		(void)teardown(&p);
	}
}

/* n times the line. The caller owns the text. */
static char *
repeat(const char *before, const char *line, int n, const char *after)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fputs(before, out);
	while (n-- > 0)
		(void)fputs(line, out);
	(void)fputs(after, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* At the limit all is well; one line more is not. */
static void
sizes(void **state)
{
	static const struct {
		const char *file, *before, *line, *after, *finding;
		int most;
	} cases[] = {
	    {"registrar/x.c", "", "int x;\n", "", "registrar/x.c:601: size: ", 599},
	    {"registrar/x.h", "#ifndef DEVMESH_X_H\n#define DEVMESH_X_H\n", "int x;\n", "#endif\n",
		"registrar/x.h:171: size: ", 166},
	    {"registrar/x.c", "int\nf(void)\n{\n", "\tg();\n", "}\n",
		"registrar/x.c:4: function: ", 80},
	    {"registrar/x.c", "", "#include \"base/err.h\"\n", "",
		"registrar/x.c:1: includes: ", 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int more = 0; more < 2; more++) {
			char *text = repeat(
			    cases[i].before, cases[i].line, cases[i].most + more, cases[i].after);
			void *p = NULL;

			assert_int_equal(setup(&p), 0);
			put_header(p, "registrar/base/err.h");
			put(p, cases[i].file, SPDX, text);
			free(text);
			if (more == 0)
				expect_clean(p);
			else
				expect(p, cases[i].finding);
			(void)teardown(&p);
		}
}

/* Adds a line to the rules. */
static void
add_rule(struct tree *t, const char *line)
{
	char *old = t->rules;

	t->rules = repeat(old, line, 1, "\n");
	free(old);
}

static void
exceptions(void **state)
{
	put(*state, "registrar/x.c", SPDX, "int x = atoi(0);\n");
	add_rule(*state, "allow registrar/x.c: banned a parser of its own");
	expect_clean(*state);
	put(*state, "registrar/x.h", SPDX, "");
	expect(*state, "registrar/x.h:1: guard: ");
}

static void
exception_without_reason(void **state)
{
	put(*state, "registrar/x.c", SPDX, "int x = atoi(0);\n");
	add_rule(*state, "allow registrar/x.c: banned");
	expect(*state, ((struct tree *)*state)->dir);
}

static void
exception_not_needed(void **state)
{
	put(*state, "registrar/x.c", SPDX, "int x;\n");
	add_rule(*state, "allow registrar/x.c: banned a parser of its own");
	expect(*state, ((struct tree *)*state)->dir);
}

/* Nothing to look at, or rules it cannot read, is not the same as nothing found. */
static void
no_silent_success(void **state)
{
	struct tree *t = *state;

	run(t);
	assert_int_equal(t->status, 1);
	assert_non_null(strstr(t->out, "no C files found"));
	put(t, "registrar/x.c", SPDX, "int x;\n");
	add_rule(t, "layer registrar/new");
	run(t);
	assert_int_equal(t->status, 2);
	t->rules[strlen(t->rules) - strlen("layer registrar/new\n")] = '\0';
	add_rule(t, "lair registrar/new: registrar/base");
	run(t);
	assert_int_equal(t->status, 2);
	put(t, "registrar/y.c", "", "");
	run(t);
	assert_int_equal(t->status, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(layers),
	    TEST(unknown_directory),
	    TEST(unknown_header),
	    TEST(header_by_a_detour),
	    cmocka_unit_test(third_party_homes),
	    cmocka_unit_test(banned_calls),
	    TEST(comments_and_literals),
	    TEST(comment_ends),
	    TEST(a_call_in_a_macro),
	    TEST(licence_line),
	    cmocka_unit_test(guards),
	    cmocka_unit_test(sizes),
	    TEST(exceptions),
	    TEST(exception_without_reason),
	    TEST(exception_not_needed),
	    TEST(no_silent_success),
	};

	return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
