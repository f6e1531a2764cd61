/* SPDX-License-Identifier: MIT */
/* What `devmesh run` makes of a command line: what it is, how it will listen, what is added. */
#include "unit.h"

#include "run/tools.h"

#define SOCKET "/tmp/caddy-dev/shop-main.sock"
#define VITE   "--port 4123 --host 127.0.0.1"
#define WDS    "--ipc " SOCKET " --allowed-hosts .dev.localhost --client-web-socket-url-port 0"

/* `added`: what stands behind the command in the plan. */
struct row {
	const char *command, *tool, *added;
	enum tool_mode mode;
};

static const struct row plain[] = {
    /* vite and what is built on it */
    {"vite", "vite", VITE, TOOL_PORT},
    {"vite dev", "vite", VITE, TOOL_PORT},
    {"vite --open", "vite", VITE, TOOL_PORT},
    {"vite -c other.ts dev", "vite", VITE, TOOL_PORT},
    {"vite ./web", "vite", VITE, TOOL_PORT},
    {"vite build", NULL, "", TOOL_PORT},
    {"vite --port 3000", "vite", "", TOOL_PORT},
    {"vite --port=3000", "vite", "", TOOL_PORT},
    {"vite --host", "vite", "", TOOL_PORT},
    {"vite -- --x", "vite", "", TOOL_PORT},
    {"astro dev", "astro", VITE, TOOL_PORT},
    {"astro check", NULL, "", TOOL_PORT},
    {"ng serve", "angular", VITE, TOOL_PORT},
    {"ng serve shop --open", "angular", VITE, TOOL_PORT},
    {"ng build --watch", NULL, "", TOOL_PORT},
    {"react-router dev", "react-router", VITE, TOOL_PORT},
    {"remix vite:dev", "remix", VITE, TOOL_PORT},
    {"nuxt dev -p 3000", "nuxt", "", TOOL_PORT},
    {"nuxi dev", "nuxt", VITE, TOOL_PORT},
    {"vitepress dev docs", "vitepress", VITE, TOOL_PORT},
    {"storybook dev -p 6006", "storybook", "", TOOL_PORT},
    {"next dev", "next", "", TOOL_PORT},
    {"next dev --turbo -p 3001", "next", "", TOOL_PORT},
    {"webpack serve", "webpack", WDS, TOOL_SOCKET},
    {"webpack-dev-server --hot", "webpack", WDS, TOOL_SOCKET},
    {"webpack serve --port 8080", "webpack",
	"--allowed-hosts .dev.localhost --client-web-socket-url-port 0", TOOL_PORT},
    {"webpack --watch", NULL, "", TOOL_PORT},
    {"rsbuild dev", "rsbuild", VITE, TOOL_PORT},
    {"parcel index.html", "parcel", VITE, TOOL_PORT},
    {"parcel build index.html", NULL, "", TOOL_PORT},
    {"gatsby develop", "gatsby", VITE, TOOL_PORT},
    {"wrangler dev", "wrangler", "--port 4123 --ip 127.0.0.1", TOOL_PORT},
    {"expo start", "expo", "--port 4123 --localhost", TOOL_PORT},
    /* runtimes */
    {"node server.js", "node", "", TOOL_PORT},
    {"node --inspect -r dotenv/config server.js --port 1", "node", "", TOOL_PORT},
    {"tsx watch src/server.ts", "node", "", TOOL_PORT},
    {"node ./node_modules/vite/bin/vite.js", "vite", VITE, TOOL_PORT},
    {"node node_modules/next/dist/bin/next dev", "next", "", TOOL_PORT},
    {"node node_modules/@angular/cli/bin/ng.js serve", "angular", VITE, TOOL_PORT},
    {"node node_modules/@11ty/eleventy/cmd.cjs --serve", "eleventy", "--port=4123", TOOL_PORT},
    {"node vite.js", "node", "", TOOL_PORT},
    {"deno serve --port 9 main.ts", "deno", "", TOOL_PORT},
    {"deno run -A main.ts", "deno", "", TOOL_PORT},
    {"bun server.ts", "bun", "", TOOL_PORT},
    {"bun --hot src/index.ts", "bun", "", TOOL_PORT},
    /* Python */
    {"uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"uvicorn app:app --reload", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"uvicorn app:app --port 8000", "uvicorn", "", TOOL_PORT},
    {"uvicorn app:app --uds /tmp/x.sock", "uvicorn", "", TOOL_SOCKET},
    {"python3 -m uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"python3.11 -u -X dev -m uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"/usr/bin/python3 /usr/bin/uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"gunicorn app:app", "gunicorn", "--bind unix:" SOCKET, TOOL_SOCKET},
    {"gunicorn -b 0.0.0.0:8000 app:app", "gunicorn", "", TOOL_PORT},
    {"gunicorn -b unix:/tmp/x app:app", "gunicorn", "", TOOL_SOCKET},
    {"gunicorn -b:8000 app:app", "gunicorn", "", TOOL_PORT},
    {"hypercorn app:app", "hypercorn", "--bind unix:" SOCKET, TOOL_SOCKET},
    {"daphne app:app", "daphne", "-u " SOCKET " --proxy-headers", TOOL_SOCKET},
    {"fastapi dev main.py", "fastapi", VITE, TOOL_PORT},
    {"flask run", "flask", "--host unix://" SOCKET, TOOL_SOCKET},
    {"flask --app hello --debug run", "flask", "--host unix://" SOCKET, TOOL_SOCKET},
    {"flask --app hello run -p 5000", "flask", "", TOOL_PORT},
    {"flask --app hello shell", NULL, "", TOOL_PORT},
    {"python manage.py runserver", "django", "127.0.0.1:4123", TOOL_PORT},
    {"./manage.py runserver --noreload", "django", "127.0.0.1:4123", TOOL_PORT},
    {"python manage.py runserver 0.0.0.0:8000", "django", "", TOOL_PORT},
    {"python manage.py migrate", NULL, "", TOOL_PORT},
    {"python -m http.server", "http.server", "--bind 127.0.0.1 4123", TOOL_PORT},
    {"python -m http.server 9000", "http.server", "", TOOL_PORT},
    {"python app.py", NULL, "", TOOL_PORT},
    {"streamlit run app.py", "streamlit",
	"--server.port 4123 --server.address 127.0.0.1 --server.headless true", TOOL_PORT},
    /* PHP, Ruby, others */
    {"php -S 127.0.0.1:0", "php", "", TOOL_PORT},
    {"php artisan serve", "laravel", "--host=127.0.0.1 --port=4123", TOOL_PORT},
    {"puma", "puma", "-b unix://" SOCKET, TOOL_SOCKET},
    {"puma -p 3000", "puma", "", TOOL_PORT},
    {"bin/rails server", "rails", "", TOOL_PORT},
    {"ruby bin/rails s", "rails", "", TOOL_PORT},
    {"rails console", NULL, "", TOOL_PORT},
    {"rackup", "rackup", "-o 127.0.0.1 -p 4123", TOOL_PORT},
    {"jekyll serve --livereload", "jekyll", "--host 127.0.0.1 --port 4123", TOOL_PORT},
    {"hugo server", "hugo",
	"--port 4123 --bind 127.0.0.1 --baseURL https://shop-main.dev.localhost:8443 "
	"--appendPort=false --liveReloadPort 8443",
	TOOL_PORT},
    {"mix phx.server", "phoenix", "", TOOL_PORT},
    {"iex -S mix phx.server", "phoenix", "", TOOL_PORT},
    {"go run .", "go", "", TOOL_PORT},
    {"cargo run", "cargo", "", TOOL_PORT},
    {"./server --port 3", NULL, "", TOOL_PORT},
    {"sh -c vite", NULL, "", TOOL_PORT},
    /* wrappers */
    {"npx vite", "vite", VITE, TOOL_PORT},
    {"npx --yes vite@latest --open", "vite", VITE, TOOL_PORT},
    {"npx @angular/cli@20 serve", "angular", VITE, TOOL_PORT},
    {"npx -p x vite", "vite", VITE, TOOL_PORT},
    {"npm exec vite", "vite", "-- " VITE, TOOL_PORT},
    {"npm exec -- vite --open", "vite", VITE, TOOL_PORT},
    {"npm exec vite -- --open", "vite", VITE, TOOL_PORT},
    {"npm exec -- vite --port 1", "vite", "", TOOL_PORT},
    {"npm x -- astro dev", "astro", VITE, TOOL_PORT},
    {"pnpm exec vite", "vite", VITE, TOOL_PORT},
    {"pnpm dlx vite", "vite", VITE, TOOL_PORT},
    {"pnpm vite", "vite", VITE, TOOL_PORT},
    {"yarn vite", "vite", VITE, TOOL_PORT},
    {"yarn workspace web dev", NULL, "", TOOL_PORT},
    {"bunx --bun vite", "vite", VITE, TOOL_PORT},
    {"bun run vite", "vite", VITE, TOOL_PORT},
    {"node_modules/.bin/vite", "vite", VITE, TOOL_PORT},
    {"cross-env A=b vite", "vite", VITE, TOOL_PORT},
    {"env -u X A=b C=d vite", "vite", VITE, TOOL_PORT},
    {"dotenv -e .env -- vite", "vite", VITE, TOOL_PORT},
    {"bundle exec puma", "puma", "-b unix://" SOCKET, TOOL_SOCKET},
    {"bundle exec rails s", "rails", "", TOOL_PORT},
    {"poetry run uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"uv run --with x uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"uv run -m flask run", "flask", "--host unix://" SOCKET, TOOL_SOCKET},
    {"uv run manage.py runserver", "django", "127.0.0.1:4123", TOOL_PORT},
    {"pipenv run python -m uvicorn app:app", "uvicorn", "--uds " SOCKET, TOOL_SOCKET},
    {"nice -n 5 env A=b npx vite", "vite", VITE, TOOL_PORT},
    {"npm install", NULL, "", TOOL_PORT},
    {"npm", NULL, "", TOOL_PORT},
    {"env", NULL, "", TOOL_PORT},
    {"npx", NULL, "", TOOL_PORT},
};

/* The package.json of the tests below. */
static const char package[] =
    "{\"scripts\":{"
    "\"dev\":\"vite\",\"open\":\"vite --open\",\"fixed\":\"vite --port 3000\","
    "\"start\":\"node server.js\",\"build\":\"vite build\","
    "\"nested\":\"npm run dev\",\"deep\":\"npm run nested\",\"given\":\"npm run dev -- --open\","
    "\"yarn\":\"yarn dev\",\"loop\":\"npm run loop\","
    "\"and\":\"tsc -b && NODE_ENV=development vite\",\"pipe\":\"vite | tee log\","
    "\"both\":\"vite & node api.js\",\"semi\":\"vite; true\",\"or\":\"vite || true\","
    "\"sub\":\"vite --mode $(cat mode)\",\"tick\":\"vite --mode `cat mode`\","
    "\"log\":\"vite > log\",\"var\":\"vite --mode ${MODE}\",\"quoted\":\"vite --mode 'a b'\","
    "\"cd\":\"cd web && vite\",\"end\":\"vite &&\",\"open-quote\":\"vite 'x\","
    "\"cross\":\"cross-env PORT=1 webpack serve\",\"next\":\"next dev\",\"number\":7,"
    "\"uvicorn\":\"uvicorn app:app\",\"turbo\":\"turbo run dev\"}}";

static const struct row scripts[] = {
    {"npm run dev", "vite", "-- " VITE, TOOL_PORT},
    {"npm run-script dev", "vite", "-- " VITE, TOOL_PORT},
    {"npm -s run dev", "vite", "-- " VITE, TOOL_PORT},
    {"npm run dev -- --open", "vite", VITE, TOOL_PORT},
    {"npm run dev -- --port 3", "vite", "", TOOL_PORT},
    {"npm run dev --silent", "vite", "-- " VITE, TOOL_PORT},
    {"npm run dev -w web", NULL, "", TOOL_PORT},
    {"npm --prefix web run dev", NULL, "", TOOL_PORT},
    {"npm run open", "vite", "-- " VITE, TOOL_PORT},
    {"npm run fixed", "vite", "", TOOL_PORT},
    {"npm start", "node", "", TOOL_PORT},
    {"npm run build", NULL, "", TOOL_PORT},
    {"npm run nothing", NULL, "", TOOL_PORT},
    {"npm run number", NULL, "", TOOL_PORT},
    {"npm run nested", "vite", "-- -- " VITE, TOOL_PORT},
    {"npm run deep", "vite", "-- -- -- " VITE, TOOL_PORT},
    {"npm run given", "vite", "-- " VITE, TOOL_PORT},
    {"npm run yarn", "vite", "-- " VITE, TOOL_PORT},
    {"npm run loop", NULL, "", TOOL_PORT},
    {"npm run and", "vite", "-- " VITE, TOOL_PORT},
    {"npm run pipe", NULL, "", TOOL_PORT},
    {"npm run both", NULL, "", TOOL_PORT},
    {"npm run semi", NULL, "", TOOL_PORT},
    {"npm run or", NULL, "", TOOL_PORT},
    {"npm run sub", NULL, "", TOOL_PORT},
    {"npm run tick", NULL, "", TOOL_PORT},
    {"npm run log", NULL, "", TOOL_PORT},
    {"npm run end", NULL, "", TOOL_PORT},
    {"npm run open-quote", NULL, "", TOOL_PORT},
    {"npm run var", "vite", "-- " VITE, TOOL_PORT},
    {"npm run quoted", "vite", "-- " VITE, TOOL_PORT},
    {"npm run cd", NULL, "", TOOL_PORT},
    {"npm run cross", "webpack", "-- " WDS, TOOL_SOCKET},
    {"npm run next", "next", "", TOOL_PORT},
    {"npm run uvicorn", "uvicorn", "-- --uds " SOCKET, TOOL_SOCKET},
    {"npm run turbo", NULL, "", TOOL_PORT},
    {"yarn dev", "vite", VITE, TOOL_PORT},
    {"yarn run dev", "vite", VITE, TOOL_PORT},
    {"yarn dev --open", "vite", VITE, TOOL_PORT},
    {"yarn dev --port 3", "vite", "", TOOL_PORT},
    {"yarn start", "node", "", TOOL_PORT},
    {"pnpm dev", "vite", VITE, TOOL_PORT},
    {"pnpm run nested", "vite", "-- " VITE, TOOL_PORT},
    {"pnpm --filter web dev", NULL, "", TOOL_PORT},
    {"bun run dev", "vite", VITE, TOOL_PORT},
    {"bun dev", "vite", VITE, TOOL_PORT},
    {"node --run dev", "vite", "-- " VITE, TOOL_PORT},
    {"node --run dev -- --open", "vite", VITE, TOOL_PORT},
    {"cross-env A=b npm run dev", "vite", "-- " VITE, TOOL_PORT},
};

static struct tool_input
input(const char *const *argv, const char *dir)
{
	return (struct tool_input){
	    .argv = argv,
	    .dir = dir,
	    .socket = SOCKET,
	    .port = 4123,
	    .url = "https://shop-main.dev.localhost:8443",
	    .host = "shop-main.dev.localhost",
	    .domain = "dev.localhost",
	    .id = "shop-main",
	    .worktree = "/code/shop",
	};
}

/* Cuts the text at blanks, in place. */
static void
cut(char *text, const char *argv[64])
{
	size_t n = 0;

	for (char *p = text; *p != '\0' && n < 63; p += strspn(p, " ")) {
		argv[n++] = p;
		p += strcspn(p, " ");
		if (*p != '\0')
			*p++ = '\0';
	}
	argv[n] = NULL;
}

static char *
joined(char *const *words)
{
	struct dm_str s = dm_str_make(65536);

	for (; words != NULL && *words != NULL; words++)
		(void)dm_str_addf(&s, "%s%s", s.len > 0 ? " " : "", *words);
	return s.data;
}

static void
check_row(const struct row *row, const char *dir)
{
	DM_AUTO_FREE char *text = dm_strdup(row->command);
	DM_AUTO_FREE char *want =
	    dm_asprintf("%s%s%s", row->command, row->added[0] != '\0' ? " " : "", row->added);
	DM_AUTO_FREE char *got = NULL;
	const char *argv[64];
	struct tool_input in = input(argv, dir);
	struct tool_plan plan;
	struct dm_err err;

	cut(text, argv);
	assert_ok(tool_plan_make(&in, &plan, &err), &err);
	got = joined(plan.argv);
	if (strcmp(got, want) != 0)
		fail_msg("\"%s\" becomes: %s", row->command, got);
	if ((plan.tool == NULL) != (row->tool == NULL) ||
	    (plan.tool != NULL && strcmp(plan.tool, row->tool) != 0))
		fail_msg("\"%s\" is %s", row->command, plan.tool != NULL ? plan.tool : "nothing");
	if (plan.mode != row->mode)
		fail_msg("\"%s\": mode %d", row->command, (int)plan.mode);
	assert_true(plan.flags_added == (row->added[0] != '\0'));
	tool_plan_release(&plan);
}

static void
command_lines(void **state)
{
	char *dir = temp_dir();

	(void)state;
	for (size_t i = 0; i < COUNT(plain); i++)
		check_row(&plain[i], dir);
	remove_tree(dir);
}

/* The package.json is looked for upwards. */
static void
package_scripts(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *file = in_dir(dir, "package.json");
	DM_AUTO_FREE char *below = in_dir(dir, "src");

	(void)state;
	put_file(file, package);
	assert_int_equal(mkdir(below, 0700), 0);
	for (size_t i = 0; i < COUNT(scripts); i++) {
		check_row(&scripts[i], dir);
		check_row(&scripts[i], below);
	}
	remove_tree(dir);
}

/* ---- modes ---------------------------------------------------------------------------------- */

static void
make_plan(const struct tool_input *changes, const char *command, struct tool_plan *plan)
{
	DM_AUTO_FREE char *text = dm_strdup(command);
	const char *argv[64];
	struct tool_input in = *changes;
	struct dm_err err;

	in.argv = argv;
	cut(text, argv);
	assert_ok(tool_plan_make(&in, plan, &err), &err);
}

static void
check_plan(const struct tool_input *in, const char *command, enum tool_mode mode, const char *want)
{
	DM_AUTO_FREE char *got = NULL;
	struct tool_plan plan;

	make_plan(in, command, &plan);
	got = joined(plan.argv);
	assert_string_equal(got, want);
	assert_int_equal(plan.mode, mode);
	tool_plan_release(&plan);
}

/* A mode that is asked for goes before the tool's own. */
static void
asked_modes(void **state)
{
	struct tool_input in = input(NULL, "/nonexistent");

	(void)state;
	in.mode = TOOL_PORT;
	check_plan(
	    &in, "uvicorn app:app", TOOL_PORT, "uvicorn app:app --port 4123 --host 127.0.0.1");
	check_plan(&in, "gunicorn app:app", TOOL_PORT, "gunicorn app:app --bind 127.0.0.1:4123");
	check_plan(&in, "flask run", TOOL_PORT, "flask run " VITE);
	check_plan(&in, "puma", TOOL_PORT, "puma -b tcp://127.0.0.1:4123");
	check_plan(&in, "webpack serve", TOOL_PORT,
	    "webpack serve " VITE " --allowed-hosts .dev.localhost --client-web-socket-url-port 0");
	in.mode = TOOL_SOCKET;
	check_plan(&in, "node server.js", TOOL_SOCKET, "node server.js");
	check_plan(&in, "rails s", TOOL_SOCKET, "rails s -b " SOCKET);
	check_plan(&in, "./server", TOOL_SOCKET, "./server");
	check_plan(&in, "uvicorn app:app --uds /x", TOOL_SOCKET, "uvicorn app:app --uds /x");
	in.mode = TOOL_AUTO;
	check_plan(&in, "deno serve main.ts", TOOL_PORT,
	    "deno serve --port 4123 --host 127.0.0.1 main.ts");
	check_plan(&in, "npx deno serve -A main.ts x", TOOL_PORT,
	    "npx deno serve --port 4123 --host 127.0.0.1 -A main.ts x");
	check_plan(&in, "webpack serve --allowed-hosts all", TOOL_SOCKET,
	    "webpack serve --allowed-hosts all --ipc " SOCKET);
}

/* Without a proxy there is only the port. */
static void
without_url(void **state)
{
	struct tool_input in = input(NULL, "/nonexistent");
	DM_AUTO_FREE char *env = NULL;
	struct tool_plan plan;

	(void)state;
	in.url = NULL;
	in.host = NULL;
	check_plan(&in, "uvicorn app:app", TOOL_PORT, "uvicorn app:app " VITE);
	check_plan(&in, "hugo server", TOOL_PORT, "hugo server --port 4123 --bind 127.0.0.1");
	check_plan(&in, "webpack serve", TOOL_PORT, "webpack serve " VITE);
	make_plan(&in, "next dev", &plan);
	env = joined(plan.env);
	assert_string_equal(env, "PORT=4123 HOST=127.0.0.1 ASTRO_DEV_BACKGROUND=1");
	assert_null(plan.trap);
	tool_plan_release(&plan);
}

static void
impossible_modes(void **state)
{
	static const struct {
		const char *command, *message;
		enum tool_mode mode;
	} rows[] = {
	    {"vite", "vite cannot listen on a Unix socket", TOOL_SOCKET},
	    {"next dev", "next cannot", TOOL_SOCKET},
	    {"python manage.py runserver", "django cannot", TOOL_SOCKET},
	    {"php -S 127.0.0.1:0", "itself says where php listens", TOOL_SOCKET},
	    {"uvicorn app:app --port 1", "itself says where uvicorn listens", TOOL_SOCKET},
	    {"uvicorn app:app --uds /x", "makes uvicorn listen on a Unix socket", TOOL_PORT},
	    {"uvicorn app:app -- x", "no flag can be added", TOOL_SOCKET},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *text = dm_strdup(rows[i].command);
		const char *argv[64];
		struct tool_input in = input(argv, "/nonexistent");
		struct tool_plan plan;
		struct dm_err err;

		cut(text, argv);
		in.mode = rows[i].mode;
		assert_fails(tool_plan_make(&in, &plan, &err), &err, DM_USAGE, rows[i].message);
		assert_true(err.hint[0] != '\0');
	}
}

static void
fixed_ports(void **state)
{
	static const struct {
		const char *command;
		unsigned port;
	} rows[] = {
	    {"vite --port 3000", 3000},
	    {"vite --port=3001 --host", 3001},
	    {"vite --host 0.0.0.0", 0},
	    {"next dev -p3002", 3002},
	    {"gunicorn -b 0.0.0.0:3003 app", 3003},
	    {"python manage.py runserver [::]:3004", 3004},
	    {"python -m http.server 3005", 3005},
	    {"php -S localhost:3006 -t public", 3006},
	    {"php -S 127.0.0.1:0", 0},
	    {"deno run --allow-net=localhost:3007 x.ts", 3007},
	    {"vite --port 99999", 0},
	    {"vite --port", 0},
	    {"node server.js --port 3008", 0},
	};
	struct tool_input in = input(NULL, "/nonexistent");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tool_plan plan;

		make_plan(&in, rows[i].command, &plan);
		if (plan.fixed != rows[i].port)
			fail_msg("\"%s\": port %u", rows[i].command, (unsigned)plan.fixed);
		tool_plan_release(&plan);
	}
}

/* ---- variables ------------------------------------------------------------------------------ */

static const char *
value_of(const struct tool_plan *plan, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name);

	for (char *const *e = plan->env; *e != NULL; e++) {
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') {
			assert_null(found); /* once */
			found = *e + n + 1;
		}
	}
	return found;
}

