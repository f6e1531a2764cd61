/* SPDX-License-Identifier: MIT */
/* skill: the guide for coding agents. A test compares it with the table of verbs. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/str.h"
#include "cmd.h"
#include "out.h"
#include "skill.h"

enum {
	GUIDE_MAX = 65536
};

static const char head[] =
    "---\n"
    "name: devmesh\n"
    "description: Stable URLs for git worktrees. Use it to start a dev server, to find the URL of "
    "this checkout, and to make sure that a test runs against this checkout and no other.\n"
    "---\n" SKILL_MARK "\n\n"
    "# devmesh\n\n"
    "Every git worktree has a URL of its own, `https://<app>-<branch>.<domain>`, which a local "
    "Caddy leads to the Unix socket `/tmp/caddy-dev/<app>-<branch>.sock`. The server of the "
    "worktree listens on that socket. So nobody picks ports, and the address says which checkout "
    "answers. A registered worktree is called a service; the first part of its URL is its id.\n\n"
    "Rules:\n\n"
    "- Run it in the worktree, or with `-C DIR`.\n"
    "- Use the URL that `devmesh url` prints. Do not guess it, and do not use localhost:PORT: "
    "another worktree's server may be there.\n"
    "- Standard output holds the answer only. `--json` makes every verb print one JSON object, "
    "also for an error.\n"
    "- Everything can be repeated: a second `devmesh up` changes nothing.\n\n"
    "## Verbs\n\n";

static const struct {
	const char *verb; /* the paragraph is left out where there is none of that name */
	const char *text;
} recipes[] = {
    {"run", "Start the server in the background; this returns when it answers, and prints the URL. "
	    "Then it is looked after, and started again when it fails:\n\n"
	    "```sh\ndevmesh run -d -- npm run dev\ndevmesh restart          # after a change that "
	    "it does not notice\n```\n\n"
	    "Without devmeshd:\n\n"
	    "```sh\ndevmesh up\ndevmesh run -- npm run dev &\ndevmesh wait --timeout 60\n```\n\n"},
    {"logs", "What the server wrote, also after it has ended, and what it was asked for (status, "
	     "milliseconds, path):\n\n"
	     "```sh\ndevmesh logs -n 50\ndevmesh requests --status 5xx\n```\n\n"},
    {"up", "A server that can listen on a Unix socket:\n\n"
	   "```sh\ndevmesh up\neval \"$(devmesh env)\"   # sets DEVMESH_SOCKET, DEVMESH_URL and "
	   "others\n"
	   "node server.js &         # listens on $DEVMESH_SOCKET\ndevmesh wait\n```\n\n"
	   "One that can only listen on a port: `devmesh up --port 3000`.\n\n"},
    {"assert", "Make sure that this checkout answers, before any test in a browser (exit status 4: "
	       "another "
	       "checkout does):\n\n"
	       "```sh\ndevmesh assert && npx playwright test\n```\n\n"},
    {"url",
	"Each answer of a service has the header `X-Devmesh-Id`; compare it in tests:\n\n"
	"```sh\ncurl -skD - -o /dev/null \"$(devmesh url)\" | grep -i '^x-devmesh-id'\n```\n\n"},
    {"status", "Several worktrees at once: each has its URL, none disturbs another.\n\n"
	       "```sh\ngit worktree add -b feature/auth ../shop-auth\ndevmesh up -C ../shop-auth\n"
	       "devmesh status\n```\n\n"},
    {"ps",
	"Which servers run in the worktrees, also those that nobody has registered, and what was "
	"left behind:\n\n"
	"```sh\ndevmesh ps\ndevmesh ps --orphans\n```\n\n"},
    {"events", "What has happened to a service, where devmeshd runs (states, mends, each with its "
	       "reason; one JSON object a line):\n\n"
	       "```sh\ndevmesh events --json\ndevmesh events --follow --json\n```\n\n"},
    {"env",
	"A front end finds the back end of its own branch (apps `web` and `api`, both on the same "
	"branch, in one repository or two):\n\n"
	"```sh\neval \"$(devmesh env --all)\"\necho \"$DEVMESH_URL_API\"\n```\n\n"},
    {"down", "Clean up: end the server, then\n\n"
	     "```sh\ndevmesh down\ndevmesh gc             # what worktrees that were deleted left "
	     "behind\n```\n\n"},
};

