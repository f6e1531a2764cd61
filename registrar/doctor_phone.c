/* SPDX-License-Identifier: MIT */
/*
 * The doctor on the certificate as phones judge it, which is stricter than on a computer: Apple's
 * requirements of 2019 (support.apple.com/en-us/103769) and 2020 (103214).
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "base/str.h"
#include "doctor_lan.h"
#include "doctor_text.h"
#include "local.h"

enum {
	DAY_S = 86400,
	PUBLIC_DAYS = 398, /* from a CA that comes with the system */
	ANY_DAYS = 825,	   /* from one that the user has added */
	ROOT_DAYS_LEFT = 30,
	TLS_MS = 1500,
};

static void
check_leaf(struct doctor *d, bool ours)
{
	const struct certificate *c = &d->certificate;
	bool public = !ours && d->trusted_by != NULL;
	int64_t days = c->begin >= 0 && c->end > c->begin ? (c->end - c->begin) / DAY_S : 0;

	if (days > ANY_DAYS || (public && days > PUBLIC_DAYS)) {
		doctor_say(
		    d, DOCTOR_WARNING, "the certificate is valid for %lld days", (long long)days);
		doctor_why(d,
		    "iPhones refuse more than %d days (398 of a CA that comes with them), whether "
		    "or not they trust the CA",
		    ANY_DAYS);
		doctor_fix(d, "let Caddy manage *.%s: its certificates are short ones", d->domain);
	}
	if (c->names[0] == '\0') {
		doctor_say(d, DOCTOR_WARNING,
		    "the certificate names no host (no "
		    "subjectAltName)");
		doctor_why(d, "phones do not look at its common name: they refuse it");
		doctor_fix(d, "let Caddy manage *.%s", d->domain);
	}
	if (strstr(c->usage, "TLS Web Server Authentication") == NULL) {
		doctor_say(d, DOCTOR_WARNING,
		    "the certificate does not say that it is for servers "
		    "(extendedKeyUsage serverAuth)");
		doctor_why(d, "iPhones refuse it");
		doctor_fix(d, "let Caddy manage *.%s", d->domain);
	}
}

/* "notAfter=Nov 21 03:15:00 2036 GMT" */
static void
check_root_text(struct doctor *d, const char *path, const char *text)
{
	static const char key[] = "notAfter=";
	const char *at = strstr(text, key);
	DM_AUTO_FREE char *until = NULL, *dir = dm_path_dir(path);
	DM_AUTO_FREE char *word = dm_shell_word(dir), *old = dm_asprintf("%s.old", dir);
	DM_AUTO_FREE char *old_word = dm_shell_word(old);
	int64_t end = -1, now = dm_wall_seconds();

	if (at != NULL) {
		at += strlen(key);
		until = dm_strndup(at, strcspn(at, "\n"));
		end = text_time(until);
	}
	if (end >= 0 && end < now + (int64_t)ROOT_DAYS_LEFT * DAY_S) {
		doctor_say(d, DOCTOR_WARNING, "the root of the local CA %s: %s",
		    end < now ? "has expired" : "expires soon", until);
		doctor_why(d, "phones that trust it refuse all that it has signed then");
		doctor_fix(d,
		    "devmesh stop; mv %s %s; devmesh start; then each phone needs the "
		    "new root",
		    word, old_word);
	}
	if (strstr(text, "Name Constraints") == NULL) {
		doctor_say(d, DOCTOR_NOTE,
		    "the root of the local CA may sign for every name, not "
		    "only for %s",
		    d->domain);
		doctor_why(d,
		    "who gets its key (in the same directory) can pose as any site to the "
		    "phones that trust it");
		doctor_fix(d,
		    "keep %s private, and take the root off a phone that does not need it "
		    "any more",
		    path);
	}
}

/* Whether it is signed by the root of the private mesh, whoever else trusts that by now. */
static bool
is_signed_by(struct doctor *d, const char *root)
{
	HTTP_AUTO_REPLY struct http_reply reply;
	dm_auto(http) http = NULL;
	struct dm_err ignored;

	http_reply_init(&reply);
	return access(root, R_OK) == 0 && (http = http_new(&ignored)) != NULL &&
	       certificate_ask(http, d->certificate_host, d->server.front.port, root, false,
		   doctor_time(d, TLS_MS), &reply, &ignored) == HTTP_ANSWERED;
}

/* What a phone is given to trust. openssl(1) reads it, if it is there. */
static void
check_root(struct doctor *d, const char *root, const struct lan_state *lan)
{
	DM_AUTO_FREE char *program = dm_find_program("openssl"), *text = NULL;
	const char *argv[] = {
	    program, "x509", "-in", root, "-noout", "-enddate", "-ext", "nameConstraints", NULL};
	char ours[DNS_ADDRESS_TEXT];

	dns_address_text(&lan->address.address, ours);
	doctor_say(d, DOCTOR_NOTE,
	    "phones trust the certificate once they have the root of the local "
	    "CA");
	doctor_why(d, "it is signed by a CA that comes with no phone");
	doctor_fix(d,
	    "on the phone: http://%s:%u/phone , and on an iPhone then Settings, General, About, "
	    "Certificate Trust Settings",
	    ours, (unsigned)d->session->conf->phone_port);
	if (program != NULL && (text = doctor_output(d, argv)) != NULL)
		check_root_text(d, root, text);
}

void
doctor_check_phone_certificate(struct doctor *d)
{
	DM_AUTO_FREE char *root = NULL;
	struct lan_state lan = {.lack = NULL};
	struct dm_err ignored;
	bool ours;

	if (!doctor_lan_state(d, &lan))
		return;
	if (!d->has_certificate) {
		doctor_skip(d, "there is no certificate to look at");
		return;
	}
	if (session_need_state_dir(d->session, &ignored))
		root = local_root_certificate(d->session);
	ours = root != NULL && is_signed_by(d, root);
	check_leaf(d, ours);
	if (ours)
		check_root(d, root, &lan);
}
