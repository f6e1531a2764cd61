/* SPDX-License-Identifier: MIT */
#include "model/lan_choice.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"

/* ---- kinds of addresses and interfaces -------------------------------------------------- */

/* fc00::/7, RFC 4193. */
static bool
is_unique_local(const struct dns_address *a)
{
	return a->ipv6 && (a->bytes[0] & 0xfe) == 0xfc;
}

/* 2000::/3, RFC 4291. */
static bool
is_global(const struct dns_address *a)
{
	return a->ipv6 && (a->bytes[0] & 0xe0) == 0x20;
}

/* What containers and virtual machines are connected by, by the names that their programs give. */
static bool
is_for_guests(const char *name)
{
	static const char *const begins[] = {"docker", "br-", "veth", "virbr", "vnet", "vboxnet",
	    "vmnet", "lxcbr", "lxdbr", "incusbr", "podman", "cni", "cali", "flannel", "kube",
	    "bridge", "tap", "devmesh", NULL};

	for (size_t i = 0; begins[i] != NULL; i++) {
		if (dm_starts_with(name, begins[i]))
			return true;
	}
	return false;
}

/* Whether others could reach us by it at all. */
static bool
is_usable(const struct netif_address *a)
{
	return !a->address.ipv6 && !a->loopback && !dns_address_is_loopback(&a->address) &&
	       !dns_address_is_link_local(&a->address);
}

/* ---- [lan] as written ------------------------------------------------------------------- */

bool
lan_address_parse(const char *text, struct dns_address *out, struct dm_err *err)
{
	struct dns_address address = {.ipv6 = false};

	if (inet_pton(AF_INET, text, address.bytes) != 1) {
		(void)dm_fail(err, DM_USAGE, "\"%.80s\" is no IPv4 address", text);
		return dm_hint(err, "one that this machine has in its network: 192.168.1.10");
	}
	*out = address;
	return true;
}

/* "10.8.0.0/24", of `len` bytes. */
static bool
parse_range(const char *text, size_t len, struct lan_range *out)
{
	char copy[DNS_ADDRESS_TEXT];
	uint64_t prefix;
	char *slash;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	slash = strchr(copy, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	memset(out, 0, sizeof(*out));
	out->network.ipv6 = strchr(copy, ':') != NULL;
	if (inet_pton(out->network.ipv6 ? AF_INET6 : AF_INET, copy, out->network.bytes) != 1 ||
	    !dm_parse_uint(slash + 1, 0, out->network.ipv6 ? 128 : 32, &prefix))
		return false;
	out->prefix = (unsigned)prefix;
	return true;
}

bool
lan_ranges_parse(
    const char *text, struct lan_range *out, size_t max, size_t *count, struct dm_err *err)
{
	size_t found = *count, len;
	const char *end;

	for (; *text != '\0'; text = *end == '\0' ? end : end + 1) {
		text += strspn(text, " \t");
		end = text + strcspn(text, ",");
		for (len = (size_t)(end - text); len > 0 && strchr(" \t", text[len - 1]) != NULL;)
			len--;
		if (found == max)
			return dm_fail(err, DM_USAGE, "these are more than %zu ranges", max);
		if (!parse_range(text, len, &out[found++])) {
			(void)dm_fail(err, DM_USAGE, "\"%.*s\" is no range of addresses",
			    (int)(len > 80 ? 80 : len), text);
			return dm_hint(
			    err, "an address, a slash and the bits of its network: 10.8.0.0/24");
		}
	}
	*count = found;
	return true;
}

/* ---- the choice ------------------------------------------------------------------------- */

typedef bool eligible_fn(const struct netif_address *a, const void *arg);

static const struct netif_address *
first(const struct netif_list *list, eligible_fn *eligible, const void *arg)
{
	for (size_t i = 0; i < list->count; i++) {
		if (is_usable(&list->list[i]) && eligible(&list->list[i], arg))
			return &list->list[i];
	}
	return NULL;
}

static bool
has_that_address(const struct netif_address *a, const void *arg)
{
	return dns_address_same(&a->address, arg);
}

static bool
is_of_interface(const struct netif_address *a, const void *arg)
{
	return strcmp(a->name, arg) == 0;
}

static bool
is_network_of_interface(const struct netif_address *a, const void *arg)
{
	return !a->point_to_point && strcmp(a->name, arg) == 0;
}

static bool
is_network(const struct netif_address *a, const void *arg)
{
	(void)arg;
	return !a->point_to_point && !is_for_guests(a->name);
}

/* NULL with *lack set: there is none. */
static const struct netif_address *
choose(const struct netif_list *list, const struct lan_wish *wish, const char **lack)
{
	const struct netif_address *found = NULL;
	struct dns_address wanted;
	struct dm_err ignored;

	if (wish->address != NULL) {
		*lack = "no interface that is up has lan.address";
		return lan_address_parse(wish->address, &wanted, &ignored)
			   ? first(list, has_that_address, &wanted)
			   : NULL;
	}
	if (wish->interface != NULL) {
		*lack = "lan.interface is not there, is down, or has no IPv4 address";
		return first(list, is_of_interface, wish->interface);
	}
	*lack = "no network: no interface that is up has an IPv4 address for others to reach";
	for (size_t i = 0; i < list->route_count && found == NULL; i++)
		found = first(list, is_network_of_interface, list->routes[i]);
	return found != NULL ? found : first(list, is_network, NULL);
}

/* Beside the IPv4 address: one that lasts, rather of this network's own than of the provider's. */
static const struct netif_address *
choose_ipv6(const struct netif_list *list, const char *interface)
{
	const struct netif_address *found = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct netif_address *a = &list->list[i];

		if (strcmp(a->name, interface) != 0 || a->passing)
			continue;
		if (is_unique_local(&a->address))
			return a;
		if (found == NULL && is_global(&a->address))
			found = a;
	}
	return found;
}

