/* SPDX-License-Identifier: MIT */
/*
 * The control protocol: what the client makes of a server that misbehaves, what the server makes of
 * a request; and the small parsers that both transports of the API use.
 */
#include "unit.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "api.h"
#include "base/sock.h"
#include "ctl/ctl.h"
#include "ctl_server.h"

enum {
	PATIENCE_MS = 20000,
	SHORT_MS = 50
};

/* A server in a process of its own: reads a line, says `said`, and, unless it `stays`, goes. */
struct peer {
	char *dir;
	pid_t pid;
};

static _Noreturn void
serve(int listener, const char *said, size_t len, bool stays)
{
	int fd = -1;
	char c = '\0';

	while (fd < 0)
		fd = accept(listener, NULL, NULL);
	while (c != '\n' && read(fd, &c, 1) == 1)
		continue;
	/* the client may have heard enough before the end */
	if (dm_write_all(fd, said, len) && stays)
		(void)pause();
	_exit(0);
}

static struct ctl *
start_peer(struct peer *p, const char *said, size_t len, bool stays)
{
	DM_AUTO_FREE char *path = NULL;
	struct dm_err err;
	struct ctl *ctl;
	dev_t dev;
	ino_t ino;
	int fd;

	p->dir = temp_dir();
	path = ctl_path(p->dir);
	fd = dm_sock_listen_unix(path, 0600, &dev, &ino, &err);
	assert_ok(fd >= 0, &err);
	(void)fcntl(fd, F_SETFL, 0);
	(void)fflush(NULL);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		serve(fd, said, len, stays);
	(void)close(fd);
	ctl = ctl_open(p->dir, PATIENCE_MS, &err);
	assert_ok(ctl != NULL, &err);
	return ctl;
}

static void
end_peer(struct peer *p, struct ctl *ctl)
{
	ctl_free(ctl);
	(void)kill(p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, 0);
	remove_tree(p->dir);
}

static void
nobody_there(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *path = ctl_path(dir);
	struct dm_err err;
	dev_t dev;
	ino_t ino;
	int fd;

	(void)state;
	assert_fails(ctl_open(dir, SHORT_MS, &err) != NULL, &err, DM_UNREACHABLE, "does not run");
	assert_holds(err.hint, "devmesh start");
	/* a file proves nothing */
	fd = dm_sock_listen_unix(path, 0600, &dev, &ino, &err);
	assert_ok(fd >= 0, &err);
	(void)close(fd);
	assert_fails(ctl_open(dir, SHORT_MS, &err) != NULL, &err, DM_UNREACHABLE, "does not run");
	remove_tree(dir);
}

/* The socket is its user's alone from the first, whatever the umask. */
static void
modes(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *path = ctl_path(dir);
	struct stat st;
	struct dm_err err;
	dev_t dev;
	ino_t ino;
	mode_t mask = umask(0);
	int fd = dm_sock_listen_unix(path, 0600, &dev, &ino, &err);

	(void)state;
	(void)umask(mask);
	assert_ok(fd >= 0, &err);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_ino == ino && st.st_dev == dev);
	assert_fails(dm_sock_make_way(path, &err), &err, DM_CONFLICT, "another process has it");
	(void)close(fd);
	assert_ok(dm_sock_make_way(path, &err), &err);
	assert_int_equal(lstat(path, &st), -1);
	put_file(path, "x");
	assert_fails(dm_sock_make_way(path, &err), &err, DM_CONFLICT, "in the way");
	dm_sock_unlink_own(path, dev, ino + 1);
	assert_int_equal(lstat(path, &st), 0);
	remove_tree(dir);
}

static void
an_answer(void **state)
{
	static const char said[] = "{\"v\":1,\"version\":\"9\\u001b.9\",\"status\":200,\"body\":{"
				   "\"a\":1}}\n{\"v\":1,\"event\":\"x\",\"data\":{}}\n"
				   "{\"v\":1,\"event\":\"y\",\"data\":{}}\n";
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct peer p;
	struct ctl *ctl = start_peer(&p, said, sizeof(said) - 1, false);
	struct dm_err err;

	(void)state;
	assert_ok(ctl_ask(ctl, "GET", "/x", NULL, PATIENCE_MS, &reply, &err), &err);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.version, "9\xef\xbf\xbd.9");
	assert_non_null(cJSON_GetObjectItem(reply.body, "a"));
	for (const char *name = "x"; name != NULL; name = name[0] == 'x' ? "y" : NULL) {
		cJSON *event = ctl_next(ctl, PATIENCE_MS, &err);

		assert_ok(event != NULL, &err);
		assert_string_equal(cJSON_GetObjectItem(event, "event")->valuestring, name);
		cJSON_Delete(event);
	}
	assert_fails(ctl_next(ctl, PATIENCE_MS, &err) != NULL, &err, DM_UNREACHABLE, "closed");
	end_peer(&p, ctl);
}

