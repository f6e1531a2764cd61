/* SPDX-License-Identifier: MIT */
#include "dns_domain.h"

#include <libpsl.h>
#include <string.h>

#include "base/str.h"

enum dns_scope
dns_domain_scope(const char *domain, struct dm_err *err)
{
	const psl_ctx_t *suffixes = psl_builtin();

	if (strchr(domain, '.') == NULL) {
		(void)dm_fail(err, DM_DENIED, "the domain %s is a single label", domain);
	} else if (dm_ends_with(domain, ".local")) {
		(void)dm_fail(err, DM_DENIED,
		    "the domain %s is below .local, which is multicast DNS's (RFC 6762)", domain);
	} else if (suffixes != NULL && psl_is_public_suffix(suffixes, domain) == 1) {
		(void)dm_fail(err, DM_DENIED,
		    "the domain %s is a public suffix: others have names below it", domain);
	} else {
		return suffixes == NULL || dm_ends_with(domain, ".localhost") ? DNS_SCOPE_LOOPBACK
									      : DNS_SCOPE_ALL;
	}
	(void)dm_hint(
	    err, "a name below a domain of yours, such as dev.example.com: [mesh] domain");
	return DNS_SCOPE_NONE;
}
