/* SPDX-License-Identifier: MIT */
/*
 * Any text as what proc(5) says: no line is taken for a socket that has not all a socket has, and
 * whatever a process calls itself can be shown.
 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "base/proc_text.h"
#include "base/str.h"
#include "usage_os.h"

static void
check_sockets(const char *text)
{
	struct dm_socket s;
	uint64_t inode;

	if (dm_text_tcp(text, &s))
		MUST(s.path == NULL && s.listener.pid == 0);
	if (dm_text_udp(text, &s))
		MUST(s.path == NULL && s.listener.pid == 0 && !dm_text_tcp(text, &s));
	if (dm_text_unix(text, &s)) {
		MUST(s.path[0] != '\0' && s.path[0] != '@' && s.listener.port == 0);
		free(s.path);
	}
	if (dm_text_socket(text, &inode))
		MUST(strncmp(text, "socket:[", 8) == 0);
}

static void
check_deleted(const char *text)
{
	DM_AUTO_FREE char *link = dm_strdup(text);

	if (dm_text_deleted(link))
		MUST(link[0] != '\0' && strlen(link) + strlen(" (deleted)") == strlen(text));
	else
		MUST(strcmp(link, text) == 0);
}

static void
check_command(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *command = dm_text_command((const char *)data, size);
	DM_AUTO_FREE char *shown = command == NULL ? NULL : dm_printable(command);

	if (command == NULL)
		return;
	MUST(command[0] != '\0' && strlen(command) <= DM_COMMAND_MAX);
	MUST(strcmp(command, shown) == 0);
}

/* What a process or a kernel may make of these texts is never less than nothing. */
static void
check_usage(const char *text)
{
	const struct usage_units units = {.tick_us = 10000, .page = 4096};
	struct usage_machine m = {.total = 0};
	struct usage_process p;

	if (usage_text_process(text, &units, &p))
		MUST(p.id.pid > 0 && p.id.start > 0 && p.parent >= 0 && p.own >= 0 &&
		     p.ended_children >= 0 && p.rss >= 0);
	if (usage_text_processors(text, &m))
		MUST(m.busy >= 0 && m.busy <= m.total);
	if (usage_text_memory(text, &m))
		MUST(m.memory_total >= 0 && m.memory_available >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	struct dm_proc_stat line;

	check_usage(text);
	if (dm_text_stat(text, &line))
		MUST(line.state != '\0' && line.state != ' ');
	check_sockets(text);
	check_deleted(text);
	check_command(data, size);
	return 0;
}
