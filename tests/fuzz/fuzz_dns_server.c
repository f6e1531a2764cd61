/* SPDX-License-Identifier: MIT */
/*
 * Any packet as a question to the name server: the first byte chooses how it came, the others are
 * the message; and once more behind the head of a good question, so that what follows one is
 * reached too. What comes back is a reply to it, small enough, and the same the next time.
 */
#include "fuzz.h"

#include <string.h>

#include "base/dns.h"
#include "dns_answer.h"
#include "dns_memo.h"

enum {
	MESSAGE_MAX = 65535
};

static void
check(const struct dns_zone *zone, const struct dns_asked *asked, const uint8_t *query, size_t len)
{
	struct dns_memo *memo = dns_memo_new();
	uint8_t reply[DNS_REPLY_MAX], again[DNS_REPLY_MAX];
	enum dns_verdict verdict, same = DNS_VERDICT_DROPPED;
	struct dns_reply read;
	size_t n = dns_answer(zone, asked, query, len, reply, &verdict), kept;

	MUST((n == 0) == (verdict == DNS_VERDICT_DROPPED));
	MUST((n == 0) == (len < 12 || (query[2] & 0x80) != 0));
	if (n > 0) {
		MUST(n >= 12 && n <= DNS_REPLY_MAX);
		/* no amplification worth the name */
		MUST(n <= len + 320);
		MUST(memcmp(reply, query, 2) == 0);
		MUST((reply[2] & 0x80) != 0 && (reply[2] & 0x79) == (query[2] & 0x79));
		MUST((reply[3] & 0xf0) == 0);
		MUST(reply[5] <= 1 && reply[4] == 0);
		/* authoritative for what is answered alone */
		MUST(((reply[2] & 0x04) != 0) == (verdict == DNS_VERDICT_ANSWERED));
		MUST(verdict == DNS_VERDICT_ANSWERED || (reply[7] == 0 && reply[9] == 0));
		/* the other half of DNS here, which reads replies, takes it */
		if (verdict == DNS_VERDICT_ANSWERED && reply[5] == 1) {
			size_t question = 12;

			while (query[question] != 0)
				question += 1u + query[question];
			question += 5;
			MUST(memcmp(reply + 12, query + 12, question - 12) == 0);
			MUST(dns_reply_parse(query, question, reply, n, &read));
		}
	}
	dns_memo_keep(memo, query, len, reply, n, verdict);
	kept = dns_memo_find(memo, query, len, again, &same);
	MUST(kept == 0 || (kept == n && same == verdict && memcmp(reply, again, n) == 0));
	dns_memo_free(memo);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t head[] = "\0\7\1\0\0\1\0\0\0\0\0\1\1x\3dev\7example\3com\0\0\1\0\1";
	struct dns_asked asked = {.ipv4 = {192, 168, 1, 10}, .max = DNS_REPLY_MAX};
	dm_auto(dns_zone) zone = NULL;
	DM_AUTO_FREE uint8_t *message = NULL;
	size_t n = sizeof(head) - 1;

	if (size < 1 || size > MESSAGE_MAX - n)
		return 0;
	asked.tcp = (data[0] & 1) != 0;
	asked.has_ipv6 = (data[0] & 2) != 0;
	zone = dns_zone_new("dev.example.com", 1 + (data[0] >> 2) % 4, data[0]);
	/* exactly as large as it is: a sanitizer sees one byte too far */
	message = dm_calloc(1, size);
	memcpy(message, data + 1, size - 1);
	message = dm_reallocarray(message, 1, size > 1 ? size - 1 : 1);
	check(zone, &asked, message, size - 1);
	message = dm_reallocarray(message, 1, n + size - 1);
	memcpy(message, head, n);
	memcpy(message + n, data + 1, size - 1);
	check(zone, &asked, message, n + size - 1);
	return 0;
}
