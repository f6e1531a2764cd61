/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "doctor_text.h"

enum {
	STATUS_MAX = 65536
};

/* The groups that the user has by the databases of users and groups. */
static void
look_up(struct access_user *out)
{
	const struct passwd *entry = getpwuid(out->uid);
	DM_AUTO_FREE char *name = entry == NULL ? NULL : dm_strdup(entry->pw_name);
	const struct group *group;

	if (entry == NULL)
		return;
	out->groups[out->count++] = entry->pw_gid;
	setgrent();
	while (out->count < ACCESS_GROUPS_MAX && (group = getgrent()) != NULL) {
		for (char **member = group->gr_mem; *member != NULL; member++) {
			if (strcmp(*member, name) == 0) {
				out->groups[out->count++] = group->gr_gid;
				break;
			}
		}
	}
	endgrent();
}

void
access_user_of(uid_t uid, pid_t pid, struct access_user *out)
{
	DM_AUTO_STR struct dm_str status = dm_str_make(STATUS_MAX);
	struct dm_err ignored;
	char path[64];

	*out = (struct access_user){.uid = uid};
	if (pid != 0 && dm_snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid) &&
	    dm_read_file(path, &status, &ignored))
		out->count = text_groups(status.data, out->groups, ACCESS_GROUPS_MAX);
	if (out->count == 0)
		look_up(out);
}

bool
access_may(const struct access_user *user, const struct stat *st, unsigned rights)
{
	unsigned mode = st->st_mode & 07;

	if (user->uid == 0)
		return true;
	for (size_t i = 0; i < user->count; i++) {
		if (user->groups[i] == st->st_gid)
			mode = st->st_mode >> 3 & 07;
	}
	if (user->uid == st->st_uid)
		mode = st->st_mode >> 6 & 07;
	return (mode & rights) == rights;
}
