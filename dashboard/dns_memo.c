/* SPDX-License-Identifier: MIT */
#include "dns_memo.h"

#include <stdlib.h>
#include <string.h>

enum {
	ID = 2, /* bytes of the message id, in front of everything */
};

struct slot {
	size_t len, reply_len; /* 0: empty */
	enum dns_verdict verdict;
	uint8_t question[DNS_MEMO_QUESTION_MAX], reply[DNS_MEMO_REPLY_MAX];
};

struct dns_memo {
	struct slot slots[DNS_MEMO_SLOTS];
};

struct dns_memo *
dns_memo_new(void)
{
	return dm_calloc(1, sizeof(struct dns_memo));
}

void
dns_memo_free(struct dns_memo *memo)
{
	free(memo);
}

void
dns_memo_clear(struct dns_memo *memo)
{
	for (size_t i = 0; i < DNS_MEMO_SLOTS; i++)
		memo->slots[i].len = 0;
}

/* FNV-1a, of everything but the id. Who makes slots collide makes his own answers slower. */
static size_t
slot_of(const uint8_t *query, size_t len)
{
	uint32_t hash = 2166136261U;

	for (size_t i = ID; i < len; i++)
		hash = (hash ^ query[i]) * 16777619U;
	return (hash ^ hash >> 16) % DNS_MEMO_SLOTS;
}

size_t
dns_memo_find(const struct dns_memo *memo, const uint8_t *query, size_t len,
    uint8_t out[DNS_REPLY_MAX], enum dns_verdict *verdict)
{
	const struct slot *slot;

	if (len <= ID || len > DNS_MEMO_QUESTION_MAX)
		return 0;
	slot = &memo->slots[slot_of(query, len)];
	if (slot->len != len || memcmp(slot->question + ID, query + ID, len - ID) != 0)
		return 0;
	memcpy(out, query, ID);
	memcpy(out + ID, slot->reply + ID, slot->reply_len - ID);
	*verdict = slot->verdict;
	return slot->reply_len;
}

void
dns_memo_keep(struct dns_memo *memo, const uint8_t *query, size_t len, const uint8_t *reply,
    size_t reply_len, enum dns_verdict verdict)
{
	struct slot *slot;

	if (len <= ID || len > DNS_MEMO_QUESTION_MAX || reply_len <= ID ||
	    reply_len > DNS_MEMO_REPLY_MAX)
		return;
	slot = &memo->slots[slot_of(query, len)];
	memcpy(slot->question, query, len);
	memcpy(slot->reply, reply, reply_len);
	slot->len = len;
	slot->reply_len = reply_len;
	slot->verdict = verdict;
}
