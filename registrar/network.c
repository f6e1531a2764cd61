/* SPDX-License-Identifier: MIT */
#include "network.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "out.h"

struct lan_wish
network_wish(const struct conf *conf)
{
	return (struct lan_wish){.enabled = conf->lan_enabled,
	    .interface = conf->lan_interface,
	    .address = conf->lan_address,
	    .ranges = conf->lan_ranges};
}

bool
network_look(const struct conf *conf, struct lan_state *out, struct dm_err *err)
{
	const struct lan_wish wish = network_wish(conf);
	struct netif_list list;

	if (!netif_read(&list, err))
		return false;
	lan_choose(&list, &wish, out);
	return true;
}

static void
add_address(cJSON *o, const char *key, bool has, const struct netif_address *address)
{
	char text[DNS_ADDRESS_TEXT];

	dns_address_text(&address->address, text);
	out_add_text(o, key, has ? text : NULL);
}

static void
add_number(cJSON *o, const char *key, bool has, double value)
{
	(void)cJSON_AddItemToObject(o, key, has ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

struct cJSON *
network_json(const struct lan_state *state, bool has_serial)
{
	cJSON *o = cJSON_CreateObject(), *ranges;
	char text[DNS_ADDRESS_TEXT], range[DNS_ADDRESS_TEXT + 5];

	(void)cJSON_AddBoolToObject(o, "enabled", state->enabled);
	out_add_text(o, "interface", state->has_address ? state->address.name : NULL);
	add_address(o, "address", state->has_address, &state->address);
	add_number(o, "prefix", state->has_address, state->address.prefix);
	add_address(o, "ipv6", state->has_ipv6, &state->ipv6);
	ranges = cJSON_AddArrayToObject(o, "ranges");
	for (size_t i = 0; i < state->range_count; i++) {
		dns_address_text(&state->ranges[i].network, text);
		(void)snprintf(range, sizeof(range), "%s/%u", text, state->ranges[i].prefix);
		(void)cJSON_AddItemToArray(ranges, cJSON_CreateString(range));
	}
	add_number(o, "serial", has_serial, state->serial);
	out_add_text(o, "problem", state->lack);
	return o;
}
