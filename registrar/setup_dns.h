/* SPDX-License-Identifier: MIT */
/*
 * What has this machine's resolver ask devmeshd about the domain, and about nothing else: written
 * with the means of `devmesh setup`, for `devmesh dns`.
 */
#ifndef DEVMESH_SETUP_DNS_H
#define DEVMESH_SETUP_DNS_H

#include "conf/conf.h"
#include "model/host.h"
#include "responder.h"
#include "setup.h"

/* Who resolves names here. */
enum setup_resolver {
	RESOLVER_NONE,		 /* nobody that could be told of one zone */
	RESOLVER_SYSTEMD,	 /* systemd-resolved */
	RESOLVER_MACOS,		 /* resolver(5) */
	RESOLVER_DNSMASQ,	 /* as these two are set up by hand, they are told by hand */
	RESOLVER_NETWORKMANAGER, /* the dnsmasq that NetworkManager runs */
};

/* "systemd-resolved"; for RESOLVER_NONE "none". Static storage. */
const char *setup_resolver_name(enum setup_resolver resolver);

/* As far as the machine's files say. */
enum setup_resolver setup_resolver_find(void);

/* Borrowed from the command line; NULL where not given. */
struct setup_dns_options {
	const char *zone, *resolver, *out;
	uint16_t port; /* 0: where devmeshd answers */
	bool dry_run;
	bool remove; /* what may have been installed for a domain that could not be any more */
};

/* What it is about. */
struct setup_dns {
	struct conf *person_conf; /* of who called sudo(8); NULL: the session's counts */
	char zone[HOST_MAX + 1];
	enum setup_resolver resolver;
	struct responder responder;
	bool needless; /* below .localhost: programs and resolvers know these names by themselves */
};

/*
 * Finds it out, which takes no longer than RESPONDER_MS. `config_file` as --config. Release it also
 * after a failure.
 */
bool setup_dns_look(struct session *session, const char *config_file,
    const struct setup_dns_options *want, struct setup_dns *out, struct dm_err *err) DM_MUST;
void setup_dns_release(struct setup_dns *dns);
#define SETUP_DNS_AUTO __attribute__((cleanup(setup_dns_release)))

/* Whether devmesh writes the files of that resolver; else there is a text to be put in by hand. */
bool setup_dns_writes(const struct setup_dns *dns);
/* That text, in lines, and above it what to do with it. The caller owns it. */
char *setup_dns_text(const struct setup_dns *dns);

/*
 * A setup of nothing but these files, looked at, with its commands planned. Needs
 * setup_dns_writes(). Where [dns] port is left open, and nobody answers, an installed file's port
 * is taken for the right one. The caller owns it; `dns` and `want` are borrowed by it.
 */
struct setup *setup_dns_open(struct session *session, const struct setup_dns_options *want,
    struct setup_dns *dns, bool remove, struct dm_err *err) DM_MUST;

/*
 * Waits, at most that long, until a name of the zone leads to this machine for its programs. *name
 * is the one that was asked for last, owned by the caller.
 */
struct lookup;
bool setup_dns_resolves(
    const struct setup_dns *dns, int64_t timeout_ms, char **name, struct lookup *found);

#endif
