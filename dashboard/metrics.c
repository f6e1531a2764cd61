/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	TEXT_MAX = 1 << 20
};

/* `help` is ours: without backslashes or newlines. */
static void
add_head(struct dm_str *out, const char *name, const char *type, const char *help)
{
	(void)dm_str_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
add_one(struct dm_str *out, const char *name, const char *type, const char *help, uint64_t value)
{
	add_head(out, name, type, help);
	(void)dm_str_addf(out, "%s %" PRIu64 "\n", name, value);
}

/* A sample with a label; in its value a backslash, a quote and a newline are escaped. */
static void
add_labelled(
    struct dm_str *out, const char *name, const char *key, const char *label, uint64_t value)
{
	/* a newline is none any more, as no value of ours has one */
	DM_AUTO_FREE char *shown = dm_printable(label);

	(void)dm_str_addf(out, "%s{%s=\"", name, key);
	for (const char *p = shown; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			(void)dm_str_add(out, "\\", 1);
		(void)dm_str_add(out, p, 1);
	}
	(void)dm_str_addf(out, "\"} %" PRIu64 "\n", value);
}

static void
add_counts(struct dm_str *out, const char *name, const char *type, const char *help,
    const char *key, const struct metrics_counts *counts)
{
	add_head(out, name, type, help);
	for (size_t i = 0; i < counts->count; i++)
		add_labelled(out, name, key, counts->list[i].label, counts->list[i].value);
}

/* Names of services need no escaping: letters, digits and dashes. */
static void
add_answers(struct dm_str *out, const struct metrics_answers *list, size_t count)
{
	static const char name[] = "devmesh_requests_total";

	add_head(out, name, "counter", "What services have answered, by the class of the status.");
	for (size_t i = 0; i < count; i++) {
		for (size_t class = 0; class < 5; class ++) {
			if (list[i].classes[class] > 0)
				(void)dm_str_addf(out,
				    "%s{service=\"%s\",code=\"%zuxx\"} %" PRIu64 "\n", name,
				    list[i].service, class + 1, list[i].classes[class]);
		}
	}
}

/* Not by "%f": the user's locale may have another decimal point. */
static void
add_seconds(struct dm_str *out, const char *name, const char *help, int64_t us)
{
	add_head(out, name, "gauge", help);
	(void)dm_str_addf(out, "%s %" PRId64 ".%06" PRId64 "\n", name, us / 1000000, us % 1000000);
}

char *
metrics_render(const struct metrics_input *in)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);

	add_head(&out, "devmesh_build_info", "gauge", "Which devmeshd this is; always 1.");
	add_labelled(&out, "devmesh_build_info", "version", in->version, 1);
	add_one(&out, "devmesh_ready", "gauge", "Whether the first full scan is done.", in->ready);
	add_counts(&out, "devmesh_services", "gauge", "Services by state.", "state", &in->services);
	add_one(&out, "devmesh_found_processes", "gauge",
	    "Processes that listen and are not registered.", in->found);
	add_one(&out, "devmesh_caddy_up", "gauge", "Whether the admin API of Caddy answers.",
	    in->caddy_up);
	add_one(&out, "devmesh_mends_total", "counter", "What was put right.", in->mends);
	add_one(&out, "devmesh_mend_failures_total", "counter",
	    "What could not be put right when it was tried.", in->mend_failures);
	add_one(&out, "devmesh_events_total", "counter", "Events published.", in->events);
	add_one(&out, "devmesh_event_listeners", "gauge", "Listeners to events.", in->listeners);
	add_counts(&out, "devmesh_http_requests_total", "counter",
	    "HTTP requests answered, by status.", "code", &in->http_requests);
	add_counts(&out, "devmesh_http_refused_total", "counter",
	    "HTTP requests refused, by reason.", "reason", &in->http_refused);
	add_counts(&out, "devmesh_dns_questions_total", "counter",
	    "DNS questions, by what became of them.", "result", &in->dns);
	add_answers(&out, in->answers, in->answers_count);
	if (in->scan_us >= 0)
		add_seconds(&out, "devmesh_scan_seconds",
		    "How long the last scan for processes took.", in->scan_us);
	add_one(&out, "devmesh_history_ok", "gauge", "Whether the history is being stored.",
	    in->history_ok);
	add_one(&out, "devmesh_history_lost_total", "counter",
	    "Entries of the history that could not be stored.", in->history_lost);
	add_head(&out, "process_start_time_seconds", "gauge",
	    "When the process was started, in seconds since the epoch.");
	(void)dm_str_addf(&out, "process_start_time_seconds %" PRId64 "\n", in->started);
	if (in->resident_bytes > 0)
		add_one(&out, "process_resident_memory_bytes", "gauge",
		    "What the process has in memory.", (uint64_t)in->resident_bytes);
	return dm_str_take(&out);
}

int64_t
metrics_resident_bytes(void)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(256);
	long page = sysconf(_SC_PAGESIZE);
	char *second, *end;
	uint64_t pages;
	struct dm_err err;

	/* proc(5): "size resident shared ..." in pages */
	if (page <= 0 || !dm_read_file("/proc/self/statm", &text, &err) ||
	    (second = strchr(text.data, ' ')) == NULL || (end = strchr(second + 1, ' ')) == NULL)
		return 0;
	*end = '\0';
	return dm_parse_uint(second + 1, 0, INT64_MAX / page, &pages) ? (int64_t)pages * page : 0;
}
