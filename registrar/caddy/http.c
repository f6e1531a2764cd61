/* SPDX-License-Identifier: MIT */
#include "caddy/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"

/* curl/typecheck-gcc.h wraps this in a macro, which the member of the same name must not meet. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: the programs ignore SIGPIPE */
#endif

enum {
	CONNECT_TIMEOUT_MS = 1000,
	HEADERS_MAX = 65536,
	CERTIFICATE_MAX = 16384,
	BODY_MAX = 16 << 20,
	URL_LENGTH_MAX = 2048,
};

struct http {
	void *library;
	CURL *easy; /* one for all requests: making it anew costs as much as a request */
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	void (*easy_cleanup)(CURL *);
	void (*easy_reset)(CURL *);
	CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
	CURLcode (*easy_perform)(CURL *);
	CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
	const char *(*easy_strerror)(CURLcode);
	struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
};

/* dlsym(3) gives an object pointer; POSIX says that it may be used as a function's. */
static bool
symbol(struct http *http, const char *name, void *function_pointer)
{
	void *p = dlsym(http->library, name);

	memcpy(function_pointer, &p, sizeof(p));
	return p != NULL;
}

struct http *
http_new(struct dm_err *err)
{
	dm_auto(http) http = dm_calloc(1, sizeof(*http));

	http->library = dlopen(dm_os_libcurl(), RTLD_LAZY | RTLD_LOCAL);
	if (http->library == NULL || !symbol(http, "curl_global_init", &http->global_init) ||
	    !symbol(http, "curl_easy_init", &http->easy_init) ||
	    !symbol(http, "curl_easy_cleanup", &http->easy_cleanup) ||
	    !symbol(http, "curl_easy_reset", &http->easy_reset) ||
	    !symbol(http, "curl_easy_setopt", &http->easy_setopt) ||
	    !symbol(http, "curl_easy_perform", &http->easy_perform) ||
	    !symbol(http, "curl_easy_getinfo", &http->easy_getinfo) ||
	    !symbol(http, "curl_easy_strerror", &http->easy_strerror) ||
	    !symbol(http, "curl_slist_append", &http->slist_append) ||
	    !symbol(http, "curl_slist_free_all", &http->slist_free_all)) {
		(void)dm_fail(err, DM_FAILED, "loading libcurl: %s", dlerror());
		(void)dm_hint(err, "install libcurl (Debian: libcurl4, Homebrew: curl)");
		return NULL;
	}
	if (http->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (http->easy = http->easy_init()) == NULL) {
		(void)dm_fail(err, DM_FAILED, "starting libcurl failed");
		return NULL;
	}
	return DM_STEAL(&http);
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	if (http->easy != NULL)
		http->easy_cleanup(http->easy);
	/* the library stays loaded: unloading OpenSSL below it is not safe */
	free(http);
}

void
http_reply_init(struct http_reply *reply)
{
	reply->status = 0;
	reply->trailers_begin = 0;
	dm_str_init(&reply->body, BODY_MAX);
	dm_str_init(&reply->headers, HEADERS_MAX);
	dm_str_init(&reply->certificate, CERTIFICATE_MAX);
}

void
http_reply_release(struct http_reply *reply)
{
	dm_str_release(&reply->body);
	dm_str_release(&reply->headers);
	dm_str_release(&reply->certificate);
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct http_reply *reply = user;

	if (reply->trailers_begin == 0)
		reply->trailers_begin = reply->headers.len;
	/* any other number than what was given makes libcurl fail the transfer */
	return dm_str_add(&reply->body, bytes, size * count) ? size * count : 0;
}

static size_t
on_header(char *bytes, size_t size, size_t count, void *user)
{
	struct http_reply *reply = user;
	size_t n = size * count;

	while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
		n--;
	if (!dm_str_add(&reply->headers, bytes, n) || !dm_str_add(&reply->headers, "\n", 1))
		return 0;
	return size * count;
}

static void
reset_reply(struct http_reply *reply, size_t max_body)
{
	reply->status = 0;
	reply->trailers_begin = 0;
	reply->body.len = reply->headers.len = reply->certificate.len = 0;
	reply->body.data[0] = reply->headers.data[0] = reply->certificate.data[0] = '\0';
	reply->body.overflow = reply->headers.overflow = false;
	reply->body.max = max_body == 0 ? BODY_MAX : max_body;
}

