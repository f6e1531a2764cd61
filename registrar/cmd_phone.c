/* SPDX-License-Identifier: MIT */
/* phone and qr: what a phone scans. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "out.h"
#include "qr.h"
#include "share.h"

enum {
	ANSWER_MS = 20000,     /* devmeshd tries what a phone would */
	FINGERPRINT_LINE = 24, /* characters of a fingerprint in a line: "AB:" eight times */
};

static const cJSON *
member(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* NULL where there is none. */
static const char *
text_of(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(member(o, key));
}

/* The picture, on a terminal; the text itself to whatever else reads. */
static bool
show(const struct cmd_ctx *ctx, const char *text, struct dm_err *err)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool colours =
	    (no_color == NULL || *no_color == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
	DM_AUTO_FREE char *picture = NULL;

	if (isatty(STDOUT_FILENO)) {
		picture = qr_blocks(text, colours, cmd_value(ctx, "invert") != NULL, err);
		if (picture == NULL)
			return false;
		(void)fputs(picture, stdout);
	}
	(void)puts(text);
	return true;
}

/* ---- qr ------------------------------------------------------------------------------------ */

static bool
run_qr(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	struct share share;

	if (!cmd_claim(ctx, &claim, err))
		return false;
	if (claim->url == NULL || claim->host == NULL) {
		(void)dm_fail(
		    err, DM_NOT_FOUND, "%s has not been registered to its end", claim->id.s);
		return dm_hint(err, "devmesh up -C '%s'", claim->worktree);
	}
	if (domain_is_localhost(claim->host)) {
		(void)dm_fail(
		    err, DM_CONFLICT, "%s leads every device to itself, not here", claim->url);
		return dm_hint(err,
		    "set [mesh] domain to a domain of your own, or to dev.test; then devmesh "
		    "stop && devmesh start, and devmesh up");
	}
	if (ctx->line->json) {
		out_url(claim, true);
		return true;
	}
	if (!share_find(claim, &share))
		dm_note("%s is not shared: other devices are refused (devmesh share %s)",
		    claim->id.s, claim->id.s);
	return show(ctx, claim->url, err);
}

/* ---- phone --------------------------------------------------------------------------------- */

/* The service that is meant: none without an argument in a place that has none. */
static bool
find_service(struct cmd_ctx *ctx, struct claim **claim, struct dm_err *err)
{
	struct share share;

	if (!cmd_claim(ctx, claim, err)) {
		/* the page is of use without any service */
		return cmd_arg(ctx, 0) == NULL && cmd_value(ctx, "directory") == NULL &&
		       err->code != DM_USAGE;
	}
	if (share_find(*claim, &share))
		return true;
	(void)dm_fail(
	    err, DM_DENIED, "%s is not shared: other devices cannot open it", (*claim)->id.s);
	return dm_hint(err, "devmesh share %s --lan", (*claim)->id.s);
}

/* What devmeshd says; NULL: it cannot be used, and *err says why. The caller owns it. */
static cJSON *
ask_daemon(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct ask_status status;
	dm_auto(ctl) ctl = NULL;
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	const char *problem;

	if (!ctx->session->conf->lan_enabled) {
		(void)dm_fail(
		    err, DM_CONFLICT, "other devices cannot reach this machine's services");
		(void)dm_hint(err,
		    "write \"enabled = yes\" below [lan] of config.ini; then devmesh "
		    "stop && devmesh start");
		return NULL;
	}
	/* without Caddy the rest is of no use, and devmeshd could only guess why */
	if (!session_need_view(ctx->session, err)) {
		(void)dm_wrap(err, "a phone would reach nothing");
		return NULL;
	}
	if ((ctl = ask_open(ctx->session, &status, err)) == NULL ||
	    !ctl_ask(ctl, "GET", "/control/phone", NULL, ANSWER_MS, &reply, err))
		return NULL;
	if (reply.status >= 400) {
		(void)ctl_refused(&reply, "asking for the phone page", err);
		return NULL;
	}
	problem = text_of(reply.body, "problem");
	if (!cJSON_IsTrue(member(reply.body, "enabled"))) {
		(void)dm_fail(err, DM_CONFLICT, "devmeshd runs with [lan] enabled = no");
		(void)dm_hint(err, "devmesh stop && devmesh start");
		return NULL;
	}
	if (text_of(reply.body, "page") == NULL || problem != NULL) {
		(void)dm_fail(err, DM_FAILED, "no phone can be set up: %.500s",
		    problem == NULL ? "devmeshd serves no page" : problem);
		(void)dm_hint(err, "devmesh doctor");
		return NULL;
	}
	return cJSON_Duplicate(reply.body, true);
}

/* In lines of eight bytes, as on the page: it is compared by eye. */
static void
print_fingerprint(const char *text)
{
	for (size_t len = strlen(text), i = 0; i < len; i += FINGERPRINT_LINE)
		(void)printf("     %.*s\n", FINGERPRINT_LINE, text + i);
}

static void
explain(const cJSON *o)
{
	const char *address = text_of(o, "address"), *domain = text_of(o, "domain");
	const char *ca = text_of(o, "ca"), *fingerprint = text_of(o, "fingerprint");

	(void)printf(
	    "\nOn the phone, in the same network, open this with the camera. The page finds "
	    "out what\nis missing, and shows how to do it:\n");
	if (cJSON_IsTrue(member(o, "dns")))
		(void)printf("  1. names: if the network does not know %s, its DNS server is %s\n",
		    domain, address);
	else
		(void)printf(
		    "  1. names: the network has to know %s; port 53 of %s answers no DNS\n"
		    "     (devmesh doctor)\n",
		    domain, address);
	if (fingerprint != NULL) {
		(void)printf(
		    "  2. trust: the root certificate \"%s\", whose SHA-256 fingerprint is\n",
		    text_of(o, "ca_name"));
		print_fingerprint(fingerprint);
		(void)printf("     Go on only if the page shows the same.\n");
	} else if (ca != NULL && strcmp(ca, "public") == 0) {
		(void)printf("  2. trust: nothing, its certificate is a public one\n");
	} else if (ca != NULL && strcmp(ca, "unknown") == 0) {
		(void)printf("  2. trust: not even this machine trusts the certificate (devmesh "
			     "doctor)\n");
	}
}

static bool
run_phone(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	DM_AUTO_FREE char *url = NULL;
	cJSON *o = ask_daemon(ctx, err);
	bool ok = true;

	if (o == NULL)
		return false;
	if (!find_service(ctx, &claim, err)) {
		cJSON_Delete(o);
		return false;
	}
	url = claim == NULL ? dm_strdup(text_of(o, "page"))
			    : dm_asprintf("%s?id=%s", text_of(o, "page"), claim->id.s);
	if (ctx->line->json) {
		out_add_text(o, "id", claim == NULL ? NULL : claim->id.s);
		out_add_text(o, "service_url", claim == NULL ? NULL : claim->url);
		cJSON_DeleteItemFromObjectCaseSensitive(o, "page");
		out_add_text(o, "page", url);
		out_json(o);
		return true;
	}
	ok = show(ctx, url, err);
	if (ok && isatty(STDOUT_FILENO))
		explain(o);
	cJSON_Delete(o);
	return ok;
}

static const struct cmd_opt qr_opts[] = {
    CMD_OPT_DIRECTORY,
    {"invert", 0, NULL, false, "draw it the other way round, where it shows light on dark"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_qr, cmd_phone;

const struct cmd cmd_qr = {
    .name = "qr",
    .args = "[ID]",
    .max_args = 1,
    .summary = "show a service's URL as a QR code",
    .help = "On a terminal; elsewhere the URL alone is printed. A name below .localhost is\n"
	    "refused: it would lead the other device to itself.",
    .opts = qr_opts,
    .run = run_qr,
};

const struct cmd cmd_phone = {
    .name = "phone",
    .args = "[ID]",
    .max_args = 1,
    .summary = "set up a phone: a QR code of a page that says what it lacks",
    .help =
	"The page is served by devmeshd on this machine's address in the network, by plain HTTP,\n"
	"with [lan] enabled. It tries whether names lead here and whether the certificate is\n"
	"trusted, and shows only the steps that are missing; then it opens the service. Compare\n"
	"the fingerprint that is printed with the one on the page.",
    .opts = qr_opts,
    .run = run_phone,
};
