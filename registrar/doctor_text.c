/* SPDX-License-Identifier: MIT */
#include "doctor_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	WORDS_MAX = 8
};

/* Steps to the next line; the length of the present one is *n. NULL at the end. */
static const char *
next_line(const char *line, size_t *n)
{
	if (*line == '\0')
		return NULL;
	*n = strcspn(line, "\n");
	return line;
}

static const char *
after(const char *line, size_t n)
{
	return line + n + (line[n] == '\n' ? 1 : 0);
}

/* The words of a line; their copies live in `copy`. */
static size_t
split(const char *line, size_t n, char copy[512], const char *words[WORDS_MAX])
{
	size_t count = 0;

	if (!dm_snprintf(copy, 512, "%.*s", (int)(n < 511 ? n : 511), line))
		return 0;
	for (char *p = copy; count < WORDS_MAX;) {
		p += strspn(p, " \t\r");
		if (*p == '\0')
			break;
		words[count++] = p;
		p += strcspn(p, " \t\r");
		if (*p != '\0')
			*p++ = '\0';
	}
	return count;
}

/* Whether `path` is `dir` or lies below it. */
static bool
is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool
text_tmpfiles_age(const char *text, const char *dir, char *age, size_t size)
{
	const char *line = text, *words[WORDS_MAX];
	bool found = false;
	char copy[512];
	size_t n;

	for (; (line = next_line(line, &n)) != NULL; line = after(line, n)) {
		size_t count = split(line, n, copy, words);

		if (count < 2 || words[0][0] == '#' || !is_below(dir, words[1]))
			continue;
		if (words[0][0] == 'x' || words[0][0] == 'X')
			return false;
		if (strchr("qQdDvv", words[0][0]) != NULL && count >= 6 &&
		    strcmp(words[5], "-") != 0)
			found = dm_snprintf(age, size, "%s", words[5]);
	}
	return found;
}

/* "20", "20.1" or "20.1.2" at the beginning of a text; how many parts, and how long. */
static unsigned
parse_version(const char *text, unsigned parts[3], size_t *length)
{
	const char *p = text;
	unsigned count = 0;

	memset(parts, 0, 3 * sizeof(*parts));
	while (count < 3 && isdigit((unsigned char)*p)) {
		unsigned value = 0;

		for (; isdigit((unsigned char)*p); p++)
			value = value < 100 ? value * 10 + (unsigned)(*p - '0') : 999;
		parts[count++] = value;
		if (*p != '.' || !isdigit((unsigned char)p[1]))
			break;
		p++;
	}
	*length = (size_t)(p - text);
	return count;
}

unsigned
text_version(const char *text)
{
	unsigned parts[3];
	size_t length;

	for (const char *p = text; *p != '\0'; p++) {
		if (isdigit((unsigned char)*p) && parse_version(p, parts, &length) >= 2)
			return VERSION(parts[0], parts[1], parts[2]);
		while (isdigit((unsigned char)*p) && isdigit((unsigned char)p[1]))
			p++;
	}
	return 0;
}

/* One comparator (">=18.2", "^20", "20.x"); *known is false for what it does not understand. */
static bool
comparator_fits(unsigned version, const char *text, bool *known)
{
	static const char *const operators[] = {">=", "<=", ">", "<", "^", "~", "=", ""};
	unsigned parts[3], count, low, high;
	size_t i = 0, length;
	const char *p;

	while (!dm_starts_with(text, operators[i]))
		i++;
	p = text + strlen(operators[i]);
	p += *p == 'v' ? 1 : 0;
	if (*p == '*' || *p == 'x' || *p == 'X')
		return true;
	if ((count = parse_version(p, parts, &length)) == 0) {
		*known = false;
		return true;
	}
	p += length;
	if (*p != '\0' && strcmp(p, ".x") != 0 && strcmp(p, ".x.x") != 0 && strcmp(p, ".*") != 0) {
		*known = false; /* a pre-release, or nothing we know */
		return true;
	}
	low = VERSION(parts[0], parts[1], parts[2]);
	/* the first version above what the written parts allow */
	high = count == 1   ? VERSION(parts[0] + 1, 0, 0)
	       : count == 2 ? VERSION(parts[0], parts[1] + 1, 0)
			    : low + 1;
	switch (i) {
	case 0:
		return version >= low;
	case 1:
		return version < high;
	case 2:
		return version >= high;
	case 3:
		return version < low;
	case 4:
		return version >= low && version < (parts[0] > 0 ? VERSION(parts[0] + 1, 0, 0)
								 : VERSION(0, parts[1] + 1, 0));
	case 5:
		return version >= low &&
		       version < (count == 1 ? VERSION(parts[0] + 1, 0, 0)
					     : VERSION(parts[0], parts[1] + 1, 0));
	default:
		return version >= low && version < high;
	}
}

