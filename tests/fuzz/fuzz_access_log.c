/* SPDX-License-Identifier: MIT */
/*
 * Any text as lines of Caddy's access log: what is taken is bounded and printable, has no query,
 * and the model's figures stay within what they say.
 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "request_line.h"
#include "requests.h"

#define NOW INT64_C(1795852500000)

static void
check_text(const char *text, size_t max)
{
	DM_AUTO_FREE char *shown = dm_printable(text);

	MUST(strlen(text) <= max && strcmp(text, shown) == 0);
}

static void
check_line(const struct request_line *line)
{
	check_text(line->method, REQUEST_METHOD_MAX);
	check_text(line->proto, REQUEST_PROTO_MAX);
	check_text(line->path, REQUEST_PATH_MAX);
	MUST(strpbrk(line->path, "?#") == NULL);
	MUST(line->host[0] != '\0' && strlen(line->host) <= HOST_MAX);
	MUST(strspn(line->host, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(line->host));
	MUST(line->status == 0 || (line->status >= 100 && line->status <= 599));
	MUST(line->time_us >= 0);
}

static void
check_request(void *user, const struct request *request)
{
	uint64_t *last = user;

	MUST(request->seq > *last && request->time_ms <= NOW);
	*last = request->seq;
}

static void
check_model(struct requests *r, unsigned count)
{
	const struct requests_filter any = {0};
	struct requests_figures f;
	uint64_t last = 0;
	unsigned sum = 0;

	MUST(requests_each(r, "a", &any, SIZE_MAX, check_request, &last) ==
	     (count < REQUESTS_PER_SERVICE ? count : REQUESTS_PER_SERVICE));
	requests_figures(r, "a", NOW, &f);
	for (size_t i = 0; i < REQUESTS_POINTS; i++)
		sum += f.points[i];
	MUST(sum <= count && f.rate <= sum);
	MUST(f.errors >= 0 && f.errors <= 1 && f.p50_us <= f.p95_us);
	MUST(f.last_ms <= NOW && f.last_ms == requests_last_access_ms(r, "a"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct requests *r = requests_new();
	const char *text = (const char *)data;
	struct request_line line;
	unsigned count = 0;

	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t n = end == NULL ? size : (size_t)(end - text);

		if (request_line_parse(text, n, &line)) {
			check_line(&line);
			requests_add(r, "a", &line, NOW);
			count++;
		}
		text += end == NULL ? n : n + 1;
		size -= end == NULL ? n : n + 1;
	}
	check_model(r, count);
	requests_free(r);
	return 0;
}
