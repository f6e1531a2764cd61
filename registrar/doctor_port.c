/* SPDX-License-Identifier: MIT */
/*
 * The doctor on the ports of devmeshd: 53, as phones ask no other and several programs like to have
 * it, and that of the page that sets up a phone.
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/netif.h"
#include "base/proc.h"
#include "base/str.h"
#include "ctl/ctl.h"
#include "doctor_lan.h"
#include "doctor_text.h"
#include "responder.h"

enum {
	ASK_MS = 500,
	PAGE_MS = 1000,
};

/* Programs that have port 53, by name, and how each is told to leave an address alone. */
static const struct {
	const char *name, *fix;
} known[] = {
    {"dnsmasq", "in dnsmasq.conf: bind-interfaces, and except-interface= that of this address; or "
		"let it have it, and add what devmesh dns install --resolver dnsmasq prints"},
    {"systemd-resolve",
	"in /etc/systemd/resolved.conf: remove this address from DNSStubListenerExtra="},
    {"named", "in named.conf: listen-on without this address"},
    {"unbound", "in unbound.conf: interface: without this address"},
    {"docker-proxy", "publish the container's port 53 on 127.0.0.1 only"},
    {"pihole-FTL", "let it have it, and put what devmesh dns install --resolver dnsmasq prints "
		   "into /etc/dnsmasq.d"},
};

/* The program at the port: its own name or, where it is another user's, the only one likely. */
static char *
name_of(const struct dm_listener *l, pid_t *pid)
{
	struct dm_pids all = {.count = 0};
	char *found = NULL;

	*pid = l->pid;
	if (l->pid != 0)
		return dm_proc_name(l->pid);
	dm_proc_all(&all);
	for (size_t i = 0; i < all.count && found == NULL; i++) {
		DM_AUTO_FREE char *name = dm_proc_name(all.list[i]);

		for (size_t k = 0; name != NULL && k < sizeof(known) / sizeof(known[0]); k++) {
			if (strcmp(name, known[k].name) == 0) {
				*pid = all.list[i];
				found = DM_STEAL(&name);
				break;
			}
		}
	}
	dm_pids_release(&all);
	return found;
}

static struct dns_address
address_of(const struct dm_listener *l)
{
	struct dns_address a = {.ipv6 = l->ipv6};

	memcpy(a.bytes, l->address, l->ipv6 ? 16 : 4);
	return a;
}

static bool
is_any(const struct dns_address *a)
{
	static const uint8_t zero[16];

	return memcmp(a->bytes, zero, a->ipv6 ? 16 : 4) == 0;
}

/* What is at port 53 of an address that devmeshd does not need is only mentioned. */
static void
say_harmless(struct doctor *d, const struct dm_listener *l, const char *protocol)
{
	struct dns_address a = address_of(l);
	char text[DNS_ADDRESS_TEXT];
	pid_t pid;
	DM_AUTO_FREE char *name = name_of(l, &pid);

	dns_address_text(&a, text);
	doctor_say(d, DOCTOR_OK, "port 53 (%s) of %s is %s's, which is not in the way", protocol,
	    text, name == NULL ? "another program" : name);
}

static void
say_taken(struct doctor *d, const struct dm_listener *l, const char *protocol, const char *ours)
{
	struct dns_address a = address_of(l);
	char text[DNS_ADDRESS_TEXT];
	pid_t pid;
	DM_AUTO_FREE char *name = name_of(l, &pid);

	dns_address_text(&a, text);
	if (pid == 0)
		doctor_say(d, DOCTOR_WARNING,
		    "port 53 (%s) of %s is taken by another user's "
		    "program",
		    protocol, text);
	else
		doctor_say(d, DOCTOR_WARNING, "port 53 (%s) of %s is taken by %s%s, pid %ld",
		    protocol, text, l->pid == 0 ? "another user's program, perhaps " : "",
		    name == NULL ? "?" : name, (long)pid);
	doctor_why(d,
	    "phones ask port 53 of %s, and devmeshd cannot have it: its names are not "
	    "found",
	    ours);
	doctor_fix(d, "sudo ss -lnp 'sport = :53'");
	for (size_t i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0)
			doctor_fix(d, "%s", known[i].fix);
	}
}

