/* SPDX-License-Identifier: MIT */
#include "hook_input.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	PATH_MAX_LEN = 4096,
	WORD_MAX = 64
};

static const char *
text_of(const cJSON *o, const char *key, size_t max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

	if (!cJSON_IsString(item) || item->valuestring[0] == '\0' ||
	    strlen(item->valuestring) > max)
		return NULL;
	return item->valuestring;
}

static char *
path_of(const cJSON *o, const char *key)
{
	const char *text = text_of(o, key, PATH_MAX_LEN);

	return text == NULL || text[0] != '/' ? NULL : dm_strdup(text);
}

static char *
word_of(const cJSON *o, const char *key)
{
	const char *text = text_of(o, key, WORD_MAX);

	if (text == NULL ||
	    text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")] != '\0')
		return NULL;
	return dm_strdup(text);
}

bool
hook_input_parse(const char *text, size_t len, struct hook_input *out, struct dm_err *err)
{
	cJSON *o;
	size_t blank = 0;

	memset(out, 0, sizeof(*out));
	while (blank < len && strchr(" \t\r\n", text[blank]) != NULL && text[blank] != '\0')
		blank++;
	if (blank == len)
		return true;
	o = len > HOOK_INPUT_MAX ? NULL : cJSON_ParseWithLength(text, len);
	if (!cJSON_IsObject(o)) {
		cJSON_Delete(o);
		return dm_fail(err, DM_USAGE, "what the tool says on stdin is no JSON object");
	}
	out->event = word_of(o, "hook_type");
	if (out->event == NULL)
		out->event = word_of(o, "hook_event_name");
	out->worktree = path_of(o, "worktree_path");
	out->cwd = path_of(o, "cwd");
	cJSON_Delete(o);
	return true;
}

void
hook_input_release(struct hook_input *in)
{
	free(in->event);
	free(in->worktree);
	free(in->cwd);
	memset(in, 0, sizeof(*in));
}

bool
hook_input_read(int fd, int64_t wait_ms, struct hook_input *out, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(HOOK_INPUT_MAX);
	int64_t deadline = dm_now_ms() + wait_ms;

	memset(out, 0, sizeof(*out));
	if (isatty(fd))
		return true;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - dm_now_ms();
		char buf[8192];
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!dm_str_add(&text, buf, (size_t)n))
			return dm_fail(err, DM_USAGE, "the tool says more than %d bytes on stdin",
			    HOOK_INPUT_MAX);
	}
	return hook_input_parse(text.data, text.len, out, err);
}
