/* SPDX-License-Identifier: MIT */
/*
 * The doctor on the way of other devices to this machine: who gives them its address, and whether
 * they get there with it. Nothing of this is sent further than to the network's own servers, unless
 * ask_public is set.
 */
#ifndef DEVMESH_DOCTOR_LAN_H
#define DEVMESH_DOCTOR_LAN_H

#include "base/dns.h"
#include "doctor.h"
#include "model/lan_choice.h"

/* doctor_installed.c */
void doctor_check_dns_installed(struct doctor *d);
void doctor_check_dns_challenge(struct doctor *d);
/* doctor_answers.c */
void doctor_check_dns_answers(struct doctor *d);
/* doctor_port.c */
void doctor_check_dns_port(struct doctor *d);
void doctor_check_phone_port(struct doctor *d);
/* doctor_firewall.c */
void doctor_check_firewall(struct doctor *d);
/* doctor_lan.c */
void doctor_check_lan(struct doctor *d);
/* doctor_phone.c */
void doctor_check_phone_certificate(struct doctor *d);
/* doctor_share.c */
void doctor_check_gate(struct doctor *d);
/* doctor_servers.c */
void doctor_check_servers(struct doctor *d);
/* doctor_daemon.c */
void doctor_check_daemon(struct doctor *d);
void doctor_check_record(struct doctor *d);
void doctor_check_mdns(struct doctor *d);

/*
 * How other devices get here, if they are to at all and there is an address for that. Else false,
 * and the check counts as left out.
 */
bool doctor_lan_state(struct doctor *d, struct lan_state *out) DM_MUST;

/*
 * What devmesh dns has installed: its text, if it is there and as it was written, and the path that
 * it is or would be at. The caller owns both.
 */
char *doctor_dns_installed(const struct doctor *d, char **path) DM_MUST;
/*
 * Whether Caddy's configuration has a DNS challenge, for names of the zone, that asks the system's
 * resolver. Pure.
 */
bool doctor_challenge_lacks_resolvers(const struct cJSON *config, const char *zone);

/* Why a name server is asked. */
enum doctor_role {
	ROLE_SYSTEM,   /* in resolv.conf: this machine asks it */
	ROLE_UPSTREAM, /* systemd-resolved asks it: what the network has said */
	ROLE_ROUTER,
	ROLE_OURS, /* devmeshd, on the loopback address */
	ROLE_OURS_LAN,
	ROLE_PUBLIC,
};

struct doctor_asked {
	enum doctor_role role;
	struct dns_question question; /* answered; of type A */
};

/* What is to be judged of them. Everything is borrowed. */
struct doctor_answers {
	const char *name; /* that was asked for */
	const struct doctor_asked *list;
	size_t count;
	const struct lan_state *lan; /* NULL: other devices are not to get here */
	bool ours_expected;	     /* somebody relies on devmeshd's answers */
	bool has_record;	     /* devmeshd keeps a public record: [record] */
};

/* Says which answers differ from what a device needs, and who is not asked at all. */
void doctor_judge_answers(struct doctor *d, const struct doctor_answers *answers);

/*
 * Whether ufw(8)'s user.rules let new connections of the network of that IPv4 address, of this
 * machine's interface, in to it, by the lines
 * "### tuple ### allow tcp 443 0.0.0.0/0 any 10.0.0.0/8 in". Pure.
 */
bool doctor_ufw_allows(const char *rules, const char *protocol, uint16_t port,
    const struct dns_address *ours, const char *interface);
/* Whether a list of firewalld(1)'s, "1025-65535/tcp 53/udp", has the port. Pure. */
bool doctor_firewalld_has(const char *list, const char *protocol, uint16_t port);

#endif
