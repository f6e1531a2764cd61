/* SPDX-License-Identifier: MIT */
#include "http_token.h"

#include <stdio.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"

bool
http_token_random(struct http_token *out, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str bytes = dm_str_make(HTTP_TOKEN_BYTES);

	if (!dm_read_file("/dev/urandom", &bytes, err))
		return false;
	if (bytes.len != HTTP_TOKEN_BYTES)
		return dm_fail(err, DM_FAILED, "/dev/urandom ends");
	for (size_t i = 0; i < HTTP_TOKEN_BYTES; i++)
		(void)snprintf(out->text + 2 * i, 3, "%02x", (unsigned char)bytes.data[i]);
	return true;
}

bool
http_token_make(const char *state_dir, struct http_token *out, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/api-token", state_dir);
	char line[sizeof(out->text) + 1];

	if (!http_token_random(out, err))
		return false;
	(void)snprintf(line, sizeof(line), "%s\n", out->text);
	return dm_write_file(path, line, strlen(line), 0600, err);
}