static void
bad_answers(void **state)
{
	static const struct {
		const char *said, *why;
		enum dm_code code;
	} rows[] = {
	    {"", "closed", DM_UNREACHABLE},
	    {"{\"v\":1,\"version\":\"1\",\"status\":200}", "closed", DM_UNREACHABLE},
	    {"hello\n", "not devmeshd", DM_FAILED},
	    {"\n", "not devmeshd", DM_FAILED},
	    {"[]\n", "not devmeshd", DM_FAILED},
	    {"{}\n", "not devmeshd", DM_FAILED},
	    {"{\"v\":2,\"version\":\"1\",\"status\":200}\n", "version 2", DM_FAILED},
	    {"{\"v\":1,\"status\":200}\n", "cannot be understood", DM_FAILED},
	    {"{\"v\":1,\"version\":\"1\"}\n", "cannot be understood", DM_FAILED},
	    {"{\"v\":1,\"version\":\"1\",\"status\":99}\n", "cannot be understood", DM_FAILED},
	    {"{\"v\":1,\"version\":\"1\",\"status\":1e99}\n", "cannot be understood", DM_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		CTL_AUTO_REPLY struct ctl_reply reply = {0};
		struct peer p;
		struct ctl *ctl = start_peer(&p, rows[i].said, strlen(rows[i].said), false);
		struct dm_err err;

		assert_fails(ctl_ask(ctl, "GET", "/x", NULL, PATIENCE_MS, &reply, &err), &err,
		    rows[i].code, rows[i].why);
		end_peer(&p, ctl);
	}
}

static void
no_answer(void **state)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct peer p;
	struct ctl *ctl = start_peer(&p, "{\"v\":1", 6, true);
	struct dm_err err;

	(void)state;
	assert_fails(ctl_ask(ctl, "GET", "/x", NULL, SHORT_MS, &reply, &err), &err, DM_TIMEOUT,
	    "not answered in time");
	end_peer(&p, ctl);
}

static void
an_answer_without_end(void **state)
{
	size_t len = CTL_LINE_MAX + (1 << 20);
	DM_AUTO_FREE char *said = dm_calloc(1, len);
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct dm_err err;
	struct ctl *ctl;
	struct peer p;

	(void)state;
	memset(said, ' ', len);
	ctl = start_peer(&p, said, len, true);
	assert_fails(ctl_ask(ctl, "GET", "/x", NULL, PATIENCE_MS, &reply, &err), &err, DM_FAILED,
	    "has no end");
	end_peer(&p, ctl);
}

static void
too_large_a_request(void **state)
{
	DM_AUTO_FREE char *path = dm_calloc(1, CTL_REQUEST_MAX + 1);
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct peer p;
	struct ctl *ctl = start_peer(&p, "", 0, true);
	struct dm_err err;

	(void)state;
	memset(path, 'a', CTL_REQUEST_MAX);
	assert_fails(ctl_ask(ctl, "GET", path, NULL, PATIENCE_MS, &reply, &err), &err, DM_USAGE,
	    "too large");
	end_peer(&p, ctl);
}

