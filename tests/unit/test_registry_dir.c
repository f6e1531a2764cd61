/* SPDX-License-Identifier: MIT */
/*
 * The registry as a directory that others can write to: damaged records, links, other users, what
 * dead processes left; and many processes at once.
 */
#include "place.h"

#include <sys/wait.h>

#define NOBODY 65534

static void
damaged_record_of_ours(void **state)
{
	static const char *const damage[] = {"", "{", "{}", "null", "\377\376"};
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop-main.json");

	for (size_t i = 0; i < COUNT(damage); i++) {
		put_file(record, damage[i]);
		assert_holder(p, "shop-main", -1);
		take_as(p, &name, (int)i, "shop-main");
		assert_holder(p, "shop-main", (int)i);
	}
	assert_int_equal(count_entries(p->path), 1);
}

static void
link_instead_of_a_record(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop-main.json");
	DM_AUTO_FREE char *victim = in_dir(p->dir, "victim");
	DM_AUTO_STR struct dm_str text;
	struct dm_err err;
	struct stat st;

	put_file(victim, "precious");
	assert_int_equal(symlink(victim, record), 0);
	assert_holder(p, "shop-main", -1);
	take_as(p, &name, 0, "shop-main");
	assert_int_equal(lstat(record, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	dm_str_init(&text, 100);
	assert_ok(dm_read_file(victim, &text, &err), &err);
	assert_string_equal(text.data, "precious");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(mkfifo(record, 0600), 0);
	assert_holder(p, "shop-main", -1);
	take_as(p, &name, 0, "shop-main");
}

/* As root: another user's records are conflicts, whatever is in them, and are not touched. */
static void
records_of_others(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main"), exact = exact_name("shop-main");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop-main.json");
	struct claim *none = NULL;
	struct registry_claims all;
	struct slug id;
	struct stat st;
	struct dm_err err;
	bool held;

	if (geteuid() != 0)
		skip();
	take_as(p, &name, 0, "shop-main");
	assert_int_equal(chown(record, NOBODY, NOBODY), 0);
	assert_fails(registry_resolve(p->reg, &exact, p->worktree[0], true, &id, &held, &err), &err,
	    DM_CONFLICT, "uid 65534");
	take_as(p, &name, 0, name_alternative(&name).s);
	put_file(record, "damaged");
	assert_int_equal(chown(record, NOBODY, NOBODY), 0);
	assert_fails(
	    registry_find(p->reg, "shop-main", &none, &err), &err, DM_CONFLICT, "uid 65534");
	assert_null(none);
	assert_fails(registry_resolve(p->reg, &exact, p->worktree[0], true, &id, &held, &err), &err,
	    DM_CONFLICT, "uid 65534");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(symlink("/etc/passwd", record), 0);
	assert_int_equal(lchown(record, NOBODY, NOBODY), 0);
	assert_fails(
	    registry_find(p->reg, "shop-main", &none, &err), &err, DM_CONFLICT, "uid 65534");
	/* a list passes over it */
	assert_ok(registry_scan(p->reg, &all, &err), &err);
	assert_int_equal(all.count, 1);
	registry_claims_free(&all);
	/* the link itself: who may follow it is the kernel's affair (fs.protected_symlinks) */
	assert_int_equal(lstat(record, &st), 0);
}

static void
scans(void **state)
{
	static const char *const odd[] = {"Bad.json", "a--b.json", ".hidden.json", "x.json.bak",
	    "-a.json", ".json", "readme", "b.socket"};
	struct place *p = *state;
	struct registry_claims all;
	struct dm_err err;
	char **ids = NULL;
	size_t count = 0;

	assert_ok(registry_scan(p->reg, &all, &err), &err);
	assert_int_equal(all.count, 0);
	for (size_t i = 0; i < COUNT(odd); i++) {
		DM_AUTO_FREE char *path = in_dir(p->path, odd[i]);

		put_file(path, "{}");
	}
	for (int i = 9; i >= 0; i--) {
		DM_AUTO_FREE char *branch = dm_asprintf("b%d", i);
		DM_AUTO_FREE char *socket = dm_asprintf("%s/s%d.sock", p->path, i);
		struct name name = name_of("shop", branch);
		DM_AUTO_FREE char *id = dm_strdup(name.id.s);

		take_as(p, &name, i, id);
		put_file(socket, "");
	}
	assert_ok(registry_scan(p->reg, &all, &err), &err);
	assert_int_equal(all.count, 10);
	for (size_t i = 0; i < 10; i++)
		assert_string_equal(all.list[i]->worktree, p->worktree[i]);
	registry_claims_free(&all);
	assert_ok(registry_sockets(p->reg, &ids, &count, &err), &err);
	assert_int_equal(count, 10);
	for (size_t i = 0; i < count; i++)
		free(ids[i]);
	free(ids);
}

/* Files that a killed process left; those of living ones stay. */
static void
sweeps_temporary_files(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *dead = NULL;
	DM_AUTO_FREE char *alive =
	    dm_asprintf("%s/.shop-main.%ld.1f2e.tmp", p->path, (long)getpid());
	DM_AUTO_FREE char *odd = in_dir(p->path, ".notes.tmp");
	DM_AUTO_FREE char *plain = in_dir(p->path, "x.1.tmp");
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	dead = dm_asprintf("%s/.shop-main.%ld.1f2e.tmp", p->path, (long)pid);
	put_file(dead, "");
	put_file(alive, "");
	put_file(odd, "");
	put_file(plain, "");
	assert_int_equal(registry_sweep_temporary(p->reg, true), 1);
	assert_int_equal(count_entries(p->path), 4);
	assert_int_equal(registry_sweep_temporary(p->reg, false), 1);
	assert_int_not_equal(access(dead, F_OK), 0);
	assert_int_equal(count_entries(p->path), 3);
	assert_int_equal(registry_sweep_temporary(p->reg, false), 0);
}

static void
opens_only_safe_directories(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *made = in_dir(p->dir, "x/y/made");
	DM_AUTO_FREE char *link = in_dir(p->dir, "link");
	DM_AUTO_FREE char *file = in_dir(p->dir, "file");
	DM_AUTO_FREE char *deep = dm_asprintf("%s/%0*d", p->dir, 60, 0);
	struct registry *reg;
	struct stat st;
	struct dm_err err;
	mode_t mask = umask(077);

	reg = registry_open(made, &err);
	(void)umask(mask);
	assert_ok(reg != NULL, &err);
	assert_string_equal(registry_dir(reg), made);
	registry_free(reg);
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	/* not sticky */
	assert_int_equal(chmod(made, 0777), 0);
	assert_fails(registry_open(made, &err) != NULL, &err, DM_DENIED, "sticky");
	assert_holds(err.hint, "chmod 1777");
	assert_int_equal(chmod(made, 0700), 0);
	reg = registry_open(made, &err);
	assert_ok(reg != NULL, &err);
	registry_free(reg);
	/* links: to a good directory, and to nowhere */
	assert_int_equal(symlink(made, link), 0);
	assert_fails(registry_open(link, &err) != NULL, &err, DM_DENIED, "symbolic link");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("/nowhere/at/all", link), 0);
	assert_fails(registry_open(link, &err) != NULL, &err, DM_DENIED, "symbolic link");
	put_file(file, "");
	assert_fails(registry_open(file, &err) != NULL, &err, DM_FAILED, file);
	assert_fails(registry_open(deep, &err) != NULL, &err, DM_USAGE, "too long");
	assert_int_not_equal(access(deep, F_OK), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(made, NOBODY, NOBODY), 0);
	assert_fails(registry_open(made, &err) != NULL, &err, DM_DENIED, "not sticky");
}

