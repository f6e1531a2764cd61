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

/* Whether "10.0.0.0/8", one address or "any" holds this one. */
static bool
network_holds(const char *text, size_t len, const struct dns_address *address)
{
	DM_AUTO_FREE char *word = dm_strndup(text, len);
	char *slash = strchr(word, '/');
	struct dns_address network = {.ipv6 = false};
	uint64_t prefix = 32;

	if (strcmp(word, "any") == 0)
		return true;
	if (slash != NULL) {
		*slash = '\0';
		if (!dm_parse_uint(slash + 1, 0, 32, &prefix))
			return false;
	}
	return inet_pton(AF_INET, word, network.bytes) == 1 &&
	       netif_contains(&network, (unsigned)prefix, address);
}

/* A tuple of ufw's: action, protocol, port, destination, its source's port, source. */
enum {
	ACTION,
	PROTOCOL,
	PORT,
	DESTINATION,
	SOURCE_PORT,
	SOURCE,
	DIRECTION, /* the last one: a rule for an application has two words before it */
	WORDS
};
struct tuple {
	const char *words[WORDS];
	size_t lengths[WORDS];
};

/* Reads the line; returns what follows its last word. */
static const char *
read_tuple(const char *at, struct tuple *t)
{
	static const char comment[] = "comment=";

	memset(t, 0, sizeof(*t));
	for (size_t i = 0; *at != '\n' && *at != '\0'; i++) {
		size_t slot = i < DIRECTION ? i : DIRECTION, n = strcspn(at, " \n");

		/* a comment comes behind the direction */
		if (i < DIRECTION || strncmp(at, comment, strlen(comment)) != 0) {
			t->words[slot] = at;
			t->lengths[slot] = n;
		}
		at += n;
		at += strspn(at, " ");
	}
	return at;
}

static bool
word_is(const struct tuple *t, size_t i, const char *word)
{
	return t->lengths[i] == strlen(word) && strncmp(t->words[i], word, t->lengths[i]) == 0;
}

/* Of the two directions "in" and "in_eth0" are ours; the tuple has all words. */
static bool
comes_in_by(const struct tuple *t, const char *interface)
{
	DM_AUTO_FREE char *in = dm_asprintf("in_%s", interface);

	return word_is(t, DIRECTION, "in") || word_is(t, DIRECTION, in);
}

bool
doctor_ufw_allows(const char *rules, const char *protocol, uint16_t port,
    const struct dns_address *ours, const char *interface)
{
	static const char key[] = "### tuple ### ";

	for (const char *at = rules; (at = strstr(at, key)) != NULL;) {
		struct tuple t;

		at = read_tuple(at + strlen(key), &t);
		if (t.words[DIRECTION] == NULL || !comes_in_by(&t, interface) ||
		    (!word_is(&t, PROTOCOL, "any") && !word_is(&t, PROTOCOL, protocol)) ||
		    !ports_hold(t.words[PORT], t.lengths[PORT], port) ||
		    !word_is(&t, SOURCE_PORT, "any") ||
		    !network_holds(t.words[DESTINATION], t.lengths[DESTINATION], ours) ||
		    !network_holds(t.words[SOURCE], t.lengths[SOURCE], ours))
			continue;
		/* the first rule that fits decides; "route:allow" is about other machines */
		if (strncmp(t.words[ACTION], "allow", 5) == 0 ||
		    strncmp(t.words[ACTION], "limit", 5) == 0)
			return true;
		if (strncmp(t.words[ACTION], "deny", 4) == 0 ||
		    strncmp(t.words[ACTION], "reject", 6) == 0)
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
					 &lan->address.address, lan->address.name))
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

