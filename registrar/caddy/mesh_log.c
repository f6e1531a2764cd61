/* SPDX-License-Identifier: MIT */
#include "caddy/mesh_log.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* What Caddy calls the log, and the logger of the requests that go to it. */
#define LOG    "requests"
#define LOGGER "http.log.access." LOG

enum {
	ROLL_MB = 4, /* then it becomes another file, of which one is kept */
	ROLL_KEEP = 1
};

/*
 * A URI is a path, mostly. What comes before one, which may hold a password (RFC 9112 §3.2), and
 * what comes behind it is cut: a query, a fragment, parameters of the path ("/a;jsessionid=..."),
 * and what would be that if it had not been encoded once too often.
 */
#define CUT "(?is)^[a-z][a-z0-9+.-]*://[^/?#]*|^[^/?#]*@|([?#;]|%(25)?(3f|23|3b)).*$"

static void
add_filter(cJSON *fields, const char *field, const char *filter)
{
	(void)cJSON_AddStringToObject(cJSON_AddObjectToObject(fields, field), "filter", filter);
}

static cJSON *
encoder(void)
{
	/* "client_ip" and "user_id" are of later versions; what is not there is not missed */
	static const char *const never[] = {"request>headers", "request>tls", "request>remote_port",
	    "request>client_ip", "resp_headers", "user_id"};
	cJSON *o = cJSON_CreateObject(), *fields, *uri;

	(void)cJSON_AddStringToObject(o, "format", "filter");
	(void)cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "wrap"), "format", "json");
	fields = cJSON_AddObjectToObject(o, "fields");
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		add_filter(fields, never[i], "delete");
	add_filter(fields, "request>uri", "regexp");
	uri = cJSON_GetObjectItemCaseSensitive(fields, "request>uri");
	(void)cJSON_AddStringToObject(uri, "regexp", CUT);
	(void)cJSON_AddStringToObject(uri, "value", "");
	return o;
}

static void
add_text_list(cJSON *o, const char *key, const char *text)
{
	(void)cJSON_AddItemToArray(cJSON_AddArrayToObject(o, key), cJSON_CreateString(text));
}

struct cJSON *
mesh_logging(const char *level, const char *path)
{
	cJSON *o = cJSON_CreateObject(), *logs = cJSON_AddObjectToObject(o, "logs"), *log, *writer;

	log = cJSON_AddObjectToObject(logs, "default");
	(void)cJSON_AddStringToObject(log, "level", level);
	(void)cJSON_AddItemToObject(log, "encoder", encoder());
	if (path == NULL)
		return o;
	add_text_list(log, "exclude", LOGGER);
	log = cJSON_AddObjectToObject(logs, LOG);
	writer = cJSON_AddObjectToObject(log, "writer");
	(void)cJSON_AddStringToObject(writer, "output", "file");
	(void)cJSON_AddStringToObject(writer, "filename", path);
	(void)cJSON_AddNumberToObject(writer, "roll_size_mb", ROLL_MB);
	(void)cJSON_AddNumberToObject(writer, "roll_keep", ROLL_KEEP);
	/* whoever reads it may be behind by one file */
	(void)cJSON_AddBoolToObject(writer, "roll_gzip", false);
	(void)cJSON_AddItemToObject(log, "encoder", encoder());
	add_text_list(log, "include", LOGGER);
	return o;
}

struct cJSON *
mesh_server_logs(void)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "default_logger_name", LOG);
	return o;
}

struct cJSON *
mesh_unlogged(void)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "handler", "vars");
	/* the name until 2.7, and from 2.8 on */
	(void)cJSON_AddBoolToObject(o, "skip_log", true);
	(void)cJSON_AddBoolToObject(o, "log_skip", true);
	return o;
}
