/* SPDX-License-Identifier: MIT */
/* The graph in its three formats; names are text in it, whatever is in them. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "base/spawn.h"
#include "graph.h"

static void
destroy(cJSON **json)
{
	cJSON_Delete(*json);
}

#define AUTO_JSON __attribute__((cleanup(destroy)))

static cJSON *
parse(const char *text)
{
	cJSON *json = cJSON_Parse(text);

	if (json == NULL)
		fail_msg("not JSON: %s", text);
	return json;
}

static char *
render(const cJSON *state, enum graph_format format)
{
	char *text = graph_render(state, format);

	assert_non_null(text);
	return text;
}

static const char small[] =
    "{\"caddy\":{\"state\":\"up\",\"admin\":\"http://localhost:2019\"},"
    "\"services\":["
    "{\"id\":\"shop-auth\",\"state\":\"up\",\"url\":\"https://shop-auth.dev.localhost\","
    "\"registration\":\"mesh\",\"worktree\":\"/src/auth\",\"branch\":\"feature/auth\"},"
    "{\"id\":\"blog\",\"state\":\"stale\",\"url\":\"https://blog.dev.localhost\","
    "\"registration\":\"route\",\"worktree\":\"/src/blog\",\"branch\":null}],"
    "\"worktrees\":["
    "{\"path\":\"/src/shop\",\"repo\":\"/src/shop/.git\",\"branch\":\"main\"},"
    "{\"path\":\"/src/auth\",\"repo\":\"/src/shop/.git\",\"branch\":\"feature/auth\"}]}";

static void
as_json(void **state)
{
	AUTO_JSON cJSON *in = parse(small);
	DM_AUTO_FREE char *text = render(in, GRAPH_JSON);

	(void)state;
	assert_string_equal(text,
	    "{\"schema_version\":1,\"nodes\":["
	    "{\"id\":\"caddy\",\"kind\":\"caddy\",\"label\":\"Caddy\",\"state\":\"up\","
	    "\"url\":null,\"parent\":null},"
	    "{\"id\":\"worktree:/src/shop\",\"kind\":\"worktree\",\"label\":\"main\","
	    "\"state\":null,\"url\":null,\"parent\":\"repository:/src/shop/.git\"},"
	    "{\"id\":\"repository:/src/shop/.git\",\"kind\":\"repository\",\"label\":\"shop\","
	    "\"state\":null,\"url\":null,\"parent\":null},"
	    "{\"id\":\"worktree:/src/auth\",\"kind\":\"worktree\",\"label\":\"feature/auth\","
	    "\"state\":null,\"url\":null,\"parent\":\"repository:/src/shop/.git\"},"
	    "{\"id\":\"service:shop-auth\",\"kind\":\"service\",\"label\":\"shop-auth\","
	    "\"state\":\"up\",\"url\":\"https://shop-auth.dev.localhost\",\"parent\":null},"
	    "{\"id\":\"service:blog\",\"kind\":\"service\",\"label\":\"blog\","
	    "\"state\":\"stale\",\"url\":\"https://blog.dev.localhost\",\"parent\":null},"
	    "{\"id\":\"worktree:/src/blog\",\"kind\":\"worktree\",\"label\":\"blog\","
	    "\"state\":null,\"url\":null,\"parent\":null}],"
	    "\"edges\":["
	    "{\"from\":\"caddy\",\"to\":\"service:shop-auth\",\"kind\":\"mesh\"},"
	    "{\"from\":\"service:shop-auth\",\"to\":\"worktree:/src/auth\",\"kind\":\"worktree\"},"
	    "{\"from\":\"caddy\",\"to\":\"service:blog\",\"kind\":\"route\"},"
	    "{\"from\":\"service:blog\",\"to\":\"worktree:/src/blog\",\"kind\":\"worktree\"}]}");
}

static void
as_dot(void **state)
{
	AUTO_JSON cJSON *in = parse(small);
	DM_AUTO_FREE char *text = render(in, GRAPH_DOT);

	(void)state;
	assert_string_equal(text,
	    "digraph devmesh {\n"
	    "\trankdir=LR;\n"
	    "\tnode [fontname=\"sans-serif\"];\n"
	    "\tedge [fontname=\"sans-serif\", fontsize=10];\n"
	    "\tn0 [shape=hexagon, label=\"Caddy\\nup\", color=\"#2e7d32\"];\n"
	    "\tsubgraph cluster_n2 {\n"
	    "\t\tlabel=\"shop\";\n"
	    "\t\tn1 [shape=folder, label=\"main\", tooltip=\"/src/shop\"];\n"
	    "\t\tn3 [shape=folder, label=\"feature/auth\", tooltip=\"/src/auth\"];\n"
	    "\t}\n"
	    "\tn4 [shape=box, label=\"shop-auth\\nup\", URL=\"https://shop-auth.dev.localhost\","
	    " color=\"#2e7d32\"];\n"
	    "\tn5 [shape=box, label=\"blog\\nstale\", URL=\"https://blog.dev.localhost\","
	    " color=\"#c62828\"];\n"
	    "\tn6 [shape=folder, label=\"blog\", tooltip=\"/src/blog\"];\n"
	    "\tn0 -> n4 [label=\"mesh\"];\n"
	    "\tn4 -> n3;\n"
	    "\tn0 -> n5 [label=\"route\"];\n"
	    "\tn5 -> n6;\n"
	    "}\n");
}

static void
as_mermaid(void **state)
{
	AUTO_JSON cJSON *in = parse(small);
	DM_AUTO_FREE char *text = render(in, GRAPH_MERMAID);

	(void)state;
	assert_string_equal(text, "flowchart LR\n"
				  "\tn0{{\"Caddy<br/>up\"}}\n"
				  "\tsubgraph n2[\"shop\"]\n"
				  "\t\tn1[\"main\"]\n"
				  "\t\tn3[\"feature/auth\"]\n"
				  "\tend\n"
				  "\tn4[\"shop-auth<br/>up\"]\n"
				  "\tn5[\"blog<br/>stale\"]\n"
				  "\tn6[\"blog\"]\n"
				  "\tn0 -->|mesh| n4\n"
				  "\tn4 --> n3\n"
				  "\tn0 -->|route| n5\n"
				  "\tn5 --> n6\n"
				  "\tstyle n0 stroke:#2e7d32\n"
				  "\tstyle n4 stroke:#2e7d32\n"
				  "\tstyle n5 stroke:#c62828\n");
}

static void
knows_its_formats(void **state)
{
	enum graph_format format = GRAPH_FORMATS;

	(void)state;
	assert_true(graph_format_parse("mermaid", &format));
	assert_int_equal(format, GRAPH_MERMAID);
	assert_true(graph_format_parse("dot", &format));
	assert_int_equal(format, GRAPH_DOT);
	assert_true(graph_format_parse("json", &format));
	assert_int_equal(format, GRAPH_JSON);
	assert_false(graph_format_parse("DOT", &format));
	assert_false(graph_format_parse("", &format));
	assert_int_equal(format, GRAPH_JSON);
	assert_string_equal(graph_content_type(GRAPH_JSON), "application/json");
}

static void
leaves_out_what_is_not_as_it_should_be(void **state)
{
	static const char members[] =
	    "{\"services\":[null,3,[],{},{\"id\":5},{\"id\":\"\"},{\"id\":null}],"
	    "\"worktrees\":[null,{\"path\":7},{\"path\":\"\"},[[]]],\"caddy\":null}";
	const char *const states[] = {"{}", "[]", "null", "3", "\"services\"",
	    "{\"services\":5,\"worktrees\":\"x\",\"caddy\":[]}", members};
	AUTO_JSON cJSON *odd =
	    parse("{\"services\":[{\"id\":\"a\",\"state\":1,\"url\":{},\"worktree\":[]},"
		  "{\"id\":\"a\",\"state\":\"up\"}],"
		  "\"worktrees\":[{\"path\":\"/\",\"repo\":\"/.git\",\"branch\":0}]}");
	DM_AUTO_FREE char *text = render(odd, GRAPH_MERMAID);

	(void)state;
	for (size_t i = 0; i < COUNT(states); i++) {
		AUTO_JSON cJSON *in = parse(states[i]);
		DM_AUTO_FREE char *mermaid = render(in, GRAPH_MERMAID);
		DM_AUTO_FREE char *dot = render(in, GRAPH_DOT);
		DM_AUTO_FREE char *json = render(in, GRAPH_JSON);

		assert_string_equal(mermaid, "flowchart LR\n");
		assert_null(strstr(dot, "n0"));
		assert_string_equal(json, "{\"schema_version\":1,\"nodes\":[],\"edges\":[]}");
	}
	/* one of a name; and no label is empty */
	assert_string_equal(text, "flowchart LR\n"
				  "\tsubgraph n1[\"/.git\"]\n"
				  "\t\tn0[\"/\"]\n"
				  "\tend\n"
				  "\tn2[\"a\"]\n");
}

