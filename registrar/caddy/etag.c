/* SPDX-License-Identifier: MIT */
#include "caddy/etag.h"

#include <string.h>

#include "base/str.h"

bool
etag_path_is_route(const char *path)
{
	const char *last = strrchr(path, '/');

	return dm_starts_with(path, "/config/apps/http/servers/") && last != NULL &&
	       last[1] != '\0' && strspn(last + 1, "0123456789") == strlen(last + 1) &&
	       (size_t)(last - path) > strlen("/routes") &&
	       memcmp(last - strlen("/routes"), "/routes", strlen("/routes")) == 0;
}

bool
etag_path(const char *etag, char path[ETAG_MAX], struct dm_err *err)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789/._~-";
	const char *start = etag + 1, *space;
	size_t n;

	if (etag[0] != '"' || (space = strchr(start, ' ')) == NULL ||
	    strcspn(space + 1, "\" \t") == 0 || strcmp(space + strcspn(space, "\""), "\"") != 0)
		return dm_fail(err, DM_FAILED, "Caddy's ETag %.80s cannot be understood", etag);
	n = (size_t)(space - start);
	if (n >= ETAG_MAX || !dm_starts_with(start, "/config/") || strspn(start, safe) != n ||
	    strstr(start, "..") != NULL)
		return dm_fail(err, DM_FAILED,
		    "Caddy's ETag %.80s names a path that cannot be addressed", etag);
	memcpy(path, start, n);
	path[n] = '\0';
	return true;
}
