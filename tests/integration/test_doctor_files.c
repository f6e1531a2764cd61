/* SPDX-License-Identifier: MIT */
/* devmesh doctor on configuration, directories, left-overs and the worktree's frameworks. */
#include "harness_doctor.h"
#include "harness_net.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

TEST(directory_of_sockets)
{
	char *real = make_dir(w, "real"), *deep = fmt(w, "%s/%060d", w->dir, 7);
	cJSON *o;

	caddy_mesh(w, "");
	assert_int_equal(chmod(w->sockets, 0777), 0);
	o = report(w, NULL, 1);
	assert_found(
	    o, "sockets-dir", "failure", "not sticky", fmt(w, "chmod 1777 %s", w->sockets));
	assert_true(was_skipped(o, "stale"));
	assert_int_equal(rmdir(w->sockets), 0);
	assert_int_equal(symlink(real, w->sockets), 0);
	assert_found(report(w, NULL, 1), "sockets-dir", "failure", "symbolic link", "rm ");
	assert_int_equal(unlink(w->sockets), 0);
	write_text(w->sockets, "");
	assert_found(report(w, NULL, 1), "sockets-dir", "failure", "no directory", "rm ");
	assert_int_equal(unlink(w->sockets), 0);
	world_env(w, "DEVMESH_SOCKETS_DIR", deep);
	assert_found(report(w, NULL, 1), "sockets-dir", "failure", "too long", "[sockets] dir");
}

TEST(directory_of_another_user)
{
	need_root(w);
	caddy_mesh(w, "");
	assert_int_equal(chown(w->sockets, NOBODY, NOBODY), 0);
	assert_found(report(w, NULL, 0), "sockets-dir", "warning", "uid 65534", "sudo chown root");
	w->uid = NOBODY - 1;
	world_env(w, "DEVMESH_CONFIG", NULL);
	world_env(w, "XDG_CONFIG_HOME", w->dir);
	assert_int_equal(chown(w->sockets, 0, 0), 0);
	assert_int_equal(chmod(w->sockets, 0755), 0);
	assert_found(report(w, NULL, 1), "sockets-dir", "failure", "may not write", "chmod 1777");
}

TEST(broken_configuration)
{
	char *repo = repo_new(w, "shop"), *file = fmt(w, "%s/devmesh.ini", w->home);
	cJSON *o;

	write_text(file, "[mesh]\ndomian = dev.test\n");
	write_text(fmt(w, "%s/next.config.js", repo), "module.exports = {}\n");
	o = report(w, repo, 1);
	assert_found(o, "config", "failure", "devmesh.ini:2", "perhaps domain");
	assert_true(was_skipped(o, "caddy-admin") && was_skipped(o, "sockets-dir"));
	assert_found(o, "next", "warning", "next.config.js", "allowedDevOrigins"); /* it goes on */
	write_text(file, "");
	world_env(w, "DEVMESH_SOCKETS_DIR", "relative");
	assert_found(report(w, repo, 1), "config", "failure", "not an absolute path", "");
}

TEST(files_that_others_may_change_or_read)
{
	char *file = fmt(w, "%s/devmesh.ini", w->home), *dir = fmt(w, "%s/.config", w->home);
	char *token = fmt(w, "%s/.config/devmesh/caddy.env", w->home);
	cJSON *o;

	caddy_mesh(w, "");
	assert_int_equal(chmod(file, 0666), 0);
	assert_found(
	    report(w, NULL, 1), "config", "failure", "everybody", fmt(w, "chmod go-w %s", file));
	assert_int_equal(chmod(file, 0664), 0);
	assert_found(report(w, NULL, 0), "config", "warning", "group", "chmod go-w");
	assert_int_equal(chmod(file, 0644), 0);
	mkdir(dir, 0700);
	mkdir(fmt(w, "%s/devmesh", dir), 0700);
	write_text(token, "CF_API_TOKEN=x\n");
	assert_int_equal(chmod(token, 0644), 0);
	o = report(w, NULL, 1);
	assert_fine(o, "config");
	assert_found(o, "secrets", "failure", "caddy.env", fmt(w, "chmod 600 %s", token));
	assert_int_equal(chmod(token, 0600), 0);
	assert_fine(report(w, NULL, 0), "secrets");
}

TEST(misspelt_variable)
{
	cJSON *o;

	caddy_mesh(w, "");
	world_env(w, "DEVMESH_SOCKET_DIR", "/tmp/x");
	world_env(w, "DEVMESH_SOMETHING_ELSE", "1");
	world_env(w, "DEVMESH_URL_API", "http://x");
	o = report(w, NULL, 0);
	assert_found(
	    o, "environment", "warning", "perhaps DEVMESH_SOCKETS_DIR", "DEVMESH_SOCKETS_DIR");
	assert_found(o, "environment", "note", "DEVMESH_SOMETHING_ELSE", "unset");
	assert_null(find(o, "environment", "note", "DEVMESH_URL_API"));
}

