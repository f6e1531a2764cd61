/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd.h"
#include "doctor.h"
#include "out.h"

enum {
	COLUMNS = 88,
	INDENT = 9
};

static void
print_json(const struct doctor *d)
{
	cJSON *o = out_object(), *list;

	(void)cJSON_AddBoolToObject(o, "ok", doctor_healthy(d));
	list = cJSON_AddArrayToObject(o, "findings");
	for (size_t i = 0; i < d->count; i++) {
		const struct doctor_finding *f = &d->findings[i];
		cJSON *item = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(item, "check", f->check->id);
		(void)cJSON_AddStringToObject(item, "level", doctor_level_name(f->level));
		out_add_text(item, "what", f->what);
		out_add_text(item, "why", f->why);
		out_add_text(item, "fix", f->fix);
		(void)cJSON_AddItemToArray(list, item);
	}
	list = cJSON_AddArrayToObject(o, "checked");
	for (size_t i = 0; i < doctor_check_count; i++) {
		if (d->skipped[i] == NULL)
			(void)cJSON_AddItemToArray(list, cJSON_CreateString(doctor_checks[i].id));
	}
	list = cJSON_AddArrayToObject(o, "skipped");
	for (size_t i = 0; i < doctor_check_count; i++) {
		cJSON *item;

		if (d->skipped[i] == NULL)
			continue;
		item = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(item, "check", doctor_checks[i].id);
		(void)cJSON_AddStringToObject(item, "why", d->skipped[i]);
		(void)cJSON_AddItemToArray(list, item);
	}
	out_json(o);
}

/* The text behind `head`, in lines that fit a terminal, the further ones indented. */
static void
print_wrapped(const char *head, const char *text)
{
	size_t column = (size_t)printf("%s", head);
	bool first = true;

	for (const char *p = text; *p != '\0'; first = false) {
		size_t n = strcspn(p, " ");

		if (!first && column + 1 + n > COLUMNS) {
			(void)printf("\n%*s", INDENT, "");
			column = INDENT;
		} else if (!first) {
			(void)putchar(' ');
			column++;
		}
		(void)printf("%.*s", (int)n, p);
		column += n;
		p += n + strspn(p + n, " ");
	}
	(void)putchar('\n');
}

/* One finding: its level and what; why; the command, in one line for copying. */
static void
print_finding(const struct doctor_finding *f)
{
	char head[32];

	(void)snprintf(head, sizeof(head), "  %s: ", doctor_level_name(f->level));
	print_wrapped(head, f->what);
	if (f->why != NULL)
		print_wrapped("    why: ", f->why);
	if (f->fix != NULL)
		(void)printf("    fix: %s\n", f->fix);
}

/* All that is to be said of one group; its heading only if there is anything. */
static void
print_group(const struct doctor *d, const char *group, bool all)
{
	bool headed = false;

	for (size_t i = 0; i < doctor_check_count; i++) {
		const struct doctor_check *check = &doctor_checks[i];
		bool mentioned = false;

		if (strcmp(check->group, group) != 0)
			continue;
		for (size_t k = 0; k < d->count; k++) {
			if (d->findings[k].check != check ||
			    (d->findings[k].level == DOCTOR_OK && !all))
				continue;
			if (!headed)
				(void)printf("%s\n", group);
			headed = mentioned = true;
			print_finding(&d->findings[k]);
		}
		if (!all || mentioned)
			continue;
		if (!headed)
			(void)printf("%s\n", group);
		headed = true;
		if (d->skipped[i] != NULL)
			(void)printf("  not checked (%s): %s\n", d->skipped[i], check->title);
		else
			(void)printf("  ok: %s\n", check->title);
	}
	if (headed)
		(void)putchar('\n');
}

/* The ids of the checks without a problem, or of those left out for one reason. */
static void
print_ids(const struct doctor *d, const char *skipped, const char *what)
{
	DM_AUTO_STR struct dm_str list = dm_str_make(4096);
	unsigned count = 0;

	for (size_t i = 0; i < doctor_check_count; i++) {
		bool problem = false;

		for (size_t k = 0; k < d->count; k++)
			problem |= d->findings[k].check == &doctor_checks[i] &&
				   d->findings[k].level != DOCTOR_OK;
		if (problem || (d->skipped[i] == NULL) != (skipped == NULL) ||
		    (skipped != NULL && strcmp(d->skipped[i], skipped) != 0))
			continue;
		(void)dm_str_addf(&list, "%s%s", count++ > 0 ? ", " : "", doctor_checks[i].id);
	}
	if (count > 0)
		print_wrapped(what, list.data);
}

static void
print_skipped(const struct doctor *d)
{
	for (size_t i = 0; i < doctor_check_count; i++) {
		bool said = d->skipped[i] == NULL;
		char what[96];

		for (size_t k = 0; k < i && !said; k++)
			said = d->skipped[k] != NULL && strcmp(d->skipped[k], d->skipped[i]) == 0;
		if (said)
			continue;
		(void)snprintf(what, sizeof(what), "not checked (%s): ", d->skipped[i]);
		print_ids(d, d->skipped[i], what);
	}
}

static void
print_text(const struct doctor *d, bool all)
{
	unsigned counts[DOCTOR_FAILURE + 1] = {0};

	for (size_t i = 0; i < doctor_check_count; i++) {
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first &= strcmp(doctor_checks[k].group, doctor_checks[i].group) != 0;
		if (first)
			print_group(d, doctor_checks[i].group, all);
	}
	for (size_t i = 0; i < d->count; i++)
		counts[d->findings[i].level]++;
	if (!all) {
		print_ids(d, NULL, "fine: ");
		print_skipped(d);
	}
	(void)printf("%u failure%s, %u warning%s, %u note%s\n", counts[DOCTOR_FAILURE],
	    counts[DOCTOR_FAILURE] == 1 ? "" : "s", counts[DOCTOR_WARNING],
	    counts[DOCTOR_WARNING] == 1 ? "" : "s", counts[DOCTOR_NOTE],
	    counts[DOCTOR_NOTE] == 1 ? "" : "s");
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *dir = cmd_value(ctx, "directory");
	struct doctor d;

	(void)err;
	doctor_init(&d, ctx->line->config, dir != NULL ? dir : ".");
	d.ask_public = cmd_value(ctx, "public") != NULL;
	doctor_run(&d);
	if (ctx->line->json)
		print_json(&d);
	else
		print_text(&d, ctx->line->verbose);
	ctx->exit_status = doctor_healthy(&d) ? 0 : DM_FAILED;
	doctor_release(&d);
	return true;
}

static const struct cmd_opt opts[] = {CMD_OPT_DIRECTORY,
    {"public", 0, NULL, false, "ask a public name server about the domain as well (1.1.1.1)"},
    {NULL, 0, NULL, false, NULL}};

extern const struct cmd cmd_doctor;
const struct cmd cmd_doctor = {
    .name = "doctor",
    .args = "",
    .summary = "look for known traps, and name the command that mends each",
    .help =
	"Looks at the configuration, the directory of sockets, Caddy, its routes, the names and\n"
	"certificates, and at the worktree's frameworks. Changes nothing, works when everything\n"
	"is broken, and takes at most a few seconds. With -v it lists what is fine as well.\n"
	"Fails (exit status 1) only when a failure is found, not for warnings and notes.",
    .opts = opts,
    .without_session = true,
    .run = run,
};