/* Comparators side by side: all of them. "18 - 20" is not understood, and fits. */
static bool
alternative_fits(unsigned version, const char *text, size_t n, bool *known)
{
	const char *words[WORDS_MAX];
	char copy[512];
	size_t count = split(text, n, copy, words);
	bool fits = true;

	for (size_t i = 0; i < count; i++) {
		char joined[128];
		size_t length = strlen(words[i]);

		/* ">= 18": an operator that stands alone belongs to the next word */
		if (i + 1 < count && strspn(words[i], "<>=^~") == length) {
			if (!dm_snprintf(joined, sizeof(joined), "%s%s", words[i], words[i + 1])) {
				*known = false;
				return true;
			}
			i++;
			fits &= comparator_fits(version, joined, known);
		} else {
			fits &= comparator_fits(version, words[i], known);
		}
	}
	return fits;
}

bool
text_version_fits(unsigned version, const char *range)
{
	bool known = true;

	for (const char *p = range;;) {
		const char *bar = strstr(p, "||");
		size_t n = bar != NULL ? (size_t)(bar - p) : strlen(p);

		if (alternative_fits(version, p, n, &known) || !known)
			return true;
		if (bar == NULL)
			return false;
		p = bar + 2;
	}
}

bool
text_names_module(const char *config, const char *module)
{
	const char *line = config, *words[WORDS_MAX];
	DM_AUTO_FREE char *tight = dm_asprintf("\"name\":\"%s\"", module);
	DM_AUTO_FREE char *loose = dm_asprintf("\"name\": \"%s\"", module);
	char copy[512];
	size_t n;

	if (strstr(config, tight) != NULL || strstr(config, loose) != NULL)
		return true;
	for (; (line = next_line(line, &n)) != NULL; line = after(line, n)) {
		size_t count = split(line, n, copy, words);

		for (size_t i = 0; i < count && words[i][0] != '#'; i++) {
			/* "dns cloudflare {env.TOKEN}", "acme_dns cloudflare", "provider
			 * cloudflare" */
			if (strcmp(words[i], module) == 0 &&
			    (i == 0 || strcmp(words[i - 1], "dns") == 0 ||
				strcmp(words[i - 1], "acme_dns") == 0 ||
				strcmp(words[i - 1], "provider") == 0))
				return true;
		}
	}
	return false;
}

bool
text_has_line(const char *text, const char *wanted)
{
	const char *line = text;
	size_t n, length = strlen(wanted);

	for (; (line = next_line(line, &n)) != NULL; line = after(line, n)) {
		if (n == length && strncmp(line, wanted, n) == 0)
			return true;
	}
	return false;
}

bool
text_field(const char *lines, const char *name, char *out, size_t size)
{
	const char *line = lines;
	size_t n, length = strlen(name);

	for (; (line = next_line(line, &n)) != NULL; line = after(line, n)) {
		if (n > length && line[length] == ':' && strncmp(line, name, length) == 0)
			return dm_snprintf(
			    out, size, "%.*s", (int)(n - length - 1), line + length + 1);
	}
	return false;
}

/* Days since the epoch of a date in the Gregorian calendar. */
static int64_t
days_of(int64_t year, unsigned month, unsigned day)
{
	static const unsigned before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t last = year - 1;
	int64_t days = 365 * (year - 1970) + (last / 4 - last / 100 + last / 400) -
		       (1969 / 4 - 1969 / 100 + 1969 / 400);
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days + before[month - 1] + (leap && month > 2 ? 1 : 0) + day - 1;
}