/* devmeshd's own sockets are there as well when it answers. */
static bool
is_devmeshd(const struct dm_listener *l)
{
	DM_AUTO_FREE char *name = l->pid == 0 ? NULL : dm_proc_name(l->pid);

	return name != NULL && strcmp(name, "devmeshd") == 0;
}

/* Whether one of the sockets is in the way; the others are mentioned. */
static bool
judge(struct doctor *d, const struct dm_listeners *list, const char *protocol, const char *ours,
    const struct lan_state *lan)
{
	bool taken = false;

	for (size_t i = 0; i < list->count; i++) {
		struct dns_address a = address_of(&list->list[i]);

		if (is_devmeshd(&list->list[i]))
			continue;
		if (!is_any(&a) && !dns_address_same(&a, &lan->address.address)) {
			say_harmless(d, &list->list[i], protocol);
			continue;
		}
		say_taken(d, &list->list[i], protocol, ours);
		taken = true;
	}
	return taken;
}

static void
say_other_zone(struct doctor *d, const char *ours)
{
	doctor_say(d, DOCTOR_WARNING,
	    "what answers on port 53 of %s answers for another domain than %s", ours, d->domain);
	doctor_why(d, "phones ask this port only: the names of the domain are not found");
	doctor_fix(d, "devmesh daemon restart");
}

/* Whether the system keeps the port from the programs of a user. */
static bool
is_roots_port(void)
{
	DM_AUTO_FREE char *text = doctor_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", 64);
	uint64_t from;

	if (text == NULL || geteuid() == 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return dm_parse_uint(text, 0, UINT16_MAX, &from) && from > RESPONDER_PORT;
}

/* Nobody has it: perhaps devmeshd may not. */
static void
say_free(struct doctor *d, const char *ours)
{
	const struct conf *conf = d->session->conf;
	struct responder r;

	responder_look(conf, d->domain, doctor_time(d, RESPONDER_MS), &r);
	if (r.answers)
		doctor_say(d, DOCTOR_WARNING,
		    "nobody answers on port 53 of %s, though devmeshd does at " RESPONDER_ADDRESS
		    ":%u",
		    ours, (unsigned)r.port);
	else
		doctor_say(d, DOCTOR_WARNING, "nobody answers on port 53 of %s", ours);
	doctor_why(d, "phones ask this port only: devmeshd's names are not found");
	if (conf->dns_port != 0 && conf->dns_port != RESPONDER_PORT)
		doctor_fix(d, "remove [dns] port, which is %u, from the configuration",
		    (unsigned)conf->dns_port);
	else if (is_roots_port())
		doctor_fix(d, "let a user's program have it: echo "
			      "net.ipv4.ip_unprivileged_port_start=53 | sudo tee "
			      "/etc/sysctl.d/50-devmesh.conf; sudo sysctl --system; devmesh daemon "
			      "restart");
	else
		doctor_fix(d, "devmesh daemon restart    (its log says what is in the way)");
}

void
doctor_check_dns_port(struct doctor *d)
{
	static const uint16_t port = RESPONDER_PORT;
	const struct conf *conf = d->session->conf;
	struct dm_listeners udp = {.count = 0}, tcp = {.count = 0};
	DM_AUTO_FREE char *name = responder_fresh_name(d->domain);
	struct dns_question question = {.type = DNS_TYPE_A};
	struct lan_state lan = {.lack = NULL};
	char ours[DNS_ADDRESS_TEXT];
	bool taken;

	if (!doctor_lan_state(d, &lan))
		return;
	if (!conf->dns_enabled) {
		doctor_skip(d, "[dns] enabled is no");
		return;
	}
	dns_address_text(&lan.address.address, ours);
	dns_address_text(&lan.address.address, question.server.address);
	question.server.port = port;
	dns_ask(name, &question, 1, doctor_time(d, ASK_MS));
	dm_proc_of_udp_port(port, &udp);
	dm_proc_of_ports(&port, 1, &tcp);
	if (responder_is_reply(&question.reply)) {
		doctor_say(d, DOCTOR_OK, "devmeshd answers on port 53 of %s", ours);
	} else {
		/* of a program that has both, one is enough to say */
		taken = judge(d, &udp, "UDP", ours, &lan) || judge(d, &tcp, "TCP", ours, &lan);
		if (!taken && responder_is_other_zone(&question.reply))
			say_other_zone(d, ours);
		else if (!taken)
			say_free(d, ours);
	}
	dm_listeners_release(&udp);
	dm_listeners_release(&tcp);
}

/* ---- the phone page ------------------------------------------------------------------------ */

/* Whether devmeshd serves its page; *said (owned) is where, or why not; NULL: it is silent. */
static bool
page_is_served(struct doctor *d, char **said)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	dm_auto(ctl) ctl = NULL;
	struct dm_err ignored;
	const cJSON *page, *problem;

	if (!session_need_state_dir(d->session, &ignored) ||
	    (ctl = ctl_open(d->session->state_dir, doctor_time(d, PAGE_MS), &ignored)) == NULL ||
	    !ctl_ask(
		ctl, "GET", "/control/phone", NULL, doctor_time(d, PAGE_MS), &reply, &ignored) ||
	    reply.status >= 400)
		return false;
	page = cJSON_GetObjectItemCaseSensitive(reply.body, "page");
	problem = cJSON_GetObjectItemCaseSensitive(reply.body, "problem");
	*said = dm_strdup(cJSON_IsString(page)	    ? page->valuestring
			  : cJSON_IsString(problem) ? problem->valuestring
						    : "it does not say why");
	return cJSON_IsString(page);
}

