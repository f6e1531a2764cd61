/* SPDX-License-Identifier: MIT */
/*
 * Any packet as a DNS answer: the first byte chooses how much of a matching head is put in front,
 * so that the records are reached too. And the same bytes as a resolv.conf.
 */
#include "fuzz.h"

#include <string.h>

#include "base/dns.h"
#include "base/mem.h"

static void
check_reply(const struct dns_reply *reply, bool taken)
{
	char text[DNS_ADDRESS_TEXT];

	MUST(reply->count <= DNS_ADDRESSES_MAX);
	MUST(taken || (reply->outcome == DNS_SILENT && reply->count == 0));
	MUST((reply->outcome == DNS_ANSWERED) <= (reply->count > 0));
	for (size_t i = 0; i < reply->count; i++) {
		dns_address_text(&reply->addresses[i], text);
		MUST(text[0] != '\0');
		(void)dns_address_is_private(&reply->addresses[i]);
		(void)dns_address_is_loopback(&reply->addresses[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	uint8_t query[DNS_QUERY_MAX], packet[DNS_ANSWER_MAX];
	struct dns_reply reply;
	struct dns_servers servers;
	size_t n, head;

	dns_servers_parse(text, &servers);
	MUST(servers.count <= DNS_SERVERS_MAX);
	for (size_t i = 0; i < servers.count; i++)
		MUST(servers.list[i].address[0] != '\0' && servers.list[i].port == 53);
	(void)!dns_query(text, DNS_TYPE_A, 1, query);

	n = dns_query(
	    "x.dev.example", size > 0 && data[0] % 2 ? DNS_TYPE_A : DNS_TYPE_AAAA, 1, query);
	MUST(n > 0);
	check_reply(&reply, dns_reply_parse(query, n, data, size, &reply));
	if (size < 3 || size > sizeof(packet) - n)
		return 0;
	head = n;
	memcpy(packet, query, head);
	packet[2] |= 0x80;
	packet[3] = data[1];
	packet[7] = data[2];
	memcpy(packet + head, data + 3, size - 3);
	check_reply(&reply, dns_reply_parse(query, n, packet, head + size - 3, &reply));
	return 0;
}
