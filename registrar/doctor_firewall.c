/* SPDX-License-Identifier: MIT */
/*
 * The doctor on this machine's firewall, as far as it can be read without root: ufw's files, and
 * what firewalld says. Rules that somebody has written for nftables are root's to read.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "doctor_lan.h"

enum {
	FILE_MAX = 1 << 20,
	PORTS_MAX = 4,
};

#define UFW_CONF     "/etc/ufw/ufw.conf"
#define UFW_DEFAULTS "/etc/default/ufw"
#define UFW_RULES    "/etc/ufw/user.rules"

struct wanted {
	const char *protocol;
	uint16_t port;
	const char *what;
};

/* "443", "80,443", "1000:2000" or "any". */
static bool
ports_hold(const char *text, size_t len, uint16_t port)
{
	DM_AUTO_FREE char *list = dm_strndup(text, len);

	for (char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ",");
		char *next = p + n + (p[n] == ',' ? 1 : 0), *colon;
		uint64_t from, to;

		p[n] = '\0';
		colon = strchr(p, ':');
		if (colon != NULL)
			*colon = '\0';
		if (strcmp(p, "any") == 0)
			return true;
		if (dm_parse_uint(p, 1, UINT16_MAX, &from) &&
		    (colon == NULL ? from == port
				   : dm_parse_uint(colon + 1, 1, UINT16_MAX, &to) && from <= port &&
					 port <= to))
			return true;
		p = next;
	}
	return false;
}

/* Whether a rule about that source, "10.0.0.0/8" or one address, is about the device at `from`. */
static bool
source_holds(const char *text, size_t len, const struct dns_address *from)
{
	DM_AUTO_FREE char *source = dm_strndup(text, len);
	char *slash = strchr(source, '/');
	struct dns_address network = {.ipv6 = false};
	uint64_t prefix = 32;

	if (slash != NULL) {
		*slash = '\0';
		if (!dm_parse_uint(slash + 1, 0, 32, &prefix))
			return false;
	}
	return inet_pton(AF_INET, source, network.bytes) == 1 &&
	       netif_contains(&network, (unsigned)prefix, from);
}

bool
doctor_ufw_allows(
    const char *rules, const char *protocol, uint16_t port, const struct dns_address *from)
{
	static const char key[] = "### tuple ### ";
	/* action, protocol, port, destination, its source's port, source, direction */
	enum {
		ACTION,
		PROTOCOL,
		PORT,
		SOURCE = 5,
		WORDS
	};

	for (const char *at = rules; (at = strstr(at, key)) != NULL;) {
		const char *words[WORDS];
		size_t lengths[WORDS];
		bool fits;

		at += strlen(key);
		for (int i = 0; i < WORDS; i++) {
			words[i] = at;
			lengths[i] = strcspn(at, " \n");
			at += lengths[i];
			at += strspn(at, " ");
		}
		fits = (lengths[PROTOCOL] == 3 && strncmp(words[PROTOCOL], "any", 3) == 0) ||
		       (lengths[PROTOCOL] == strlen(protocol) &&
			   strncmp(words[PROTOCOL], protocol, lengths[PROTOCOL]) == 0);
		if (!fits || !ports_hold(words[PORT], lengths[PORT], port) ||
		    !source_holds(words[SOURCE], lengths[SOURCE], from))
			continue;
		/* the first rule that fits decides; "route:allow" is about other machines */
		if (strncmp(words[ACTION], "allow", 5) == 0 ||
		    strncmp(words[ACTION], "limit", 5) == 0)
			return true;
		if (strncmp(words[ACTION], "deny", 4) == 0 ||
		    strncmp(words[ACTION], "reject", 6) == 0)
			return false;
	}
	return false;
}

static size_t
wanted_ports(const struct doctor *d, struct wanted out[PORTS_MAX])
{
	const struct conf *conf = d->session->conf;
	size_t n = 0;

	out[n++] = (struct wanted){
	    "tcp", d->has_server ? d->server.front.port : (uint16_t)443, "the URLs"};
	out[n++] = (struct wanted){"tcp", (uint16_t)conf->phone_port, "the page for phones"};
	if (conf->dns_enabled)
		out[n++] = (struct wanted){"udp", 53, "DNS"};
	return n;
}

/* "443/tcp (the URLs)" */
static void
add_port(struct dm_str *text, const struct wanted *port)
{
	(void)dm_str_addf(text, "%s%u/%s (%s)", text->len > 0 ? ", " : "", (unsigned)port->port,
	    port->protocol, port->what);
}

