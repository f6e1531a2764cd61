/* SPDX-License-Identifier: MIT */
#include "base/proc_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	UDP_UNCONNECTED_STATE = 7,
	TCP_LISTEN_STATE = 0x0A, /* include/net/tcp_states.h */
	UNIX_ACCEPTS = 0x10000	 /* __SO_ACCEPTCON, include/uapi/linux/net.h */
};

/* The number at the beginning of the text; false if there is none. */
static bool
leading_number(const char *text, int base, uint64_t *out)
{
	char *end;

	/* strtoull(3) would take blanks and a sign */
	if (*text == '-' || *text == '+' || *text == ' ')
		return false;
	*out = strtoull(text, &end, base);
	return end != text;
}

/* The n-th word (from 0) of a line, up to its end; NULL if there are fewer. */
static const char *
word_of(const char *line, unsigned n)
{
	for (line += strspn(line, " "); n > 0 && *line != '\0'; n--) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return *line == '\0' ? NULL : line;
}

static bool
word_number(const char *line, unsigned n, int base, uint64_t *out)
{
	const char *word = word_of(line, n);

	return word != NULL && leading_number(word, base, out);
}

bool
dm_text_stat(const char *text, struct dm_proc_stat *out)
{
	/* the second field is the name, in brackets, and may hold anything: take the last one */
	const char *rest = strrchr(text, ')'), *state;
	uint64_t parent, group;

	if (rest == NULL || (state = word_of(++rest, 0)) == NULL ||
	    !word_number(rest, 1, 10, &parent) || !word_number(rest, 2, 10, &group) ||
	    !word_number(rest, 19, 10, &out->start))
		return false;
	out->state = *state;
	out->parent = (pid_t)parent;
	out->group = (pid_t)group;
	return true;
}

bool
dm_text_socket(const char *link, uint64_t *inode)
{
	static const char begin[] = "socket:["; /* "socket:[1234]" */

	return dm_starts_with(link, begin) && leading_number(link + sizeof(begin) - 1, 10, inode);
}

/* "0100007F:1F90": addresses stand there as 32-bit words in the machine's own byte order. */
static bool
parse_address(const char *text, struct dm_listener *out)
{
	size_t digits = strcspn(text, ":"), words = digits / 8;
	uint64_t number;

	if ((digits != 8 && digits != 32) || text[digits] != ':' ||
	    !leading_number(text + digits + 1, 16, &number) || number > UINT16_MAX)
		return false;
	out->port = (uint16_t)number;
	for (size_t i = 0; i < words; i++) {
		char hex[9] = "";
		uint32_t word;

		memcpy(hex, text + 8 * i, 8);
		if (strspn(hex, "0123456789abcdefABCDEF") != 8)
			return false;
		word = (uint32_t)strtoul(hex, NULL, 16);
		memcpy(out->address + 4 * i, &word, sizeof(word));
	}
	out->ipv6 = words == 4;
	return true;
}

/* The tables of both protocols have the same columns. */
static bool
text_inet(const char *line, uint64_t wanted, struct dm_socket *out)
{
	const char *address = word_of(line, 1);
	uint64_t state, uid;

	memset(out, 0, sizeof(*out));
	if (address == NULL || !word_number(line, 3, 16, &state) || state != wanted ||
	    !word_number(line, 7, 10, &uid) || !word_number(line, 9, 10, &out->inode) ||
	    !parse_address(address, &out->listener))
		return false;
	out->uid = (uid_t)uid;
	return true;
}

bool
dm_text_tcp(const char *line, struct dm_socket *out)
{
	return text_inet(line, TCP_LISTEN_STATE, out);
}

bool
dm_text_udp(const char *line, struct dm_socket *out)
{
	return text_inet(line, UDP_UNCONNECTED_STATE, out);
}

bool
dm_text_unix(const char *line, struct dm_socket *out)
{
	const char *path = word_of(line, 7);
	uint64_t flags;

	memset(out, 0, sizeof(*out));
	/* a name that begins with '@' is of the abstract namespace: unix(7) */
	if (path == NULL || path[0] == '@' || !word_number(line, 3, 16, &flags) ||
	    (flags & UNIX_ACCEPTS) == 0 || !word_number(line, 6, 10, &out->inode))
		return false;
	out->uid = (uid_t)-1;
	out->path = dm_strdup(path);
	return true;
}

bool
dm_text_deleted(char *link)
{
	static const char end[] = " (deleted)";

	if (!dm_ends_with(link, end) || strlen(link) == sizeof(end) - 1)
		return false;
	link[strlen(link) - (sizeof(end) - 1)] = '\0';
	return true;
}

/* At most `max` bytes, and no part of a character at the end (RFC 3629). */
static size_t
cut(const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n <= max)
		return n;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

char *
dm_text_command(const char *bytes, size_t len)
{
	DM_AUTO_STR struct dm_str line = dm_str_make(2 * (size_t)DM_COMMAND_MAX);
	DM_AUTO_FREE char *shown = NULL;
	size_t i = 0;

	/* a process that has set its title leaves the rest empty */
	while (len > 0 && bytes[len - 1] == '\0')
		len--;
	if (len > 0 && bytes[0] == '/') {
		size_t first = strnlen(bytes, len);

		for (size_t at = 0; at < first; at++)
			i = bytes[at] == '/' && at + 1 < first ? at + 1 : i;
	}
	for (; i < len && !line.overflow; i++)
		(void)dm_str_add(&line, bytes[i] == '\0' ? " " : bytes + i, 1);
	if (line.len == 0)
		return NULL;
	shown = dm_printable(line.data);
	return dm_strndup(shown, cut(shown, DM_COMMAND_MAX));
}
