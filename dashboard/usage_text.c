/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "usage_os.h"

enum {
	FIELDS = 22 /* of /proc/<pid>/stat behind the name, of which the last is the memory */
};

/* The decimal number at *text, which is moved behind it; false if there is none. */
static bool
take_number(const char **text, int64_t *out)
{
	char *end;

	*text += strspn(*text, " ");
	if ((**text < '0' || **text > '9') && **text != '-')
		return false;
	*out = strtoll(*text, &end, 10);
	if (end == *text || (*end != ' ' && *end != '\n' && *end != '\0'))
		return false;
	*text = end;
	return true;
}

/* A time in ticks as microseconds; what cannot be one is a mistake. */
static bool
take_ticks(int64_t ticks, const struct usage_units *units, int64_t *out)
{
	if (ticks < 0 || ticks > INT64_MAX / 8 / units->tick_us)
		return false;
	*out += ticks * units->tick_us;
	return true;
}

bool
usage_text_process(const char *text, const struct usage_units *units, struct usage_process *out)
{
	/* as dm_text_stat(): the name is in brackets, and may hold anything: the last one counts */
	const char *rest = strrchr(text, ')'), *begin = text;
	int64_t pid, field[FIELDS] = {0};

	memset(out, 0, sizeof(*out));
	if (rest == NULL || rest[1] != ' ' || rest[2] == '\0' || !take_number(&begin, &pid) ||
	    pid <= 0 || pid > INT32_MAX)
		return false;
	out->ended = rest[2] == 'Z' || rest[2] == 'X';
	rest += 3;
	/* fields 4 to 24 of proc(5), counted from the state, which is field 3 */
	for (size_t i = 1; i < FIELDS; i++) {
		if (!take_number(&rest, &field[i]))
			return false;
	}
	if (field[1] < 0 || field[1] > INT32_MAX || field[19] < 0 || field[21] < 0 ||
	    field[21] > INT64_MAX / units->page || !take_ticks(field[11], units, &out->own) ||
	    !take_ticks(field[12], units, &out->own) ||
	    !take_ticks(field[13], units, &out->ended_children) ||
	    !take_ticks(field[14], units, &out->ended_children))
		return false;
	out->id = (struct dm_proc_id){.pid = (pid_t)pid, .start = (uint64_t)field[19] + 1};
	out->parent = (pid_t)field[1];
	out->rss = field[21] * units->page;
	return true;
}

bool
usage_text_processors(const char *text, struct usage_machine *out)
{
	/* proc(5): user nice system idle iowait irq softirq steal; guests are in user and nice */
	int64_t total = 0, idle = 0, n;
	int i = 0;

	if (strncmp(text, "cpu ", 4) != 0)
		return false;
	for (text += 4; i < 8 && take_number(&text, &n) && n >= 0 && n < INT64_MAX / 16; i++) {
		total += n;
		if (i == 3 || i == 4)
			idle += n;
	}
	if (i < 4)
		return false;
	out->total = total;
	out->busy = total - idle;
	return true;
}

/* "MemTotal:       16384 kB" */
static int64_t
kilobytes(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	int64_t n;

	if (line == NULL || (line != text && line[-1] != '\n'))
		return -1;
	line += strlen(name);
	return take_number(&line, &n) && n >= 0 && n < INT64_MAX / 1024 ? n * 1024 : -1;
}

bool
usage_text_memory(const char *text, struct usage_machine *out)
{
	out->memory_total = kilobytes(text, "MemTotal:");
	out->memory_available = kilobytes(text, "MemAvailable:");
	return out->memory_total >= 0 && out->memory_available >= 0;
}