static void
say_page_taken(struct doctor *d, const struct dm_listener *l, const char *ours)
{
	unsigned port = (unsigned)d->session->conf->phone_port;
	struct dns_address a = address_of(l);
	char text[DNS_ADDRESS_TEXT];
	DM_AUTO_FREE char *name = l->pid == 0 ? NULL : dm_proc_name(l->pid);

	dns_address_text(&a, text);
	if (name == NULL)
		doctor_say(d, DOCTOR_WARNING,
		    "port %u of %s, of the page for phones, is taken by another user's program",
		    port, text);
	else
		doctor_say(d, DOCTOR_WARNING,
		    "port %u of %s, of the page for phones, is taken by %s, pid %ld", port, text,
		    name, (long)l->pid);
	doctor_why(
	    d, "devmeshd cannot serve http://%s:%u/phone: no phone can be set up", ours, port);
	if (name == NULL)
		doctor_fix(d,
		    "set [lan] phone_port to another one, then devmesh daemon restart; whose "
		    "program it is tells: sudo ss -ltnp 'sport = :%u'",
		    port);
	else
		doctor_fix(d,
		    "set [lan] phone_port to another one, then devmesh daemon restart; or end that "
		    "program: devmeshd takes the port when it is free");
}

/* Whether one of the sockets on the port keeps devmeshd from it: the first one is said. */
static bool
find_taker(struct doctor *d, const struct dm_listeners *list, const char *ours,
    const struct lan_state *lan, bool silent)
{
	for (size_t i = 0; i < list->count; i++) {
		struct dns_address a = address_of(&list->list[i]);

		/* perhaps its own, if it had no time to answer; else it is another one's */
		if ((silent && is_devmeshd(&list->list[i])) ||
		    (!is_any(&a) && !dns_address_same(&a, &lan->address.address)))
			continue;
		say_page_taken(d, &list->list[i], ours);
		return true;
	}
	return false;
}

void
doctor_check_phone_port(struct doctor *d)
{
	uint16_t port = (uint16_t)d->session->conf->phone_port;
	struct dm_listeners list = {.count = 0};
	struct lan_state lan = {.lack = NULL};
	DM_AUTO_FREE char *said = NULL;
	char ours[DNS_ADDRESS_TEXT];

	if (!doctor_lan_state(d, &lan))
		return;
	if (page_is_served(d, &said)) {
		doctor_say(d, DOCTOR_OK, "devmeshd serves %.200s", said);
		return;
	}
	dns_address_text(&lan.address.address, ours);
	dm_proc_of_ports(&port, 1, &list);
	if (find_taker(d, &list, ours, &lan, said == NULL)) {
		/* said */
	} else if (said == NULL) {
		doctor_skip(d, "devmeshd does not answer");
	} else {
		doctor_say(d, DOCTOR_WARNING, "devmeshd serves no page for phones: %.300s", said);
		doctor_why(d, "no phone can be set up");
		doctor_fix(d, "devmesh daemon restart    (it takes up what has changed in [lan])");
	}
	dm_listeners_release(&list);
}
