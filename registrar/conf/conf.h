/* SPDX-License-Identifier: MIT */
/*
 * Configuration: one typed table of keys. Loading, `devmesh config`, the manual's drift test and
 * the environment names all read it.
 *
 * To add a key: a field in struct conf, a row in conf_keys.c, an entry in config.example.ini and
 * in devmesh.ini(5). A test fails when one of them is missing.
 */
#ifndef DEVMESH_CONF_H
#define DEVMESH_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum conf_registration {
	CONF_REGISTRATION_AUTO,
	CONF_REGISTRATION_ROUTE,
	CONF_REGISTRATION_MESH,
};

/* What devmesh run does when its worktree is removed. */
enum conf_worktree_gone {
	CONF_WORKTREE_GONE_END,
	CONF_WORKTREE_GONE_KEEP,
};

/* What devmeshd does with a server whose worktree was removed. */
enum conf_orphans {
	CONF_ORPHANS_KEEP,
	CONF_ORPHANS_END,
};

/* Whose public DNS record devmeshd keeps. */
enum conf_record_provider {
	CONF_RECORD_NONE,
	CONF_RECORD_CLOUDFLARE,
};

enum conf_type {
	CONF_DOMAIN,  /* char *: a DNS domain */
	CONF_ADMIN,   /* char *: http://host:port or unix:///path */
	CONF_PATH,    /* char *: absolute; "~/" is the home directory */
	CONF_ADDRESS, /* char *: an IPv4 address */
	CONF_RANGES,  /* char *: ranges of addresses, as lan_ranges_parse() takes them */
	CONF_WORD,    /* char *: anything without control characters; the last of the texts */
	CONF_NUMBER,  /* uint32_t in [min, max] */
	CONF_BOOL,    /* bool: yes, no, true, false, on, off, 1, 0 */
	CONF_CHOICE,  /* int: index of one of `choices` */
};

struct conf_key {
	const char *section;
	const char *name;
	enum conf_type type;
	size_t offset;		    /* of the field in struct conf */
	const char *fallback;	    /* the default as it would be written; NULL: unset */
	uint32_t min, max;	    /* CONF_NUMBER */
	const char *const *choices; /* CONF_CHOICE, NULL-terminated */
	const char *help;	    /* one line */
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;

/* Where a key's value came from. */
struct conf_value {
	char *text;   /* as written; NULL when unset */
	char *origin; /* "default", "environment", "/etc/devmesh/config.ini:3" */
};

/* Immutable once loaded. Strings are owned by the struct; NULL where unset. */
struct conf {
	char *domain;
	char *app;
	char *admin;
	char *server;
	int registration; /* enum conf_registration */
	uint32_t timeout_ms;
	bool allow_https_change;
	char *sockets_dir;
	uint32_t http_port, https_port; /* 0: choose */
	char *state_dir;		/* NULL: dm_state_dir() */
	bool access_log;
	char *caddy;
	int worktree_gone; /* enum conf_worktree_gone */
	uint32_t log_kb;
	bool restore, on_request;
	uint32_t idle_stop;
	bool daemon_start;
	uint32_t grace_s, probe_s, scan_s;
	uint32_t port_from, port_to;
	int orphans; /* enum conf_orphans */
	uint32_t history_days, history_mb;
	bool lan_enabled, mdns;
	char *lan_interface, *lan_address, *lan_ranges; /* can be parsed: lan_choice.h */
	uint32_t phone_port;
	bool dns_enabled;
	uint32_t dns_port; /* 0: choose */
	uint32_t dns_depth;
	int record_provider; /* enum conf_record_provider */
	char *record_zone, *record_token_file;
	bool record_allow_public;

	struct conf_value *values; /* one for each row of conf_keys */
};

/*
 * Reads, later ones winning: defaults, /etc/devmesh/config.ini, the user's file, `file` (from
 * --config or DEVMESH_CONFIG; NULL: none), the environment. A file named by `file` must exist.
 * Fails with DM_USAGE, naming file and line, on anything it does not know.
 */
struct conf *conf_load(const char *file, struct dm_err *err) DM_MUST;
void conf_free(struct conf *conf);
DM_DEFINE_FREEP(conf)

/* "DEVMESH_CADDY_ADMIN" for a key; the caller owns it. */
char *conf_env_name(const struct conf_key *key);

/* Parses one file's text into a configuration being loaded; for the fuzzer and the tests. */
bool conf_parse_text(struct conf *conf, const char *text, size_t len, const char *origin,
    struct dm_err *err) DM_MUST;
/* A configuration of defaults only. */
struct conf *conf_new(void);

#endif
