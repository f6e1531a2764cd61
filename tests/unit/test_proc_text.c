/* SPDX-License-Identifier: MIT */
/* The texts of proc(5), as kernels write them and as processes can make them look. */
#include "unit.h"

#include "base/proc_text.h"

static void
stat_line(void **state)
{
	static const char *const tail = " 12 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2";
	/* the name is the process's own choice */
	static const char *const names[] = {"node", "a b", "a) S 1 1 1 (b", "", ")",
	    "x) R 9 9 9 0 -1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		DM_AUTO_FREE char *line = dm_asprintf("4711 (%s) S%s", names[i], tail);
		struct dm_proc_stat st;

		assert_true(dm_text_stat(line, &st));
		assert_int_equal(st.state, 'S');
		assert_int_equal(st.parent, 12);
		assert_int_equal(st.group, 77);
		assert_int_equal(st.start, 98765);
	}
}

static void
stat_line_that_is_none(void **state)
{
	static const char *const lines[] = {"", "4711", "4711 (x)", "4711 (x) S", "4711 (x) S 1 2",
	    "4711 (x) S a b 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765",
	    "4711 (x) S -1 -1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765"};
	struct dm_proc_stat st;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_false(dm_text_stat(lines[i], &st));
}

static void
descriptors(void **state)
{
	static const char *const others[] = {"", "socket:", "socket:[", "socket:[]", "socket:[-1]",
	    "socket:[ 1]", "pipe:[12]", "/tmp/socket:[12]", "anon_inode:[eventpoll]"};
	uint64_t inode = 0;

	(void)state;
	assert_true(dm_text_socket("socket:[18446744073709551615]", &inode));
	assert_true(inode == UINT64_MAX);
	assert_true(dm_text_socket("socket:[4242]", &inode));
	assert_int_equal(inode, 4242);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(dm_text_socket(others[i], &inode));
}

static void
tcp_lines(void **state)
{
	/* from a little-endian machine; every kernel writes addresses in its own byte order */
	static const char *const v4 =
	    "   3: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000"
	    "        0 31337 1 0000000000000000 100 0 0 10 0";
	static const char *const v6 =
	    "   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A "
	    "00000000:00000000 00:00000000 00000000     0        0 5 1 0000000000000000 100 0 0";
	static const char *const connected =
	    "   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000"
	    "        0 31338 1 0000000000000000 20 4 30 10 -1";
	static const char *const broken[] = {"", "  sl  local_address rem_address   st tx_queue",
	    "   3: 0100007F 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1",
	    "   3: 0100007F:12345 00000000:0000 0A 0:0 00:0 0 0 0 1",
	    "   3: 0100X07F:1234 00000000:0000 0A 0:0 00:0 0 0 0 1",
	    "   3: 0100007F:1234 00000000:0000 0A 0:0 00:0 0 0 0"};
	static const char udp[] =
	    "  411: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101"
	    "        0 4242 2 0000000000000000 0";
	const uint32_t one = 1;
	struct dm_socket s;

	(void)state;
	if (*(const uint8_t *)&one != 1)
		skip();
	assert_true(dm_text_tcp(v4, &s));
	assert_int_equal(s.inode, 31337);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.listener.port, 8080);
	assert_false(s.listener.ipv6);
	assert_memory_equal(s.listener.address, "\x7f\0\0\1", 4);
	assert_null(s.path);
	assert_true(dm_text_tcp(v6, &s));
	assert_int_equal(s.listener.port, 3000);
	assert_true(s.listener.ipv6);
	assert_memory_equal(s.listener.address, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_false(dm_text_tcp(connected, &s));
	/* of UDP: 07 is a socket that takes packets from anybody */
	assert_true(dm_text_udp(udp, &s));
	assert_int_equal(s.listener.port, 53);
	assert_memory_equal(s.listener.address, "\x7f\0\0\x35", 4);
	assert_false(dm_text_udp(v4, &s));
	assert_false(dm_text_tcp(udp, &s));
	for (size_t i = 0; i < COUNT(broken); i++)
		assert_false(dm_text_tcp(broken[i], &s));
}

