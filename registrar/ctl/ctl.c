/* SPDX-License-Identifier: MIT */
#include "ctl/ctl.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/sock.h"
#include "base/str.h"

enum {
	READ_AT_ONCE = 64 << 10
};

struct ctl {
	int fd;
	char *data; /* what has been read: `len` bytes */
	size_t len, cap;
	size_t used; /* bytes of the line given out last, which go with the next read */
};

char *
ctl_path(const char *state_dir)
{
	return dm_asprintf("%s/devmeshd.sock", state_dir);
}

void
ctl_free(struct ctl *ctl)
{
	if (ctl == NULL)
		return;
	dm_closep(&ctl->fd);
	free(ctl->data);
	free(ctl);
}

struct ctl *
ctl_open(const char *state_dir, int64_t timeout_ms, struct dm_err *err)
{
	DM_AUTO_FREE char *path = ctl_path(state_dir);
	struct ctl *ctl;
	pid_t pid;
	uid_t uid;
	int fd = dm_sock_connect_unix(path, timeout_ms, err);

	if (fd < 0) {
		bool absent = err->code == DM_UNREACHABLE;

		(void)dm_wrap(err, absent ? "devmeshd does not run" : "asking devmeshd");
		if (absent)
			(void)dm_hint(err, "devmesh start");
		return NULL;
	}
	if (!dm_os_peer(fd, &pid, &uid) || uid != geteuid()) {
		(void)close(fd);
		(void)dm_fail(err, DM_DENIED, "asking devmeshd: another user listens on %s", path);
		return NULL;
	}
	ctl = dm_calloc(1, sizeof(*ctl));
	ctl->fd = fd;
	return ctl;
}

/* Waits until the socket is ready; false with DM_TIMEOUT. `deadline` is INT64_MAX for none. */
static bool
wait_for(const struct ctl *ctl, short what, int64_t deadline, struct dm_err *err)
{
	struct pollfd p = {.fd = ctl->fd, .events = what};

	for (;;) {
		int64_t left = deadline == INT64_MAX ? -1 : deadline - dm_now_ms();
		int n;

		if (deadline != INT64_MAX && left <= 0)
			return dm_fail(err, DM_TIMEOUT, "devmeshd has not answered in time");
		n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return dm_fail_errno(err, errno, "waiting for devmeshd");
	}
}