TEST(left_overs)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone");
	cJSON *o;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	assert_fine(report(w, repo, 0), "stale");
	stale_socket(fmt(w, "%s/shop-main.sock", w->sockets));
	stale_socket(fmt(w, "%s/nobodys.sock", w->sockets));
	remove_tree(wt);
	o = report(w, repo, 0);
	assert_found(o, "stale", "note", "shop-main.sock", "devmesh gc");
	assert_found(o, "stale", "note", "worktree of shop-gone is gone", "devmesh gc");
	assert_non_null(find(o, "stale", "note", "1 unclaimed socket "));
	assert_exit(w, DM(w, repo, "gc"), 0); /* the fix */
	assert_fine(report(w, repo, 0), "stale");
}

TEST(hosts_and_frameworks)
{
	char *repo = repo_new(w, "shop"), *sub;
	cJSON *o;

	caddy_mesh(w, "");
	write_text(fmt(w, "%s/package.json", repo),
	    "{\"dependencies\":{\"next\":\"16\"},\"engines\":{\"node\":\">=99\"}}");
	write_text(
	    fmt(w, "%s/vite.config.ts", repo), "export default {server: {hmr: {port: 1}}}\n");
	write_text(
	    fmt(w, "%s/webpack.config.js", repo), "module.exports = {devServer: {hot: true}}\n");
	write_text(fmt(w, "%s/.env.local", repo), "A=1\nVITE_API_URL=http://localhost:3000\n");
	write_text(fmt(w, "%s/manage.py", repo),
	    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n");
	sub = fmt(w, "%s/site1", repo);
	mkdir(sub, 0755);
	write_text(fmt(w, "%s/settings.py", sub), "ALLOWED_HOSTS = ['localhost']\n");
	sub = fmt(w, "%s/.config", repo);
	mkdir(sub, 0755);
	write_text(fmt(w, "%s/wt.toml", sub), "[post-create]\nup = 'devmesh up'\n");
	mkdir(fmt(w, "%s/config", repo), 0755);
	mkdir(fmt(w, "%s/config/environments", repo), 0755);
	write_text(
	    fmt(w, "%s/config/environments/development.rb", repo), "config.hosts << 'a.test'\n");
	write_text(
	    fmt(w, "%s/config/dev.exs", repo), "config :a, A.Endpoint, http: [port: 4000]\n");
	o = report(w, repo, 0);
	assert_found(o, "next", "warning", "next.config.js", "allowedDevOrigins: ['*.dev.test'],");
	assert_found(o, "node", "warning", ">=99", "Node.js");
	assert_found(o, "vite", "note", "vite.config.ts seems", "clientPort");
	assert_found(o, "webpack", "note", "webpack.config.js", "allowedHosts: ['.dev.test']");
	assert_found(o, "env-files", "note", ".env.local:2: VITE_API_URL", "devmesh env --all");
	assert_found(
	    o, "django-hosts", "warning", "site1/settings.py", "ALLOWED_HOSTS = ['.dev.test'");
	assert_found(o, "django-https", "note", "HTTPS", "SECURE_PROXY_SSL_HEADER");
	assert_found(o, "worktrunk", "warning", "post-create", "post-start");
	assert_found(o, "rails", "note", "config.hosts", "config.hosts << \".dev.test\"");
	assert_found(o, "phoenix", "warning", "config/dev.exs", "check_origin: false");
	/* the answer to the first: what it says to write, written */
	write_text(fmt(w, "%s/next.config.js", repo),
	    "module.exports = {\n\tallowedDevOrigins: ['*.dev.test'],\n}\n");
	assert_fine(report(w, repo, 0), "next");
	/* elsewhere there is nothing of it */
	o = json_of(w, DM(w, w->dir, "doctor", "--json", "-C", w->home).out);
	assert_fine(o, "next");
}

TEST(hook_that_git_does_not_run)
{
	char *repo = repo_new(w, "shop");

	caddy_mesh(w, "");
	write_text(fmt(w, "%s/.git/hooks/post-checkout", repo), "#!/bin/sh\ndevmesh hook git\n");
	assert_fine(report(w, repo, 0), "git-hooks");
	GIT(w, repo, "config", "core.hooksPath", ".husky");
	assert_found(report(w, repo, 0), "git-hooks", "warning", ".husky", "core.hooksPath");
}

TEST(changed_in_the_future)
{
	struct timespec times[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};

	caddy_mesh(w, "");
	assert_int_equal(utimensat(AT_FDCWD, w->sockets, times, 0), 0);
	assert_found(report(w, NULL, 0), "clock", "warning", "future", "timedatectl");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(directory_of_sockets),
	    WORLD_TEST(directory_of_another_user),
	    WORLD_TEST(broken_configuration),
	    WORLD_TEST(files_that_others_may_change_or_read),
	    WORLD_TEST(misspelt_variable),
	    WORLD_TEST(left_overs),
	    WORLD_TEST(hosts_and_frameworks),
	    WORLD_TEST(hook_that_git_does_not_run),
	    WORLD_TEST(changed_in_the_future),
	};

	return RUN_TESTS(tests);
}