static void
refusals(void **state)
{
	static const struct {
		const char *body;
		enum dm_code code;
		const char *msg, *hint;
	} rows[] = {
	    {"{\"error\":{\"code\":\"conflict\",\"message\":\"m\",\"hint\":\"h\"}}", DM_CONFLICT,
		"w: m", "h"},
	    {"{\"error\":{\"code\":\"ok\",\"message\":\"m\"}}", DM_FAILED, "w: m", ""},
	    {"{\"error\":{\"code\":7,\"message\":[]}}", DM_FAILED, "does not say why", ""},
	    {"{\"error\":1}", DM_FAILED, "does not say why", ""},
	    {"null", DM_FAILED, "does not say why", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		CTL_AUTO_REPLY struct ctl_reply reply = {
		    .status = 400, .body = cJSON_Parse(rows[i].body)};
		struct dm_err err;

		assert_fails(ctl_refused(&reply, "w", &err), &err, rows[i].code, rows[i].msg);
		assert_string_equal(err.hint, rows[i].hint);
	}
}

static void
requests(void **state)
{
	static const struct {
		const char *line;
		int status; /* 0: understood */
	} rows[] = {
	    {"{\"v\":1,\"method\":\"GET\",\"path\":\"/x\"}", 0},
	    {"{\"v\":1,\"method\":\"GET\",\"path\":\"/x\",\"body\":{\"a\":1},\"more\":1}", 0},
	    {"", 400},
	    {"GET / HTTP/1.1\r", 400},
	    {"[]", 400},
	    {"{\"v\":\"1\",\"method\":\"GET\",\"path\":\"/x\"}", 400},
	    {"{\"v\":2,\"method\":\"GET\",\"path\":\"/x\"}", 426},
	    {"{\"v\":1.5}", 426},
	    {"{\"v\":1,\"path\":\"/x\"}", 400},
	    {"{\"v\":1,\"method\":\"GET\"}", 400},
	    {"{\"v\":1,\"method\":\"GET\",\"path\":\"x\"}", 400},
	    {"{\"v\":1,\"method\":1,\"path\":\"/x\"}", 400},
	    {"{\"v\":1,\"method\":\"GET\",\"path\":\"/x\",\"body\":[]}", 400},
	    {"{\"v\":1,\"method\":\"GET\",\"path\":\"/x\",\"body\":null}", 400},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ctl_request request;
		struct dm_err err;
		int status = 0;

		if (ctl_request_parse(
			rows[i].line, strlen(rows[i].line), &request, &status, &err)) {
			assert_int_equal(rows[i].status, 0);
			assert_string_equal(request.path, "/x");
			ctl_request_release(&request);
		} else {
			assert_int_equal(status, rows[i].status);
			assert_int_equal(err.code, DM_USAGE);
		}
	}
}

static void
queries(void **state)
{
	static const struct {
		const char *query, *key, *value;
	} rows[] = {
	    {NULL, "a", NULL},
	    {"", "a", NULL},
	    {"a", "a", NULL},
	    {"a=", "a", ""},
	    {"a=1", "a", "1"},
	    {"b=2&a=1", "a", "1"},
	    {"a=1&a=2", "a", "1"},
	    {"xa=1&a=2", "a", "2"},
	    {"&&a=1&", "a", "1"},
	    {"a=123456", "a", "123456"},
	    {"a=1234567", "a", NULL},
	};
	char value[7];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool found = api_query(rows[i].query, rows[i].key, value, sizeof(value));

		assert_int_equal(found, rows[i].value != NULL);
		if (found)
			assert_string_equal(value, rows[i].value);
	}
}

static void
bodies(void **state)
{
	static const char *const good[] = {"{}", " {\"a\":1}\r\n", "{\"a\":{\"b\":[1,2]}}\t "};
	static const char *const bad[] = {
	    "", " ", "[]", "1", "null", "{", "{}x", "{}{}", "{\"a\":}", "{} \f", "\xef\xbb\xbf{"};
	DM_AUTO_FREE char *large = dm_calloc(1, API_BODY_MAX + 2), *deep = dm_calloc(1, 8001);
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		cJSON *o = api_body_parse(good[i], strlen(good[i]), &err);

		assert_ok(o != NULL, &err);
		cJSON_Delete(o);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_fails(api_body_parse(bad[i], strlen(bad[i]), &err) != NULL, &err, DM_USAGE,
		    "not one JSON object");
	assert_fails(api_body_parse("{}\0", 3, &err) != NULL, &err, DM_USAGE, "not one JSON");
	memset(large, ' ', API_BODY_MAX + 1);
	assert_fails(api_body_parse(large, API_BODY_MAX + 1, &err) != NULL, &err, DM_USAGE,
	    "more than 65536 bytes");
	for (size_t i = 0; i + 5 <= 8000; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	assert_fails(api_body_parse(deep, 8000, &err) != NULL, &err, DM_USAGE, "not one JSON");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_there),
	    cmocka_unit_test(modes),
	    cmocka_unit_test(an_answer),
	    cmocka_unit_test(bad_answers),
	    cmocka_unit_test(no_answer),
	    cmocka_unit_test(an_answer_without_end),
	    cmocka_unit_test(too_large_a_request),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(requests),
	    cmocka_unit_test(queries),
	    cmocka_unit_test(bodies),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
