/* SPDX-License-Identifier: MIT */
/* What the tests of devmesh setup share. */
#ifndef DEVMESH_HARNESS_SETUP_H
#define DEVMESH_HARNESS_SETUP_H

#include "harness_net.h"

#define TOKEN  "cf_0123456789abcdefghijklmnopqrstuvwxyzABCD"
#define DOMAIN "--domain", "dev.example.test"

struct ports {
	char https[8], http[8];
};

/* Free ones; and an environment without a domain and a token. */
struct ports choose_ports(struct world *w);

/*
 * A script in the place of a Caddy with the modules for Cloudflare: it notes who called it, how,
 * and with what; `validate` is what it does for that command.
 */
void caddy_with_modules(struct world *w, const char *validate);

void assert_no_token(struct result r);

#endif