/* ---- hostile names ------------------------------------------------------------------------ */

static const char *const hostile[] = {
    "\"]; n9 [label=\"x",
    "\\",
    "\\\\\"",
    "a\\nb\\N\\G\\T",
    "line\nbreak\r\n\tend\nsubgraph x",
    "]",
    "\"]\nclick n0 \"javascript:alert(1)\"",
    "}}|>(([[",
    "&quot;&#34;&amp;&lt;b&gt;",
    "#quot;#35;#91;;",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "`**bold** _markdown_`",
    "style a:#b;",
    "classDef x fill:#fff;",
    "%%{init: {\"securityLevel\": \"loose\"}}%%",
    "%% comment",
    "-->|x| n1",
    "end",
    "default",
    "--- title: x ---",
    "\xff\xfe\x80",
    "\xed\xa0\x80",
    "\x1b[31mred\x1b[0m",
    "\xe2\x80\xaetxet",
    "caf\xc3\xa9 \xf0\x9f\x92\xa9",
    "$PATH `id` $(id)",
    "//comment /* and */ #another",
    " ",
    "{\"json\":true}",
};

static cJSON *
add_object(cJSON *list)
{
	cJSON *o = cJSON_CreateObject();

	assert_true(cJSON_AddItemToArray(list, o));
	return o;
}

