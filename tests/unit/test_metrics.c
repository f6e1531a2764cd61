/* SPDX-License-Identifier: MIT */
/* The metrics as Prometheus reads them. */
#include "unit.h"

#include <locale.h>

#include "metrics.h"

static const struct metrics_count services[] = {{"up", 3}, {"stale", 0}};
static const struct metrics_count requests[] = {{"200", UINT64_MAX}, {"404", 2}};
static const struct metrics_count dns[] = {{"answered", 8}, {"limited", 0}};
static const struct metrics_count refused[] = {{"host", 1}};

static const struct metrics_answers answers[] = {
    {"shop-main", {0, 7, 0, 0, 1}}, {"blog", {0, 0, 0, 0, 0}}};

static struct metrics_input
some(void)
{
	return (struct metrics_input){
	    .version = "0.1.0",
	    .started = 1776000000,
	    .resident_bytes = 9437184,
	    .ready = true,
	    .caddy_up = true,
	    .history_ok = false,
	    .history_lost = 7,
	    .services = {services, COUNT(services)},
	    .http_requests = {requests, COUNT(requests)},
	    .http_refused = {refused, COUNT(refused)},
	    .dns = {dns, COUNT(dns)},
	    .answers = answers,
	    .answers_count = COUNT(answers),
	    .mends = 4,
	    .mend_failures = 1,
	    .events = 12345,
	    .listeners = 2,
	    .scan_us = 12034,
	    .found = 5,
	};
}

/* The samples alone; the caller owns them. */
static char *
samples(const char *text)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(1 << 20);

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		assert_int_equal(text[n], '\n');
		if (text[0] != '#')
			(void)dm_str_add(&out, text, n + 1);
		text += n + 1;
	}
	return dm_str_take(&out);
}

static void
says_all_of_it(void **state)
{
	struct metrics_input in = some();
	DM_AUTO_FREE char *text = metrics_render(&in);
	DM_AUTO_FREE char *values = samples(text);

	(void)state;
	assert_string_equal(values,
	    "devmesh_build_info{version=\"0.1.0\"} 1\n"
	    "devmesh_ready 1\n"
	    "devmesh_services{state=\"up\"} 3\n"
	    "devmesh_services{state=\"stale\"} 0\n"
	    "devmesh_found_processes 5\n"
	    "devmesh_caddy_up 1\n"
	    "devmesh_mends_total 4\n"
	    "devmesh_mend_failures_total 1\n"
	    "devmesh_events_total 12345\n"
	    "devmesh_event_listeners 2\n"
	    "devmesh_http_requests_total{code=\"200\"} 18446744073709551615\n"
	    "devmesh_http_requests_total{code=\"404\"} 2\n"
	    "devmesh_http_refused_total{reason=\"host\"} 1\n"
	    "devmesh_dns_questions_total{result=\"answered\"} 8\n"
	    "devmesh_dns_questions_total{result=\"limited\"} 0\n"
	    "devmesh_requests_total{service=\"shop-main\",code=\"2xx\"} 7\n"
	    "devmesh_requests_total{service=\"shop-main\",code=\"5xx\"} 1\n"
	    "devmesh_scan_seconds 0.012034\n"
	    "devmesh_history_ok 0\n"
	    "devmesh_history_lost_total 7\n"
	    "process_start_time_seconds 1776000000\n"
	    "process_resident_memory_bytes 9437184\n");
}

static bool
is_name(const char *s, size_t n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

	return n > 0 && strspn(s, letters) >= n;
}

