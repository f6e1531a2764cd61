/* SPDX-License-Identifier: MIT */
/*
 * The bench's own HTTP by libcurl: calls of Caddy's admin API, a keep-alive client that times each
 * request, and WebSockets kept open. Names are pinned to 127.0.0.1, so no resolver is involved.
 */
#include "bench.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct body {
	char *data;
	size_t n;
};

struct client {
	CURL *curl;
	struct curl_slist *resolve;
	char error[CURL_ERROR_SIZE];
	char body[256];
	size_t body_length;
};

struct ws {
	struct client *client;
};

static size_t
collect(char *data, size_t size, size_t n, void *arg)
{
	struct body *b = arg;
	char *more = realloc(b->data, b->n + size * n + 1);

	if (more == NULL)
		return 0;
	memcpy(more + b->n, data, size * n);
	b->data = more;
	b->n += size * n;
	more[b->n] = '\0';
	return size * n;
}

/* The start of a body; the rest is not wanted. */
static size_t
keep_start(char *data, size_t size, size_t n, void *arg)
{
	struct client *c = arg;
	size_t room = sizeof c->body - 1 - c->body_length, take = size * n < room ? size * n : room;

	memcpy(c->body + c->body_length, data, take);
	c->body_length += take;
	c->body[c->body_length] = '\0';
	return size * n;
}

long
admin_call(const char *sock, const char *method, const char *path, const char *body, char **out)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct body got = {0};
	char url[256];
	long status = 0;
	CURL *curl = curl_easy_init();

	if (curl == NULL)
		abort();
	headers = curl_slist_append(headers, "Host;");
	snprintf(url, sizeof url, "http://localhost%s", path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, sock);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got);
	if (body != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (out != NULL)
		*out = got.data;
	else
		free(got.data);
	return status;
}

int
admin_count(const char *sock, const char *id)
{
	char *text = NULL;
	cJSON *routes, *r;
	int n = 0;

	if (admin_call(sock, "GET", "/config/apps/http/servers/srv0/routes", NULL, &text) != 200) {
		free(text);
		return -1;
	}
	routes = text != NULL ? cJSON_Parse(text) : NULL;
	cJSON_ArrayForEach (r, routes) {
		const cJSON *at = cJSON_GetObjectItemCaseSensitive(r, "@id");

		if (id == NULL || (cJSON_IsString(at) && strcmp(at->valuestring, id) == 0))
			n++;
	}
	cJSON_Delete(routes);
	free(text);
	return n;
}

struct client *
client_new(const struct target *t)
{
	struct client *c = calloc(1, sizeof *c);
	char url[200], pin[200];

	if (c == NULL || (c->curl = curl_easy_init()) == NULL)
		abort();
	snprintf(url, sizeof url, "%s://%s:%d/", t->tls ? "https" : "http", t->host, t->port);
	snprintf(pin, sizeof pin, "%s:%d:127.0.0.1", t->host, t->port);
	c->resolve = curl_slist_append(NULL, pin);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_RESOLVE, c->resolve);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, keep_start);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (t->ca != NULL)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, t->ca);
	return c;
}

bool
client_get(struct client *c, double *ms)
{
	double start = now_ms();
	long status = 0;

	c->body_length = 0;
	c->body[0] = '\0';
	if (curl_easy_perform(c->curl) == CURLE_OK)
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	*ms = now_ms() - start;
	if (status != 0 && status != 200)
		snprintf(c->error, sizeof c->error, "HTTP status %ld", status);
	return status == 200;
}

const char *
client_body(const struct client *c)
{
	return c->body;
}

struct upload {
	long long left;
};

static size_t
give(char *buffer, size_t size, size_t n, void *arg)
{
	struct upload *u = arg;
	size_t take = size * n < (size_t)u->left ? size * n : (size_t)u->left;

	memset(buffer, 'x', take);
	u->left -= (long long)take;
	return take;
}

double
transfer_rate(const struct target *t, long long up, long long down)
{
	struct client *c = client_new(t);
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	struct upload u = {.left = up};
	char url[220], count[32];
	curl_off_t came = 0;
	double ms = 0;
	bool ok;

	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c->curl, CURLOPT_BUFFERSIZE, 512L * 1024);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	if (up > 0) {
		curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
		curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)up);
		curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, give);
		curl_easy_setopt(c->curl, CURLOPT_READDATA, &u);
	} else {
		snprintf(url, sizeof url, "%s://%s:%d/bytes/%lld", t->tls ? "https" : "http",
		    t->host, t->port, down);
		curl_easy_setopt(c->curl, CURLOPT_URL, url);
	}
	ok = client_get(c, &ms);
	curl_easy_getinfo(c->curl, CURLINFO_SIZE_DOWNLOAD_T, &came);
	snprintf(count, sizeof count, "%lld\n", up);
	ok = ok && (up > 0 ? strcmp(c->body, count) == 0 : came == down);
	client_free(c);
	curl_slist_free_all(headers);
	return ok ? (double)(up > 0 ? up : down) / 1e3 / ms : (double)NAN;
}

const char *
client_error(const struct client *c)
{
	return c->error;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->resolve);
	free(c);
}

/* Waits up to two seconds for bytes. Returns how many; 0 when the other end has closed or is mute.
 */
static size_t
ws_read(struct ws *w, char *buf, size_t size)
{
	double deadline = now_ms() + 2000;
	curl_socket_t fd;

	if (curl_easy_getinfo(w->client->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return 0;
	while (now_ms() < deadline) {
		size_t n = 0;
		CURLcode rc = curl_easy_recv(w->client->curl, buf, size, &n);
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (rc == CURLE_OK)
			return n;
		if (rc != CURLE_AGAIN)
			return 0;
		poll(&p, 1, 100);
	}
	return 0;
}

struct ws *
ws_open(const struct target *t)
{
	struct ws *w = calloc(1, sizeof *w);
	char text[512], answer[1024];
	size_t n, sent = 0;

	if (w == NULL)
		abort();
	w->client = client_new(t);
	/* libcurl makes the connection (TLS too); the upgrade is then a few lines of text. */
	curl_easy_setopt(w->client->curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(w->client->curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
	snprintf(text, sizeof text,
	    "GET /ws HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	    t->host, t->port);
	if (curl_easy_perform(w->client->curl) == CURLE_OK &&
	    curl_easy_send(w->client->curl, text, strlen(text), &sent) == CURLE_OK &&
	    sent == strlen(text)) {
		n = ws_read(w, answer, sizeof answer - 1);
		answer[n] = '\0';
		/* The answer that RFC 6455 gives for this key: a real handshake came through. */
		if (strncmp(answer, "HTTP/1.1 101", 12) == 0 &&
		    strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != NULL)
			return w;
	}
	ws_free(w);
	return NULL;
}

bool
ws_alive(struct ws *w)
{
	static const char ping[] = {(char)0x81, (char)0x82, 0, 0, 0, 0, 'h', 'i'}; /* masked text */
	char answer[64];
	size_t n = 0;

	if (curl_easy_send(w->client->curl, ping, sizeof ping, &n) != CURLE_OK || n != sizeof ping)
		return false;
	n = ws_read(w, answer, sizeof answer);
	return n >= 4 && (unsigned char)answer[0] == 0x81 && memcmp(answer + 2, "hi", 2) == 0;
}

void
ws_free(struct ws *w)
{
	if (w == NULL)
		return;
	client_free(w->client);
	free(w);
}
