/* SPDX-License-Identifier: MIT */
/* The table of configuration keys, in the order of `devmesh config` and devmesh.ini(5). */
#include "conf/conf.h"

#define FIELD(f) offsetof(struct conf, f)

static const char *const registrations[] = {"auto", "route", "mesh", NULL};
static const char *const worktree_gone[] = {"end", "keep", NULL};
static const char *const orphans[] = {"keep", "end", NULL};

const struct conf_key conf_keys[] = {
    {"mesh", "domain", CONF_DOMAIN, FIELD(domain), NULL, 0, 0, NULL,
	"Domain below which every service gets its name; unset: found in Caddy's configuration."},
    {"mesh", "app", CONF_WORD, FIELD(app), NULL, 0, 0, NULL,
	"Name of the app where neither --app, DEVMESH_APP nor .id gives one."},
    {"caddy", "admin", CONF_ADMIN, FIELD(admin), NULL, 0, 0, NULL,
	"Caddy's admin API; unset: the private mesh if it runs, else http://localhost:2019."},
    {"caddy", "server", CONF_WORD, FIELD(server), NULL, 0, 0, NULL,
	"Caddy's HTTP server to register with; unset: found by its listen addresses."},
    {"caddy", "registration", CONF_CHOICE, FIELD(registration), "auto", 0, 0, registrations,
	"How a service gets its route: by the mesh route, by a route of its own, or what fits."},
    {"caddy", "timeout", CONF_NUMBER, FIELD(timeout_ms), "5000", 100, 600000, NULL,
	"Milliseconds that one request to Caddy may take."},
    {"caddy", "allow_https_change", CONF_BOOL, FIELD(allow_https_change), "no", 0, 0, NULL,
	"Whether a route may be added where that makes Caddy turn on HTTPS by itself."},
    {"sockets", "dir", CONF_PATH, FIELD(sockets_dir), "/tmp/caddy-dev", 0, 0, NULL,
	"Directory of the services' sockets and claims."},
    {"local", "http_port", CONF_NUMBER, FIELD(http_port), "0", 0, 65535, NULL,
	"Plain HTTP port of the private mesh; 0: 80 where allowed, else 8080."},
    {"local", "https_port", CONF_NUMBER, FIELD(https_port), "0", 0, 65535, NULL,
	"HTTPS port of the private mesh; 0: 443 where allowed, else 8443."},
    {"local", "state_dir", CONF_PATH, FIELD(state_dir), NULL, 0, 0, NULL,
	"Directory of the private mesh: its Caddy's configuration, log and certificates."},
    {"local", "caddy", CONF_WORD, FIELD(caddy), "caddy", 0, 0, NULL,
	"The caddy program that the private mesh runs."},
    {"local", "access_log", CONF_BOOL, FIELD(access_log), "yes", 0, 0, NULL,
	"Whether its Caddy writes down what services are asked for, which devmeshd shows."},
    {"run", "worktree_gone", CONF_CHOICE, FIELD(worktree_gone), "end", 0, 0, worktree_gone,
	"What devmesh run does when its worktree is removed: end the server, or keep it."},
    {"run", "log_kb", CONF_NUMBER, FIELD(log_kb), "1024", 0, 65536, NULL,
	"Kilobytes of its output that devmesh run keeps of a service; 0: none."},
    {"run", "restore", CONF_BOOL, FIELD(restore), "no", 0, 0, NULL,
	"Whether devmeshd, when it starts, starts again what devmesh run -d had running."},
    {"run", "on_request", CONF_BOOL, FIELD(on_request), "no", 0, 0, NULL,
	"Whether opening the URL of such a service that does not run starts it."},
    {"run", "idle_stop", CONF_NUMBER, FIELD(idle_stop), "0", 0, 2592000, NULL,
	"Seconds without a request after which such a service is ended; 0: never."},
    {"daemon", "start", CONF_BOOL, FIELD(daemon_start), "yes", 0, 0, NULL,
	"Whether devmesh start starts devmeshd as well."},
    {"daemon", "grace", CONF_NUMBER, FIELD(grace_s), "10", 0, 86400, NULL,
	"Seconds that something must have been dead before devmeshd removes it."},
    {"daemon", "probe_interval", CONF_NUMBER, FIELD(probe_s), "10", 1, 3600, NULL,
	"Seconds between two looks of devmeshd at every service."},
    {"daemon", "scan_interval", CONF_NUMBER, FIELD(scan_s), "5", 1, 3600, NULL,
	"Seconds between two looks for unregistered servers; every second while somebody watches."},
    {"daemon", "port_from", CONF_NUMBER, FIELD(port_from), "1024", 1, 65535, NULL,
	"The lowest port of which an unregistered server is shown."},
    {"daemon", "port_to", CONF_NUMBER, FIELD(port_to), "65535", 1, 65535, NULL,
	"The highest such port."},
    {"daemon", "orphans", CONF_CHOICE, FIELD(orphans), "keep", 0, 0, orphans,
	"What devmeshd does with a registered server whose worktree is gone: keep it, or end it."},
    {"daemon", "history_days", CONF_NUMBER, FIELD(history_days), "14", 0, 3650, NULL,
	"Days for which devmeshd keeps its history; 0: it keeps none."},
    {"daemon", "history_mb", CONF_NUMBER, FIELD(history_mb), "50", 1, 10240, NULL,
	"Megabytes that the history may take."},
};

const size_t conf_key_count = sizeof(conf_keys) / sizeof(conf_keys[0]);
