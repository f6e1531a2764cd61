/* SPDX-License-Identifier: MIT */
/*
 * The command line: the table of verbs, every option of every verb, suggestions; and that the
 * manual knows every verb, option and exit status.
 */
#include "unit.h"

#include "cmd.h"

enum {
	ARGS = 12
};

/* Parses "devmesh <words>", separated by blanks; `copy` holds the words. */
struct argv {
	char copy[256];
	char *list[ARGS + 1];
	int count;
};

static void
split(struct argv *a, const char *words)
{
	assert_true(dm_snprintf(a->copy, sizeof(a->copy), "devmesh %s", words));
	a->count = 0;
	for (char *p = a->copy; *p != '\0';) {
		assert_true(a->count < ARGS);
		a->list[a->count++] = p;
		p += strcspn(p, " ");
		if (*p != '\0')
			*p++ = '\0';
	}
	a->list[a->count] = NULL;
}

static bool
parse(struct argv *a, const char *words, struct cmd_line *line, struct dm_err *err)
{
	split(a, words);
	return cmd_parse(a->count, a->list, line, err);
}

static const char *
value(const struct cmd_line *line, const char *name)
{
	struct cmd_ctx ctx = {.line = line};

	return cmd_value(&ctx, name);
}

static size_t
count_opts(const struct cmd_opt *opts)
{
	size_t n = 0;

	while (opts != NULL && opts[n].name != NULL)
		n++;
	return n;
}

static void
assert_opts_sound(const char *where, const struct cmd_opt *opts)
{
	size_t n = count_opts(opts);

	assert_true(n <= CMD_OPTS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (opts[i].help == NULL || strlen(opts[i].help) < 5 ||
		    dm_ends_with(opts[i].help, "."))
			fail_msg("%s --%s: its help", where, opts[i].name);
		assert_true(!opts[i].optional || opts[i].value != NULL);
		for (size_t j = 0; opts != cmd_global_opts && cmd_global_opts[j].name != NULL;
		     j++) {
			assert_string_not_equal(opts[i].name, cmd_global_opts[j].name);
			assert_true(
			    opts[i].letter == 0 || opts[i].letter != cmd_global_opts[j].letter);
		}
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(opts[i].name, opts[j].name);
			assert_true(opts[i].letter == 0 || opts[i].letter != opts[j].letter);
		}
	}
}

static void
table_is_sound(void **state)
{
	(void)state;
	assert_opts_sound("devmesh", cmd_global_opts);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		const struct cmd *c = cmds[i];

		assert_true(c->name != NULL && c->args != NULL && c->run != NULL);
		if (c->summary == NULL || strlen(c->summary) < 5 || dm_ends_with(c->summary, "."))
			fail_msg("%s: its summary", c->name);
		assert_true(c->max_args >= 0 && c->max_args <= CMD_ARGS_MAX);
		assert_int_equal(c->max_args > 0 || c->takes_command, c->args[0] != '\0');
		assert_opts_sound(c->name, c->opts);
		assert_ptr_equal(cmd_find(c->name), c);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(c->name, cmds[j]->name);
	}
}

/* The verbs of the issue, so that none gets lost. */
static void
verbs_are_there(void **state)
{
	static const char *const names[] = {
	    "up",
	    "run",
	    "down",
	    "status",
	    "list",
	    "ps",
	    "url",
	    "name",
	    "env",
	    "wait",
	    "assert",
	    "logs",
	    "events",
	    "history",
	    "requests",
	    "graph",
	    "open",
	    "share",
	    "unshare",
	    "qr",
	    "phone",
	    "gc",
	    "init",
	    "hook",
	    "skill",
	    "doctor",
	    "system",
	    "record",
	    "setup",
	    "start",
	    "stop",
	    "restart",
	    "trust",
	    "daemon",
	    "service",
	    "dns",
	    "config",
	    "completion",
	    "help",
	};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		assert_non_null(cmd_find(names[i]));
	while (cmds[n] != NULL)
		n++;
	assert_int_equal(n, COUNT(names));
	assert_null(cmd_find(""));
	assert_null(cmd_find("UP"));
}

/* Parses one way of writing an option and checks where its value went. */
static void
assert_parses(const struct cmd *c, const struct cmd_opt *opt, const char *words, const char *want)
{
	struct argv a;
	struct cmd_line line;
	struct dm_err err;
	const char *got;

	assert_ok(parse(&a, words, &line, &err), &err);
	assert_ptr_equal(line.cmd, c);
	assert_int_equal(line.arg_count, 0);
	got = value(&line, opt->name);
	if (got == NULL || strcmp(got, want) != 0)
		fail_msg("%s: %s", words, got == NULL ? "not set" : got);
	for (size_t i = 0; i < count_opts(c->opts); i++) {
		if (&c->opts[i] != opt)
			assert_null(line.values[i]);
	}
}