static void
check_env(const struct tool_input *in, const char *command, const char *name, const char *want)
{
	struct tool_plan plan;
	const char *got;

	make_plan(in, command, &plan);
	got = value_of(&plan, name);
	if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
		fail_msg("\"%s\": %s=%s", command, name, got != NULL ? got : "(not set)");
	tool_plan_release(&plan);
}

static void
variables(void **state)
{
	static const struct {
		const char *command, *name, *value;
	} rows[] = {
	    {"x", "PORT", "4123"},
	    {"x", "HOST", "127.0.0.1"},
	    {"x", "DEVMESH_URL", "https://shop-main.dev.localhost:8443"},
	    {"x", "DEVMESH_HOST", "shop-main.dev.localhost"},
	    {"x", "DEVMESH_DOMAIN", "dev.localhost"},
	    {"x", "DEVMESH_ID", "shop-main"},
	    {"x", "DEVMESH_WORKTREE", "/code/shop"},
	    {"x", "DEVMESH_SOCKET", ""},
	    {"x", "DEVMESH_PORT", "4123"},
	    {"x", "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS", ".dev.localhost"},
	    {"x", "RAILS_DEVELOPMENT_HOSTS", ".dev.localhost"},
	    {"x", "PHX_HOST", "shop-main.dev.localhost"},
	    {"x", "NODE_EXTRA_CA_CERTS", NULL},
	    {"x", "FORWARDED_ALLOW_IPS", NULL},
	    {"x", "DENO_SERVE_ADDRESS", NULL},
	    {"x", "ASTRO_DEV_BACKGROUND", "1"},
	    {"uvicorn a:a", "PORT", NULL},
	    {"uvicorn a:a", "HOST", NULL},
	    {"uvicorn a:a", "DEVMESH_SOCKET", SOCKET},
	    {"uvicorn a:a", "DEVMESH_PORT", ""},
	    {"uvicorn a:a", "FORWARDED_ALLOW_IPS", "*"},
	    {"uvicorn a:a --port 8000", "FORWARDED_ALLOW_IPS", NULL},
	    {"deno run -A x.ts", "DENO_SERVE_ADDRESS", "tcp:127.0.0.1:4123"},
	    {"deno run --allow-net=:1 x.ts", "DENO_SERVE_ADDRESS", NULL},
	    {"deno serve x.ts", "DENO_SERVE_ADDRESS", NULL},
	    {"mvn spring-boot:run", "SERVER_PORT", "4123"},
	};
	struct tool_input in = input(NULL, "/nonexistent");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_env(&in, rows[i].command, rows[i].name, rows[i].value);
	in.ca = "/ca.pem";
	check_env(&in, "x", "NODE_EXTRA_CA_CERTS", "/ca.pem");
	in.mode = TOOL_SOCKET;
	check_env(&in, "node x.js", "PORT", SOCKET);
	check_env(&in, "node x.js", "DEVMESH_SOCKET", SOCKET);
	check_env(&in, "deno run -A x.ts", "DENO_SERVE_ADDRESS", "unix:" SOCKET);
	check_env(&in, "./server", "DEVMESH_SOCKET", SOCKET);
	check_env(&in, "./server", "PORT", NULL);
}

