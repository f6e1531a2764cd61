/* SPDX-License-Identifier: MIT */
/* Commands of dev servers: Procfile and compose, and what a command line can be. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/str.h"
#include "edit/block.h"
#include "edit/json.h"
#include "init.h"

#define RUN "devmesh run -- "

/* Whether it begins with what only a shell knows: FOO=bar, or a command that is no program. */
static bool
begins_in_shell(const char *command)
{
	static const char *const words[] = {
	    "", "!", ".", "cd", "eval", "exec", "export", "set", "source", "unset"};
	size_t name =
	    strspn(command, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	size_t n = strcspn(command, " \t\r\n");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i]) == n && strncmp(command, words[i], n) == 0)
			return true;
	}
	return name > 0 && command[name] == '=';
}

bool
init_is_compound(const char *command)
{
	char quote = '\0';

	if (begins_in_shell(command + strspn(command, " \t")))
		return true;
	for (const char *p = command; *p != '\0'; p++) {
		if (quote != '\0')
			quote = *p == quote ? '\0' : quote;
		else if (*p == '\'' || *p == '"')
			quote = *p;
		else if (strchr("&|;<>`(){}\n", *p) != NULL)
			return true;
	}
	return quote != '\0';
}

/* "npm run <name>", through devmesh run; NULL if package.json has no such script. */
static char *
npm_command(const struct json_node *root, const char *name)
{
	const struct json_node *script = json_member(json_member(root, "scripts"), name);

	if (script == NULL || script->kind != JSON_STRING)
		return NULL;
	return dm_asprintf("%snpm run %s", strstr(script->text, RUN) != NULL ? "" : RUN, name);
}

char *
init_run_command(const struct init *in)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/package.json", in->repo->worktree);
	DM_AUTO_STR struct dm_str text = dm_str_make(JSON_TEXT_MAX);
	dm_auto(json_doc) doc = NULL;
	struct dm_err ignored;
	char *found;

	if (in->command != NULL)
		return dm_asprintf(RUN "%s", in->command);
	if (!dm_read_file(path, &text, &ignored) || text.overflow ||
	    (doc = json_parse(text.data, &ignored)) == NULL)
		return NULL;
	if (in->script != NULL)
		return npm_command(doc->root, in->script);
	found = npm_command(doc->root, "dev");
	return found != NULL ? found : npm_command(doc->root, "start");
}

/* ---- Procfile ---------------------------------------------------------------------------- */

/* The command of a process: its offset, and *len its length; SIZE_MAX: there is none. */
static size_t
process(const char *text, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *p = text; *p != '\0';) {
		size_t line = strcspn(p, "\n");

		if (strncmp(p, name, n) == 0 && p[n] == ':') {
			size_t skip = n + 1 + strspn(p + n + 1, " \t");

			*len = line > skip ? line - skip : 0;
			return (size_t)(p - text) + skip;
		}
		p += line;
		p += *p == '\n' ? 1 : 0;
	}
	return SIZE_MAX;
}

bool
init_procfile(struct init *in, struct dm_err *err)
{
	DM_AUTO_FREE char *dev = dm_asprintf("%s/Procfile.dev", in->repo->worktree);
	const char *name = access(dev, F_OK) == 0 ? "Procfile.dev" : "Procfile";
	const char *process_name = in->script != NULL ? in->script : "web";
	DM_AUTO_FREE char *command = NULL;
	struct init_file *file;
	size_t at, len = 0;
	bool ours;

	if (!init_read_here(in, name, &file, err))
		return false;
	if (file->before == NULL) {
		if (in->remove)
			return true;
		(void)dm_fail(err, DM_NOT_FOUND, "%s has neither Procfile.dev nor Procfile",
		    in->repo->worktree);
		return dm_hint(err, "write one: web: " RUN "COMMAND");
	}
	at = process(file->before, process_name, &len);
	if (at == SIZE_MAX) {
		if (in->remove)
			return true;
		(void)dm_fail(err, DM_NOT_FOUND, "%s has no process %s", file->path, process_name);
		return dm_hint(err, "--script NAME names another one");
	}
	command = dm_strndup(file->before + at, len);
	ours = dm_starts_with(command, RUN);
	if (in->remove && ours)
		init_set(file,
		    dm_asprintf("%.*s%s", (int)at, file->before, file->before + at + strlen(RUN)));
	if (in->remove || ours)
		return true;
	if (init_is_compound(command))
		return init_refuse(err, file, "its command is more than one program and its words",
		    RUN "COMMAND, where the server is started");
	init_set(file, dm_asprintf("%.*s" RUN "%s", (int)at, file->before, file->before + at));
	if (strcmp(name, "Procfile") == 0)
		init_hint(in, "hosts that deploy by Procfile will look for devmesh too: "
			      "better a Procfile.dev");
	return true;
}

/* ---- compose ----------------------------------------------------------------------------- */

#define SERVICE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct service {
	char name[64];
	unsigned port; /* inside the container */
	unsigned count;
};

/* The container's port in a line of a list: - "3000:3000", - 127.0.0.1:80:80/tcp, - 3000. */
static unsigned
port_of(const char *line)
{
	const char *p = line + strspn(line, " \t-\"'");
	size_t n = strcspn(p, "\"'#\n\r \t/");
	const char *colon = NULL;
	char digits[8];
	uint64_t port;

	for (size_t i = 0; i < n; i++)
		colon = p[i] == ':' ? p + i : colon;
	if (colon != NULL) {
		n -= (size_t)(colon + 1 - p);
		p = colon + 1;
	}
	if (!dm_snprintf(digits, sizeof(digits), "%.*s", (int)n, p) ||
	    !dm_parse_uint(digits, 1, UINT16_MAX, &port))
		return 0;
	return (unsigned)port;
}