static void
every_option_of_every_verb(void **state)
{
	(void)state;
	for (size_t i = 0; cmds[i] != NULL; i++) {
		const struct cmd *c = cmds[i];

		for (size_t k = 0; k < count_opts(c->opts); k++) {
			const struct cmd_opt *o = &c->opts[k];
			DM_AUTO_FREE char *plain = dm_asprintf("%s --%s", c->name, o->name);
			DM_AUTO_FREE char *joined = dm_asprintf("%s --%s=VAL", c->name, o->name);
			DM_AUTO_FREE char *apart = dm_asprintf("%s --%s VAL", c->name, o->name);
			DM_AUTO_FREE char *letter = dm_asprintf("%s -%cVAL", c->name, o->letter);
			DM_AUTO_FREE char *bare = dm_asprintf("%s -%c", c->name, o->letter);
			struct argv a;
			struct cmd_line line;
			struct dm_err err;

			if (o->value == NULL) {
				assert_parses(c, o, plain, "");
				assert_fails(
				    parse(&a, joined, &line, &err), &err, DM_USAGE, o->name);
				if (o->letter != 0)
					assert_parses(c, o, bare, "");
				continue;
			}
			assert_parses(c, o, joined, "VAL");
			if (o->optional)
				assert_parses(c, o, plain, "");
			else
				assert_parses(c, o, apart, "VAL");
			if (o->letter != 0)
				assert_parses(c, o, letter, "VAL");
			if (!o->optional)
				assert_fails(
				    parse(&a, plain, &line, &err), &err, DM_USAGE, "needs a value");
		}
	}
}

static void
global_options_anywhere(void **state)
{
	static const char *const ways[] = {"--json -q --config F up", "up --json -q --config=F",
	    "--json up -q --config F", "-q --config=F up --json"};

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct argv a;
		struct cmd_line line;
		struct dm_err err;

		assert_ok(parse(&a, ways[i], &line, &err), &err);
		assert_true(line.json && line.quiet && !line.verbose && !line.help);
		assert_string_equal(line.config, "F");
		assert_ptr_equal(line.cmd, cmd_find("up"));
	}
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_FREE char *words =
		    dm_asprintf("%s -v --help --json --version", cmds[i]->name);
		struct argv a;
		struct cmd_line line;
		struct dm_err err;

		assert_ok(parse(&a, words, &line, &err), &err);
		assert_true(line.verbose && line.help && line.json && line.version);
	}
}

static void
no_verb(void **state)
{
	static const char *const ways[] = {"", "--version", "-h", "--json", "--"};

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct argv a;
		struct cmd_line line;
		struct dm_err err;

		assert_ok(parse(&a, ways[i], &line, &err), &err);
		assert_null(line.cmd);
		assert_int_equal(line.arg_count, 0);
	}
}

/* The value of --wait is optional, and only ever behind "=". */
static void
waiting(void **state)
{
	static const struct {
		const char *words;
		int64_t ms; /* -1: refused */
	} rows[] = {
	    {"up", 7},
	    {"up --wait", 7},
	    {"up --wait=", 7},
	    {"up --wait=5", 5000},
	    {"up --wait=0", 0},
	    {"up --wait=86400", 86400000},
	    {"up --wait=86401", -1},
	    {"up --wait=1.5", -1},
	    {"up --wait=-1", -1},
	    {"up --wait=x", -1},
	};
	struct argv a;
	struct cmd_line line;
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct cmd_ctx ctx = {.line = &line};
		int64_t ms;

		assert_ok(parse(&a, rows[i].words, &line, &err), &err);
		if (rows[i].ms < 0) {
			assert_fails(
			    cmd_seconds(&ctx, "wait", 7, &ms, &err), &err, DM_USAGE, "--wait");
			continue;
		}
		assert_ok(cmd_seconds(&ctx, "wait", 7, &ms, &err), &err);
		assert_true(ms == rows[i].ms);
	}
	assert_fails(
	    parse(&a, "up --wait 5", &line, &err), &err, DM_USAGE, "\"5\" is one argument");
}

