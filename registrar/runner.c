/* SPDX-License-Identifier: MIT */
#include "runner.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "identity.h"
#include "local.h"
#include "out.h"
#include "register.h"
#include "runner_impl.h"
#include "siblings.h"

enum {
	FILES_WANTED = 65536,
	STOP_MS = 30000,
	POLL_MS = 10,
	GRACE_MS = 3000,
	LET_GO_MS = 6000
};

extern char **environ;

bool
runner_exec(const char *const argv[], struct dm_err *err)
{
	/* execvp(3) changes neither the words nor their array: its prototype is older than const */
	union {
		const char *const *in;
		char *const *out;
	} words = {.in = argv};

	(void)signal(SIGPIPE, SIG_DFL);
	(void)execvp(argv[0], words.out);
	(void)dm_fail_errno(err, errno, "running %s", argv[0]);
	if (err->sys == ENOENT)
		err->code = DM_NOT_FOUND;
	return false;
}

/* Processes with that token in their environment. */
static void
marked_processes(const char *token, struct dm_pids *out)
{
	struct dm_pids all = {.count = 0};
	struct dm_proc_id alive;

	dm_proc_all(&all);
	for (size_t i = 0; i < all.count; i++) {
		DM_AUTO_FREE char *found = dm_proc_env(all.list[i], RUNNER_VARIABLE);

		if (found != NULL && strcmp(found, token) == 0 && all.list[i] != getpid() &&
		    dm_proc_id(all.list[i], &alive))
			dm_pids_add(out, all.list[i]);
	}
	dm_pids_release(&all);
}

unsigned
runner_end_leftovers(const struct claim *claim, bool dry_run)
{
	DM_AUTO_FREE char *token = runner_mark(&claim->run.runner);
	int64_t deadline = dm_now_ms() + GRACE_MS;
	struct dm_pids left = {.count = 0};
	unsigned count;
	int sig = SIGTERM;

	if (claim->run.runner.pid == 0 || claim->uid != geteuid() ||
	    dm_proc_alive(&claim->run.runner))
		return 0;
	marked_processes(token, &left);
	count = (unsigned)left.count;
	while (!dry_run && left.count > 0 && dm_now_ms() < deadline + GRACE_MS) {
		if (dm_now_ms() > deadline)
			sig = SIGKILL;
		for (size_t i = 0; sig != 0 && i < left.count; i++)
			(void)kill(left.list[i], sig);
		sig = 0;
		dm_pause_ms(POLL_MS);
		dm_pids_release(&left);
		marked_processes(token, &left);
	}
	dm_pids_release(&left);
	return count;
}

bool
runner_stop(const struct claim *claim, struct dm_err *err)
{
	const struct dm_proc_id *runner = &claim->run.runner;
	int64_t deadline = dm_now_ms() + STOP_MS;

	if (claim->uid != geteuid() || runner->pid == getpid() || !dm_proc_alive(runner))
		return true;
	if (kill(runner->pid, SIGTERM) != 0)
		return dm_fail_errno(err, errno, "ending devmesh run (pid %ld) of %s",
		    (long)runner->pid, claim->id.s);
	while (dm_proc_alive(runner)) {
		if (dm_now_ms() > deadline) {
			(void)dm_fail(err, DM_TIMEOUT,
			    "ending devmesh run (pid %ld) of %s: it still runs after %d s",
			    (long)runner->pid, claim->id.s, STOP_MS / 1000);
			return dm_hint(err, "kill -9 %ld, then again", (long)runner->pid);
		}
		dm_pause_ms(POLL_MS);
	}
	return true;
}

void
runner_remove_socket(struct runner *r)
{
	if (r->has_socket)
		dm_sock_unlink_own(r->claim->socket, r->dev, r->ino);
	r->has_socket = false;
}

/*
 * Inside another run of the same worktree ("dev": "devmesh run -- vite", started by devmesh run --
 * npm run dev): the outer one does it all.
 */