/* Compared with what the verbs really print by tests/integration/test_init.c. */
static const char shapes[] =
    "## JSON\n\n"
    "`devmesh up --json`\n\n"
    "```json\n{\"schema_version\": 1, \"dry_run\": false, \"claimed\": true, \"wrote_route\": "
    "false, \"removed_socket\": false, \"id\": \"shop-main\", \"url\": "
    "\"https://shop-main.dev.localhost:8443\", \"host\": \"shop-main.dev.localhost\", \"app\": "
    "\"shop\", \"branch\": \"main\", \"worktree\": \"/home/ann/shop\", \"socket\": "
    "\"/tmp/caddy-dev/shop-main.sock\", \"port\": null, \"registration\": \"mesh\", "
    "\"created\": 1790000000, \"pinned\": false, \"alias_url\": "
    "\"https://shop.dev.localhost:8443\"}\n```\n\n"
    "`devmesh url --json`\n\n"
    "```json\n{\"schema_version\": 1, \"id\": \"shop-main\", \"url\": "
    "\"https://shop-main.dev.localhost:8443\", \"host\": \"shop-main.dev.localhost\", \"app\": "
    "\"shop\", \"branch\": \"main\", \"worktree\": \"/home/ann/shop\", \"socket\": "
    "\"/tmp/caddy-dev/shop-main.sock\", \"port\": null, \"registration\": \"mesh\", "
    "\"created\": 1790000000, \"pinned\": false}\n```\n\n"
    "`devmesh env --json`\n\n"
    "```json\n{\"schema_version\": 1, \"env\": {\"DEVMESH_URL\": "
    "\"https://shop-main.dev.localhost:8443\", \"DEVMESH_HOST\": \"shop-main.dev.localhost\", "
    "\"DEVMESH_ID\": \"shop-main\", \"DEVMESH_APP_NAME\": \"shop\", \"DEVMESH_BRANCH\": "
    "\"main\", \"DEVMESH_SOCKET\": \"/tmp/caddy-dev/shop-main.sock\", \"DEVMESH_PORT\": null, "
    "\"DEVMESH_WORKTREE\": \"/home/ann/shop\"}}\n```\n\n"
    "`devmesh url nosuch --json`\n\n"
    "```json\n{\"schema_version\": 1, \"error\": {\"code\": \"not_found\", \"message\": "
    "\"there is no service \\\"nosuch\\\"\", \"hint\": \"one of: shop-main\"}}\n```\n\n"
    "## Exit status\n\n";

static const char *const meanings[] = {
    "done",
    "anything without a better word",
    "the command line, the configuration or `.id` is wrong",
    "no such service, directory, server or mesh route",
    "somebody else has the name or the port",
    "Caddy does not answer: `devmesh start`",
    "no permission, or refused for safety",
    "not in time",
};

char *
skill_text(void)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(GUIDE_MAX);

	(void)dm_str_addf(&out, "%s", head);
	for (size_t i = 0; cmds[i] != NULL; i++)
		(void)dm_str_addf(&out, "- `devmesh %s%s%s`: %s\n", cmds[i]->name,
		    cmds[i]->args[0] != '\0' ? " " : "", cmds[i]->args, cmds[i]->summary);
	(void)dm_str_addf(
	    &out, "\n`devmesh help VERB` lists the options of one.\n\n## Recipes\n\n");
	for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
		if (cmd_find(recipes[i].verb) != NULL)
			(void)dm_str_addf(&out, "%s", recipes[i].text);
	}
	(void)dm_str_addf(&out, "%s", shapes);
	for (int code = DM_OK; code <= DM_TIMEOUT; code++)
		(void)dm_str_addf(&out, "- %d%s%s%s: %s\n", code, code != DM_OK ? " (`" : "",
		    code != DM_OK ? dm_code_name((enum dm_code)code) : "",
		    code != DM_OK ? "`)" : "", meanings[code]);
	return dm_str_take(&out);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	DM_AUTO_FREE char *text = skill_text();
	cJSON *o;

	(void)err;
	if (!ctx->line->json) {
		(void)fputs(text, stdout);
		return true;
	}
	o = out_object();
	(void)cJSON_AddStringToObject(o, "skill", text);
	out_json(o);
	return true;
}

extern const struct cmd cmd_skill;
const struct cmd cmd_skill = {
    .name = "skill",
    .args = "",
    .summary = "print a guide for coding agents, in Markdown",
    .help = "To be read as it is, or kept as .claude/skills/devmesh/SKILL.md:\n"
	    "devmesh init claude --skill writes it there.",
    .without_session = true,
    .run = run,
};
