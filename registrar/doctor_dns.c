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

const char *
doctor_dns_words(const struct dns_reply *reply, char text[DNS_ADDRESS_TEXT])
{
	switch (reply->outcome) {
	case DNS_ANSWERED:
		dns_address_text(&reply->addresses[0], text);
		return text;
	case DNS_EMPTY:
		return "no address";
	case DNS_NO_NAME:
		return "no such name";
	case DNS_REFUSED:
		return "a refusal";
	case DNS_SILENT:
		break;
	}
	return "nothing";
}

bool
doctor_dns_filters(const struct dns_reply *reply, const struct dns_address *known)
{
	return reply->outcome == DNS_EMPTY && (known == NULL || dns_address_is_private(known));
}

void
doctor_say_filter(struct doctor *d, const char *server, const char *who, const char *name)
{
	doctor_say(d, DOCTOR_WARNING, "%s (%s) knows %s, and gives no address", server, who, name);
	doctor_why(d,
	    "it seems to filter private addresses (DNS rebinding): devices that ask there "
	    "cannot open the URLs");
	doctor_fix(d,
	    "allow %s there: OpenWrt LuCI Network, DHCP and DNS, \"Domain whitelist\"; dnsmasq "
	    "rebind-domain-ok=/%s/; Fritz!Box Home Network, Network, Network Settings, \"DNS "
	    "Rebind Protection\"; unbound and OPNsense private-domain",
	    d->domain, d->domain);
}

bool
doctor_answers_judge_filters(const struct doctor *d)
{
	return d->session != NULL && d->session->conf->lan_enabled;
}

void
doctor_judge_servers(
    struct doctor *d, const char *name, const struct dns_question *questions, size_t servers)
{
	const struct dns_address *known = NULL;
	char text[DNS_ADDRESS_TEXT];
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
		} else if (doctor_dns_filters(&pair[0].reply, known)) {
			if (!doctor_answers_judge_filters(d))
				doctor_say_filter(d, server, "which this machine asks", name);
		} else if (known != NULL) {
			doctor_say(d, DOCTOR_WARNING,
			    "the name server %s answers %s for %s, another one "
			    "gives an address",
			    server, doctor_dns_words(&pair[0].reply, text), name);
			doctor_why(d, "which of them is asked is chance: the URLs open sometimes");
			doctor_fix(
			    d, "make all name servers in %s know the domain", d->resolv_conf);
		}
	}
	if (silent == servers && servers > 0)
		doctor_say(d, DOCTOR_OK, "no name server answers: is there a network?");
}