static bool
is_nested(const struct runner *r)
{
	const char *text = getenv(RUNNER_VARIABLE), *worktree = getenv("DEVMESH_WORKTREE");
	struct dm_proc_id outer;
	char pid[24];
	uint64_t number;

	if (text == NULL || worktree == NULL || strcmp(worktree, r->worktree) != 0 ||
	    r->options->name.id != NULL || r->options->name.app != NULL ||
	    !dm_snprintf(pid, sizeof(pid), "%.*s", (int)strcspn(text, "."), text) ||
	    !dm_parse_uint(pid, 1, INT32_MAX, &number) || !dm_proc_id((pid_t)number, &outer))
		return false;
	DM_AUTO_FREE char *token = runner_mark(&outer);

	return strcmp(token, text) == 0;
}

/*
 * A server that was started by other means keeps the name. A devmesh run of another worktree, from
 * which it was taken, lets go of the socket as soon as it notices.
 */
static bool
check_listener(const struct claim *claim, bool force, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + (force ? LET_GO_MS : 0);
	struct dm_sock_info info;

	dm_sock_probe(claim->socket, &info);
	while (info.state == DM_SOCK_LISTENING && dm_now_ms() < deadline) {
		dm_pause_ms(POLL_MS);
		dm_sock_probe(claim->socket, &info);
	}
	if (info.state != DM_SOCK_LISTENING)
		return true;
	(void)dm_fail(
	    err, DM_CONFLICT, "pid %ld already listens on %s", (long)info.pid, claim->socket);
	return dm_hint(err, "end it first; or, for a second service of this worktree: --app");
}

/*
 * With --force, an earlier run of this worktree is ended first. A server of it that was started by
 * other means is noticed before its claim is touched.
 */
static bool
make_room(struct runner *r, struct dm_err *err)
{
	dm_auto(claim) old = NULL;
	DM_AUTO_FREE char *usual = NULL;
	struct dm_err none;

	if (!session_claim(r->s, NULL, &r->options->name, &old, &none))
		return true;
	/* one with a port, or another socket, will have become another one */
	usual = registry_socket(r->s->registry, old->id.s);
	r->was_up = old->run.runner.pid == 0 && strcmp(old->worktree, r->worktree) == 0 &&
		    old->socket != NULL && strcmp(old->socket, usual) == 0;
	if (r->options->force && !runner_stop(old, err))
		return false;
	return dm_proc_alive(&old->run.runner) || runner_end_leftovers(old, true) > 0 ||
	       old->socket == NULL || strcmp(old->worktree, r->worktree) != 0 ||
	       check_listener(old, r->options->force, err);
}

/*
 * From here on a signal that ends us must not leave a claim behind, nor the command: it waits until
 * the loop listens, or until held_signal() is asked.
 */
static void
hold_signals(struct runner *r)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &r->mask);
}

/* The signal that was meant to end us meanwhile; 0: none. */
static int
held_signal(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction now;
	sigset_t pending;

	if (sigpending(&pending) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		/* nohup(1) */
		bool ignored = ends[i] == SIGHUP && sigaction(SIGHUP, NULL, &now) == 0 &&
			       now.sa_handler == SIG_IGN;

		if (sigismember(&pending, ends[i]) == 1 && !ignored)
			return ends[i];
	}
	return 0;
}

/* Claims the name. Without Caddy there is none, and the command runs all the same. */
static bool
claim_name(struct runner *r, struct dm_err *err)
{
	struct register_request request = {
	    .name = r->options->name, .force = r->options->force, .run = &r->run};
	struct register_result result;

	if (!make_room(r, err))
		return false;
	hold_signals(r);
	if (!register_service(r->s, &request, &result, err)) {
		/* devmeshd tries again, until Caddy is there */
		if ((err->code != DM_UNREACHABLE && err->code != DM_TIMEOUT) ||
		    r->options->supervised)
			return false;
		dm_warn("%s", err->msg);
		dm_warn("it runs without a URL of its own; to have one: devmesh start, then run "
			"it again");
		return true;
	}
	r->claim = DM_STEAL(&result.claim);
	r->was_up = r->options->supervised || (r->was_up && !result.claimed);
	if (result.wrote_route)
		dm_note("Caddy's configuration was changed; its reload may have closed WebSockets");
	register_result_release(&result);
	return check_listener(r->claim, r->options->force, err);
}

