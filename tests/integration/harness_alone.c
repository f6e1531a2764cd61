/* SPDX-License-Identifier: MIT */
#include "harness_alone.h"

#include <unistd.h>

static const char begin[] =
    "set -eu\n"
    "pids=\ntrap 'kill $pids 2>/dev/null || :; wait || :' EXIT\n"
    "await() { n=0; until \"$@\" >/dev/null 2>&1; do [ $((n += 1)) -lt 400 ] || "
    "{ echo \"waited for $*\"; cat *.log; exit 1; }; sleep 0.05; done; }\n"
    "mkdir etc run\n"
    "cp -a /etc/passwd /etc/group /etc/ssl etc/\n"
    "echo '127.0.0.1 localhost' >etc/hosts\n"
    "echo 'hosts: files dns' >etc/nsswitch.conf\n"
    "mount --bind etc /etc\nmount -t tmpfs -o mode=755 none /run\nip link set lo up\n"
    "serve() { : >server.out; ${within:-} python3 \"$server\" \"$@\" >server.out 2>>server.log & "
    "one=$!; pids=\"$pids $one\"; await grep -q ready server.out; }\n"
    "end() { kill $1; wait $1 || :; }\n";

struct result
run_alone(struct world *w, const char *script, const char *reason)
{
	char *path = fmt(w, "%s/alone.sh", w->dir);
	struct result r;

	/* there port 53 is nobody else's */
	world_env(w, "DEVMESH_DNS_ENABLED", "yes");
	if (geteuid() != 0)
		world_skip(w, "only root can give a network of its own to the test");
	if (run(w, w->dir, ARGV("unshare", "-m", "-n", "true")).code != 0)
		world_skip(w, "there can be no namespaces here");
	write_text(path, fmt(w, "server=%s/tests/integration/dns_server.py devmesh=%s\n%s%s",
			     source_dir(), w->devmesh, begin, script));
	r = run(w, w->dir, ARGV("unshare", "-m", "-n", "sh", path));
	if (r.code == 77)
		world_skip(w, reason);
	if (r.code != 0)
		fail_msg("status %d: %s%s", r.code, r.out, r.err);
	return r;
}
