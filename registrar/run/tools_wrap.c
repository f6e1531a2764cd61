/* SPDX-License-Identifier: MIT */
/* From the words of a command line to the server that they start. */
#include "run/tools_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	SCRIPTS_MAX = 4, /* scripts that call scripts */
};

/* What is left of a command, and where it will run. */
struct rest {
	const char *const *argv;
	const char *dir;
	unsigned depth;
};

static const char *const nothing[] = {NULL};

static void resolve(struct rest rest, struct target *out);

static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

static bool
is_assignment(const char *word)
{
	size_t n = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	return n > 0 && word[n] == '=' && (word[0] < '0' || word[0] > '9');
}

/* Behind the options: the first word that is none. A "--" ends them. Both lists take a value. */
static const char *const *
skip_tool_options(const char *const *argv, const char *valued, const char *more)
{
	while (*argv != NULL && is_option(*argv)) {
		const char *word = *argv++;

		if (strcmp(word, "--") == 0)
			break;
		if (*argv != NULL && !is_option(*argv) &&
		    (list_has(valued, word, strlen(word)) || list_has(more, word, strlen(word))))
			argv++;
	}
	return argv;
}

static const char *const *
skip_options(const char *const *argv, const char *valued)
{
	return skip_tool_options(argv, valued, NULL);
}

static bool
ends(const char *word, size_t n, const char *suffix)
{
	size_t len = strlen(suffix);

	return n > len && memcmp(word + n - len, suffix, len) == 0;
}

/*
 * The name that a row would have: "/x/.bin/vite", "vite.js", "vite@8" and "vite" are vite, and
 * "@angular/cli@20" is @angular/cli. The caller owns it.
 */
static char *
program_name(const char *word)
{
	static const char *const suffixes[] = {".js", ".mjs", ".cjs", ".cmd", ".exe"};
	const char *base = strrchr(word, '/');
	const char *at;
	size_t n;

	base = base == NULL || word[0] == '@' ? word : base + 1;
	at = *base != '\0' ? strchr(base + 1, '@') : NULL;
	n = at != NULL ? (size_t)(at - base) : strlen(base);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (ends(base, n, suffixes[i])) {
			n -= strlen(suffixes[i]);
			break;
		}
	}
	return dm_strndup(base, n);
}

/* The package whose file this is, after the last node_modules/; NULL: none. Caller owns. */
static char *
package_of(const char *path)
{
	static const char dir[] = "node_modules/";
	const char *from = NULL;
	size_t n;

	for (const char *p = path; (p = strstr(p, dir)) != NULL; p += sizeof(dir) - 1)
		from = p + sizeof(dir) - 1;
	if (from == NULL)
		return NULL;
	n = strcspn(from, "/");
	if (from[0] == '@' && from[n] == '/')
		n += 1 + strcspn(from + n + 1, "/");
	return dm_strndup(from, n);
}

/* The command is this program of the table, or one that is not in it. */
static void
settle(const char *program, const char *const *args, struct target *out)
{
	const struct tool *any = tool_any(program);
	const char *const *verb;

	words_add(&out->words, program, strlen(program));
	for (const char *const *a = args; *a != NULL; a++) {
		words_add(&out->words, *a, strlen(*a));
		/* behind such a word flags are something else */
		if (strcmp(*a, "--") == 0)
			out->closed = true;
	}
	out->verb = 1;
	if (any == NULL)
		return;
	verb = skip_tool_options(args, any->valued, any->decided);
	if (*verb != NULL && is_option(*verb))
		verb = nothing; /* behind a "--" */
	out->tool = tool_find(program, *verb);
	if (out->tool != NULL && out->tool->verbs != NULL && *verb != NULL)
		out->verb += (size_t)(verb - args) + 1;
}

/* ---- scripts of package.json ---------------------------------------------------------------- */

/* Runs scripts[name] with further arguments; false: there is no such script. */
static bool
follow_script(struct rest rest, const char *name, const char *const *args, struct target *out)
{
	DM_AUTO_FREE char *text = script_text(rest.dir, name);
	struct words words = {0};

	if (text == NULL)
		return false;
	if (rest.depth >= SCRIPTS_MAX || !script_words(text, &words)) {
		out->closed = true;
	} else {
		for (; *args != NULL; args++)
			words_add(&words, *args, strlen(*args));
		resolve(
		    (struct rest){(const char *const *)words.list, rest.dir, rest.depth + 1}, out);
	}
	words_release(&words);
	return true;
}

