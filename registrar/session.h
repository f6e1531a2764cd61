/* SPDX-License-Identifier: MIT */
/*
 * One run of devmesh: configuration, registry and Caddy, each opened when first asked for, so
 * that every verb fails with the same words and pays only for what it uses.
 */
#ifndef DEVMESH_SESSION_H
#define DEVMESH_SESSION_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "caddy/admin.h"
#include "caddy/view.h"
#include "claim/registry.h"
#include "conf/conf.h"
#include "model/host.h"
#include "model/name.h"
#include "repo/repo.h"

/* Members are NULL until asked for; owned by the session. */
struct session {
	struct conf *conf;
	char *state_dir;
	struct registry *registry;
	struct caddy_admin *admin;
	struct caddy_view *view;
};

/* The domain of a private mesh, and of any other if nothing says otherwise. */
#define DEFAULT_DOMAIN "dev.localhost"

/*
 * The file that is read besides the usual ones: `flag` (--config), else DEVMESH_CONFIG; NULL: none.
 * Borrowed.
 */
const char *session_config_file(const char *flag);

/* Loads the configuration; `config_file` (from --config) may be NULL. */
struct session *session_open(const char *config_file, struct dm_err *err) DM_MUST;
/* The same with a configuration that is there already, which it takes. */
struct session *session_with(struct conf *conf);
void session_free(struct session *session);
DM_DEFINE_FREEP(session)

bool session_need_registry(struct session *s, struct dm_err *err) DM_MUST;
/* The private mesh's directory. */
bool session_need_state_dir(struct session *s, struct dm_err *err) DM_MUST;
/* "<state_dir>/admin.sock"; the caller owns it. Needs the state directory. */
char *session_private_admin(const struct session *s);
/* Caddy's address: as configured, else the private mesh if it is alive, else localhost:2019. */
bool session_need_admin(struct session *s, struct dm_err *err) DM_MUST;
/* Caddy's configuration, read once. */
bool session_need_view(struct session *s, struct dm_err *err) DM_MUST;

/* Forgets what was read, and where from: another Caddy may be the one to ask by now. */
void session_drop_view(struct session *s);

/* The domain: as configured, else found in the view (which must have been read). */
void session_domain(const struct session *s, char out[HOST_MAX + 1]);

/* What the user said about the name; borrowed, NULL where nothing. */
struct name_flags {
	const char *dir; /* -C; NULL: the working directory */
	const char *id;	 /* --id */
	const char *app; /* --app */
};

/*
 * The worktree and its name: the one way by which every verb gets them. The caller owns *repo.
 *
 * DEVMESH_APP counts as the user's wish, and so does DEVMESH_ID, unless DEVMESH_WORKTREE is set:
 * then it comes from devmesh env, and says what was, not what is wanted.
 */
bool session_name(struct session *s, const struct name_flags *flags, struct repo **repo,
    struct name *name, struct dm_err *err) DM_MUST;

/*
 * The claim meant by a verb's ID argument or, without one, by the worktree: DM_NOT_FOUND with the
 * ids that exist if there is none. An alias leads to its claim. The caller owns *claim.
 */
bool session_claim(struct session *s, const char *id, const struct name_flags *flags,
    struct claim **claim, struct dm_err *err) DM_MUST;

#endif
