/* SPDX-License-Identifier: MIT */
/*
 * What the doctor reads out of other programs' files and answers. Pure, so that the tests can feed
 * it anything. Texts are NUL-terminated and bounded by the reader.
 */
#ifndef DEVMESH_DOCTOR_TEXT_H
#define DEVMESH_DOCTOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * tmpfiles.d(5): the age at which things below `dir` are deleted ("10d"); false if no line names a
 * directory above it together with an age, or a line exempts it.
 */
bool text_tmpfiles_age(const char *text, const char *dir, char *age, size_t size);

/* A version, its parts as one number: 2.6.2 is 2006002. */
#define VERSION(major, minor, patch) ((major)*1000000u + (minor)*1000u + (patch))
/* The first version in a text ("v2.6.2 h1:...", "worktrunk 0.61.0"); 0 if there is none. */
unsigned text_version(const char *text);

/*
 * Whether a version fits a range as package.json's "engines" has it (">=18", "^20.1 || >=22").
 * What cannot be understood fits.
 */
bool text_version_fits(unsigned version, const char *range);

/* Whether a Caddyfile (or Caddy's JSON) names the DNS provider or the app, outside comments. */
bool text_names_module(const char *config, const char *module);
/* Whether `caddy list-modules` has it as a line. */
bool text_has_line(const char *text, const char *line);

/* The value of a field in libcurl's lines of "Field:value"; false if it is missing or too long. */
bool text_field(const char *lines, const char *name, char *out, size_t size);
/*
 * A certificate's time, "Nov 21 03:15:00 2026 GMT" or "2026-11-21 03:15:00 GMT", in seconds since
 * the epoch; -1 if it is none.
 */
int64_t text_time(const char *text);

/*
 * The first line of a hosts(5) file that names `domain` or a name below it with another address
 * than a loopback one: its number, the address and the name; 0 if there is none.
 */
unsigned text_hosts_line(const char *text, const char *domain, char address[64], char name[256]);

/* Whether Caddy's listen address can be reached from other machines: not loopback, no socket. */
bool text_listens_widely(const char *address);

/* An argument of /proc/<pid>/cmdline: the one behind `option`, or "" for one that stands alone. */
const char *text_argument(const char *args, size_t len, const char *option);

/* The gids of the "Groups:" line of /proc/<pid>/status, and the effective one of "Gid:". */
size_t text_groups(const char *status, gid_t *out, size_t max);

#endif
