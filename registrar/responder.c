/* SPDX-License-Identifier: MIT */
#include "responder.h"

#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

char *
responder_fresh_name(const char *zone)
{
	return dm_asprintf("devmesh-%06x.%s", (unsigned)(dm_random() & 0xffffff), zone);
}

bool
responder_is_reply(const struct dns_reply *reply)
{
	return reply->outcome == DNS_ANSWERED && reply->authoritative && !reply->recursive;
}

/* Whether a program without privileges may listen on port 53 (ip(7)); false where nobody says. */
static bool
usual_port_is_free_for_all(void)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(64);
	struct dm_err ignored;
	uint64_t from;

	if (!dm_read_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", &text, &ignored))
		return false;
	text.data[strcspn(text.data, "\n")] = '\0';
	return dm_parse_uint(text.data, 0, UINT16_MAX, &from) && from <= RESPONDER_PORT;
}

bool
responder_is_other_zone(const struct dns_reply *reply)
{
	return reply->outcome == DNS_REFUSED && !reply->recursive;
}

void
responder_look(const struct conf *conf, const char *zone, int64_t timeout_ms, struct responder *out)
{
	DM_AUTO_FREE char *name = responder_fresh_name(zone);
	uint16_t ports[2] = {(uint16_t)conf->dns_port};
	struct dns_question questions[2];
	size_t count = 1;

	memset(out, 0, sizeof(*out));
	if (ports[0] == 0) {
		bool usual = usual_port_is_free_for_all();

		ports[0] = usual ? RESPONDER_PORT : RESPONDER_OTHER_PORT;
		ports[1] = usual ? RESPONDER_OTHER_PORT : RESPONDER_PORT;
		count = 2;
	}
	for (size_t i = 0; i < count; i++)
		questions[i] = (struct dns_question){
		    {RESPONDER_ADDRESS, ports[i]}, DNS_TYPE_A, {.outcome = DNS_SILENT}};
	dns_ask(name, questions, count, timeout_ms);
	out->port = ports[0];
	for (size_t i = 0; i < count; i++) {
		const struct dns_reply *reply = &questions[i].reply;

		if (responder_is_reply(reply) && dns_address_is_ours(&reply->addresses[0])) {
			out->port = ports[i];
			out->answers = true;
			out->other_zone = false;
			return;
		}
		if (responder_is_other_zone(reply) && !out->other_zone) {
			out->port = ports[i];
			out->other_zone = true;
		}
	}
}