/* Removes the sockets of runs that were killed: each is named after the pid of its run. */
static void
sweep_private_sockets(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	struct dm_proc_id alive;
	uint64_t pid;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char number[16];

		if (dm_ends_with(entry->d_name, ".sock") &&
		    dm_snprintf(number, sizeof(number), "%.*s", (int)strcspn(entry->d_name, "."),
			entry->d_name) &&
		    dm_parse_uint(number, 1, INT32_MAX, &pid) && !dm_proc_id((pid_t)pid, &alive))
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d != NULL)
		(void)closedir(d);
}

/* A place for servers that listen on DEVMESH_SOCKET although a port was offered to them. */
static void
choose_private_socket(struct runner *r)
{
	DM_AUTO_FREE char *dir = NULL;
	struct dm_err err;

	if (!session_need_state_dir(r->s, &err))
		return;
	dir = dm_asprintf("%s/run", r->s->state_dir);
	if (!dm_make_dirs(dir, 0700, &err)) {
		dm_debug("%s", err.msg);
		return;
	}
	sweep_private_sockets(dir);
	r->private_socket = dm_asprintf("%s/%ld.sock", dir, (long)getpid());
	if (strlen(r->private_socket) > dm_sock_path_max()) {
		free(r->private_socket);
		r->private_socket = NULL;
	} else {
		(void)unlink(r->private_socket);
	}
}

/* The port to offer: what the user has said, else one of our choice. */
static void
choose_port(struct runner *r)
{
	DM_AUTO_FREE char *name =
	    dm_asprintf("%s %s", r->worktree, r->claim != NULL ? r->claim->id.s : "");
	const char *text = getenv("PORT");
	uint64_t number;

	if (r->options->port != 0)
		r->offered = r->options->port;
	else if (text != NULL && dm_parse_uint(text, 1, UINT16_MAX, &number))
		r->offered = (uint16_t)number;
	else
		r->offered = ports_offer(name);
}

/* The private mesh's certificate authority, where that is the Caddy we are registered with. */
static char *
local_ca(struct runner *r)
{
	DM_AUTO_FREE char *admin = NULL;
	DM_AUTO_FREE char *address = NULL;
	char *root;
	struct dm_err err;

	if (r->s->admin == NULL || !session_need_state_dir(r->s, &err))
		return NULL;
	admin = session_private_admin(r->s);
	address = dm_asprintf("unix://%s", admin);
	if (strcmp(caddy_admin_address(r->s->admin), address) != 0)
		return NULL;
	root = local_root_certificate(r->s);
	if (access(root, R_OK) == 0)
		return root;
	free(root);
	return NULL;
}

static bool
make_plan(struct runner *r, struct dm_err *err)
{
	DM_AUTO_FREE char *ca = local_ca(r);
	DM_AUTO_FREE char *dir = realpath(".", NULL);
	const struct claim *claim = r->claim;
	struct tool_input in = {.argv = r->options->argv,
	    .dir = dir,
	    .environ = environ,
	    .mode = claim != NULL ? r->options->mode : TOOL_PORT,
	    .port = r->offered,
	    .worktree = r->worktree,
	    .ca = ca};

	if (dir == NULL)
		return dm_fail_errno(err, errno, "looking at the working directory");
	if (claim != NULL) {
		const char *dot = strchr(claim->host, '.');

		in.url = claim->url;
		in.host = claim->host;
		in.domain = dot == NULL ? claim->host : dot + 1;
		in.id = claim->id.s;
		in.socket = claim->socket;
	}
	return tool_plan_make(&in, &r->plan, err);
}