static void
unix_lines(void **state)
{
	static const char *const others[] = {"",
	    "Num       RefCount Protocol Flags    Type St Inode Path",
	    /* connected, abstract, without a name */
	    "0000000000000000: 00000003 00000000 00000000 0001 03 77 /tmp/a.sock",
	    "0000000000000000: 00000002 00000000 00010000 0001 01 77 @abstract",
	    "0000000000000000: 00000002 00000000 00010000 0001 01 77",
	    "0000000000000000: 00000002 00000000 00010000 0001 01 x /tmp/a.sock"};
	struct dm_socket s;

	(void)state;
	assert_true(dm_text_unix(
	    "0000000000000000: 00000002 00000000 00010000 0001 01 77 /tmp/with blank.sock", &s));
	assert_int_equal(s.inode, 77);
	assert_int_equal(s.listener.port, 0);
	assert_true(s.uid == (uid_t)-1);
	assert_string_equal(s.path, "/tmp/with blank.sock");
	free(s.path);
	assert_true(dm_text_unix(
	    "0000000000000000: 00000002 00000000 00010000 0001 01 78 relative.sock", &s));
	assert_string_equal(s.path, "relative.sock");
	free(s.path);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(dm_text_unix(others[i], &s));
}

static void
removed(void **state)
{
	char gone[] = "/x/y (deleted)", there[] = "/x/y", bare[] = " (deleted)";

	(void)state;
	assert_true(dm_text_deleted(gone));
	assert_string_equal(gone, "/x/y");
	assert_false(dm_text_deleted(there));
	assert_false(dm_text_deleted(bare));
}

static void
commands(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} cases[] = {
#define CASE(bytes, want) {bytes, sizeof(bytes) - 1, want}
	    CASE("node\0server.js\0", "node server.js"),
	    CASE("/usr/bin/python3\0-m\0/x/y\0", "python3 -m /x/y"),
	    CASE("node_modules/.bin/vite\0", "node_modules/.bin/vite"),
	    /* a title that a process has given itself */
	    CASE("puma 6.4 (tcp://0.0.0.0:3000) [shop]\0\0\0\0",
		"puma 6.4 (tcp://0.0.0.0:3000) [shop]"),
	    CASE("a\0\0b\0", "a  b"),
	    CASE("/\0", "/"),
	    CASE("sh\0-c\0echo \033[31m\n\0", "sh -c echo \xef\xbf\xbd[31m\xef\xbf\xbd"),
	    CASE("\xff", "\xef\xbf\xbd"),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		DM_AUTO_FREE char *got = dm_text_command(cases[i].bytes, cases[i].len);

		assert_string_equal(got, cases[i].want);
	}
	assert_null(dm_text_command("", 0));
	assert_null(dm_text_command("\0\0\0", 3));
}

static void
long_commands_are_cut_between_characters(void **state)
{
	char bytes[4096];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		DM_AUTO_FREE char *got = NULL;
		DM_AUTO_FREE char *again = NULL;

		memset(bytes, 'x', shift);
		for (size_t i = shift; i + 3 <= sizeof(bytes); i += 3)
			memcpy(bytes + i, "\xe2\x82\xac", 3);
		got = dm_text_command(bytes, sizeof(bytes));
		assert_in_range(strlen(got), DM_COMMAND_MAX - 3, DM_COMMAND_MAX);
		/* nothing of it is broken: else it would be shown as something else */
		again = dm_printable(got);
		assert_string_equal(got, again);
		assert_null(strstr(got, "\xef\xbf\xbd"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stat_line),
	    cmocka_unit_test(stat_line_that_is_none),
	    cmocka_unit_test(descriptors),
	    cmocka_unit_test(tcp_lines),
	    cmocka_unit_test(unix_lines),
	    cmocka_unit_test(removed),
	    cmocka_unit_test(commands),
	    cmocka_unit_test(long_commands_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
