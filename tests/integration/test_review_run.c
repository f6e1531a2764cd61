/* SPDX-License-Identifier: MIT */
/* `devmesh run` among other things: servers of one's own, commits, the terminal. */
#include "harness_run.h"

#include <signal.h>

TEST(registered_server_of_ones_own_stays_registered)
{
	char *repo = repo_new(w, "shop"), *url;

	caddy_mesh(w, "");
	assert_string_equal(up_ok(w, repo), "shop-main");
	url = fmt(w, "http://shop-main.dev.test:%d", w->port);
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main");
	assert_error(w, DM(w, repo, "run", "--", "sleep", "60"), 4, "already listens");
	assert_non_null(claim_of(w, "shop-main"));
	assert_null(cJSON_GetObjectItem(claim_of(w, "shop-main"), "run"));
	assert_url_answers(w, url, "shop-main");
}

struct commit {
	const char *url, *hash;
};

static bool
says_commit(struct world *w, const void *arg)
{
	const struct commit *c = arg;

	return strstr(fetch(w, fmt(w, "%s/.well-known/devmesh", c->url), NULL).body, c->hash) !=
	       NULL;
}

TEST(document_of_a_route_of_its_own_follows_commits)
{
	char *repo = repo_new(w, "shop");
	struct commit c;
	struct proc *p;

	caddy_plain(w, bystanders(w, 1));
	c.url = RUN_URL(w, repo, &p, NULL);
	write_text(fmt(w, "%s/new", repo), "new");
	GIT(w, repo, "add", "new");
	GIT(w, repo, "commit", "-qm", "new");
	c.hash = line_of(w, GIT(w, repo, "rev-parse", "HEAD"));
	assert_true(wait_until(w, says_commit, &c, ANSWER_MS));
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(registered_server_of_ones_own_stays_registered),
	    WORLD_TEST(document_of_a_route_of_its_own_follows_commits),
	};

	return RUN_TESTS(tests);
}
