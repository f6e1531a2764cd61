/* SPDX-License-Identifier: MIT */
#include "leaves.h"

#include "base/fsio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	DEPTH = 4, /* of Caddy's directories */
};

/*
 * What is there goes. Caddy would serve what another root has signed, and what has expired, until
 * it has something better. And what has expired two weeks ago it removes while it renews it, which
 * then fails, again and again.
 *
 * Caddy also removes directories of certificates that are empty, as it starts, while it makes one
 * for its first certificate. If that comes in between, the certificate cannot be written, and
 * Caddy tries again after a minute. So the directory is there before, and not empty.
 */
void
leaves_prepare(const char *data_dir, const char *domain)
{
	static const char text[] = "While it is empty, Caddy would remove this directory.\n";
	DM_AUTO_FREE char *leaves = dm_asprintf("%s/certificates/local", data_dir);
	DM_AUTO_FREE char *dir = dm_asprintf("%s/wildcard_.%s", leaves, domain);
	DM_AUTO_FREE char *path = dm_asprintf("%s/devmesh.txt", dir);
	struct dm_err err;

	dm_remove_below(leaves, DEPTH);
	if (!dm_make_dirs(dir, 0700, &err) ||
	    !dm_write_file(path, text, sizeof(text) - 1, 0600, &err))
		dm_debug("%s", err.msg);
}
