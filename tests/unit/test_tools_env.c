/* SPDX-License-Identifier: MIT */
/* How a command will listen, which variables it gets, and what is said of it. */
#include "plan.h"

/* ---- modes ---------------------------------------------------------------------------------- */

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
	check_env(&in, "./server", "PORT", SOCKET);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(asked_modes),
	    cmocka_unit_test(without_url),
	    cmocka_unit_test(impossible_modes),
	    cmocka_unit_test(fixed_ports),
	    cmocka_unit_test(variables),
	    cmocka_unit_test(variables_of_the_user),
	    cmocka_unit_test(traps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