static void
set_options(const struct http *http, CURL *easy, const struct http_request *request,
    struct http_reply *reply, struct curl_slist *headers, struct curl_slist *connect_to)
{
	CURLcode (*set)(CURL *, CURLoption, ...) = http->easy_setopt;

	(void)set(easy, CURLOPT_URL, request->url);
	(void)set(easy, CURLOPT_CUSTOMREQUEST, request->method);
	(void)set(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	(void)set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#endif
	(void)set(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	(void)set(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(request->outside || request->timeout_ms < CONNECT_TIMEOUT_MS
		       ? request->timeout_ms
		       : CONNECT_TIMEOUT_MS));
	(void)set(easy, CURLOPT_FRESH_CONNECT, 1L);
	(void)set(easy, CURLOPT_FORBID_REUSE, 1L);
	/* a proxy in the environment is not meant for this machine's Caddy */
	if (!request->outside)
		(void)set(easy, CURLOPT_PROXY, "");
	(void)set(easy, CURLOPT_HTTPHEADER, headers);
	(void)set(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)set(easy, CURLOPT_WRITEDATA, reply);
	(void)set(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)set(easy, CURLOPT_HEADERDATA, reply);
	if (request->unix_path != NULL)
		(void)set(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_path);
	if (connect_to != NULL)
		(void)set(easy, CURLOPT_CONNECT_TO, connect_to);
	if (request->body != NULL)
		(void)set(easy, CURLOPT_POSTFIELDS, request->body);
	if (request->any_certificate) {
		(void)set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		(void)set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (request->want_certificate)
		(void)set(easy, CURLOPT_CERTINFO, 1L);
	if (request->ca_file != NULL) {
		(void)set(easy, CURLOPT_CAINFO, request->ca_file);
		/* Debian's libcurl looks into the system's directory of roots as well */
		(void)set(easy, CURLOPT_CAPATH, (char *)NULL);
	}
}

/* The first certificate of the chain is the server's own. */
static void
take_certificate(const struct http *http, struct dm_str *out)
{
	const struct curl_certinfo *chain = NULL;
	const struct curl_slist *item;

	if (http->easy_getinfo(http->easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
	    chain == NULL || chain->num_of_certs < 1)
		return;
	for (item = chain->certinfo[0]; item != NULL; item = item->next) {
		if (strncmp(item->data, "Cert:", 5) != 0)
			(void)dm_str_addf(out, "%s\n", item->data);
	}
}

static enum http_outcome
judge(const struct http *http, CURLcode code, const struct http_request *request,
    const struct http_reply *reply, struct dm_err *err)
{
	switch ((int)code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_SSL_CONNECT_ERROR:
		(void)dm_fail(err, DM_UNREACHABLE, "%s %s: %s", request->method, request->url,
		    http->easy_strerror(code));
		return HTTP_NOT_SENT;
	case CURLE_PEER_FAILED_VERIFICATION:
		(void)dm_fail(err, DM_DENIED, "%s %s: %s", request->method, request->url,
		    http->easy_strerror(code));
		return HTTP_NOT_SENT;
	case CURLE_OPERATION_TIMEDOUT:
		(void)dm_fail(err, DM_TIMEOUT, "%s %s: no answer within %lld ms", request->method,
		    request->url, (long long)request->timeout_ms);
		return HTTP_UNKNOWN;
	default:
		(void)dm_fail(err, DM_UNREACHABLE, "%s %s: %s", request->method, request->url,
		    reply->body.overflow ? "the answer is too large" : http->easy_strerror(code));
		return HTTP_UNKNOWN;
	}
}

enum http_outcome
http_perform(struct http *http, const struct http_request *request, struct http_reply *reply,
    struct dm_err *err)
{
	CURL *easy = http->easy;
	struct curl_slist *headers = NULL, *connect_to = NULL;
	DM_AUTO_FREE char *rule = NULL;
	long status = 0;
	CURLcode code;

	http->easy_reset(easy);
	reset_reply(reply, request->max_body);
	for (size_t i = 0; i < 5 && request->headers[i] != NULL; i++)
		headers = http->slist_append(headers, request->headers[i]);
	headers = http->slist_append(headers, "Expect:");
	if (request->connect_to != NULL) {
		rule = dm_asprintf("::%s", request->connect_to);
		connect_to = http->slist_append(NULL, rule);
	}
	set_options(http, easy, request, reply, headers, connect_to);
	code = http->easy_perform(easy);
	(void)http->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	reply->status = (int)status;
	if (request->want_certificate)
		take_certificate(http, &reply->certificate);
	if (reply->trailers_begin == 0)
		reply->trailers_begin = reply->headers.len;
	http->easy_reset(easy); /* it must not keep the lists */
	http->slist_free_all(headers);
	http->slist_free_all(connect_to);
	return judge(http, code, request, reply, err);
}

bool
http_reply_field(
    const struct http_reply *reply, const char *name, char *out, size_t size, bool *in_trailer)
{
	const char *start = reply->headers.data, *line = start;
	size_t n = strlen(name);

	while (*line != '\0') {
		size_t len = strcspn(line, "\n");

		if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
			const char *value = line + n + 1;

			while (*value == ' ' || *value == '\t')
				value++;
			if (in_trailer != NULL)
				*in_trailer = (size_t)(line - start) >= reply->trailers_begin;
			return dm_snprintf(out, size, "%.*s", (int)(line + len - value), value);
		}
		line += len;
		if (*line == '\n')
			line++;
	}
	return false;
}

/* Waits for the socket; false with *err set when the deadline passes. */
static bool
wait_for(int fd, short events, int64_t deadline, struct dm_err *err)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = deadline - dm_now_ms();
		int n = left <= 0 ? 0 : poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n == 0)
			return dm_fail(err, DM_TIMEOUT, "no answer in time");
		if (errno != EINTR)
			return dm_fail_errno(err, errno, "poll");
	}
}

