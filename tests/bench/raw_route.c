/* SPDX-License-Identifier: MIT */
/*
 * The raw baseline of `make bench`: what the original's curl recipe does, and nothing else.
 * DELETE /id/ID, then POST the route to the server's array, on one libcurl handle (so the second
 * request may reuse the connection), no checks in between. Unsafe beside other writers, and meant
 * to be: it is the least that replacing a route can cost.
 *
 *	raw_route ADMIN-SOCKET SERVER ID HOST DIAL
 */
#include <curl/curl.h>
#include <stdio.h>

static size_t
discard(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

static long
call(CURL *curl, const char *method, const char *url, const char *body)
{
	long status = 0;

	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (body != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(curl) != CURLE_OK)
		return 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

int
main(int argc, char **argv)
{
	char url[512], body[1024];
	struct curl_slist *headers;
	long deleted, posted;
	CURL *curl;

	if (argc != 6) {
		fprintf(stderr, "usage: raw_route ADMIN-SOCKET SERVER ID HOST DIAL\n");
		return 2;
	}
	curl_global_init(CURL_GLOBAL_NOTHING); /* no TLS needed */
	curl = curl_easy_init();
	if (curl == NULL)
		return 1;
	headers = curl_slist_append(NULL, "Content-Type: application/json");
	headers =
	    curl_slist_append(headers, "Host;"); /* Caddy < 2.10 wants it empty on a Unix socket */
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, argv[1]);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);

	snprintf(url, sizeof url, "http://localhost/id/%s", argv[3]);
	deleted = call(curl, "DELETE", url, NULL);
	snprintf(url, sizeof url, "http://localhost/config/apps/http/servers/%s/routes", argv[2]);
	snprintf(body, sizeof body,
	    "{\"@id\":\"%s\",\"match\":[{\"host\":[\"%s\"]}],\"handle\":[{\"handler\":\"reverse_"
	    "proxy\","
	    "\"upstreams\":[{\"dial\":\"%s\"}]}],\"terminal\":true}",
	    argv[3], argv[4], argv[5]);
	posted = call(curl, "POST", url, body);

	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if ((deleted != 200 && deleted != 404) || posted != 200) {
		fprintf(stderr, "raw_route: DELETE answered %ld, POST %ld\n", deleted, posted);
		return 1;
	}
	return 0;
}