/* The next number of a text, behind blanks and the like; -1 if there is none. */
static int64_t
take_number(const char **p)
{
	int64_t value = 0;

	*p += strspn(*p, " -:T");
	if (!isdigit((unsigned char)**p))
		return -1;
	for (; isdigit((unsigned char)**p) && value < 100000; (*p)++)
		value = value * 10 + (**p - '0');
	return value;
}

int64_t
text_time(const char *text)
{
	static const char *const months[] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t year = -1, month = -1, day, hour, minute, second;
	bool named = isalpha((unsigned char)text[0]);

	for (int i = 0; i < 12; i++) {
		if (dm_starts_with(text, months[i]))
			month = i + 1;
	}
	if (named) {
		text += month < 0 ? 0 : 3;
	} else {
		year = take_number(&text);
		month = take_number(&text);
	}
	day = take_number(&text);
	hour = take_number(&text);
	minute = take_number(&text);
	second = take_number(&text);
	if (named)
		year = take_number(&text);
	if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -1;
	return days_of(year, (unsigned)month, (unsigned)day) * 86400 + hour * 3600 + minute * 60 +
	       second;
}

unsigned
text_hosts_line(const char *text, const char *domain, char address[64], char name[256])
{
	DM_AUTO_FREE char *suffix = dm_asprintf(".%s", domain);
	const char *line = text, *words[WORDS_MAX];
	unsigned number = 0;
	char copy[512];
	size_t n;

	for (; (line = next_line(line, &n)) != NULL; line = after(line, n)) {
		size_t count = split(line, strcspn(line, "#\n"), copy, words);

		number++;
		if (count < 2 || dm_starts_with(words[0], "127.") || strcmp(words[0], "::1") == 0)
			continue;
		for (size_t i = 1; i < count; i++) {
			if ((strcasecmp(words[i], domain) == 0 || dm_ends_with(words[i], suffix)) &&
			    dm_snprintf(address, 64, "%s", words[0]) &&
			    dm_snprintf(name, 256, "%s", words[i]))
				return number;
		}
	}
	return 0;
}

bool
text_listens_widely(const char *address)
{
	DM_AUTO_FREE char *host = NULL;
	const char *slash = strchr(address, '/'), *colon;

	if (dm_starts_with(address, "unix") || dm_starts_with(address, "fd"))
		return false;
	if (slash != NULL)
		address = slash + 1; /* tcp/... */
	colon = strrchr(address, ':');
	host = dm_strndup(address, colon == NULL ? strlen(address) : (size_t)(colon - address));
	return strcmp(host, "localhost") != 0 && !dm_starts_with(host, "127.") &&
	       strcmp(host, "[::1]") != 0 && strcmp(host, "::1") != 0;
}

const char *
text_argument(const char *args, size_t len, const char *option)
{
	size_t length = strlen(option);

	for (const char *p = args; p < args + len; p += strlen(p) + 1) {
		if (strncmp(p, option, length) != 0)
			continue;
		if (p[length] == '=')
			return p + length + 1;
		if (p[length] == '\0')
			return p + length + 1 < args + len ? p + length + 1 : "";
	}
	return NULL;
}

size_t
text_groups(const char *status, gid_t *out, size_t max)
{
	const char *line = status;
	size_t n, count = 0;

	for (; (line = next_line(line, &n)) != NULL; line = after(line, n)) {
		bool own = dm_starts_with(line, "Gid:");
		const char *p = strchr(line, ':');
		unsigned skip = own ? 1 : 0; /* real, effective, saved, file system */

		if (!own && !dm_starts_with(line, "Groups:"))
			continue;
		for (p++; count < max;) {
			char *end;
			unsigned long gid;

			p += strspn(p, " \t");
			if (!isdigit((unsigned char)*p))
				break;
			gid = strtoul(p, &end, 10);
			if (skip-- == 0 || !own)
				out[count++] = (gid_t)gid;
			p = end;
		}
	}
	return count;
}
