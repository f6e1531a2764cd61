/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "out.h"

static void
print_json(const struct conf *conf)
{
	cJSON *o = out_object(), *list = cJSON_AddArrayToObject(o, "keys");

	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_value *value = &conf->values[i];
		DM_AUTO_FREE char *env = conf_env_name(&conf_keys[i]);
		cJSON *key = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(key, "section", conf_keys[i].section);
		(void)cJSON_AddStringToObject(key, "name", conf_keys[i].name);
		out_add_text(key, "value", value->text);
		(void)cJSON_AddStringToObject(key, "origin", value->origin);
		(void)cJSON_AddStringToObject(key, "environment", env);
		(void)cJSON_AddStringToObject(key, "help", conf_keys[i].help);
		(void)cJSON_AddItemToArray(list, key);
	}
	out_json(o);
}

/* As a configuration file: what it prints, it would also read. */
static void
print_ini(const struct conf *conf)
{
	const char *section = "";

	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		const struct conf_value *value = &conf->values[i];

		if (strcmp(section, key->section) != 0)
			(void)printf("%s[%s]\n", i == 0 ? "" : "\n", key->section);
		section = key->section;
		if (value->text == NULL)
			(void)printf("; %s =\n", key->name);
		else
			(void)printf("; %s\n%s = %s\n", value->origin, key->name, value->text);
	}
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	(void)err;
	if (ctx->line->json)
		print_json(ctx->session->conf);
	else
		print_ini(ctx->session->conf);
	return true;
}

extern const struct cmd cmd_config;
const struct cmd cmd_config = {
    .name = "config",
    .args = "",
    .summary = "print the configuration in force, and where each value comes from",
    .run = run,
};
