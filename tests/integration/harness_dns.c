/* SPDX-License-Identifier: MIT */
#include "harness_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	WORDS = 40
};

struct devmeshd *
dns_daemon(struct world *w, int port)
{
	world_env(w, "DEVMESH_DNS_ENABLED", "yes");
	world_env(w, "DEVMESH_DNS_PORT", fmt(w, "%d", port));
	return daemon_start(w);
}

cJSON *
dns_document(struct world *w, const struct devmeshd *d)
{
	cJSON *o = cJSON_GetObjectItem(daemon_ask(w, d, "GET", "/api/v1/dns", NULL), "dns_server");

	assert_non_null(o);
	return o;
}

double
dns_count(struct world *w, const struct devmeshd *d, const char *key)
{
	return json_number(dns_document(w, d), key);
}

const char *
json_text(struct world *w, const cJSON *o)
{
	return world_keep(w, cJSON_PrintUnformatted(o), free);
}

struct wanted {
	const struct devmeshd *d;
	const char *key;
	double least;
};

static bool
has_counted(struct world *w, const void *arg)
{
	const struct wanted *want = arg;

	return dns_count(w, want->d, want->key) >= want->least;
}

void
dns_wait_count(struct world *w, const struct devmeshd *d, const char *key, double least)
{
	if (!wait_until(w, has_counted, &(struct wanted){d, key, least}, DEADLINE_MS))
		fail_msg("%s stays at %.0f: %s", key, dns_count(w, d, key),
		    json_text(w, dns_document(w, d)));
}

/* Whether the line says what was asked and answered, rather than when, or by which program. */
static bool
is_kept(const char *line, size_t n)
{
	static const char *const dropped[] = {"; <<>>", ";; global", ";; Got", "; (",
	    ";; Query time", ";; SERVER", ";; WHEN", ";; MSG", ";; Warning", ";; WARNING",
	    "; COOKIE", "; EDE:", NULL};

	for (size_t i = 0; dropped[i] != NULL; i++) {
		if (strncmp(line, dropped[i], strlen(dropped[i])) == 0)
			return false;
	}
	return n > 0;
}

/* Lines that matter; an id becomes 0. */
static char *
without_noise(struct world *w, const char *text)
{
	char *out = world_keep(w, calloc(1, strlen(text) + 2), free), *end = out;

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		char *id;

		if (is_kept(text, n)) {
			memcpy(end, text, n);
			end[n] = '\n';
			end[n + 1] = '\0';
			id = strstr(end, ", id: ");
			if (id != NULL)
				memcpy(id, "\n", 2);
			end += strlen(end);
		}
		text += n + (text[n] == '\n' ? 1 : 0);
	}
	return out;
}

char *
dig_by(struct world *w, const char *program, const char *address, int port, const char *words)
{
	const char *argv[WORDS] = {program, fmt(w, "@%s", address), "-p", fmt(w, "%d", port)};
	size_t n = 4;
	struct result r;

	if (strcmp(program, "dig") == 0) {
		argv[n++] = "-r"; /* no file of the user's */
		argv[n++] = "+tries=1";
	} else {
		argv[n++] = "+retry=0";
	}
	argv[n++] = "+time=20";
	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		assert_true(n < WORDS - 1);
		argv[n++] = fmt(w, "%.*s", (int)len, words);
		words += len + strspn(words + len, " ");
	}
	r = run(w, w->dir, argv);
	if (r.code != 0)
		fail_msg("%s %s: %d: %s%s", program, argv[n - 1], r.code, r.out, r.err);
	return without_noise(w, r.out);
}

char *
dig(struct world *w, int port, const char *words)
{
	return dig_by(w, "dig", "127.0.0.1", port, words);
}

size_t
dns_make(uint8_t out[512], unsigned id, const char *name, unsigned type)
{
	static const uint8_t opt[] = {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
	size_t n = 12;

	memset(out, 0, 512);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[5] = 1;
	out[11] = 1;
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		out[n++] = (uint8_t)len;
		memcpy(out + n, name, len);
		n += len;
		name += len + (name[len] == '.' ? 1 : 0);
	}
	n++;
	n++;
	out[n++] = (uint8_t)type;
	n++;
	out[n++] = 1;
	memcpy(out + n, opt, sizeof opt);
	return n + sizeof opt;
}

int
dns_connect(int type, int from, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct timeval limit = {.tv_sec = DEADLINE_MS / 1000};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	a.sin_addr.s_addr = htonl(0x7f000000U + (unsigned)from);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

void
dns_send_tcp(int fd, const uint8_t *message, size_t n)
{
	uint8_t head[2] = {(uint8_t)(n >> 8), (uint8_t)n};

	assert_int_equal(send(fd, head, 2, MSG_NOSIGNAL), 2);
	while (n > 0) {
		ssize_t put = send(fd, message, n, MSG_NOSIGNAL);

		assert_true(put > 0);
		message += put;
		n -= (size_t)put;
	}
}

static bool
read_all(int fd, uint8_t *out, size_t n)
{
	while (n > 0) {
		ssize_t got = recv(fd, out, n, 0);

		if (got <= 0)
			return false;
		out += got;
		n -= (size_t)got;
	}
	return true;
}

size_t
dns_read_tcp(int fd, uint8_t *out, size_t room)
{
	uint8_t head[2];
	size_t n;

	if (!read_all(fd, head, 2))
		return 0;
	n = (size_t)head[0] << 8 | head[1];
	assert_true(n <= room);
	assert_true(read_all(fd, out, n));
	return n;
}