static void
arguments(void **state)
{
	struct argv a;
	struct cmd_line line;
	struct cmd_ctx ctx = {.line = &line};
	struct dm_err err;

	(void)state;
	assert_ok(parse(&a, "url shop-main", &line, &err), &err);
	assert_int_equal(line.arg_count, 1);
	assert_string_equal(cmd_arg(&ctx, 0), "shop-main");
	assert_null(cmd_arg(&ctx, 1));
	assert_ok(parse(&a, "url --json shop-main -C /x", &line, &err), &err);
	assert_string_equal(cmd_arg(&ctx, 0), "shop-main");
	assert_string_equal(value(&line, "directory"), "/x");
	assert_null(value(&line, "no-such-option"));
	assert_ok(parse(&a, "url -- --json", &line, &err), &err);
	assert_string_equal(cmd_arg(&ctx, 0), "--json");
	assert_false(line.json);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_STR struct dm_str words;

		dm_str_init(&words, 200);
		assert_true(dm_str_addf(&words, "%s", cmds[i]->name));
		for (int n = 0; n < cmds[i]->max_args; n++)
			assert_true(dm_str_addf(&words, " a%d", n));
		assert_ok(parse(&a, words.data, &line, &err), &err);
		assert_int_equal(line.arg_count, cmds[i]->max_args);
		if (cmds[i]->takes_command)
			continue;
		assert_true(dm_str_addf(&words, " more"));
		assert_fails(parse(&a, words.data, &line, &err), &err, DM_USAGE,
		    "\"more\" is one argument too many");
		assert_holds(err.hint, cmds[i]->name);
	}
}

/* What follows is the command's own, whatever it looks like. */
static void
commands(void **state)
{
	struct argv a;
	struct cmd_line line;
	struct dm_err err;

	(void)state;
	assert_ok(parse(&a, "run --app=x vite --json -C y", &line, &err), &err);
	assert_string_equal(value(&line, "app"), "x");
	assert_null(value(&line, "directory"));
	assert_false(line.json);
	assert_string_equal(line.command[0], "vite");
	assert_string_equal(line.command[1], "--json");
	assert_string_equal(line.command[3], "y");
	assert_null(line.command[4]);
	assert_ok(parse(&a, "run --json -- -x", &line, &err), &err);
	assert_true(line.json);
	assert_string_equal(line.command[0], "-x");
	assert_ok(parse(&a, "run", &line, &err), &err);
	assert_null(line.command[0]);
}

