/* SPDX-License-Identifier: MIT */
/* Any text as what a tool tells its hook: no member but in the form that it must have. */
#include "fuzz.h"

#include <string.h>

#include "base/str.h"
#include "hook_input.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hook_input in;
	struct dm_err err;

	if (!hook_input_parse((const char *)data, size, &in, &err)) {
		MUST(err.code == DM_USAGE);
		return 0;
	}
	MUST(in.event == NULL || (in.event[0] != '\0' && !dm_has_control(in.event)));
	MUST(in.worktree == NULL || in.worktree[0] == '/');
	MUST(in.cwd == NULL || in.cwd[0] == '/');
	hook_input_release(&in);
	return 0;
}
