/* SPDX-License-Identifier: MIT */
#include "web.h"

#include <string.h>

#include "base/str.h"

const struct web_file *
web_find(const char *name)
{
	for (const struct web_file *f = web_files; f->name != NULL; f++) {
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

const char *
web_type(const struct web_file *file)
{
	static const char *const types[][2] = {
	    {".html", "text/html; charset=utf-8"},
	    {".css", "text/css; charset=utf-8"},
	    {".js", "text/javascript; charset=utf-8"},
	    {".svg", "image/svg+xml"},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (dm_ends_with(file->name, types[i][0]))
			return types[i][1];
	}
	return "application/octet-stream";
}
