/* SPDX-License-Identifier: MIT */
/*
 * The dev servers that `devmesh run` knows. To add one, copy a row and change it; tests/unit/
 * test_tools.c has a line per command.
 *
 *   name          what it is called in messages
 *   programs      names of its program, or of its package (npx @angular/cli)
 *   verbs         the first arguments that start a server; "-": none, or a path. NULL: always
 *   valued        options that take the next word and may stand before the verb
 *   socket        whether it can listen on a Unix socket: SOCKET_NEVER if not given
 *   socket_flags, socket_env   what makes it do so
 *   port_flags, port_env       what makes it listen on a port; a tool that honours PORT needs none
 *   url_flags     added besides, in both modes, when there is a URL
 *   decided       options by which the user says where it listens: then no flag and no variable
 *                 of this row is added. "--x=": only with a value behind "=". "<word>": any
 *                 further argument that is not an option
 *   early         flags go right behind the verb: what stands at the end is not the tool's
 *   trap          what the user has to configure by hand
 *   domain_trap   the same, only where the domain is not below .localhost
 *   settled_in, settled_by   files of the project, and what in them makes the trap no more one
 *
 * In flags and variables {port} {host} {socket} {url} {urlport} {name} {domain} stand for the
 * offered port, 127.0.0.1, the path of the socket, the URL, its port, its host name and the domain
 * of the mesh. Every command gets PORT, HOST and the variables of tools.c in any case.
 *
 * "run" in a row: that version was started this way, and answered for a name of the mesh. "doc":
 * from the tool's documentation alone.
 */
#include "run/tools_impl.h"

#include <string.h>

/* Nearly everything built on Vite. Its host check is opened by a variable: tools.c. */
#define VITE_FLAGS   "--port {port} --host {host}"
#define VITE_DECIDED "--port --host"