/* Two services and worktrees of a repository; every text that comes from outside is `name`. */
static cJSON *
state_of(const char *name)
{
	cJSON *state = cJSON_CreateObject(), *list, *o;
	DM_AUTO_FREE char *path = dm_asprintf("/src/%s", name);

	o = cJSON_AddObjectToObject(state, "caddy");
	(void)cJSON_AddStringToObject(o, "state", name);
	list = cJSON_AddArrayToObject(state, "services");
	for (int i = 0; i < 2; i++) {
		o = add_object(list);
		(void)cJSON_AddStringToObject(o, "id", i == 0 ? name : "blog");
		(void)cJSON_AddStringToObject(o, "state", name);
		(void)cJSON_AddStringToObject(o, "url", name);
		(void)cJSON_AddStringToObject(o, "registration", name);
		(void)cJSON_AddStringToObject(o, "worktree", i == 0 ? path : "/src/blog");
		(void)cJSON_AddStringToObject(o, "branch", name);
	}
	o = add_object(cJSON_AddArrayToObject(state, "worktrees"));
	(void)cJSON_AddStringToObject(o, "path", path);
	(void)cJSON_AddStringToObject(o, "repo", path);
	(void)cJSON_AddStringToObject(o, "branch", name);
	return state;
}

/* Appends a text between quotes at *p, as DOT reads it, and goes behind it. */
static void
read_dot_string(const char **p, struct dm_str *out)
{
	const char *s = *p;

	assert_int_equal(*s, '"');
	for (s++; *s != '"'; s++) {
		assert_in_range((unsigned char)*s, 0x20, 0xff);
		if (*s == '\\') {
			s++;
			(void)dm_str_add(out, *s == 'n' ? "\n" : s, 1);
			assert_non_null(strchr("n\"\\", *s));
		} else if (*s == '&') {
			assert_true(dm_starts_with(s, "&amp;"));
			(void)dm_str_add(out, "&", 1);
			s += 4;
		} else {
			(void)dm_str_add(out, s, 1);
		}
	}
	*p = s + 1;
}