/* Its socket: bound now, before the command starts, so that requests wait for it. */
static bool
open_socket(struct runner *r, struct dm_err *err)
{
	bool ours;

	if (r->claim == NULL)
		return true;
	r->run.bridged = r->plan.mode == TOOL_PORT;
	if (r->run.bridged) {
		r->listening = bridge_listen(r->claim->socket, &r->dev, &r->ino, err);
		if (r->listening < 0)
			return false;
		r->has_socket = true;
	}
	if (!registry_set_run(r->s->registry, r->claim, &r->run, &ours, err))
		return false;
	return ours ||
	       dm_fail(err, DM_CONFLICT, "the name %s was taken away meanwhile", r->claim->id.s);
}

/* Enough descriptors for thousands of connections: for us, not for the command. */
static void
raise_limit(struct runner *r)
{
	struct rlimit more;

	if (getrlimit(RLIMIT_NOFILE, &r->files) != 0)
		return;
	more = r->files;
	if (more.rlim_cur != RLIM_INFINITY && more.rlim_cur < FILES_WANTED)
		more.rlim_cur = more.rlim_max != RLIM_INFINITY && more.rlim_max < FILES_WANTED
				    ? more.rlim_max
				    : FILES_WANTED;
	(void)setrlimit(RLIMIT_NOFILE, &more);
}

static void
set_variable(char ***env, size_t *count, char *text)
{
	*env = dm_reallocarray(*env, *count + 2, sizeof(**env));
	(*env)[(*count)++] = text;
	(*env)[*count] = NULL;
}

static bool
start_command(struct runner *r, struct dm_err *err)
{
	DM_AUTO_FREE char *token = runner_mark(&r->run.runner);
	DM_AUTO_FREE char *mark = dm_asprintf("%s=%s", RUNNER_VARIABLE, token);
	DM_AUTO_FREE char *socket = NULL;
	DM_AUTO_FREE char **env = NULL;
	struct siblings siblings = {.count = 0};
	struct child_request request = {.argv = r->plan.argv,
	    .files = &r->files,
	    .out = -1,
	    .err = -1,
	    .stdout_to_stderr = r->options->json};
	struct dm_err ignored;
	size_t count = 0;
	bool ok;

	for (size_t i = 0; r->plan.env != NULL && r->plan.env[i] != NULL; i++) {
		if (r->private_socket == NULL || !dm_starts_with(r->plan.env[i], "DEVMESH_SOCKET="))
			set_variable(&env, &count, r->plan.env[i]);
	}
	set_variable(&env, &count, mark);
	if (r->private_socket != NULL) {
		socket = dm_asprintf("DEVMESH_SOCKET=%s", r->private_socket);
		set_variable(&env, &count, socket);
	}
	if (r->claim != NULL && !siblings_find(r->s, r->claim, &siblings, &ignored))
		dm_debug("%s", ignored.msg);
	for (size_t i = 0; i < siblings.count; i++)
		set_variable(&env, &count, siblings.list[i]);
	request.env = env;
	r->adopts = dm_proc_adopt_orphans();
	runner_keep_output(r);
	runner_output_ends(r, &request.out, &request.err);
	ok = child_start(&r->child, &request, err);
	ok = runner_output_begin(r, ok, err) && ok;
	siblings_release(&siblings);
	return ok;
}

/* Takes back what is still ours. */
static void
take_back(struct runner *r)
{
	struct unregister_result result;
	dm_auto(claim) now = NULL;
	struct dm_err err;

	if (r->private_socket != NULL)
		(void)unlink(r->private_socket);
	if (r->claim == NULL)
		return;
	runner_remove_socket(r);
	if (!registry_find(r->s->registry, r->claim->id.s, &now, &err)) {
		dm_warn("%s", err.msg);
		return;
	}
	if (now == NULL || now->uid != geteuid() || now->run.runner.pid != r->run.runner.pid ||
	    now->run.runner.start != r->run.runner.start)
		return;
	if (r->was_up) {
		const struct claim_run none = {.port = 0};
		bool ours;

		if (!registry_set_run(r->s->registry, now, &none, &ours, &err))
			dm_warn("%s", err.msg);
		now->run = none;
		(void)identity_publish(r->s->registry, now);
		return;
	}
	/* what Caddy holds may have changed since the beginning */
	session_drop_view(r->s);
	if (!unregister_service(r->s, now, &result, &err)) {
		dm_warn("taking back %s: %s", r->claim->id.s, err.msg);
		dm_warn("its claim stays; later: devmesh down %s", r->claim->id.s);
	}
}

