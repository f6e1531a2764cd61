/* SPDX-License-Identifier: MIT */
/* What the answers of several name servers to one question say about them. */
#ifndef DEVMESH_DOCTOR_DNS_H
#define DEVMESH_DOCTOR_DNS_H

#include "base/dns.h"
#include "doctor.h"

/*
 * Two answered questions (A, then AAAA) for each of `servers` name servers: says which of them do
 * not answer, disagree with the others, or seem to drop private addresses.
 */
void doctor_judge_servers(
    struct doctor *d, const char *name, const struct dns_question *questions, size_t servers);

/* "192.168.1.10", "no such name": what a server says. */
const char *doctor_dns_words(const struct dns_reply *reply, char text[DNS_ADDRESS_TEXT]);

/*
 * Whether a server knows the name and gives no address, as a filter against rebinding makes it of a
 * private one. `known` is what another server gives; NULL: nothing is known.
 */
bool doctor_dns_filters(const struct dns_reply *reply, const struct dns_address *known);
void doctor_say_filter(struct doctor *d, const char *server, const char *who, const char *name);
/* Whether dns-answers tells of filters, since other devices are to get here. */
bool doctor_answers_judge_filters(const struct doctor *d);

#endif
