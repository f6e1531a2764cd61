/* SPDX-License-Identifier: MIT */
#include "conf/conf.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/paths.h"
#include "base/str.h"
#include "model/host.h"
#include "model/lan_choice.h"

#ifndef DEVMESH_SYSCONFDIR
#define DEVMESH_SYSCONFDIR "/etc"
#endif

enum {
	FILE_MAX = 65536
};

char *
conf_env_name(const struct conf_key *key)
{
	char *name = dm_asprintf("DEVMESH_%s_%s", key->section, key->name);

	for (char *p = name; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

static void *
field_of(struct conf *conf, const struct conf_key *key)
{
	return (char *)conf + key->offset;
}

static bool
parse_admin(const char *text, char **out, struct dm_err *err)
{
	if (dm_starts_with(text, "unix:///") || dm_starts_with(text, "http://")) {
		*out = dm_strdup(text);
		return true;
	}
	(void)dm_fail(err, DM_USAGE, "\"%s\" is not the address of an admin API", text);
	return dm_hint(err, "http://localhost:2019, or unix:///path/of/the/socket");
}

static bool
parse_path(const char *text, char **out, struct dm_err *err)
{
	const char *home = getenv("HOME");
	size_t n;

	if (dm_starts_with(text, "~/") && home != NULL)
		*out = dm_asprintf("%s/%s", home, text + 2);
	else if (text[0] == '/')
		*out = dm_strdup(text);
	else
		return dm_fail(err, DM_USAGE, "\"%s\" is not an absolute path", text);
	/* one spelling for one directory: paths are compared and built upon */
	for (n = strlen(*out); n > 1 && (*out)[n - 1] == '/'; n--)
		(*out)[n - 1] = '\0';
	return true;
}

static bool
parse_address(const char *text, char **out, struct dm_err *err)
{
	struct dns_address address;

	if (!lan_address_parse(text, &address, err))
		return false;
	*out = dm_strdup(text);
	return true;
}

static bool
parse_ranges(const char *text, char **out, struct dm_err *err)
{
	struct lan_range ranges[LAN_CONFIGURED_MAX];
	size_t count = 0;

	if (!lan_ranges_parse(text, ranges, LAN_CONFIGURED_MAX, &count, err))
		return false;
	*out = dm_strdup(text);
	return true;
}

static bool
parse_bool(const char *text, bool *out, struct dm_err *err)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i % 2 == 1;
			return true;
		}
	}
	return dm_fail(err, DM_USAGE, "\"%s\" is neither yes nor no", text);
}

static bool
parse_choice(const struct conf_key *key, const char *text, int *out, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str list = dm_str_make(256);

	for (int i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(text, key->choices[i]) == 0) {
			*out = i;
			return true;
		}
		(void)dm_str_addf(&list, "%s%s", i == 0 ? "" : ", ", key->choices[i]);
	}
	return dm_fail(err, DM_USAGE, "\"%s\" is not one of: %s", text, list.data);
}

/* Parses `text` into the key's field, which must not hold anything yet. */
static bool
parse_value(struct conf *conf, const struct conf_key *key, const char *text, struct dm_err *err)
{
	void *field = field_of(conf, key);
	char domain[HOST_MAX + 1];
	uint64_t number;

	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return dm_fail(err, DM_USAGE, "the value holds a control character");
	}
	switch (key->type) {
	case CONF_DOMAIN:
		if (!domain_parse(text, domain, err))
			return false;
		*(char **)field = dm_strdup(domain);
		return true;
	case CONF_ADMIN:
		return parse_admin(text, field, err);
	case CONF_PATH:
		return parse_path(text, field, err);
	case CONF_ADDRESS:
		return parse_address(text, field, err);
	case CONF_RANGES:
		return parse_ranges(text, field, err);
	case CONF_WORD:
		*(char **)field = dm_strdup(text);
		return true;
	case CONF_NUMBER:
		if (!dm_parse_uint(text, key->min, key->max, &number))
			return dm_fail(err, DM_USAGE, "\"%s\" is not a number from %u to %u", text,
			    key->min, key->max);
		*(uint32_t *)field = (uint32_t)number;
		return true;
	case CONF_BOOL:
		return parse_bool(text, field, err);
	case CONF_CHOICE:
		return parse_choice(key, text, field, err);
	}
	return dm_fail(err, DM_FAILED, "unknown type of key %s", key->name);
}