static void
release(struct runner *r)
{
	child_restore_terminal(&r->child);
	runner_end_output(r);
	take_back(r);
	if (r->listening >= 0)
		(void)close(r->listening);
	tool_plan_release(&r->plan);
	claim_free(r->claim);
	free(r->private_socket);
	layout_release(&r->git);
	free(r->worktree);
}

static bool
run(struct runner *r, struct dm_err *err)
{
	int signal;

	if (!claim_name(r, err))
		return false;
	if ((signal = held_signal()) != 0) {
		r->status = 128 + signal;
		return true;
	}
	choose_port(r);
	if (!make_plan(r, err))
		return false;
	if (r->plan.trap != NULL)
		dm_note("%s: %s", r->plan.tool, r->plan.trap);
	if (r->claim != NULL && r->plan.mode == TOOL_PORT)
		choose_private_socket(r);
	raise_limit(r);
	return open_socket(r, err) && start_command(r, err) && runner_loop(r, err);
}

/*
 * Inside another run, of another worktree or app: what that one has chosen for its own server is no
 * wish of the user's.
 */
static void
forget_outer_run(void)
{
	static const char *const chosen[][2] = {
	    {"PORT", "DEVMESH_PORT"}, {"PORT", "DEVMESH_SOCKET"}, {"PHX_HOST", "DEVMESH_HOST"}};

	for (size_t i = 0;
	     getenv(RUNNER_VARIABLE) != NULL && i < sizeof(chosen) / sizeof(chosen[0]); i++) {
		const char *value = getenv(chosen[i][0]), *outer = getenv(chosen[i][1]);

		if (value != NULL && outer != NULL && strcmp(value, outer) == 0)
			(void)unsetenv(chosen[i][0]);
	}
}

/* Whoever reads the JSON is to hear why nothing more comes. */
static void
print_early_end(int status)
{
	DM_AUTO_FREE char *text =
	    dm_asprintf("the command ended with status %d before it answered", status);
	cJSON *o = out_object(), *e = cJSON_AddObjectToObject(o, "error");

	(void)cJSON_AddStringToObject(e, "code", dm_code_name(DM_FAILED));
	(void)cJSON_AddStringToObject(e, "message", text);
	out_add_text(e, "hint", NULL);
	out_json(o);
}

bool
runner_run(struct session *s, const struct runner_options *options, int *status, struct dm_err *err)
{
	struct runner r = {.s = s, .options = options, .listening = -1, .child = {.tty = -1}};
	dm_auto(repo) repo = NULL;
	struct name name;
	bool ok;

	if (!session_name(s, &options->name, &repo, &name, err) || !session_need_registry(s, err))
		return false;
	r.worktree = dm_strdup(repo->worktree);
	if (is_nested(&r)) {
		dm_debug("inside another devmesh run of this worktree: running it as it is");
		free(r.worktree);
		return runner_exec(options->argv, err);
	}
	forget_outer_run();
	runner_tree_remember(&r);
	if (!dm_proc_id(getpid(), &r.run.runner)) {
		layout_release(&r.git);
		free(r.worktree);
		return dm_fail(err, DM_FAILED, "reading this process's own start time");
	}
	ok = run(&r, err);
	if (!ok)
		output_log_note(r.log, "%s", err->msg);
	if (ok && options->json && !r.said_json)
		print_early_end(r.status);
	*status = r.status;
	release(&r);
	return ok;
}