/* The user's stay, except for those that are ours. */
static void
variables_of_the_user(void **state)
{
	char port[] = "PORT=1", hosts[] = "RAILS_DEVELOPMENT_HOSTS=", url[] = "DEVMESH_URL=old";
	char ca[] = "NODE_EXTRA_CA_CERTS=/mine", deno[] = "DENO_SERVE_ADDRESS=tcp:1.2.3.4:5";
	char *environ[] = {port, hosts, url, ca, deno, NULL};
	struct tool_input in = input(NULL, "/nonexistent");

	(void)state;
	in.environ = environ;
	in.ca = "/ca.pem";
	check_env(&in, "deno run -A x", "PORT", NULL);
	check_env(&in, "deno run -A x", "HOST", "127.0.0.1");
	check_env(&in, "deno run -A x", "RAILS_DEVELOPMENT_HOSTS", NULL);
	check_env(&in, "deno run -A x", "NODE_EXTRA_CA_CERTS", NULL);
	check_env(&in, "deno run -A x", "DENO_SERVE_ADDRESS", NULL);
	check_env(&in, "x", "DEVMESH_URL", "https://shop-main.dev.localhost:8443");
}

/* ---- traps ---------------------------------------------------------------------------------- */

static bool
has_trap(const struct tool_input *in, const char *command)
{
	struct tool_plan plan;
	bool found;

	make_plan(in, command, &plan);
	found = plan.trap != NULL;
	tool_plan_release(&plan);
	return found;
}

