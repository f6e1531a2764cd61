/* SPDX-License-Identifier: MIT */
#include "run/tools.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/tools_impl.h"

#define LOOPBACK "127.0.0.1"

/* What the command's own words say about where it listens. */
struct decision {
	bool port, socket;
	uint16_t number; /* the port, where it is named; 0: not */
};

static void
decide(struct decision *d, const char *option, const char *value)
{
	const char *colon = value != NULL ? strrchr(value, ':') : NULL;
	uint64_t number;

	if (list_has("--uds --ipc -u", option, strlen(option)) ||
	    (value != NULL && (dm_starts_with(value, "unix:") || value[0] == '/'))) {
		d->socket = true;
		return;
	}
	d->port = true;
	if (colon != NULL)
		value = colon + 1;
	if (value != NULL && dm_parse_uint(value, 1, UINT16_MAX, &number))
		d->number = (uint16_t)number;
}

static struct decision
read_decision(const struct target *t)
{
	struct decision d = {0};
	const char *list = t->tool != NULL ? t->tool->decided : NULL;

	for (size_t i = t->verb; list != NULL && i < t->words.count; i++) {
		const char *word = t->words.list[i];
		const char *next = t->words.list[i + 1];
		size_t n = strcspn(word, "=");

		if (word[0] != '-') {
			if (list_has(list, "<word>", strlen("<word>")))
				decide(&d, "", word);
		} else if (list_has(list, word, n) ||
			   (word[n] == '=' && list_has(list, word, n + 1))) {
			DM_AUTO_FREE char *option = dm_strndup(word, n);

			decide(&d, option, word[n] == '=' ? word + n + 1 : next);
		} else if (word[1] != '-' && n > 2 && list_has(list, word, 2)) {
			/* -p3000 */
			decide(&d, "", word + 2);
		}
	}
	return d;
}

/* ---- mode ----------------------------------------------------------------------------------- */

static bool
check_socket(const struct target *t, const struct decision *d, struct dm_err *err)
{
	const char *name = t->tool != NULL ? t->tool->name : "";

	if (d->port) {
		(void)dm_fail(err, DM_USAGE,
		    "a Unix socket is asked for, but the command itself says where %s listens",
		    name);
		return dm_hint(err, "take its port or address out of the command");
	}
	if (t->tool == NULL || d->socket)
		return true;
	if (t->tool->socket == SOCKET_NEVER) {
		(void)dm_fail(err, DM_USAGE, "%s cannot listen on a Unix socket", name);
		return dm_hint(err, "let it have a port: the URL is the same");
	}
	if (t->tool->socket_flags != NULL && t->closed) {
		(void)dm_fail(err, DM_USAGE,
		    "%s cannot be given its socket: no flag can be added "
		    "at the end of this command",
		    name);
		return dm_hint(err, "run %s itself, without a script around it", name);
	}
	return true;
}

static bool
choose_mode(const struct tool_input *in, const struct target *t, const struct decision *d,
    enum tool_mode *out, struct dm_err *err)
{
	*out = in->mode;
	switch (in->mode) {
	case TOOL_SOCKET:
		return check_socket(t, d, err);
	case TOOL_PORT:
		if (!d->socket)
			return true;
		(void)dm_fail(err, DM_USAGE,
		    "a port is asked for, but the command itself makes %s listen on a Unix socket",
		    t->tool->name);
		return dm_hint(err, "take the socket out of the command");
	case TOOL_AUTO:
		break;
	}
	*out = d->socket || (!d->port && !t->closed && in->url != NULL && t->tool != NULL &&
				t->tool->socket == SOCKET_BEST)
		   ? TOOL_SOCKET
		   : TOOL_PORT;
	return true;
}

/* ---- flags and variables -------------------------------------------------------------------- */

static const char *
url_port(const char *url)
{
	const char *host = url != NULL ? strstr(url, "://") : NULL;
	const char *colon = host != NULL ? strrchr(host + 3, ':') : NULL;

	if (colon != NULL)
		return colon + 1;
	return host != NULL && dm_starts_with(url, "http:") ? "80" : "443";
}

