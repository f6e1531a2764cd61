/* SPDX-License-Identifier: MIT */
/* What the API tells of the name server. */
#include <cjson/cJSON.h>

#include "nameserver_impl.h"
#include "out.h"

static void
add_count(cJSON *o, const char *key, uint64_t value)
{
	(void)cJSON_AddNumberToObject(o, key, (double)value);
}

struct cJSON *
nameserver_document(const struct nameserver *server)
{
	const struct nameserver_counts *c = &server->counts;
	cJSON *o = cJSON_CreateObject(), *list, *one;
	bool answers = server->zone != NULL && server->endpoints != NULL;

	out_add_text(o, "domain", answers ? server->domain : NULL);
	(void)cJSON_AddItemToObject(
	    o, "serial", answers ? cJSON_CreateNumber(server->serial) : cJSON_CreateNull());
	list = cJSON_AddArrayToObject(o, "listening");
	for (const struct endpoint *e = server->endpoints; e != NULL; e = e->next) {
		char text[DNS_ADDRESS_TEXT];

		dns_address_text(&e->pair.address, text);
		one = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(one, "address", text);
		(void)cJSON_AddNumberToObject(one, "port", e->pair.port);
		(void)cJSON_AddBoolToObject(one, "passed", e->pair.passed);
		out_add_text(one, "why", e->why);
		(void)cJSON_InsertItemInArray(list, 0, one);
	}
	list = cJSON_AddArrayToObject(o, "problems");
	for (size_t i = 0; i < server->problem_count; i++)
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(server->problems[i]));
	add_count(o, "connections", c->connections);
	add_count(o, "answered", c->answered);
	add_count(o, "refused", c->refused);
	add_count(o, "malformed", c->malformed);
	add_count(o, "dropped", c->dropped);
	add_count(o, "foreign", c->foreign);
	add_count(o, "limited", c->limited);
	add_count(o, "turned_away", c->turned_away);
	return o;
}