static bool
is_text(const struct conf_key *key)
{
	return key->type <= CONF_WORD;
}

/* Replaces a key's value; an empty text unsets it. */
static bool
set_value(struct conf *conf, size_t i, const char *text, const char *origin, struct dm_err *err)
{
	const struct conf_key *key = &conf_keys[i];

	if (is_text(key)) {
		free(*(char **)field_of(conf, key));
		*(char **)field_of(conf, key) = NULL;
	}
	free(conf->values[i].text);
	free(conf->values[i].origin);
	conf->values[i].text = NULL;
	conf->values[i].origin = dm_strdup(origin);
	if (text[0] == '\0')
		text = key->fallback;
	if (text == NULL)
		return true;
	conf->values[i].text = dm_strdup(text);
	if (!parse_value(conf, key, text, err))
		return dm_wrap(err, "%s: %s.%s", origin, key->section, key->name);
	return true;
}

struct conf *
conf_new(void)
{
	struct conf *conf = dm_calloc(1, sizeof(*conf));
	struct dm_err err;

	conf->values = dm_calloc(conf_key_count, sizeof(*conf->values));
	for (size_t i = 0; i < conf_key_count; i++) {
		/* defaults parse: test_conf checks it */
		if (!set_value(conf, i, "", "default", &err))
			abort();
	}
	return conf;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf_key_count; i++) {
		if (is_text(&conf_keys[i]))
			free(*(char **)field_of(conf, &conf_keys[i]));
		free(conf->values[i].text);
		free(conf->values[i].origin);
	}
	free(conf->values);
	free(conf);
}

/* A text being fed to inih line by line: it counts them itself, and refuses cut ones. */
struct feed {
	struct conf *conf;
	const char *at, *end;
	const char *origin;
	unsigned line;
	bool *seen; /* keys set in this file */
	bool failed;
	struct dm_err *err;
};

static char *
next_line(char *buf, int size, void *stream)
{
	struct feed *feed = stream;
	const char *nl;
	size_t n, indent = 0;

	if (feed->failed || feed->at >= feed->end)
		return NULL;
	nl = memchr(feed->at, '\n', (size_t)(feed->end - feed->at));
	n = nl == NULL ? (size_t)(feed->end - feed->at) : (size_t)(nl - feed->at) + 1;
	feed->line++;
	if (n >= (size_t)size || memchr(feed->at, '\0', n) != NULL) {
		feed->failed = true;
		(void)dm_fail(feed->err, DM_USAGE, "%s:%u: %s", feed->origin, feed->line,
		    n >= (size_t)size ? "the line is too long" : "the line holds a NUL byte");
		return NULL;
	}
	/* without its indentation: inih would take an indented line for a continuation */
	while (indent < n && (feed->at[indent] == ' ' || feed->at[indent] == '\t'))
		indent++;
	memcpy(buf, feed->at + indent, n - indent);
	buf[n - indent] = '\0';
	feed->at += n;
	return buf;
}

/* The key a misspelt one was meant to be; NULL if none is near. */
static const struct conf_key *
nearest_key(const char *section, const char *name)
{
	const struct conf_key *best = NULL;
	unsigned best_distance = 3;

	for (size_t i = 0; i < conf_key_count; i++) {
		unsigned d = dm_edit_distance(conf_keys[i].name, name);

		if (strcmp(conf_keys[i].section, section) != 0)
			d++;
		if (d < best_distance) {
			best_distance = d;
			best = &conf_keys[i];
		}
	}
	return best;
}

static bool
fail_unknown(struct feed *feed, const char *section, const char *name)
{
	const struct conf_key *near = nearest_key(section, name);

	(void)dm_fail(feed->err, DM_USAGE, "%s:%u: there is no key \"%.60s\" in section [%.60s]",
	    feed->origin, feed->line, name, section);
	if (near != NULL)
		return dm_hint(feed->err, "perhaps %s in [%s]?", near->name, near->section);
	return dm_hint(feed->err, "devmesh config lists them all");
}