/* One word of a row with its {placeholders} filled in. The caller owns it. */
static char *
expand(const struct tool_input *in, const char *word, size_t n)
{
	DM_AUTO_FREE char *port = dm_asprintf("%u", (unsigned)in->port);
	const struct {
		const char *name, *value;
	} holes[] = {
	    {"{port}", port},
	    {"{host}", LOOPBACK},
	    {"{socket}", in->socket},
	    {"{url}", in->url},
	    {"{urlport}", url_port(in->url)},
	    {"{name}", in->host},
	    {"{domain}", in->domain},
	};
	DM_AUTO_STR struct dm_str out = dm_str_make(16384);

	for (size_t i = 0; i < n;) {
		size_t step = 1;

		for (size_t k = 0; word[i] == '{' && k < sizeof(holes) / sizeof(holes[0]); k++) {
			if (dm_starts_with(word + i, holes[k].name) && holes[k].value != NULL) {
				(void)dm_str_addf(&out, "%s", holes[k].value);
				step = strlen(holes[k].name);
				break;
			}
		}
		if (step == 1)
			(void)dm_str_add(&out, word + i, 1);
		i += step;
	}
	return dm_str_take(&out);
}

/* Adds each word of a row's list. */
static void
expand_all(const struct tool_input *in, const char *list, struct words *out)
{
	while (list != NULL && *list != '\0') {
		size_t n = strcspn(list, " ");
		DM_AUTO_FREE char *word = expand(in, list, n);

		words_add(out, word, strlen(word));
		list += n + strspn(list + n, " ");
	}
}

/* Whether the command has one of the options of the list already. */
static bool
has_any(const struct target *t, const char *list)
{
	for (size_t i = t->verb; i < t->words.count; i++) {
		const char *word = t->words.list[i];

		if (word[0] == '-' && list_has(list, word, strcspn(word, "=")))
			return true;
	}
	return false;
}

/* Adds "NAME=value" unless the user has the variable. Ours are always set. */
static void
env_add(const struct tool_input *in, const char *assignment, struct words *env)
{
	size_t n = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < env->count; i++) {
		if (strncmp(env->list[i], assignment, n) == 0)
			return;
	}
	for (char *const *e = in->environ; e != NULL && *e != NULL; e++) {
		if (strncmp(*e, assignment, n) == 0 && !dm_starts_with(assignment, "DEVMESH_"))
			return;
	}
	words_add(env, assignment, strlen(assignment));
}

static void
env_addf(const struct tool_input *in, struct words *env, const char *name, const char *value)
{
	DM_AUTO_FREE char *assignment = dm_asprintf("%s=%s", name, value != NULL ? value : "");

	env_add(in, assignment, env);
}

/* What makes servers accept our host name; a server that knows nothing of it is not disturbed. */
static void
env_url(const struct tool_input *in, enum tool_mode mode, struct words *env)
{
	DM_AUTO_FREE char *zone = dm_asprintf(".%s", in->domain);
	DM_AUTO_FREE char *port = dm_asprintf("%u", (unsigned)in->port);
	const bool socket = mode == TOOL_SOCKET;

	env_addf(in, env, "DEVMESH_URL", in->url);
	env_addf(in, env, "DEVMESH_HOST", in->host);
	env_addf(in, env, "DEVMESH_DOMAIN", in->domain);
	env_addf(in, env, "DEVMESH_ID", in->id);
	env_addf(in, env, "DEVMESH_WORKTREE", in->worktree);
	/*
	 * A server that listens on DEVMESH_SOCKET where it is set must not do so in front of a
	 * port: run listens there itself then. Set to nothing, it is not what the terminal had.
	 */
	env_addf(in, env, "DEVMESH_SOCKET", socket ? in->socket : "");
	env_addf(in, env, "DEVMESH_PORT", socket ? "" : port);
	env_addf(in, env, "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS", zone);
	env_addf(in, env, "RAILS_DEVELOPMENT_HOSTS", zone);
	env_addf(in, env, "PHX_HOST", in->host);
	if (in->ca != NULL)
		env_addf(in, env, "NODE_EXTRA_CA_CERTS", in->ca);
	/* over a socket only Caddy can be the peer */
	if (socket)
		env_addf(in, env, "FORWARDED_ALLOW_IPS", "*");
}

static void
plan_env(const struct tool_input *in, const struct target *t, const struct decision *d,
    enum tool_mode mode, struct words *env)
{
	DM_AUTO_FREE char *port = dm_asprintf("%u", (unsigned)in->port);
	struct words own = {0};

	if (t->tool != NULL && !d->port && !d->socket)
		expand_all(in, mode == TOOL_SOCKET ? t->tool->socket_env : t->tool->port_env, &own);
	for (size_t i = 0; i < own.count; i++)
		env_add(in, own.list[i], env);
	words_release(&own);
	/* a server that nothing is known of: many take a path there */
	if (mode == TOOL_SOCKET && !d->socket &&
	    (t->tool == NULL || (t->tool->socket_flags == NULL && t->tool->socket_env == NULL)))
		env_addf(in, env, "PORT", in->socket);
	if (mode == TOOL_PORT) {
		env_addf(in, env, "PORT", port);
		env_addf(in, env, "HOST", LOOPBACK);
	}
	/* an Astro that is started by an agent leaves for the background, unless it is there */
	env_addf(in, env, "ASTRO_DEV_BACKGROUND", "1");
	if (in->url != NULL)
		env_url(in, mode, env);
}