static void
traps(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *config = in_dir(dir, "next.config.mjs");
	DM_AUTO_FREE char *site = in_dir(dir, "site");
	DM_AUTO_FREE char *settings = in_dir(dir, "site/settings.py");
	struct tool_input in = input(NULL, dir);

	(void)state;
	assert_true(has_trap(&in, "next dev"));
	assert_false(has_trap(&in, "vite"));
	assert_false(has_trap(&in, "storybook dev"));
	in.domain = "dev.example.test";
	assert_true(has_trap(&in, "storybook dev"));
	put_file(config, "export default {}");
	assert_true(has_trap(&in, "next dev"));
	put_file(config, "export default { allowedDevOrigins: ['x'] }");
	assert_false(has_trap(&in, "next dev"));
	assert_true(has_trap(&in, "python manage.py runserver"));
	assert_int_equal(mkdir(site, 0700), 0);
	put_file(settings, "ALLOWED_HOSTS = [os.environ['DEVMESH_HOST']]");
	assert_false(has_trap(&in, "python manage.py runserver"));
	remove_tree(dir);
}

/* ---- hostile input -------------------------------------------------------------------------- */

/* `npm run dev` with this package.json: nothing is known, and nothing added. */
static void
check_unknown(const char *dir, const char *text, size_t n)
{
	DM_AUTO_FREE char *file = in_dir(dir, "package.json");
	struct tool_input in = input(NULL, dir);
	struct tool_plan plan;
	struct dm_err err;

	assert_ok(dm_write_file(file, text, n, 0644, &err), &err);
	make_plan(&in, "npm run dev", &plan);
	if (plan.tool != NULL || plan.flags_added)
		fail_msg("%.60s: %s", text, plan.tool);
	tool_plan_release(&plan);
}