/* Whether firewalld's list, "1025-65535/tcp 53/udp", has the port. */
bool
doctor_firewalld_has(const char *list, const char *protocol, uint16_t port)
{
	for (const char *at = list + strspn(list, " "); *at != '\0';) {
		size_t n = strcspn(at, " ");
		DM_AUTO_FREE char *word = dm_strndup(at, n);
		char *slash = strchr(word, '/'), *dash = strchr(word, '-');
		uint64_t from, to;

		at += n;
		at += strspn(at, " ");
		if (slash == NULL || strcmp(slash + 1, protocol) != 0)
			continue;
		*slash = '\0';
		if (dash != NULL && dash < slash)
			*dash = '\0';
		else
			dash = NULL;
		if (dm_parse_uint(word, 1, UINT16_MAX, &from) &&
		    (dash == NULL ? from == port
				  : dm_parse_uint(dash + 1, 1, UINT16_MAX, &to) && from <= port &&
					port <= to))
			return true;
	}
	return false;
}

/* What firewalld says about the zone, or of the default one. */
static char *
ask_firewalld(struct doctor *d, const char *zone, const char *question)
{
	const char *const argv[] = {"firewall-cmd", question, zone, NULL};

	return doctor_output(d, argv);
}

/* Whether firewalld's services, " dns ssh ", have the one of that port. */
static bool
service_is_open(const char *services, const struct wanted *port)
{
	const char *name = port->port == 443  ? " https "
			   : port->port == 80 ? " http "
			   : port->port == 53 ? " dns "
					      : NULL;

	return name != NULL && strstr(services, name) != NULL;
}

/* The zone of that interface as an option, "--zone=home"; NULL where only the default one counts.
 */
static char *
zone_option(struct doctor *d, const char *interface)
{
	DM_AUTO_FREE char *option = dm_asprintf("--get-zone-of-interface=%s", interface);
	const char *const argv[] = {"firewall-cmd", option, NULL};
	DM_AUTO_FREE char *zone = doctor_output(d, argv);

	return zone == NULL || zone[0] == '\0' || strchr(zone, ' ') != NULL
		   ? NULL
		   : dm_asprintf("--zone=%s", zone);
}

/* "  target: ACCEPT": of firewall-cmd --list-all, since --get-target is for the permanent rules. */
static bool
zone_is_open(struct doctor *d, const char *zone)
{
	DM_AUTO_FREE char *all = ask_firewalld(d, zone, "--list-all");
	const char *at = all == NULL ? NULL : strstr(all, "target: ACCEPT");

	return at != NULL && strcspn(at, "\n") == strlen("target: ACCEPT");
}

static void
check_firewalld(struct doctor *d, const struct lan_state *lan)
{
	DM_AUTO_FREE char *zone = zone_option(d, lan->address.name), *line = NULL;
	DM_AUTO_FREE char *open = ask_firewalld(d, zone, "--list-ports");
	DM_AUTO_FREE char *listed = open == NULL ? NULL : ask_firewalld(d, zone, "--list-services");
	DM_AUTO_FREE char *services = NULL;
	DM_AUTO_STR struct dm_str closed = dm_str_make(512);
	DM_AUTO_STR struct dm_str fix = dm_str_make(1024);
	struct wanted ports[PORTS_MAX];
	size_t count = wanted_ports(d, ports);

	/* it may ask for a password where nobody can give one */
	if (listed == NULL || zone_is_open(d, zone))
		return;
	services = dm_asprintf(" %s ", listed);
	for (size_t i = 0; i < count; i++) {
		if (doctor_firewalld_has(open, ports[i].protocol, ports[i].port) ||
		    service_is_open(services, &ports[i]))
			continue;
		add_port(&closed, &ports[i]);
		(void)dm_str_addf(
		    &fix, " --add-port=%u/%s", (unsigned)ports[i].port, ports[i].protocol);
	}
	if (closed.len == 0)
		return;
	line = dm_asprintf("sudo firewall-cmd --permanent%s%s%s && sudo firewall-cmd --reload",
	    zone != NULL ? " " : "", zone != NULL ? zone : "", fix.data);
	say_closed(d, "firewalld", closed.data, line);
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
		check_firewalld(d, &lan);
	else
		doctor_skip(d, "neither ufw nor firewalld runs; other rules are root's to read");
}
