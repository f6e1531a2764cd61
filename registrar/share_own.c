/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "share_impl.h"

/* Names of files; each owned. */
struct names {
	char **list;
	size_t count;
};

static void
add_name(struct names *names, char *name)
{
	names->list = dm_reallocarray(names->list, names->count + 1, sizeof(char *));
	names->list[names->count++] = name;
}

static void
names_release(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

static bool
has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->list[i], name) == 0)
			return true;
	}
	return false;
}

/* A file of the kind that share_own() makes: an address, or a name whose file is empty. */
static bool
is_own(int dir, const char *file)
{
	struct share ignored;
	struct stat st;

	return file[0] == '@' ||
	       (share_parse_name(file, &ignored) &&
		   fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == 0);
}

static void
drop_other_own(int fd, const struct names *names)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = again < 0 ? NULL : fdopendir(again);
	const struct dirent *file;

	if (stream == NULL) {
		if (again >= 0)
			(void)close(again);
		return;
	}
	while ((file = readdir(stream)) != NULL) {
		if (!has_name(names, file->d_name) && is_own(fd, file->d_name))
			(void)unlinkat(fd, file->d_name, 0);
	}
	(void)closedir(stream);
}

void
share_own(const char *dir, const struct netif_address *addresses, size_t count, const char *name,
    int64_t until)
{
	DM_AUTO_CLOSE int fd = share_make_dir(dir);
	DM_AUTO_CLOSE int turn = -1;
	__attribute__((cleanup(names_release))) struct names names = {.count = 0};
	char text[DNS_ADDRESS_TEXT];
	struct dm_err err;

	if (fd < 0 || (turn = share_take_turn(dir, &err)) < 0) {
		dm_warn("what is this machine's own cannot be written to %s: %s", dir,
		    fd < 0 ? strerror(errno) : err.msg);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct dns_address *address = &addresses[i].address;

		dns_address_text(address, text);
		/* a link-local one has its interface with it (RFC 4007 §11) */
		add_name(&names,
		    address->ipv6 && dns_address_is_link_local(address)
			? dm_asprintf("@%s%%%s.%010lld", text, addresses[i].name, (long long)until)
			: dm_asprintf("@%s.%010lld", text, (long long)until));
	}
	if (name != NULL)
		add_name(&names, dm_asprintf("%s.%s.%010lld", name, gate_reach_name(GATE_LAN),
				     (long long)until));
	for (size_t i = 0; i < names.count; i++) {
		int made =
		    openat(fd, names.list[i], O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (made >= 0)
			(void)close(made);
	}
	/* the new ones are there first: nothing is refused in between */
	drop_other_own(fd, &names);
}

bool
share_knows_own(const char *dir)
{
	DIR *stream = opendir(dir);
	const struct dirent *file;
	bool knows = false;
	uint64_t until;

	while (stream != NULL && !knows && (file = readdir(stream)) != NULL) {
		const char *dot = strrchr(file->d_name, '.');

		knows = file->d_name[0] == '@' && dot != NULL &&
			dm_parse_uint(dot + 1, 0, GATE_FOREVER, &until) &&
			(int64_t)until > dm_wall_seconds();
	}
	if (stream != NULL)
		(void)closedir(stream);
	return knows;
}