static void
say_closed(struct doctor *d, const char *firewall, const char *ports, const char *fix)
{
	doctor_say(d, DOCTOR_WARNING, "%s does not let other devices in: %s", firewall, ports);
	doctor_why(d, "their packets are dropped: pages load forever, names are not found");
	doctor_fix(d, "%s", fix);
}

static bool
ufw_is_on(void)
{
	DM_AUTO_FREE char *conf = doctor_read(UFW_CONF, FILE_MAX);
	DM_AUTO_FREE char *defaults = doctor_read(UFW_DEFAULTS, FILE_MAX);

	return conf != NULL && strstr(conf, "\nENABLED=yes") != NULL &&
	       (defaults == NULL || strstr(defaults, "\nDEFAULT_INPUT_POLICY=\"ACCEPT\"") == NULL);
}

static void
check_ufw(struct doctor *d, const struct lan_state *lan)
{
	DM_AUTO_FREE char *rules = doctor_read(UFW_RULES, FILE_MAX);
	DM_AUTO_STR struct dm_str closed = dm_str_make(512);
	DM_AUTO_STR struct dm_str fix = dm_str_make(1024);
	struct wanted ports[PORTS_MAX];
	size_t count = wanted_ports(d, ports);
	struct dns_address network = lan->address.address;
	char text[DNS_ADDRESS_TEXT];

	for (unsigned bit = lan->address.prefix; bit < 32; bit++)
		network.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	dns_address_text(&network, text);
	for (size_t i = 0; i < count; i++) {
		if (rules != NULL && doctor_ufw_allows(rules, ports[i].protocol, ports[i].port,
					 &lan->address.address))
			continue;
		add_port(&closed, &ports[i]);
		(void)dm_str_addf(&fix, "%ssudo ufw allow from %s/%u to any port %u proto %s",
		    fix.len > 0 ? "; " : "", text, lan->address.prefix, (unsigned)ports[i].port,
		    ports[i].protocol);
	}
	if (closed.len == 0)
		return;
	if (rules != NULL) {
		say_closed(d, "ufw", closed.data, fix.data);
		return;
	}
	doctor_say(
	    d, DOCTOR_NOTE, "ufw is on, and only root can see whether it lets in: %s", closed.data);
	doctor_why(d, "what it does not let in is dropped: pages load forever on other devices");
	doctor_fix(d, "see: sudo ufw status    (allow: %s)", fix.data);
}

static void
check_firewalld(struct doctor *d)
{
	static const char *const list_ports[] = {"firewall-cmd", "--list-ports", NULL};
	static const char *const list_services[] = {"firewall-cmd", "--list-services", NULL};
	DM_AUTO_FREE char *open = doctor_output(d, list_ports);
	DM_AUTO_FREE char *services = open == NULL ? NULL : doctor_output(d, list_services);
	DM_AUTO_FREE char *words = NULL;
	DM_AUTO_STR struct dm_str closed = dm_str_make(512);
	DM_AUTO_STR struct dm_str fix = dm_str_make(1024);
	struct wanted ports[PORTS_MAX];
	size_t count = wanted_ports(d, ports);

	/* it may ask for a password where nobody can give one */
	if (services == NULL)
		return;
	words = dm_asprintf(" %s %s ", open, services);
	for (size_t i = 0; i < count; i++) {
		DM_AUTO_FREE char *port =
		    dm_asprintf(" %u/%s ", (unsigned)ports[i].port, ports[i].protocol);
		const char *service = ports[i].port == 443  ? " https "
				      : ports[i].port == 80 ? " http "
				      : ports[i].port == 53 ? " dns "
							    : port;

		if (strstr(words, port) != NULL || strstr(words, service) != NULL)
			continue;
		add_port(&closed, &ports[i]);
		(void)dm_str_addf(
		    &fix, " --add-port=%u/%s", (unsigned)ports[i].port, ports[i].protocol);
	}
	if (closed.len > 0) {
		DM_AUTO_FREE char *line = dm_asprintf(
		    "sudo firewall-cmd --permanent%s && sudo firewall-cmd --reload", fix.data);

		say_closed(d, "firewalld", closed.data, line);
	}
}

void
doctor_check_firewall(struct doctor *d)
{
	static const char *const state[] = {"firewall-cmd", "--state", NULL};
	DM_AUTO_FREE char *running = NULL;
	struct lan_state lan = {.lack = NULL};

	if (!doctor_lan_state(d, &lan))
		return;
	if (ufw_is_on())
		check_ufw(d, &lan);
	else if ((running = doctor_output(d, state)) != NULL && strcmp(running, "running") == 0)
		check_firewalld(d);
	else
		doctor_skip(d, "neither ufw nor firewalld runs; other rules are root's to read");
}