/* Behind the first "--"; NULL: there is none. */
static const char *const *
behind_dashes(const char *const *argv)
{
	for (; *argv != NULL; argv++) {
		if (strcmp(*argv, "--") == 0)
			return argv + 1;
	}
	return NULL;
}

/* npm takes options itself up to a "--". */
static void
resolve_npm(struct rest rest, struct target *out)
{
	const char *const *verb = rest.argv + 1;
	const char *const *behind = behind_dashes(verb);
	const char *const *name;

	/* options in front that choose another package lead elsewhere */
	while (*verb != NULL && (strcmp(*verb, "-s") == 0 || strcmp(*verb, "--silent") == 0))
		verb++;
	out->closed = true;
	if (*verb == NULL)
		return;
	if (strcmp(*verb, "start") == 0)
		name = verb;
	else if (list_has("run run-script exec x", *verb, strlen(*verb)))
		name = verb + 1;
	else
		return;
	for (const char *const *a = verb + 1; *a != NULL && a + 1 != behind; a++) {
		if (list_has("-w --workspace --workspaces -ws --prefix -C -p --package -c --call",
			*a, strcspn(*a, "=")))
			return;
	}
	if (name != verb)
		name = skip_options(name, NULL);
	if (*name == NULL)
		return;
	out->closed = false;
	out->dashes += behind == NULL ? 1 : 0;
	if ((*verb)[0] == 'e' || (*verb)[0] == 'x') {
		/* npm exec -- vite; npm exec vite -- --open */
		rest.argv = name;
		if (behind != NULL && behind > name) {
			struct words words = {0};

			words_add(&words, *name, strlen(*name));
			for (; *behind != NULL; behind++)
				words_add(&words, *behind, strlen(*behind));
			rest.argv = (const char *const *)words.list;
			resolve(rest, out);
			words_release(&words);
			return;
		}
		resolve(rest, out);
		return;
	}
	if (!follow_script(rest, *name, behind != NULL ? behind : nothing, out))
		out->closed = true;
}

/* yarn, pnpm and bun hand everything on. What is no script is a program. */
static void
resolve_yarn(struct rest rest, const char *manager, struct target *out)
{
	const char *const *verb = skip_options(rest.argv + 1, NULL);
	bool chosen = false; /* by a word like "run" */

	for (const char *const *a = rest.argv + 1; *a != NULL && a < verb; a++) {
		if (list_has("-w --workspace-root --filter -F -r --recursive -C --dir --cwd", *a,
			strcspn(*a, "="))) {
			out->closed = true;
			return;
		}
	}
	if (*verb != NULL && list_has("workspace workspaces", *verb, strlen(*verb))) {
		out->closed = true;
		return;
	}
	if (*verb != NULL && list_has("run exec dlx x", *verb, strlen(*verb))) {
		chosen = true;
		rest.argv = skip_options(verb + 1, "-p --package");
		if (strcmp(*verb, "run") != 0) {
			if (*rest.argv != NULL)
				resolve(rest, out);
			return;
		}
		verb = rest.argv;
	}
	if (*verb == NULL) {
		out->closed = true;
		return;
	}
	if (follow_script(rest, *verb, verb + 1, out))
		return;
	rest.argv = verb;
	if (strcmp(manager, "bun") == 0 && (!chosen || strpbrk(*verb, "./") != NULL))
		settle("bun", verb, out);
	else
		resolve(rest, out);
}

/* ---- interpreters --------------------------------------------------------------------------- */

/* A program that runs a file: the file's name may be one of the table. */
struct interpreter {
	const char *programs, *valued;
	bool loose; /* by its name alone, wherever it is */
};