static void
hostile_packages(void **state)
{
	static const char *const texts[] = {
	    "",
	    "{",
	    "[]",
	    "7",
	    "null",
	    "{\"scripts\":7}",
	    "{\"scripts\":[\"vite\"]}",
	    "{\"scripts\":{\"dev\":[\"vite\"]}}",
	    "{\"scripts\":{\"dev\":null}}",
	    "{\"scripts\":{\"dev\":\"\"}}",
	    "{\"scripts\":{\"dev\":\"   \"}}",
	    "{\"scripts\":{\"DEV\":\"vite\"}}",
	    "{\"scripts\":{\"dev\":\"vite\\nrm -rf x\"}}",
	    "{\"scripts\":{\"dev\":\"vite \\u001b[2J\"}}",
	    "{\"scripts\":{\"dev\":\"&& vite\"}}",
	    "{\"scripts\":{\"dev\":\"A=b\"}}",
	    "{\"scripts\":{\"dev\":\"npm\"}}",
	    "{\"scripts\":{\"dev\":\"\xff\xfe\"}}",
	    "{\"scripts\":{\"dev\":\"vite",
	    "{\"scripts\":{\"dev\":\"npm run a\",\"a\":\"npm run dev\"}}",
	};
	char *dir = temp_dir();
	const size_t big = 3 << 20, deep = 200000;
	char *text = dm_calloc(big, 1);
	DM_AUTO_FREE char *copy = NULL;
	DM_AUTO_FREE char *file = in_dir(dir, "package.json");

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		check_unknown(dir, texts[i], strlen(texts[i]));
	check_unknown(dir, "{\"scripts\":{\"dev\":\"vi\0te\"}}", 28);
	/* larger than what is read, though right */
	memset(text, ' ', big - 1);
	memcpy(text, "{\"scripts\":{\"dev\":\"vite\"},\"x\":\"", 31);
	memcpy(text + big - 3, "\"}", 2);
	check_unknown(dir, text, big - 1);
	memset(text, '[', deep);
	check_unknown(dir, text, deep);
	/* a script of many words, and one too long */
	text[5000] = '\0';
	memset(text, 'a', 5000);
	copy = dm_asprintf("{\"scripts\":{\"dev\":\"vite %s\"}}", text);
	check_unknown(dir, copy, strlen(copy));
	for (size_t i = 0; i < 4000; i++)
		text[i] = i % 2 == 0 ? 'a' : ' ';
	text[4000] = '\0';
	free(copy);
	copy = dm_asprintf("{\"scripts\":{\"dev\":\"vite %s\"}}", text);
	check_unknown(dir, copy, strlen(copy));
	free(text);
	/* not a file at all */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	check_row(&(struct row){"npm run dev", NULL, "", TOOL_PORT}, dir);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	check_row(&(struct row){"npm run dev", NULL, "", TOOL_PORT}, dir);
	remove_tree(dir);
}