/* The same for Mermaid, whose "<br/>" is read as a newline. */
static void
read_mermaid_string(const char **p, struct dm_str *out)
{
	const char *s = *p;

	assert_int_equal(*s, '"');
	for (s++; *s != '"'; s++) {
		assert_in_range((unsigned char)*s, 0x20, 0xff);
		if (*s == '#') {
			char *end;
			char c = (char)strtol(s + 1, &end, 10);

			assert_int_equal(*end, ';');
			(void)dm_str_add(out, &c, 1);
			s = end;
		} else if (*s == '<') {
			assert_true(dm_starts_with(s, "<br/>"));
			(void)dm_str_add(out, "\n", 1);
			s += 4;
		} else {
			assert_null(strchr("[](){}|`;:&>*_~^$%\\!?'", *s));
			(void)dm_str_add(out, s, 1);
		}
	}
	*p = s + 1;
}

/*
 * What is left when every text between quotes is taken out, one after the other into `texts`: it
 * must not depend on what the names are.
 */
static char *
without_texts(
    const char *text, void (*read_one)(const char **p, struct dm_str *out), struct dm_str *texts)
{
	DM_AUTO_STR struct dm_str left = dm_str_make(1 << 20);

	for (const char *p = text; *p != '\0';) {
		if (*p == '"') {
			read_one(&p, texts);
			(void)dm_str_add(texts, "\1", 1);
			(void)dm_str_add(&left, "@", 1);
		} else {
			(void)dm_str_add(&left, p++, 1);
		}
	}
	return dm_str_take(&left);
}

static void
assert_is_text(const char *name)
{
	AUTO_JSON cJSON *plain_state = state_of("plain name");
	AUTO_JSON cJSON *state = state_of(name);
	DM_AUTO_FREE char *shown = dm_printable(name);
	DM_AUTO_FREE char *service = dm_asprintf("%s\n%s\1", shown, shown);

	for (int i = 0; i < 2; i++) {
		enum graph_format format = i == 0 ? GRAPH_DOT : GRAPH_MERMAID;
		void (*read_one)(const char **p, struct dm_str *out) =
		    i == 0 ? read_dot_string : read_mermaid_string;
		DM_AUTO_STR struct dm_str texts = dm_str_make(1 << 20);
		DM_AUTO_STR struct dm_str plain_texts = dm_str_make(1 << 20);
		DM_AUTO_FREE char *text = render(state, format);
		DM_AUTO_FREE char *plain = render(plain_state, format);
		DM_AUTO_FREE char *left = without_texts(text, read_one, &texts);
		DM_AUTO_FREE char *plain_left = without_texts(plain, read_one, &plain_texts);

		assert_string_equal(left, plain_left);
		/* and what was taken out is the name again */
		assert_holds(texts.data, service);
	}
	{
		DM_AUTO_FREE char *text = render(state, GRAPH_JSON);
		AUTO_JSON cJSON *back = parse(text);
		const cJSON *node;
		size_t seen = 0;

		assert_null(strchr(text, '\n'));
		cJSON_ArrayForEach (node, cJSON_GetObjectItem(back, "nodes")) {
			const char *label =
			    cJSON_GetStringValue(cJSON_GetObjectItem(node, "label"));

			seen += strcmp(label, shown) == 0;
		}
		assert_in_range(seen, 3, 4);
	}
}

static void
hostile_names_are_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++)
		assert_is_text(hostile[i]);
}

static void
any_name_is_text(void **state)
{
	static const char letters[] =
	    "ab\"\\#;:&<>[]{}()|`'%\n\r\t\x1b\x7f\x80\xc3\xa9\xf0\xff-=/*_ $";
	struct prng p = prng_new();
	char name[41];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		do
			prng_text(&p, letters, sizeof(name) - 1, name);
		while (name[0] == '\0' || strchr(name, '/') != NULL);
		assert_is_text(name);
	}
}