/* The command with the flags, if it is one that takes any. */
static void
plan_argv(const struct tool_input *in, const struct target *t, const struct decision *d,
    enum tool_mode mode, struct words *argv)
{
	struct words flags = {0};
	size_t given = 0, at;

	while (in->argv[given] != NULL)
		given++;
	at = given;
	if (t->tool != NULL && !t->closed) {
		if (!d->port && !d->socket)
			expand_all(in,
			    mode == TOOL_SOCKET ? t->tool->socket_flags : t->tool->port_flags,
			    &flags);
		if (in->url != NULL && !has_any(t, t->tool->url_flags))
			expand_all(in, t->tool->url_flags, &flags);
		/* the words of the tool are the last ones of the command line, then */
		if (t->tool->early && !t->script && t->dashes == 0)
			at = given - t->words.count + t->verb;
		else if (t->tool->early)
			words_release(&flags);
	}
	for (size_t i = 0; i <= given; i++) {
		for (size_t k = 0; i == at && flags.count > 0 && k < t->dashes; k++)
			words_add(argv, "--", 2);
		for (size_t k = 0; i == at && k < flags.count; k++)
			words_add(argv, flags.list[k], strlen(flags.list[k]));
		if (i < given)
			words_add(argv, in->argv[i], strlen(in->argv[i]));
	}
	words_release(&flags);
}

static const char *
find_trap(const struct tool_input *in, const struct target *t)
{
	if (in->url == NULL || t->tool == NULL || trap_settled(t->tool, in->dir))
		return NULL;
	if (t->tool->domain_trap != NULL && strcmp(in->domain, "localhost") != 0 &&
	    !dm_ends_with(in->domain, ".localhost"))
		return t->tool->domain_trap;
	return t->tool->trap;
}

bool
tool_plan_make(const struct tool_input *in, struct tool_plan *out, struct dm_err *err)
{
	struct words argv = {0}, env = {0};
	struct target target;
	struct decision decision;
	enum tool_mode mode;
	size_t given = 0;
	bool ok;

	*out = (struct tool_plan){0};
	target_resolve(in->argv, in->dir, &target);
	decision = read_decision(&target);
	ok = choose_mode(in, &target, &decision, &mode, err);
	if (ok) {
		plan_argv(in, &target, &decision, mode, &argv);
		plan_env(in, &target, &decision, mode, &env);
		while (in->argv[given] != NULL)
			given++;
		*out = (struct tool_plan){
		    .tool = target.tool != NULL ? target.tool->name : NULL,
		    .mode = mode,
		    .argv = argv.list,
		    .env = env.list,
		    .trap = find_trap(in, &target),
		    .flags_added = argv.count > given,
		    .fixed = decision.number,
		};
	}
	target_release(&target);
	return ok;
}

char *
tool_host_words(const char *command, const char *dir, uint16_t port, const char **tool)
{
	struct words argv = {0}, flags = {0};
	struct tool_input in = {.dir = dir, .port = port};
	struct target target;
	char *found = NULL;

	if (!script_words(command, &argv)) {
		words_release(&argv);
		return NULL;
	}
	in.argv = (const char *const *)argv.list;
	target_resolve(in.argv, dir, &target);
	if (target.tool != NULL)
		expand_all(&in, target.tool->port_flags, &flags);
	for (size_t i = 0; i < flags.count && found == NULL; i++) {
		const char *word = flags.list[i];

		if (strstr(word, LOOPBACK) == NULL)
			continue;
		*tool = target.tool->name;
		/* the option, where the address is a word behind it */
		found = word[0] != '-' && i > 0 && flags.list[i - 1][0] == '-'
			    ? dm_asprintf("%s %s", flags.list[i - 1], word)
			    : dm_strdup(word);
	}
	target_release(&target);
	words_release(&flags);
	words_release(&argv);
	return found;
}

static void
free_list(char **list)
{
	for (char **p = list; p != NULL && *p != NULL; p++)
		free(*p);
	free(list);
}

void
tool_plan_release(struct tool_plan *plan)
{
	free_list(plan->argv);
	free_list(plan->env);
	*plan = (struct tool_plan){0};
}