static const struct tool tools[] = {
    /* ---- JavaScript: front ends ---------------------------------------------------------- */
    {.name = "vite", /* run: 8.3 (and SvelteKit 3.2) */
	.programs = "vite vp vite-plus",
	.verbs = "- dev serve preview",
	.valued = "-c --config -m --mode --base -l --logLevel",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "astro", /* run: 7.3 */
	.programs = "astro",
	.verbs = "- dev preview",
	.valued = "--root --config",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "angular", /* run: 22.2 */
	.programs = "ng @angular/cli",
	.verbs = "serve s dev",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "react-router", /* run: 8.4 */
	.programs = "react-router @react-router/dev",
	.verbs = "dev",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "remix", /* run: 2.17 */
	.programs = "remix @remix-run/dev",
	.verbs = "vite:dev",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "remix", /* the compiler of version 2: PORT is its app server's */
	.programs = "remix @remix-run/dev remix-serve react-router-serve",
	.decided = "--port"},
    {.name = "nuxt", /* run: 4.5 */
	.programs = "nuxt nuxi",
	.verbs = "dev preview",
	.port_flags = VITE_FLAGS,
	.decided = "--port -p --host -h"},
    {.name = "vitepress", /* run: 1.6 */
	.programs = "vitepress",
	.verbs = "- dev serve preview",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED,
	.domain_trap = "VitePress 1 answers only for hosts that it knows: add vite: { server: "
		       "{ allowedHosts: [process.env.DEVMESH_HOST] } } to its config",
	.settled_in = ".vitepress/config.ts .vitepress/config.mts .vitepress/config.js "
		      "docs/.vitepress/config.ts docs/.vitepress/config.mts "
		      "docs/.vitepress/config.js",
	.settled_by = "allowedHosts"},
    {.name = "vinxi", /* doc */
	.programs = "vinxi",
	.verbs = "dev",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "storybook", /* run: 10.6 */
	.programs = "storybook start-storybook",
	.verbs = "- dev",
	.valued = "-c --config-dir",
	.port_flags = VITE_FLAGS,
	.decided = "--port -p --host -h",
	.domain_trap = "Storybook answers only for hosts that it knows: add "
		       "core: { allowedHosts: [process.env.DEVMESH_HOST] } to .storybook/main",
	.settled_in = ".storybook/main.ts .storybook/main.js .storybook/main.mjs",
	.settled_by = "allowedHosts"},
    {.name = "next", /* run: 16.4 */
	.programs = "next",
	.verbs = "- dev start",
	.decided = "--port -p",
	.trap = "Next.js refuses /_next/* to other origins in development: add "
		"allowedDevOrigins: [process.env.DEVMESH_HOST] to next.config",
	.settled_in = "next.config.js next.config.mjs next.config.cjs next.config.ts",
	.settled_by = "allowedDevOrigins"},
    {.name = "webpack", /* run: webpack-dev-server 5.2, 6.1 */
	.programs = "webpack webpack-cli",
	.verbs = "serve server s",
	.valued = "-c --config --config-name --mode --env --target -t --name",
	.socket = SOCKET_BEST,
	.socket_flags = "--ipc {socket}",
	.port_flags = VITE_FLAGS,
	.url_flags = "--allowed-hosts .{domain} --client-web-socket-url-port 0",
	.decided = "--port --host --ipc"},
    {.name = "webpack", /* run: webpack-dev-server 5.2, 6.1 */
	.programs = "webpack-dev-server",
	.socket = SOCKET_BEST,
	.socket_flags = "--ipc {socket}",
	.port_flags = VITE_FLAGS,
	.url_flags = "--allowed-hosts .{domain} --client-web-socket-url-port 0",
	.decided = "--port --host --ipc"},
    {.name = "rspack", /* doc */
	.programs = "rspack @rspack/cli",
	.verbs = "serve server s dev",
	.valued = "-c --config",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "rsbuild", /* run: 2.3 */
	.programs = "rsbuild @rsbuild/core",
	.verbs = "- dev preview",
	.valued = "-c --config",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "vue-cli", /* doc */
	.programs = "vue-cli-service @vue/cli-service",
	.verbs = "serve",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "react-scripts", /* doc */
	.programs = "react-scripts",
	.verbs = "start"},
    {.name = "parcel", /* run: 2.16 */
	.programs = "parcel",
	.verbs = "- serve",
	.port_flags = VITE_FLAGS,
	.decided = "--port -p --host"},
    {.name = "gatsby", /* doc */
	.programs = "gatsby gatsby-cli",
	.verbs = "develop dev serve",
	.port_flags = VITE_FLAGS,
	.decided = "--port -p --host -H"},
    {.name = "docusaurus", /* doc */
	.programs = "docusaurus @docusaurus/core",
	.verbs = "start serve",
	.port_flags = "--port {port} --host {host} --no-open",
	.decided = "--port -p --host -h"},
    {.name = "eleventy", /* run: 3.1 */
	.programs = "eleventy @11ty/eleventy",
	.port_flags = "--port={port}",
	.decided = "--port"},
    {.name = "expo", /* run: 54 */
	.programs = "expo @expo/cli",
	.verbs = "- start",
	.port_flags = "--port {port} --localhost",
	.decided = "--port -p --host -m --lan --tunnel --localhost"},
    {.name = "wrangler", /* run: 4.164; opens further ports */
	.programs = "wrangler",
	.verbs = "dev pages",
	.valued = "-c --config -e --env",
	.port_flags = "--port {port} --ip {host}",
	.decided = "--port --ip"},
    {.name = "http-server", /* doc */
	.programs = "http-server",
	.port_flags = "-p {port} -a {host}",
	.decided = "-p --port -a"},
    {.name = "serve", /* doc */
	.programs = "serve",
	.decided = "-p -l --listen"},

    /* ---- JavaScript: runtimes ------------------------------------------------------------ */
    {.name = "deno", /* run: 2.9 */
	.programs = "deno",
	.verbs = "serve",
	.socket = SOCKET_ASKED, /* its permissions have to allow that */
	.socket_env = "DENO_SERVE_ADDRESS=unix:{socket}",
	.port_flags = "--port {port} --host {host}",
	.early = true,
	.decided = "--port --host"},
    {.name = "deno",
	.programs = "deno",
	.verbs = "- run task",
	.socket = SOCKET_ASKED,
	.socket_env = "DENO_SERVE_ADDRESS=unix:{socket}",
	.port_env = "DENO_SERVE_ADDRESS=tcp:{host}:{port}",
	.decided = "--allow-net="}, /* the address that it may have */
    {.name = "bun",		    /* run: 1.4 */
	.programs = "bun",
	.socket = SOCKET_ASKED,
	.decided = "--port"},
    {.name = "node", /* run: 20, 24 */
	.programs = "node nodejs tsx ts-node ts-node-dev nodemon",
	.socket = SOCKET_ASKED,
	.socket_env = "PORT={socket}"},

    /* ---- Python -------------------------------------------------------------------------- */
    {.name = "uvicorn", /* run: 0.17 */
	.programs = "uvicorn",
	.socket = SOCKET_BEST,
	.socket_flags = "--uds {socket}",
	.port_flags = VITE_FLAGS,
	.decided = "--port --host --uds --fd"},
    {.name = "fastapi", /* doc */
	.programs = "fastapi",
	.verbs = "dev run",
	.port_flags = VITE_FLAGS,
	.decided = VITE_DECIDED},
    {.name = "gunicorn", /* run: 20.1 */
	.programs = "gunicorn",
	.socket = SOCKET_BEST,
	.socket_flags = "--bind unix:{socket}",
	.port_flags = "--bind {host}:{port}",
	.decided = "--bind -b"},
    {.name = "hypercorn", /* run: 0.13 */
	.programs = "hypercorn",
	.socket = SOCKET_BEST,
	.socket_flags = "--bind unix:{socket}",
	.port_flags = "--bind {host}:{port}",
	.decided = "--bind -b --insecure-bind --quic-bind"},
    {.name = "daphne", /* run: 4.0 */
	.programs = "daphne",
	.socket = SOCKET_BEST,
	.socket_flags = "-u {socket} --proxy-headers",
	.port_flags = "-b {host} -p {port}",
	.decided = "-u -b --bind -p --port --fd -e --endpoint"},
    {.name = "flask", /* run: 2.2 */
	.programs = "flask",
	.verbs = "run",
	.valued = "--app -A --env-file -e",
	.socket = SOCKET_BEST,
	.socket_flags = "--host unix://{socket}",
	.port_flags = VITE_FLAGS,
	.decided = "--port -p --host -h"},
    {.name = "django", /* run: 3.2 */
	.programs = "manage.py django-admin django",
	.verbs = "runserver runserver_plus",
	.port_flags = "{host}:{port}",
	.decided = "<word>",
	.trap = "Django answers only for hosts in its settings: "
		"ALLOWED_HOSTS += [os.environ[\"DEVMESH_HOST\"]] and "
		"CSRF_TRUSTED_ORIGINS += [os.environ[\"DEVMESH_URL\"]]",
	.settled_in = "settings.py */settings.py",
	.settled_by = "DEVMESH_"},
    {.name = "streamlit", /* doc */
	.programs = "streamlit",
	.verbs = "run hello",
	.port_flags = "--server.port {port} --server.address {host} --server.headless true",
	.decided = "--server.port --server.address"},
    {.name = "http.server", /* run: 3.11 */
	.programs = "http.server",
	.port_flags = "--bind {host} {port}",
	.decided = "<word> --bind -b"},
    {.name = "mkdocs", /* doc */
	.programs = "mkdocs",
	.verbs = "serve",
	.port_flags = "--dev-addr {host}:{port}",
	.decided = "--dev-addr -a"},

    /* ---- PHP, Ruby ----------------------------------------------------------------------- */
    {.name = "laravel", /* doc */
	.programs = "artisan",
	.verbs = "serve",
	.port_flags = "--host={host} --port={port}",
	.decided = "--host --port"},
    {.name = "symfony", /* doc */
	.programs = "symfony",
	.verbs = "serve server:start local:server:start",
	.port_flags = "--port={port} --no-tls",
	.decided = "--port --no-tls"},
    {.name = "php", /* run: 8.2 */
	.programs = "php",
	.decided = "-S"},
    {.name = "rails", /* run: 6.1; that one does not read RAILS_DEVELOPMENT_HOSTS */
	.programs = "rails",
	.verbs = "server s",
	.decided = "-p --port -b --binding",
	.socket = SOCKET_ASKED,
	.socket_flags = "-b {socket}"},
    {.name = "puma", /* run: 5.6 */
	.programs = "puma",
	.socket = SOCKET_BEST,
	.socket_flags = "-b unix://{socket}",
	.port_flags = "-b tcp://{host}:{port}",
	.decided = "-b --bind -p --port"},
    {.name = "rackup", /* run: Rack 2.2 */
	.programs = "rackup",
	.port_flags = "-o {host} -p {port}",
	.decided = "-p --port -o --host"},
    {.name = "jekyll", /* run: 4.3 */
	.programs = "jekyll",
	.verbs = "serve s server",
	.port_flags = "--host {host} --port {port}",
	.decided = "--port -P --host -H"},

    /* ---- others -------------------------------------------------------------------------- */
    {.name = "hugo", /* run: 0.111 */
	.programs = "hugo",
	.verbs = "server serve",
	.port_flags = "--port {port} --bind {host}",
	.url_flags = "--baseURL {url} --appendPort=false --liveReloadPort {urlport}",
	.decided = "--port -p --bind --baseURL -b --liveReloadPort"},
    {.name = "phoenix", /* doc */
	.programs = "mix",
	.verbs = "phx.server",
	.socket = SOCKET_ASKED},
    {.name = "go", /* run: 1.19 */
	.programs = "go",
	.verbs = "run",
	.socket = SOCKET_ASKED},
    {.name = "cargo", /* doc */
	.programs = "cargo",
	.verbs = "run watch",
	.socket = SOCKET_ASKED},
    {.name = "spring", /* doc */
	.programs = "mvn mvnw gradle gradlew",
	.verbs = "spring-boot:run bootRun",
	.port_env = "SERVER_PORT={port} SERVER_ADDRESS={host}"},
};

