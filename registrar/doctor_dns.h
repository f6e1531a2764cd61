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

#endif
