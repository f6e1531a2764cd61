/* SPDX-License-Identifier: MIT */
/*
 * How services are started: what `devmesh run -d` has been given, kept so that devmeshd can start
 * it again, "<state_dir>/commands/<id>.json". A record holds the environment it was given, and so
 * is mode 0600, in a directory of mode 0700.
 *
 * The verbs write records, and remove them with `down`; devmeshd reads one whenever it is about to
 * start the service, and notes whether it is to run.
 */
#ifndef DEVMESH_COMMANDS_H
#define DEVMESH_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"
#include "model/slug.h"
#include "session.h"

enum {
	COMMAND_FILE_MAX = 2 << 20, /* bytes */
	COMMAND_WORDS_MAX = 1024,
	COMMAND_ENV_MAX = 8192,
	COMMAND_AS_CONFIGURED = -1
};

/* Owned by the struct; lists end with NULL. */
struct command {
	struct slug id, app;
	char **argv;
	char *dir; /* absolute; the working directory */
	char **env;
	char **options; /* of devmesh run: "--port=3000" */
	/* As configured ([run] on_request, idle_stop), or for this one: */
	int on_request; /* 0, 1 */
	int64_t idle_stop_s;
	bool wanted;		  /* it is to run */
	struct dm_proc_id runner; /* the devmesh run that devmeshd has started last; pid 0: none */
};

struct command *command_new(const char *id);
void command_free(struct command *command);
DM_DEFINE_FREEP(command)

/* A list with copies of the texts; the caller owns it. */
char **command_list(const char *const *texts);

/* "<state_dir>/commands"; the caller owns it. Needs the state directory. */
char *commands_dir(const struct session *s);

/* The text of a record, and back; the caller owns it. */
char *command_encode(const struct command *command);
struct command *
command_decode(const char *text, size_t len, const char *id, struct dm_err *err) DM_MUST;

/* DM_NOT_FOUND if there is none. The caller owns the result. */
struct command *command_load(const char *dir, const char *id, struct dm_err *err) DM_MUST;
/* Makes the directory if it is missing; the file is replaced as a whole. */
bool command_save(const char *dir, const struct command *command, struct dm_err *err) DM_MUST;
/* The same for one that is there; false, with DM_NOT_FOUND, if it was forgotten meanwhile. */
bool command_update(const char *dir, const struct command *command, struct dm_err *err) DM_MUST;
/* Nothing if there is none. */
void command_forget(const char *dir, const char *id);
bool command_exists(const char *dir, const char *id);

/* Calls fn for every id of which there is a record. */
void commands_each(const char *dir, void (*fn)(void *user, const char *id), void *user);

/* The command line, as a person would type it, printable, cut at some length; the caller owns it.
 */
char *command_line(const char *const *argv);

#endif