static const struct interpreter interpreters[] = {
    {"node nodejs",
	"-r --require --import --loader --experimental-loader -C --conditions "
	"--env-file --watch-path",
	false},
    {"tsx ts-node nodemon", "-r --require --import --tsconfig -P --project -w --watch -e --ext",
	false},
    {"python", "-X -W", true},
    {"php", "-d -c -z", true},
    {"ruby", "-r -I -C", true},
};

static const struct interpreter *
interpreter_find(const char *program)
{
	for (size_t i = 0; i < sizeof(interpreters) / sizeof(interpreters[0]); i++) {
		if (list_has(interpreters[i].programs, program, strlen(program)))
			return &interpreters[i];
	}
	return NULL;
}

static void
resolve_interpreter(
    struct rest rest, const struct interpreter *it, const char *program, struct target *out)
{
	bool python = strcmp(program, "python") == 0;
	DM_AUTO_FREE char *name = NULL;
	DM_AUTO_FREE char *package = NULL;
	const char *const *file = rest.argv + 1;

	while (*file != NULL && is_option(*file)) {
		const char *option = *file++;

		if (python && strcmp(option, "-m") == 0)
			break;
		/* node --run dev -- --open */
		if (strcmp(option, "--run") == 0 && *file != NULL) {
			const char *const *behind = behind_dashes(file);

			out->dashes += behind == NULL ? 1 : 0;
			out->closed =
			    !follow_script(rest, *file, behind != NULL ? behind : nothing, out) ||
			    out->closed;
			return;
		}
		if (*file != NULL && list_has(it->valued, option, strlen(option)))
			file++;
	}
	if (*file != NULL) {
		name = program_name(*file);
		package = package_of(*file);
		/* a file of the project that happens to be called like a tool is none */
		if ((package != NULL || it->loose) && tool_any(name) != NULL) {
			settle(name, file + 1, out);
			return;
		}
		if (package != NULL && tool_any(package) != NULL) {
			settle(package, file + 1, out);
			return;
		}
	}
	settle(program, rest.argv + 1, out);
	/* what is added would be the script's, and nothing is known of that */
	out->closed = true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* python3 and python3.11 are python. */
static void
drop_version(char *program)
{
	static const char python[] = "python";
	size_t n = sizeof(python) - 1;

	if (dm_starts_with(program, python) &&
	    program[n + strspn(program + n, "0123456789.")] == '\0')
		program[n] = '\0';
}

/* What the wrapper starts; NULL: it is not used as one here. */
static const char *const *
unwrap(const struct wrapper *wrapper, const char *const *argv)
{
	argv = skip_options(argv + 1, wrapper->valued);
	if (wrapper->verbs != NULL) {
		if (*argv != NULL && list_has(wrapper->verbs, *argv, strlen(*argv)))
			argv = skip_options(argv + 1, wrapper->valued);
		else if (!list_has(wrapper->verbs, "-", 1))
			return NULL;
	}
	while (*argv != NULL && (is_assignment(*argv) || strcmp(*argv, "--") == 0))
		argv++;
	return *argv != NULL ? argv : NULL;
}

static void
resolve(struct rest rest, struct target *out)
{
	while (*rest.argv != NULL && is_assignment(*rest.argv))
		rest.argv++;
	while (*rest.argv != NULL) {
		DM_AUTO_FREE char *program = program_name(*rest.argv);
		const struct wrapper *wrapper = wrapper_find(program);
		const struct interpreter *interpreter;
		const char *const *inner;

		if (wrapper != NULL && (inner = unwrap(wrapper, rest.argv)) != NULL) {
			rest.argv = inner;
			continue;
		}
		drop_version(program);
		interpreter = interpreter_find(program);
		if (strcmp(program, "npm") == 0)
			resolve_npm(rest, out);
		else if (list_has("yarn pnpm bun", program, strlen(program)))
			resolve_yarn(rest, program, out);
		else if (interpreter != NULL)
			resolve_interpreter(rest, interpreter, program, out);
		else
			settle(program, rest.argv + 1, out);
		return;
	}
	out->closed = true;
}

void
target_resolve(const char *const *argv, const char *dir, struct target *out)
{
	*out = (struct target){0};
	resolve((struct rest){argv, dir, 0}, out);
}

void
target_release(struct target *t)
{
	words_release(&t->words);
	*t = (struct target){0};
}