static void
only_the_webs_addresses_are_links(void **state)
{
	static const char *const urls[] = {"javascript:alert(1)", "file:///etc/passwd",
	    "JAVASCRIPT:x", "data:text/html,x", "//x", " https://x", "vbscript:x"};

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		AUTO_JSON cJSON *in = state_of(urls[i]);
		DM_AUTO_FREE char *dot = render(in, GRAPH_DOT);
		DM_AUTO_FREE char *mermaid = render(in, GRAPH_MERMAID);

		assert_null(strstr(dot, "URL="));
		assert_null(strstr(mermaid, "click"));
		assert_null(strstr(mermaid, "href"));
	}
}

/* graphviz(7) itself reads it, and draws what is meant. */
static void
dot_draws_it(void **state)
{
	DM_AUTO_FREE char *path = NULL;
	char *dir = temp_dir();
	const char *const version[] = {"dot", "-V", NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(16 << 20);
	DM_AUTO_STR struct dm_str said = dm_str_make(1 << 20);
	struct dm_err err;
	int status;

	(void)state;
	path = in_dir(dir, "graph.dot");
	if (!dm_run(version, NULL, 20000, &out, &said, &status, &err)) {
		remove_tree(dir);
		skip();
	}
	for (size_t i = 0; i < COUNT(hostile); i++) {
		const char *const argv[] = {"dot", "-Tplain", path, NULL};
		AUTO_JSON cJSON *in = state_of(hostile[i]);
		DM_AUTO_FREE char *text = render(in, GRAPH_DOT);
		size_t nodes = 0, edges = 0;

		put_file(path, text);
		out.len = said.len = 0;
		out.data[0] = said.data[0] = '\0';
		assert_ok(dm_run(argv, NULL, 60000, &out, &said, &status, &err), &err);
		if (status != 0 || strstr(said.data, "rror") != NULL)
			fail_msg("dot: %s\n%s", said.data, text);
		for (const char *p = out.data; (p = strstr(p, "\nnode ")) != NULL; p++)
			nodes++;
		for (const char *p = out.data; (p = strstr(p, "\nedge ")) != NULL; p++)
			edges++;
		assert_int_equal(nodes, 5);
		assert_int_equal(edges, 4);
	}
	remove_tree(dir);
}

static void
many_services(void **state)
{
	AUTO_JSON cJSON *in = cJSON_CreateObject();
	cJSON *services = cJSON_AddArrayToObject(in, "services");
	cJSON *trees = cJSON_AddArrayToObject(in, "worktrees");

	(void)state;
	(void)cJSON_AddObjectToObject(in, "caddy");
	for (int i = 0; i < 300; i++) {
		DM_AUTO_FREE char *id = dm_asprintf("shop-feature-%d", i);
		DM_AUTO_FREE char *path = dm_asprintf("/home/somebody/src/shop/%d", i);
		DM_AUTO_FREE char *repo = dm_asprintf("/home/somebody/src/%d/.git", i % 10);
		cJSON *o = add_object(services);

		(void)cJSON_AddStringToObject(o, "id", id);
		(void)cJSON_AddStringToObject(o, "worktree", path);
		o = add_object(trees);
		(void)cJSON_AddStringToObject(o, "path", path);
		(void)cJSON_AddStringToObject(o, "repo", repo);
	}
	for (int format = 0; format < GRAPH_FORMATS; format++) {
		DM_AUTO_FREE char *text = render(in, (enum graph_format)format);

		assert_holds(text, "shop-feature-299");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_json),
	    cmocka_unit_test(as_dot),
	    cmocka_unit_test(as_mermaid),
	    cmocka_unit_test(knows_its_formats),
	    cmocka_unit_test(leaves_out_what_is_not_as_it_should_be),
	    cmocka_unit_test(hostile_names_are_text),
	    cmocka_unit_test(any_name_is_text),
	    cmocka_unit_test(only_the_webs_addresses_are_links),
	    cmocka_unit_test(dot_draws_it),
	    cmocka_unit_test(many_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