static void
locks(void **state)
{
	struct place *p = *state;
	struct dm_err err;
	int claims = -1, caddy = -1, none = -1;

	assert_ok(registry_lock(p->reg, REGISTRY_LOCK_CLAIMS, 0, &claims, &err), &err);
	assert_ok(registry_lock(p->reg, REGISTRY_LOCK_CADDY, 0, &caddy, &err), &err);
	assert_fails(
	    registry_lock(p->reg, REGISTRY_LOCK_CLAIMS, 1, &none, &err), &err, DM_TIMEOUT, "lock");
	(void)close(claims);
	(void)close(caddy);
}

enum {
	CHILDREN = 20
};

/* Forks children that each take a name for a worktree of their own; all must succeed. */
static void
take_at_once(const struct place *p, bool same_branch)
{
	for (int i = 0; i < CHILDREN; i++) {
		DM_AUTO_FREE char *dir = dm_asprintf("%s/c%d", p->dir, i);
		pid_t pid;

		assert_int_equal(mkdir(dir, 0700), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			DM_AUTO_FREE char *branch = dm_asprintf("b%d", same_branch ? 0 : i);
			struct name name = name_of("shop", branch);
			struct dm_err err;
			bool held;

			for (int turn = 0; turn < 3; turn++) {
				struct claim *c = take(p, &name, dir, false, &held, &err);

				if (c == NULL || held != (turn > 0))
					_exit(1);
				claim_free(c);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status = -1;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static void
assert_all_distinct(const struct place *p)
{
	struct registry_claims all;
	struct dm_err err;

	assert_ok(registry_scan(p->reg, &all, &err), &err);
	assert_int_equal(all.count, CHILDREN);
	for (size_t i = 0; i < all.count; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(all.list[i]->worktree, all.list[j]->worktree);
	}
	registry_claims_free(&all);
	assert_int_equal(count_entries(p->path), CHILDREN);
}

static void
parallel_different_names(void **state)
{
	take_at_once(*state, false);
	assert_all_distinct(*state);
}

static void
parallel_same_name(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) winner = NULL;

	take_at_once(p, true);
	assert_all_distinct(p);
	winner = find(p, "shop-b0");
	assert_non_null(winner);
}

/* One worktree, taken by many processes: one claim. */
static void
parallel_same_worktree(void **state)
{
	const struct place *p = *state;
	struct name name = name_of("shop", "main");
	unsigned first = 0;

	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct dm_err err;
			bool held;
			struct claim *c = take(p, &name, p->worktree[0], false, &held, &err);
			bool right = c != NULL && strcmp(c->id.s, "shop-main") == 0;

			claim_free(c);
			_exit(!right ? 9 : held ? 1 : 0);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status = -1;

		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		first += WEXITSTATUS(status) == 0 ? 1 : 0;
	}
	assert_int_equal(first, 1);
	assert_int_equal(count_entries(p->path), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(damaged_record_of_ours),
	    IN_PLACE(link_instead_of_a_record),
	    IN_PLACE(records_of_others),
	    IN_PLACE(scans),
	    IN_PLACE(sweeps_temporary_files),
	    IN_PLACE(opens_only_safe_directories),
	    IN_PLACE(locks),
	    IN_PLACE(parallel_different_names),
	    IN_PLACE(parallel_same_name),
	    IN_PLACE(parallel_same_worktree),
	};

	return cmocka_run_group_tests_name("registry_dir", tests, NULL, NULL);
}
