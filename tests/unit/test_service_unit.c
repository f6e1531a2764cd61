/* SPDX-License-Identifier: MIT */
/*
 * The units that setup and service write for devmeshd, and launchd's property lists, judged by who
 * will read them: systemd-analyze and Python's plistlib.
 */
#include "units.h"

/* The unit of devmeshd; "devmeshd" itself is not there, so a program that is stands in for it. */
static void
systemd_accepts_the_daemon(void **state)
{
	char *dir = temp_dir();

	(void)state;
	assert_int_equal(
	    setenv("XDG_RUNTIME_DIR", dir, 1), 0); /* systemd-analyze --user wants one */
	for (unsigned i = 0; i < 16; i++) {
		struct setup_facts f = linux_facts;
		struct setup_plan plan;
		DM_AUTO_FREE char *path = NULL;
		struct dm_err err;
		const char *text;

		add_daemon(&f);
		f.devmeshd = "/bin/true";
		f.user_scope = (i & 1) != 0;
		f.config_file = (i & 2) != 0 ? "/home/my daemon/devmesh.ini" : NULL;
		f.xdg_config = (i & 4) != 0 ? "/home/my daemon/config" : NULL;
		f.person = (i & 8) != 0 ? "root" : "daemon";
		assert_ok(setup_plan_part(SETUP_DAEMON, &f, &plan, &err), &err);
		assert_int_equal(plan.count, 1);
		path = place(dir, &plan, "/devmeshd.service");
		if (f.user_scope)
			ACCEPTS("systemd-analyze", "--user", "verify", "--man=no",
			    "--recursive-errors=no", path);
		else
			ACCEPTS(
			    "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path);
		text = plan.files[0].text;
		assert_holds(text, "\nType=notify\n");
		assert_holds(text, "\nWatchdogSec=");
		assert_holds(text, "\nEnvironment=\"PATH=/opt/git/bin:/usr/bin:/bin\"\n");
		assert_holds(text, f.config_file != NULL
				       ? "\nExecStart=\"/bin/true\" --config \"/home/my "
					 "daemon/devmesh.ini\"\n"
				       : "\nExecStart=\"/bin/true\"\n");
		assert_int_equal(strstr(text, "XDG_CONFIG_HOME=/home/my daemon/config") != NULL,
		    f.xdg_config != NULL);
		/* in a user's unit these would put it into a user namespace: it would see no
		 * process */
		assert_int_equal(strstr(text, "\nProtectSystem=strict\n") != NULL, !f.user_scope);
		assert_int_equal(strstr(text, "\nReadWritePaths=\"-/home/my daemon/.local/state/"
					      "devmesh\" \"-/tmp\" ") != NULL,
		    !f.user_scope);
		assert_null(strstr(text, "\nPrivateUsers="));
		assert_null(strstr(text, "\nPrivateTmp=true"));
		assert_int_equal(strstr(text, "\nUser=") != NULL, !f.user_scope);
		assert_int_equal(
		    strstr(text, "\nCapabilityBoundingSet=\n") != NULL, !f.user_scope && i < 8);
		setup_plan_release(&plan);
	}
	remove_tree(dir);
}

/* Whatever would have to be escaped in a unit is refused. */
static void
the_daemons_paths_are_plain(void **state)
{
	static const char *const bad[] = {
	    "relative", "/a\"b", "/a%h", "/a$b", "/a\nExecStart=/evil", "/a<b", "/a@HOME@"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		for (unsigned k = 0; k < 6; k++) {
			struct setup_facts f = linux_facts;
			struct setup_plan plan;
			struct dm_err err;
			const char **fields[] = {&f.devmeshd, &f.person_state, &f.config_file,
			    &f.xdg_state, &f.sockets_dir, &f.person};

			add_daemon(&f);
			*fields[k] = bad[i];
			if (k == 5 && i == 0)
				continue; /* a user's name is no path */
			assert_fails(setup_plan_part(SETUP_DAEMON, &f, &plan, &err), &err, DM_USAGE,
			    "does not write into units");
			setup_plan_release(&plan);
		}
	}
}

/* Property lists as Python's plistlib understands them. */
static void
plists_parse(void **state)
{
	static const char script[] =
	    "import plistlib, sys\n"
	    "p = plistlib.load(open(sys.argv[1], 'rb'))\n"
	    "assert p['Label'] == sys.argv[2], p\n"
	    "assert p['RunAtLoad'] is True, p\n"
	    "assert all(a.startswith('/') for a in p['ProgramArguments']), p\n"
	    "e = p['EnvironmentVariables']\n"
	    "assert e['HOME'].startswith('/'), p\n"
	    "assert not any('TOKEN' in k for k in e), p\n"
	    "assert p['StandardErrorPath'].startswith('/var/log/'), p\n"
	    "assert '@' not in str(p), p\n"
	    "if sys.argv[2] == 'com.devmesh.caddy':\n"
	    "    assert p['KeepAlive'] is True and e['XDG_CONFIG_HOME'].startswith('/'), p\n"
	    "else:\n"
	    "    assert p['KeepAlive'] == {'SuccessfulExit': False}, p\n"
	    "    assert p['UserName'] == 'daemon' and '/usr/bin' in e['PATH'], p\n"
	    "    assert p['ProgramArguments'] == ['/usr/local/bin/devmeshd'], p\n"
	    "    assert not any(k.startswith('XDG') for k in e), p\n";
	static const char users[] =
	    "import plistlib, sys\n"
	    "p = plistlib.load(open(sys.argv[1], 'rb'))\n"
	    "assert 'UserName' not in p, p\n"
	    "assert p['ProgramArguments'][1:] == ['--config', '/my own/devmesh.ini'], p\n"
	    "assert p['EnvironmentVariables']['XDG_STATE_HOME'] == '/my own/state', p\n";
	static const char *const labels[] = {"com.devmesh.caddy", "com.devmesh.devmeshd"};
	char *dir = temp_dir();
	struct setup_facts f = mac_facts();
	struct setup_plan plan = plan_of(&f);
	DM_AUTO_FREE char *own = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(labels); i++) {
		DM_AUTO_FREE char *name = dm_asprintf("/%s.plist", labels[i]);
		DM_AUTO_FREE char *path = place(dir, &plan, name);

		ACCEPTS("python3", "-c", script, path, labels[i]);
	}
	setup_plan_release(&plan);
	f.user_scope = true;
	f.config_file = "/my own/devmesh.ini";
	f.xdg_state = "/my own/state";
	plan = plan_of(&f);
	own = place(dir, &plan, "/com.devmesh.devmeshd.plist");
	ACCEPTS("python3", "-c", users, own);
	setup_plan_release(&plan);
	f.devmeshd = NULL; /* what does not exist is not installed */
	plan = plan_of(&f);
	assert_null(file_of(&plan, "devmeshd.plist"));
	assert_non_null(file_of(&plan, "com.devmesh.caddy.plist"));
	setup_plan_release(&plan);
	remove_tree(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(systemd_accepts_the_daemon),
	    cmocka_unit_test(the_daemons_paths_are_plain),
	    cmocka_unit_test(plists_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