static bool
send_all(int fd, const char *bytes, size_t n, int64_t deadline, struct dm_err *err)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!wait_for(fd, POLLOUT, deadline, err))
				return false;
			continue;
		}
		if (sent < 0) {
			(void)dm_fail_errno(err, errno, "sending");
			err->code = DM_UNREACHABLE;
			return false;
		}
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Reads until the peer closes. */
static bool
receive_all(int fd, struct dm_str *all, int64_t deadline, struct dm_err *err)
{
	char buf[16384];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n == 0)
			return true;
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!wait_for(fd, POLLIN, deadline, err))
				return false;
			continue;
		}
		if (n < 0) {
			(void)dm_fail_errno(err, errno, "receiving");
			err->code = DM_UNREACHABLE;
			return false;
		}
		if (!dm_str_add(all, buf, (size_t)n))
			return dm_fail(err, DM_FAILED, "the answer is too large");
	}
}

char *
http_get_request(const char *host, const char *path)
{
	return dm_asprintf("GET %s HTTP/1.0\r\n%s%s%s\r\n", path,
	    host == NULL ? "" : "Host: ", host == NULL ? "" : host, host == NULL ? "" : "\r\n");
}

bool
http_get_answer(const struct dm_str *all, int *status, size_t *body, struct dm_err *err)
{
	const char *end = strstr(all->data, "\r\n\r\n"), *digits = all->data + 9;

	/* "HTTP/1.x NNN" */
	if (end == NULL || !dm_starts_with(all->data, "HTTP/1.") || all->len < 12 ||
	    strspn(digits, "0123456789") < 3)
		return dm_fail(err, DM_UNREACHABLE, "the answer is not HTTP");
	*status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
	*body = (size_t)(end - all->data) + 4;
	return true;
}

bool
http_get(int fd, const char *host, const char *path, int64_t timeout_ms, int *status,
    struct dm_str *body, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + timeout_ms;
	DM_AUTO_FREE char *request = http_get_request(host, path);
	DM_AUTO_STR struct dm_str all = dm_str_make(body->max + HEADERS_MAX);
	size_t begin = 0;

	if (!send_all(fd, request, strlen(request), deadline, err) ||
	    !receive_all(fd, &all, deadline, err) || !http_get_answer(&all, status, &begin, err))
		return false;
	if (!dm_str_add(body, all.data + begin, all.len - begin))
		return dm_fail(err, DM_FAILED, "the answer is too large");
	return true;
}