static bool
send_all(const struct ctl *ctl, const char *text, size_t len, int64_t deadline, struct dm_err *err)
{
	while (len > 0) {
		ssize_t n;

		if (!wait_for(ctl, POLLOUT, deadline, err))
			return false;
		n = write(ctl->fd, text, len);
		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			(void)dm_fail_errno(err, errno, "asking devmeshd");
			err->code = DM_UNREACHABLE;
			return false;
		}
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* Reads what has come; false at the end, or if it would be more than a line may have. */
static bool
read_more(struct ctl *ctl, int64_t deadline, struct dm_err *err)
{
	ssize_t n;

	if (ctl->len > CTL_LINE_MAX)
		return dm_fail(err, DM_FAILED, "devmeshd's answer has no end");
	if (ctl->cap < ctl->len + READ_AT_ONCE) {
		ctl->cap = 2 * ctl->cap + READ_AT_ONCE;
		ctl->data = dm_reallocarray(ctl->data, ctl->cap, 1);
	}
	if (!wait_for(ctl, POLLIN, deadline, err))
		return false;
	n = read(ctl->fd, ctl->data + ctl->len, READ_AT_ONCE);
	if (n == 0)
		return dm_fail(err, DM_UNREACHABLE, "devmeshd has closed the connection");
	if (n < 0 && errno != EINTR && errno != EAGAIN) {
		(void)dm_fail_errno(err, errno, "reading from devmeshd");
		err->code = DM_UNREACHABLE;
		return false;
	}
	ctl->len += n > 0 ? (size_t)n : 0;
	return true;
}

/* The next line, `len` bytes without its newline; borrowed until the next call. NULL: *err. */
static const char *
read_line(struct ctl *ctl, int64_t deadline, size_t *len, struct dm_err *err)
{
	size_t seen = 0;

	if (ctl->used > 0) {
		ctl->len -= ctl->used;
		memmove(ctl->data, ctl->data + ctl->used, ctl->len);
		ctl->used = 0;
	}
	for (;;) {
		const char *end =
		    ctl->len > seen ? memchr(ctl->data + seen, '\n', ctl->len - seen) : NULL;

		if (end != NULL) {
			*len = (size_t)(end - ctl->data);
			ctl->used = *len + 1;
			return ctl->data;
		}
		seen = ctl->len;
		if (!read_more(ctl, deadline, err))
			return NULL;
	}
}

static int64_t
deadline_in(int64_t timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : dm_now_ms() + timeout_ms;
}

/* The next line as an object of our protocol; the caller owns it. */
static cJSON *
read_object(struct ctl *ctl, int64_t deadline, struct dm_err *err)
{
	size_t len;
	const char *line = read_line(ctl, deadline, &len, err);
	const cJSON *v;
	cJSON *o;

	if (line == NULL)
		return NULL;
	o = cJSON_ParseWithLength(line, len);
	v = cJSON_GetObjectItemCaseSensitive(o, "v");
	if (!cJSON_IsObject(o) || !cJSON_IsNumber(v)) {
		(void)dm_fail(err, DM_FAILED, "what answers on devmeshd's socket is not devmeshd");
	} else if (v->valuedouble != CTL_PROTOCOL) {
		(void)dm_fail(err, DM_FAILED,
		    "devmeshd speaks version %.0f of its protocol, devmesh version %d",
		    v->valuedouble, CTL_PROTOCOL);
		(void)dm_hint(err, "devmesh daemon restart");
	} else {
		return o;
	}
	cJSON_Delete(o);
	return NULL;
}

void
ctl_reply_release(struct ctl_reply *reply)
{
	free(reply->version);
	cJSON_Delete(reply->body);
	memset(reply, 0, sizeof(*reply));
}

static char *
request_line(const char *method, const char *path, const cJSON *body)
{
	cJSON *o = cJSON_CreateObject();
	char *text, *line;

	(void)cJSON_AddNumberToObject(o, "v", CTL_PROTOCOL);
	(void)cJSON_AddStringToObject(o, "method", method);
	(void)cJSON_AddStringToObject(o, "path", path);
	if (body != NULL)
		(void)cJSON_AddItemToObject(o, "body", cJSON_Duplicate(body, true));
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	line = dm_asprintf("%s\n", text);
	free(text);
	return line;
}

bool
ctl_ask(struct ctl *ctl, const char *method, const char *path, const struct cJSON *body,
    int64_t timeout_ms, struct ctl_reply *reply, struct dm_err *err)
{
	DM_AUTO_FREE char *line = request_line(method, path, body);
	int64_t deadline = deadline_in(timeout_ms);
	const cJSON *status, *version;
	cJSON *o;

	memset(reply, 0, sizeof(*reply));
	if (strlen(line) > CTL_REQUEST_MAX)
		return dm_fail(err, DM_USAGE, "asking devmeshd: the request is too large");
	if (!send_all(ctl, line, strlen(line), deadline, err) ||
	    (o = read_object(ctl, deadline, err)) == NULL)
		return false;
	status = cJSON_GetObjectItemCaseSensitive(o, "status");
	version = cJSON_GetObjectItemCaseSensitive(o, "version");
	if (!cJSON_IsNumber(status) || status->valueint < 100 || status->valueint > 599 ||
	    !cJSON_IsString(version)) {
		cJSON_Delete(o);
		return dm_fail(err, DM_FAILED, "devmeshd's answer cannot be understood");
	}
	reply->status = status->valueint;
	reply->version = dm_printable(version->valuestring);
	reply->body = cJSON_DetachItemFromObjectCaseSensitive(o, "body");
	cJSON_Delete(o);
	return true;
}

static enum dm_code
code_of(const char *name)
{
	for (int code = DM_FAILED; name != NULL && code <= DM_TIMEOUT; code++) {
		if (strcmp(dm_code_name((enum dm_code)code), name) == 0)
			return (enum dm_code)code;
	}
	return DM_FAILED;
}

bool
ctl_refused(const struct ctl_reply *reply, const char *what, struct dm_err *err)
{
	const cJSON *e = cJSON_GetObjectItemCaseSensitive(reply->body, "error");
	const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(e, "code"));
	const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(e, "message"));
	const char *hint = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(e, "hint"));

	(void)dm_fail(err, code_of(code), "%s: %s", what,
	    message != NULL ? message : "devmeshd refuses, and does not say why");
	if (hint != NULL && hint[0] != '\0')
		(void)dm_hint(err, "%s", hint);
	return false;
}

struct cJSON *
ctl_next(struct ctl *ctl, int64_t timeout_ms, struct dm_err *err)
{
	cJSON *o = read_object(ctl, deadline_in(timeout_ms), err);

	if (o == NULL || (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(o, "event")) &&
			     cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(o, "data"))))
		return o;
	cJSON_Delete(o);
	(void)dm_fail(err, DM_FAILED, "devmeshd's event cannot be understood");
	return NULL;
}