/* Whatever the words are, the command is still there, in its order. */
static void
random_commands(void **state)
{
	static const char *const words[] = {"npm", "run", "exec", "npx", "--", "-", "", "vite",
	    "dev", "node", "-r", "python", "-m", "uvicorn", "--port", "--port=", "-p", "-p1", "env",
	    "A=b", "bun", "yarn", "bundle", "deno", "serve", "--run", "=", "--=", "manage.py",
	    "runserver", "@", "@a/b@c", "/", "node_modules/", "node_modules/@a", "php", "artisan",
	    "-S", "start"};
	struct prng prng = prng_new();
	char *dir = temp_dir();
	DM_AUTO_FREE char *file = in_dir(dir, "package.json");

	(void)state;
	put_file(file, package);
	for (unsigned i = 0; i < 20000; i++) {
		const char *argv[12] = {NULL};
		struct tool_input in = input(argv, dir);
		size_t n = 1 + prng_below(&prng, COUNT(argv) - 1), at = 0;
		struct tool_plan plan;
		struct dm_err err;

		for (size_t k = 0; k < n; k++)
			argv[k] = words[prng_below(&prng, COUNT(words))];
		in.mode = (enum tool_mode)prng_below(&prng, 3);
		if (!tool_plan_make(&in, &plan, &err)) {
			assert_int_equal(err.code, DM_USAGE);
			continue;
		}
		for (size_t k = 0; plan.argv[k] != NULL; k++) {
			if (at < n && strcmp(plan.argv[k], argv[at]) == 0)
				at++;
		}
		assert_int_equal(at, n);
		tool_plan_release(&plan);
	}
	remove_tree(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(command_lines),
	    cmocka_unit_test(package_scripts),
	    cmocka_unit_test(asked_modes),
	    cmocka_unit_test(without_url),
	    cmocka_unit_test(impossible_modes),
	    cmocka_unit_test(fixed_ports),
	    cmocka_unit_test(variables),
	    cmocka_unit_test(variables_of_the_user),
	    cmocka_unit_test(traps),
	    cmocka_unit_test(hostile_packages),
	    cmocka_unit_test(random_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
