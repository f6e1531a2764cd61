/* SPDX-License-Identifier: MIT */
/* What `devmesh run` makes of a command line: what it is, how it will listen, what is added. */
#include "plan.h"

#define WDS "--ipc " SOCKET " --allowed-hosts .dev.localhost --client-web-socket-url-port 0"

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

/* How a server that runs is told to listen on this machine alone. */
static void
words_for_the_host(void **state)
{
	static const struct {
		const char *command, *tool, *words; /* words: NULL: none are known */
	} rows[] = {
	    {"node /w/node_modules/.bin/vite --host", "vite", "--host 127.0.0.1"},
	    {"node /w/node_modules/vite/bin/vite.js --host 0.0.0.0", "vite", "--host 127.0.0.1"},
	    {"wrangler dev --ip 0.0.0.0", "wrangler", "--ip 127.0.0.1"},
	    {"python3 -m http.server 9000", "http.server", "--bind 127.0.0.1"},
	    {"python3 -m gunicorn -b 0.0.0.0:8000 app:app", "gunicorn", "--bind 127.0.0.1:4123"},
	    {"python3 manage.py runserver 0:8000", "django", "127.0.0.1:4123"},
	    {"php artisan serve --host=0.0.0.0", "laravel", "--host=127.0.0.1"},
	    {"puma -p 3000", "puma", "-b tcp://127.0.0.1:4123"},
	    {"rackup -o 0.0.0.0", "rackup", "-o 127.0.0.1"},
	    {"node server.js", NULL, NULL},
	    {"next-server (v16.0.1)", NULL, NULL},
	    {"expo start --lan", NULL, NULL},
	    {"./server 'it is", NULL, NULL},
	    {"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *tool = NULL;
		DM_AUTO_FREE char *words = tool_host_words(rows[i].command, "/", 4123, &tool);

		if (!dm_same_text(words, rows[i].words) || !dm_same_text(tool, rows[i].tool))
			fail_msg("%s: %s: %s", rows[i].command, tool != NULL ? tool : "no tool",
			    words != NULL ? words : "no words");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(command_lines),
	    cmocka_unit_test(package_scripts),
	    cmocka_unit_test(hostile_packages),
	    cmocka_unit_test(random_commands),
	    cmocka_unit_test(words_for_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
