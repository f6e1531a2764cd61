/* SPDX-License-Identifier: MIT */
/*
 * Any text as a configuration file: either an error that names the file, or values of the types
 * and in the ranges of the table.
 */
#include "fuzz.h"

#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "model/host.h"
#include "model/lan_choice.h"

static void
check_text(const struct conf_key *key, const char *text)
{
	struct lan_range ranges[LAN_CONFIGURED_MAX];
	struct dns_address address;
	char domain[HOST_MAX + 1];
	struct dm_err err;
	size_t count = 0;

	if (text == NULL) {
		MUST(key->fallback == NULL);
		return;
	}
	for (const char *p = text; *p != '\0'; p++)
		MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
	MUST(key->type != CONF_DOMAIN || domain_parse(text, domain, &err));
	MUST(key->type != CONF_PATH ||
	     (text[0] == '/' && (text[1] == '\0' || !dm_ends_with(text, "/"))));
	MUST(key->type != CONF_ADMIN || dm_starts_with(text, "http://") ||
	     dm_starts_with(text, "unix:///"));
	MUST(key->type != CONF_ADDRESS || lan_address_parse(text, &address, &err));
	MUST(key->type != CONF_RANGES ||
	     lan_ranges_parse(text, ranges, LAN_CONFIGURED_MAX, &count, &err));
}

static void
check_field(const struct conf *conf, const struct conf_key *key)
{
	const void *field = (const char *)conf + key->offset;
	const char *text;
	uint32_t number;
	int choice;

	switch (key->type) {
	case CONF_DOMAIN:
	case CONF_ADMIN:
	case CONF_PATH:
	case CONF_ADDRESS:
	case CONF_RANGES:
	case CONF_WORD:
		memcpy(&text, field, sizeof(text));
		check_text(key, text);
		break;
	case CONF_NUMBER:
		memcpy(&number, field, sizeof(number));
		MUST(number >= key->min && number <= key->max);
		break;
	case CONF_BOOL:
		MUST(*(const unsigned char *)field <= 1);
		break;
	case CONF_CHOICE:
		memcpy(&choice, field, sizeof(choice));
		MUST(choice >= 0 && choice < 3 && key->choices[choice] != NULL);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	dm_auto(conf) conf = conf_new();
	struct dm_err err;

	MUST(setenv("HOME", "/home/fuzz", 1) == 0);
	if (!conf_parse_text(conf, (const char *)data, size, "fuzz.ini", &err)) {
		MUST(err.code == DM_USAGE && dm_starts_with(err.msg, "fuzz.ini:"));
		return 0;
	}
	for (size_t i = 0; i < conf_key_count; i++) {
		MUST(conf->values[i].origin != NULL);
		check_field(conf, &conf_keys[i]);
	}
	return 0;
}