static void
add_range(struct lan_state *out, const struct lan_range *range, size_t max)
{
	for (size_t i = 0; i < out->range_count; i++) {
		if (out->ranges[i].prefix <= range->prefix &&
		    netif_contains(&out->ranges[i].network, out->ranges[i].prefix, &range->network))
			return;
	}
	if (out->range_count < max)
		out->ranges[out->range_count++] = *range;
}

/* The address without the bits that are not the network's. */
static struct lan_range
network_of(const struct netif_address *a)
{
	struct lan_range range = {.network = a->address, .prefix = a->prefix};

	for (unsigned bit = a->prefix; bit < (a->address.ipv6 ? 128U : 32U); bit++)
		range.network.bytes[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	return range;
}

static void
collect_ranges(const struct netif_list *list, const struct lan_wish *wish, struct lan_state *out)
{
	struct lan_range configured[LAN_CONFIGURED_MAX];
	size_t count = 0;
	struct dm_err ignored;

	if (wish->ranges != NULL &&
	    !lan_ranges_parse(wish->ranges, configured, LAN_CONFIGURED_MAX, &count, &ignored))
		count = 0;
	/* first its own, so that it is not one of those that were too many */
	for (int others = 0; others <= 1; others++) {
		for (size_t i = 0; i < list->count; i++) {
			const struct netif_address *a = &list->list[i];
			const struct lan_range range = network_of(a);
			bool chosen = out->has_address && strcmp(a->name, out->address.name) == 0;

			if (chosen != (others == 0) || a->loopback ||
			    (a->point_to_point && !chosen))
				continue;
			add_range(out, &range, LAN_RANGES_MAX - count);
		}
	}
	for (size_t i = 0; i < count; i++)
		add_range(out, &configured[i], LAN_RANGES_MAX);
}

/* FNV-1a, which is enough to tell one state of a machine from the next. */
static uint32_t
add_bytes(uint32_t digest, const void *bytes, size_t n)
{
	for (const uint8_t *p = bytes; n > 0; n--)
		digest = (digest ^ *p++) * 16777619U;
	return digest;
}

static uint32_t
digest_of(const struct netif_list *list)
{
	uint32_t digest = 2166136261U;

	for (size_t i = 0; i < list->count; i++) {
		const struct netif_address *a = &list->list[i];

		if (a->address.ipv6 || a->loopback)
			continue;
		digest = add_bytes(digest, a->name, strlen(a->name) + 1);
		digest = add_bytes(digest, a->address.bytes, 4);
		digest = add_bytes(digest, &a->prefix, sizeof(a->prefix));
	}
	for (size_t i = 0; i < list->route_count; i++)
		digest = add_bytes(digest, list->routes[i], strlen(list->routes[i]) + 1);
	return digest;
}

void
lan_choose(const struct netif_list *list, const struct lan_wish *wish, struct lan_state *out)
{
	const struct netif_address *found, *ipv6;
	uint32_t serial = out->serial;

	memset(out, 0, sizeof(*out));
	out->serial = serial;
	out->enabled = wish->enabled;
	out->digest = digest_of(list);
	found = choose(list, wish, &out->lack);
	if (found != NULL) {
		out->has_address = true;
		out->address = *found;
		out->lack = NULL;
		ipv6 = choose_ipv6(list, found->name);
		out->has_ipv6 = ipv6 != NULL;
		if (ipv6 != NULL)
			out->ipv6 = *ipv6;
	}
	collect_ranges(list, wish, out);
}

/* ---- afterwards ------------------------------------------------------------------------- */

static bool
same_address(bool has_a, const struct netif_address *a, bool has_b, const struct netif_address *b)
{
	if (has_a != has_b)
		return false;
	return !has_a || (strcmp(a->name, b->name) == 0 &&
			     dns_address_same(&a->address, &b->address) && a->prefix == b->prefix);
}

bool
lan_state_same(const struct lan_state *a, const struct lan_state *b)
{
	if (a->enabled != b->enabled || a->digest != b->digest || !dm_same_text(a->lack, b->lack) ||
	    !same_address(a->has_address, &a->address, b->has_address, &b->address) ||
	    !same_address(a->has_ipv6, &a->ipv6, b->has_ipv6, &b->ipv6) ||
	    a->range_count != b->range_count)
		return false;
	for (size_t i = 0; i < a->range_count; i++) {
		if (a->ranges[i].prefix != b->ranges[i].prefix ||
		    !dns_address_same(&a->ranges[i].network, &b->ranges[i].network))
			return false;
	}
	return true;
}

bool
lan_state_admits(const struct lan_state *state, const struct dns_address *from)
{
	bool admitted = dns_address_is_loopback(from);

	for (size_t i = 0; i < state->range_count && !admitted; i++)
		admitted = netif_contains(&state->ranges[i].network, state->ranges[i].prefix, from);
	return admitted;
}

uint32_t
lan_serial_first(uint32_t saved, uint32_t seconds)
{
	uint32_t next = saved + 1;

	if (saved == 0)
		return seconds;
	/* RFC 1982: greater is what is less than half the circle ahead */
	return (int32_t)(seconds - next) > 0 ? seconds : next;
}
