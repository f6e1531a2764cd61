/* SPDX-License-Identifier: MIT */
#include "harness_setup.h"

#include <sys/stat.h>

struct ports
choose_ports(struct world *w)
{
	struct ports p;

	snprintf(p.https, sizeof p.https, "%d", free_port(w));
	snprintf(p.http, sizeof p.http, "%d", free_port(w));
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "CLOUDFLARE_API_TOKEN", NULL);
	return p;
}

void
caddy_with_modules(struct world *w, const char *validate)
{
	char *path = fmt(w, "%s/modcaddy", w->dir);

	write_text(
	    path, fmt(w,
		      "#!/bin/sh\n"
		      "{ echo \"$*\"; tr '\\0' ' ' </proc/$PPID/cmdline; echo; } >>%s/calls\n"
		      "echo \"$CLOUDFLARE_API_TOKEN\" >>%s/tokens\n"
		      "case $1 in\n"
		      "list-modules) caddy list-modules; printf 'dns.providers.cloudflare\\n"
		      "dynamic_dns\\n' ;;\n"
		      "validate) %s ;;\n"
		      "*) exec caddy \"$@\" ;;\n"
		      "esac\n",
		      w->dir, w->dir, validate));
	assert_int_equal(chmod(path, 0755), 0);
	world_env(w, "DEVMESH_LOCAL_CADDY", path);
}

void
assert_no_token(struct result r)
{
	assert_null(strstr(r.out, TOKEN));
	assert_null(strstr(r.err, TOKEN));
}
