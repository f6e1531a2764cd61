/* SPDX-License-Identifier: MIT */
/* Any bytes as a .id file: what comes out is a line that can be shown, and makes a valid name. */
#include "fuzz.h"

#include <string.h>

#include "model/name.h"

static void
check_line(const char *line)
{
	struct name_input in = {.id_file = line, .branch = "feature/auth"};
	size_t n = strlen(line);
	struct name name;
	struct dm_err err;

	MUST(n >= 1 && n <= NAME_ID_LINE_MAX);
	MUST(strchr(" \t\r", line[0]) == NULL && strchr(" \t\r", line[n - 1]) == NULL);
	for (size_t i = 0; i < n; i++)
		MUST((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
	if (name_compose(&in, &name, &err))
		MUST(slug_valid(name.id.s) && name.exact == (line[n - 1] == '.'));
	else
		MUST(err.code == DM_USAGE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[NAME_ID_LINE_MAX + 1];
	struct dm_err err;

	memset(line, 'x', sizeof(line));
	if (name_parse_id_file((const char *)data, size, line, &err))
		check_line(line);
	else
		MUST(err.code == DM_USAGE && err.msg[0] != '\0');
	return 0;
}