/*
 * The service that publishes or exposes a port, or the one that is asked for: read off the lines
 * and their indentation, as compose files are written. Flow style is not understood.
 */
static void
find_service(const char *text, const char *want, struct service *out)
{
	size_t service_indent = 0;
	bool services = false, ports = false;
	char name[sizeof(out->name)] = "";

	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n' ? 1 : 0) {
		size_t indent = strspn(p, " ");
		const char *word = p + indent;
		size_t n = strcspn(word, ":\r\n");

		if (strchr("#\r\n", *word) != NULL)
			continue;
		if (indent == 0) {
			services = strncmp(word, "services:", 9) == 0;
			service_indent = 0;
		} else if (services && (service_indent == 0 || indent == service_indent)) {
			service_indent = indent;
			ports = false;
			if (!dm_snprintf(name, sizeof(name), "%.*s", (int)n, word))
				name[0] = '\0';
			if (want != NULL && strcmp(name, want) == 0)
				memcpy(out->name, name, sizeof(name));
		} else if (services && *word != '-') {
			ports = strncmp(word, "ports:", 6) == 0 || strncmp(word, "expose:", 7) == 0;
		} else if (services && ports && port_of(word) != 0 && name[0] != '\0') {
			bool same = strcmp(out->name, name) == 0;

			if (want != NULL ? !same || out->port != 0 : same)
				continue;
			memcpy(out->name, name, sizeof(name));
			out->port = port_of(word);
			out->count++;
		}
	}
}

/* The project's compose file; NULL: none. Static. */
static const char *
compose_file(const struct init *in)
{
	static const char *const names[] = {
	    "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};

	for (size_t i = 0; i < 4; i++) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/%s", in->repo->worktree, names[i]);

		if (access(path, F_OK) == 0)
			return names[i];
	}
	return NULL;
}

static bool
choose_service(const struct init *in, struct service *s, struct dm_err *err)
{
	const char *name = compose_file(in);
	DM_AUTO_FREE char *path =
	    dm_asprintf("%s/%s", in->repo->worktree, name == NULL ? "" : name);
	DM_AUTO_STR struct dm_str text = dm_str_make(JSON_TEXT_MAX);
	uint64_t port;

	if (name == NULL) {
		(void)dm_fail(err, DM_NOT_FOUND, "%s has no compose file", in->repo->worktree);
		return dm_hint(err, "devmesh init compose is for projects that have compose.yaml");
	}
	if (!dm_read_file(path, &text, err))
		return false;
	find_service(text.data, in->script, s);
	/* it goes into a YAML file and into a command line to be pasted */
	if (s->name[strspn(s->name, SERVICE_CHARACTERS)] != '\0')
		return dm_fail(err, DM_USAGE, "%s: \"%s\" is no name of a service that init writes",
		    path, s->name);
	if (in->port != NULL && dm_parse_uint(in->port, 1, UINT16_MAX, &port))
		s->port = (unsigned)port;
	else if (in->port != NULL)
		return dm_fail(err, DM_USAGE, "--port: \"%.40s\" is not a TCP port", in->port);
	if (s->name[0] != '\0' && s->port != 0 && s->count <= 1)
		return true;
	(void)dm_fail(err, DM_USAGE, "%s: %s", path,
	    s->count > 1 ? "more than one service has a port"
			 : "no service with a port can be told from it");
	return dm_hint(err, "--script SERVICE --port N name it, and the port it listens on");
}

/* Another file that Compose would read in place of ours, or ours in the place of it; NULL: none. */
static const char *
other_override(const struct init *in)
{
	static const char *const names[] = {
	    "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"};

	for (size_t i = 0; i < 3; i++) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/%s", in->repo->worktree, names[i]);

		if (access(path, F_OK) == 0)
			return names[i];
	}
	return NULL;
}

bool
init_compose(struct init *in, struct dm_err *err)
{
	const char *other = other_override(in);
	struct service s = {.port = 0};
	DM_AUTO_FREE char *body = NULL;
	struct init_file *file;

	if (!init_read_here(in, "compose.override.yaml", &file, err))
		return false;
	if (in->remove) {
		init_block(in, file, "compose", "", SIZE_MAX, "");
		return true;
	}
	if (!choose_service(in, &s, err))
		return false;
	body = dm_asprintf("services:\n"
			   "  %s:\n"
			   "    # any free port of this machine, in place of a fixed one\n"
			   "    ports: !override\n"
			   "      - \"127.0.0.1::%u\"\n",
	    s.name, s.port);
	if (other != NULL) {
		(void)dm_fail(err, DM_CONFLICT, "%s has a %s: Compose reads only one such file",
		    in->repo->worktree, other);
		return dm_hint_lines(err, "add this to it by hand:\n%s", body);
	}
	if (file->before != NULL && !block_has(file->before, "compose", body))
		return init_refuse(err, file, "it is yours", body);
	init_block(in, file, "compose", body, SIZE_MAX, "");
	init_hint(in,
	    "after docker compose up -d:\n"
	    "devmesh up --port \"$(docker compose port %s %u | sed 's/.*://')\"",
	    s.name, s.port);
	init_hint(in, "!override needs Docker Compose 2.24.4 or later");
	return true;
}
