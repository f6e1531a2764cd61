/* SPDX-License-Identifier: MIT */
/*
 * Settings of frameworks that do not go with being served under a name of one's own: one table,
 * read by `devmesh doctor`. A rule looks at the text of a file and guesses: comments are taken out,
 * nothing is evaluated. Pure.
 *
 * To add a rule: a row here and a check of the same id in doctor.c.
 */
#ifndef DEVMESH_TRAPS_H
#define DEVMESH_TRAPS_H

#include <stdbool.h>
#include <stddef.h>

enum {
	TRAP_FILES_MAX = 8
};

/* "@DOMAIN@" in the texts stands for the domain. */
struct trap_rule {
	const char *id;
	const char *files[TRAP_FILES_MAX]; /* below the worktree; the first that exists is read */
	const char *package; /* also without them, if package.json names this; or NULL */
	bool (*seems)(const char *code, const char *domain);
	bool serious;	  /* it will not work; else it may not */
	const char *what; /* "%s seems ..." without the file's name in front */
	const char *why, *fix;
};

extern const struct trap_rule trap_rules[];
extern const size_t trap_rule_count;

/*
 * The text with its comments blanked: those of JavaScript ("js"), or of "#" to the end of the line
 * for anything else. Quotes are respected. The caller owns it.
 */
char *trap_code(const char *text, const char *file);

/* A rule's text with the domain filled in; the caller owns it. */
char *trap_text(const char *text, const char *domain);

/*
 * A line of a .env file that gives a variable the URL of a fixed port of this machine
 * (VITE_API_URL=http://localhost:3000): the variable's name and the line's number, 0 if there is
 * none. `skip` lines are passed over first.
 */
unsigned trap_env_line(const char *text, unsigned skip, char name[64]);

/* "mysite.settings" of manage.py as a path, "mysite/settings.py"; false if there is none. */
bool trap_django_settings(const char *manage, char *out, size_t size);

/* Whether a TOML text has the key (or table) at the beginning of a line. */
bool trap_toml_key(const char *text, const char *key);

#endif