static bool
take_pair(struct feed *feed, const char *section, const char *name, const char *value)
{
	DM_AUTO_FREE char *where = dm_asprintf("%s:%u", feed->origin, feed->line);

	for (size_t i = 0; i < conf_key_count; i++) {
		if (strcmp(conf_keys[i].section, section) != 0 ||
		    strcmp(conf_keys[i].name, name) != 0)
			continue;
		if (feed->seen[i])
			return dm_fail(feed->err, DM_USAGE, "%s: %s.%s is set a second time", where,
			    section, name);
		feed->seen[i] = true;
		return set_value(feed->conf, i, value, where, feed->err);
	}
	return fail_unknown(feed, section, name);
}

/* inih's handler: 0 is an error. */
static int
on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct feed *feed = user;

	if (feed->failed)
		return 0;
	feed->failed = !take_pair(feed, section, name, value == NULL ? "" : value);
	return feed->failed ? 0 : 1;
}

bool
conf_parse_text(
    struct conf *conf, const char *text, size_t len, const char *origin, struct dm_err *err)
{
	DM_AUTO_FREE bool *seen = dm_calloc(conf_key_count, sizeof(*seen));
	struct feed feed = {.conf = conf,
	    .at = text,
	    .end = text + len,
	    .origin = origin,
	    .seen = seen,
	    .err = err};
	int line = ini_parse_stream(next_line, &feed, on_pair, &feed);

	/* inih goes on after a line that it cannot read: the first error is the one to report */
	if (feed.failed && (line <= 0 || (unsigned)line >= feed.line))
		return false;
	if (line != 0) {
		(void)dm_fail(err, DM_USAGE, "%s:%d: the line cannot be understood", origin,
		    line < 0 ? 0 : line);
		return dm_hint(err, "sections are [name], settings are key = value");
	}
	return true;
}

static bool
load_file(struct conf *conf, const char *path, bool must_exist, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(FILE_MAX);

	if (access(path, F_OK) != 0 && !must_exist)
		return true;
	if (!dm_read_file(path, &text, err)) {
		err->code = err->code == DM_DENIED ? DM_DENIED : DM_USAGE;
		return dm_wrap(err, "reading the configuration");
	}
	if (text.overflow)
		return dm_fail(err, DM_USAGE, "%s is larger than %d bytes", path, FILE_MAX);
	return conf_parse_text(conf, text.data, text.len, path, err);
}

static bool
load_environment(struct conf *conf, struct dm_err *err)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		DM_AUTO_FREE char *name = conf_env_name(&conf_keys[i]);
		DM_AUTO_FREE char *origin = dm_asprintf("environment %s", name);
		const char *value = getenv(name);

		if (value != NULL && value[0] != '\0' && !set_value(conf, i, value, origin, err))
			return false;
	}
	return true;
}

struct conf *
conf_load(const char *file, struct dm_err *err)
{
	dm_auto(conf) conf = conf_new();
	DM_AUTO_FREE char *user = dm_user_config_file();

	if (!load_file(conf, DEVMESH_SYSCONFDIR "/devmesh/config.ini", false, err) ||
	    (user != NULL && !load_file(conf, user, false, err)) ||
	    (file != NULL && !load_file(conf, file, true, err)) || !load_environment(conf, err))
		return NULL;
	/* either may come from another place, so it shows only now */
	if (conf->port_from > conf->port_to) {
		(void)dm_fail(err, DM_USAGE,
		    "daemon.port_from is %u, and daemon.port_to %u: no port lies between",
		    (unsigned)conf->port_from, (unsigned)conf->port_to);
		(void)dm_hint(err, "they are set in config.ini, or by DEVMESH_DAEMON_PORT_FROM and "
				   "DEVMESH_DAEMON_PORT_TO");
		return NULL;
	}
	return DM_STEAL(&conf);
}