static void
suggestions(void **state)
{
	static const struct {
		const char *words, *why, *hint;
	} rows[] = {
	    {"pu", "\"pu\"", "devmesh up?"},
	    {"upp", "\"upp\"", "devmesh up?"},
	    {"dwon", "\"dwon\"", "devmesh down?"},
	    {"statsu", "\"statsu\"", "devmesh status?"},
	    {"lst", "\"lst\"", "devmesh list?"},
	    {"complete", "\"complete\"", "devmesh help"},
	    {"x", "no verb", "devmesh help lists"},
	    {"frobnicate", "no verb", "devmesh help lists"},
	    {"up --frce", "--frce", "--force?"},
	    {"up --wiat=3", "--wiat=3", "--wait?"},
	    {"up --jsno", "--jsno", "--json?"},
	    {"up --xyzzy", "--xyzzy", "devmesh up --help"},
	    {"--jsno up", "--jsno", "--json?"},
	    {"status --all", "--all", "devmesh status"},
	    {"up -x", "-x", "devmesh up --help"},
	    {"-x", "-x", "--help"},
	    {"up --config", "--config", "--help"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct argv a;
		struct cmd_line line;
		struct dm_err err;

		assert_fails(parse(&a, rows[i].words, &line, &err), &err, DM_USAGE, rows[i].why);
		assert_holds(err.hint, rows[i].hint);
	}
}

/* Of several letters in one word, the wrong one is named, not some other word. */
static void
letters_in_one_word(void **state)
{
	struct argv a;
	struct cmd_line line;
	struct dm_err err;

	(void)state;
	assert_ok(parse(&a, "up -vq", &line, &err), &err);
	assert_true(line.verbose && line.quiet);
	assert_fails(parse(&a, "up -xv", &line, &err), &err, DM_USAGE, "no option -x");
	assert_fails(parse(&a, "-xv up", &line, &err), &err, DM_USAGE, "no option -x");
}

/*
 * The manual from the line `heading` up to the next heading of that kind or above; the caller owns
 * it, NULL if there is no such line.
 */
static char *
section_of(const char *manual, const char *heading)
{
	DM_AUTO_FREE char *line = dm_asprintf("\n%s\n", heading);
	const char *start = strstr(manual, line), *end, *other;

	if (start == NULL)
		return NULL;
	start++;
	end = strstr(start, "\n.Sh ");
	other = dm_starts_with(heading, ".Ss ") ? strstr(start, "\n.Ss ") : NULL;
	if (end == NULL || (other != NULL && other < end))
		end = other;
	return end == NULL ? dm_strdup(start) : dm_strndup(start, (size_t)(end - start));
}

/* An item of a list (.It) with "Fl <flag>" in its line. */
static bool
has_item(const char *section, const char *flag)
{
	DM_AUTO_FREE char *word = dm_asprintf("Fl %s", flag);

	for (const char *at = section; (at = strstr(at, "\n.It ")) != NULL; at++) {
		DM_AUTO_FREE char *line = dm_strndup(at + 1, strcspn(at + 1, "\n"));
		const char *found = strstr(line, word);

		for (; found != NULL; found = strstr(found + 1, word)) {
			if (strchr(" ,", found[strlen(word)]) != NULL)
				return true;
		}
	}
	return false;
}

static void
assert_options_in(const char *section, const char *where, const struct cmd_opt *opts)
{
	for (size_t k = 0; k < count_opts(opts); k++) {
		DM_AUTO_FREE char *flag = dm_asprintf("-%s", opts[k].name);
		char letter[2] = {opts[k].letter, '\0'};

		if (!has_item(section, flag))
			fail_msg("devmesh(1), %s: no item for --%s", where, opts[k].name);
		if (opts[k].letter != 0 && !has_item(section, letter))
			fail_msg("devmesh(1), %s: no item for -%s", where, letter);
	}
}

static void
manual_has_every_verb_and_option(void **state)
{
	DM_AUTO_FREE char *manual = source_text("registrar/devmesh.1");
	DM_AUTO_FREE char *description = section_of(manual, ".Sh DESCRIPTION");
	DM_AUTO_FREE char *synopsis = section_of(manual, ".Sh SYNOPSIS");

	(void)state;
	assert_true(description != NULL && synopsis != NULL);
	assert_options_in(description, "DESCRIPTION", cmd_global_opts);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_FREE char *heading = dm_asprintf(".Ss %s", cmds[i]->name);
		DM_AUTO_FREE char *section = section_of(manual, heading);

		if (section == NULL)
			fail_msg("devmesh(1) has no section for the verb %s", cmds[i]->name);
		assert_options_in(section, cmds[i]->name, cmds[i]->opts);
		assert_holds(synopsis, cmds[i]->name);
		for (size_t k = 0; k < count_opts(cmds[i]->opts); k++) {
			DM_AUTO_FREE char *flag = dm_asprintf("Fl -%s", cmds[i]->opts[k].name);

			if (cmds[i]->opts[k].letter == 0)
				assert_holds(synopsis, flag);
		}
	}
}

/* And nothing that is no longer there. */
static void
manual_has_no_other_verb(void **state)
{
	DM_AUTO_FREE char *manual = source_text("registrar/devmesh.1");
	DM_AUTO_FREE char *verbs = section_of(manual, ".Sh VERBS");

	(void)state;
	assert_non_null(verbs);
	for (const char *at = verbs; (at = strstr(at, "\n.Ss ")) != NULL; at++) {
		DM_AUTO_FREE char *name = dm_strndup(at + 5, strcspn(at + 5, "\n"));

		if (cmd_find(name) == NULL)
			fail_msg("devmesh(1) describes a verb %s", name);
	}
}

/* Every exit status is an item, with the word that --json has for it. */
static void
manual_has_every_status(void **state)
{
	DM_AUTO_FREE char *manual = source_text("registrar/devmesh.1");
	DM_AUTO_FREE char *section = section_of(manual, ".Sh EXIT STATUS");

	(void)state;
	assert_non_null(section);
	for (int code = DM_OK; code <= DM_TIMEOUT; code++) {
		DM_AUTO_FREE char *item = code == DM_OK ? dm_asprintf("\n.It %d\n", code)
							: dm_asprintf("\n.It %d\n.Cm %s :\n", code,
							      dm_code_name((enum dm_code)code));

		assert_holds(section, item);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_is_sound),
	    cmocka_unit_test(verbs_are_there),
	    cmocka_unit_test(every_option_of_every_verb),
	    cmocka_unit_test(global_options_anywhere),
	    cmocka_unit_test(no_verb),
	    cmocka_unit_test(waiting),
	    cmocka_unit_test(arguments),
	    cmocka_unit_test(commands),
	    cmocka_unit_test(suggestions),
	    cmocka_unit_test(letters_in_one_word),
	    cmocka_unit_test(manual_has_every_verb_and_option),
	    cmocka_unit_test(manual_has_no_other_verb),
	    cmocka_unit_test(manual_has_every_status),
	};

	return cmocka_run_group_tests_name("cmd", tests, NULL, NULL);
}