/*
 * Programs that start the command which follows their options, "NAME=value" words and a "--".
 * With verbs, only behind one of these. Package managers and interpreters are in tools_wrap.c.
 */
static const struct wrapper wrappers[] = {
    {"env", NULL, "-u --unset -C --chdir"},
    {"cross-env", NULL, NULL},
    {"dotenv", "- run", "-e -v -c -p -f --file"},
    {"dotenvx", "run", "-f --env-file -e --env"},
    {"bundle", "exec", NULL},
    {"poetry", "run", "-C --directory -P --project"},
    {"pipenv", "run", NULL},
    {"pdm", "run", "-p --project --venv"},
    {"hatch", "run", NULL},
    {"rye", "run", NULL},
    {"uv", "run",
	"--with --extra --group --env-file --directory --project --python -p --package --index"},
    {"uvx", NULL, "--with --from --python -p"},
    {"npx", NULL, "-p --package"},
    {"bunx", NULL, "-p --package"},
    {"iex", NULL, NULL},
    {"mise", "exec x", NULL},
    {"doppler", "run", "-p --project -c --config"},
    {"infisical", "run", "--env --path"},
    {"op", "run", "--env-file --account"},
    {"nice", NULL, "-n --adjustment"},
    {"nohup", NULL, NULL},
    {"time", NULL, NULL},
    {"exec", NULL, NULL},
    {"command", NULL, NULL},
    {"setsid", NULL, NULL},
    {"stdbuf", NULL, "-i -o -e"},
    {"caffeinate", NULL, "-t -w"},
};

bool
list_has(const char *list, const char *word, size_t n)
{
	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, " ");

		if (len == n && memcmp(list, word, n) == 0)
			return n > 0;
		list += len + strspn(list + len, " ");
	}
	return false;
}

static bool
verb_fits(const struct tool *tool, const char *verb)
{
	if (tool->verbs == NULL)
		return true;
	if (verb != NULL && list_has(tool->verbs, verb, strlen(verb)))
		return true;
	return list_has(tool->verbs, "-", 1) && (verb == NULL || strpbrk(verb, "/.") != NULL);
}

const struct tool *
tool_find(const char *program, const char *verb)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		if (list_has(tools[i].programs, program, strlen(program)) &&
		    verb_fits(&tools[i], verb))
			return &tools[i];
	}
	return NULL;
}

const struct tool *
tool_any(const char *program)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		if (list_has(tools[i].programs, program, strlen(program)))
			return &tools[i];
	}
	return NULL;
}

const struct wrapper *
wrapper_find(const char *program)
{
	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
		if (list_has(wrappers[i].programs, program, strlen(program)))
			return &wrappers[i];
	}
	return NULL;
}
