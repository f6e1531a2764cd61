/* SPDX-License-Identifier: MIT */
#include "doctor_dns.h"

#include <string.h>

/* Whether a server gives the name an address, of either family; if so, the first one. */
static const struct dns_address *
address_of(const struct dns_question *pair)
{
	for (size_t i = 0; i < 2; i++) {
		if (pair[i].reply.outcome == DNS_ANSWERED)
			return &pair[i].reply.addresses[0];
	}
	return NULL;
}

static bool
is_silent(const struct dns_question *pair)
{
	return pair[0].reply.outcome == DNS_SILENT && pair[1].reply.outcome == DNS_SILENT;
}

static const char *
answer_of(const struct dns_question *pair)
{
	switch (pair[0].reply.outcome) {
	case DNS_ANSWERED:
		return "an address";
	case DNS_EMPTY:
		return "that the name has no address";
	case DNS_NO_NAME:
		return "that there is no such name";
	case DNS_REFUSED:
		return "with a refusal";
	case DNS_SILENT:
		break;
	}
	return "nothing";
}

/* It knows the name and gives no address: what a filter against rebinding makes of a private one.
 */
static void
say_filter(struct doctor *d, const char *name, const struct dns_question *pair,
    const struct dns_address *elsewhere)
{
	const char *server = pair[0].server.address;

	if (elsewhere != NULL)
		doctor_say(d, DOCTOR_WARNING,
		    "the name server %s answers %s for %s, another one gives a private address",
		    server, answer_of(pair), name);
	else
		doctor_say(d, DOCTOR_WARNING, "the name server %s knows %s, and gives no address",
		    server, name);
	doctor_why(d,
	    "it seems to filter private addresses (DNS rebinding): devices that ask it cannot "
	    "open the URLs");
	doctor_fix(d,
	    "allow the domain there: dnsmasq and OpenWrt rebind-domain-ok=/%s/, Fritz!Box "
	    "\"DNS-Rebind-Schutz\", unbound private-domain: %s",
	    d->domain, d->domain);
}

void
doctor_judge_servers(
    struct doctor *d, const char *name, const struct dns_question *questions, size_t servers)
{
	const struct dns_address *known = NULL;
	size_t silent = 0;

	for (size_t i = 0; i < servers && known == NULL; i++)
		known = address_of(&questions[2 * i]);
	for (size_t i = 0; i < servers; i++) {
		const struct dns_question *pair = &questions[2 * i];
		const char *server = pair[0].server.address;

		if (address_of(pair) != NULL)
			continue;
		if (is_silent(pair)) {
			silent++;
			doctor_say(d, DOCTOR_NOTE, "the name server %s does not answer", server);
			doctor_why(d, "each name that is asked of it first waits some seconds");
			doctor_fix(d, "remove it from %s, or see to the network", d->resolv_conf);
		} else if ((known != NULL && dns_address_is_private(known)) ||
			   (known == NULL && pair[0].reply.outcome == DNS_EMPTY &&
			       pair[1].reply.outcome == DNS_EMPTY)) {
			say_filter(d, name, pair, known);
		} else if (known != NULL) {
			doctor_say(d, DOCTOR_WARNING,
			    "the name server %s answers %s for %s, another one "
			    "gives an address",
			    server, answer_of(pair), name);
			doctor_why(d, "which of them is asked is chance: the URLs open sometimes");
			doctor_fix(
			    d, "make all name servers in %s know the domain", d->resolv_conf);
		}
	}
	if (silent == servers && servers > 0)
		doctor_say(d, DOCTOR_OK, "no name server answers: is there a network?");
}
