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

static void
check_sockets(const char *text)
{
	struct dm_socket s;
	uint64_t inode;

	if (dm_text_tcp(text, &s))
		MUST(s.path == NULL && s.listener.pid == 0);
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	struct dm_proc_stat line;

	if (dm_text_stat(text, &line))
		MUST(line.state != '\0' && line.state != ' ');
	check_sockets(text);
	check_deleted(text);
	check_command(data, size);
	return 0;
}