/* Every line is one of the format, and a metric's HELP and TYPE come before it, once. */
static void
keeps_the_format(void **state)
{
	struct metrics_input in = some();
	DM_AUTO_FREE char *text = metrics_render(&in);
	DM_AUTO_FREE char *name = dm_strdup("");
	unsigned lines = 0;

	(void)state;
	for (const char *p = text; *p != '\0'; lines++) {
		size_t n = strcspn(p, "\n"), word;

		if (dm_starts_with(p, "# HELP ")) {
			DM_AUTO_FREE char *type = NULL;

			word = strcspn(p + 7, " ");
			assert_true(is_name(p + 7, word));
			free(name);
			name = dm_strndup(p + 7, word);
			type = dm_asprintf("\n# TYPE %s %s\n", name,
			    dm_ends_with(name, "_total") ? "counter" : "gauge");
			assert_true(dm_starts_with(p + n, type));
			assert_null(strstr(p + n + strlen(type), type));
		} else if (!dm_starts_with(p, "# TYPE ")) {
			word = strcspn(p, "{ ");
			assert_int_equal(word, strlen(name));
			assert_memory_equal(p, name, word);
		}
		p += n + 1;
	}
	/* HELP and TYPE of 18 metrics, and 22 samples */
	assert_int_equal(lines, 2 * 18 + 22);
}

static void
labels_are_text(void **state)
{
	static const struct {
		const char *label, *want;
	} cases[] = {
	    {"\"} 1\nevil 2", "\\\"} 1\xef\xbf\xbd"
			      "evil 2"},
	    {"\\", "\\\\"},
	    {"a\\nb", "a\\\\nb"},
	    {"\xff\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
	    {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"", ""},
	    {"{}#,=", "{}#,="},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct metrics_count one = {cases[i].label, 9};
		struct metrics_input in = some();
		DM_AUTO_FREE char *text = NULL, *values = NULL, *want = NULL;

		in.services = in.http_requests = in.http_refused = (struct metrics_counts){&one, 1};
		in.version = one.label;
		text = metrics_render(&in);
		values = samples(text);
		want = dm_asprintf("\ndevmesh_services{state=\"%s\"} 9\n", cases[i].want);
		assert_holds(values, want);
		free(want);
		want = dm_asprintf("devmesh_build_info{version=\"%s\"} 1\n", cases[i].want);
		assert_true(dm_starts_with(values, want));
	}
}

static void
leaves_out_what_is_unknown(void **state)
{
	struct metrics_input in = {.version = "0", .scan_us = -1};
	DM_AUTO_FREE char *text = metrics_render(&in);

	(void)state;
	assert_null(strstr(text, "devmesh_scan_seconds"));
	assert_null(strstr(text, "process_resident_memory_bytes"));
	assert_holds(text, "# TYPE devmesh_services gauge\n# HELP devmesh_found_processes ");
	assert_holds(text, "\ndevmesh_caddy_up 0\n");
}

static void
numbers_are_the_same_everywhere(void **state)
{
	static const struct {
		int64_t us;
		const char *want;
	} cases[] = {{0, "0.000000"}, {1, "0.000001"}, {999999, "0.999999"},
	    {61000000, "61.000000"}, {INT64_MAX, "9223372036854.775807"}};

	(void)state;
	/* where the decimal point is a comma, if this machine knows such a place */
	(void)setlocale(LC_ALL, "de_DE.UTF-8");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct metrics_input in = some();
		DM_AUTO_FREE char *text = NULL;
		DM_AUTO_FREE char *want = dm_asprintf("\ndevmesh_scan_seconds %s\n", cases[i].want);

		in.scan_us = cases[i].us;
		text = metrics_render(&in);
		assert_holds(text, want);
	}
	(void)setlocale(LC_ALL, "C");
}

static void
knows_its_own_size(void **state)
{
	enum {
		MORE = 32 << 20
	};
	int64_t before = metrics_resident_bytes(), after;
	char *memory;

	(void)state;
	if (access("/proc/self/statm", R_OK) != 0) {
		assert_int_equal(before, 0);
		return;
	}
	assert_in_range(before, 100 << 10, INT64_C(1) << 40);
	memory = dm_calloc(MORE, 1);
	memset(memory, 'x', MORE);
	after = metrics_resident_bytes();
	assert_int_equal(memory[MORE - 1], 'x');
	free(memory);
	assert_true(after - before > MORE / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_all_of_it),
	    cmocka_unit_test(keeps_the_format),
	    cmocka_unit_test(labels_are_text),
	    cmocka_unit_test(leaves_out_what_is_unknown),
	    cmocka_unit_test(numbers_are_the_same_everywhere),
	    cmocka_unit_test(knows_its_own_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
