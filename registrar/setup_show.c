/* SPDX-License-Identifier: MIT */
/* What setup will do, and has done: for people, and as JSON. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "out.h"
#include "setup.h"

/* Each line indented, and nothing in it that could drive the terminal. */
static void
show_text(FILE *out, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		DM_AUTO_FREE char *line = dm_strndup(text, n), *shown = NULL;

		/* a tab is a control character */
		for (char *p = line; *p != '\0'; p++)
			*p = *p == '\t' ? ' ' : *p;
		shown = dm_printable(line);
		(void)fprintf(out, "    %s\n", shown);
		text += n + (text[n] == '\n' ? 1 : 0);
	}
}

static void
show_commands(FILE *out, const struct setup *u, bool before)
{
	for (size_t i = 0; i < u->command_count; i++) {
		if (u->commands[i].before != before)
			continue;
		(void)fputs("run:", out);
		for (size_t k = 0; u->commands[i].argv[k] != NULL; k++)
			(void)fprintf(out, " %s", u->commands[i].argv[k]);
		(void)fputs("\n", out);
	}
}

/* With the secret left out. Paths are ours or were checked. */
void
setup_show(FILE *out, const struct setup *u)
{
	show_commands(out, u, true);
	for (size_t i = 0; i < u->step_count; i++) {
		const struct setup_step *step = &u->steps[i];
		const char *text = step->shown != NULL ? step->shown : step->text;

		(void)fprintf(out, "%s: %s%s", setup_action_name(step->action), step->path,
		    step->is_dir ? "/" : "");
		if (step->action == SETUP_KEEP)
			(void)fprintf(out, " (%s)", step->why_kept);
		else if (step->action != SETUP_REMOVE)
			(void)fprintf(out, " (mode %04o)", (unsigned)step->mode);
		if (step->is_dir && step->action == SETUP_CREATE)
			(void)fprintf(out, " (owner uid %lu)", (unsigned long)step->owner);
		(void)fputs("\n", out);
		if ((step->action == SETUP_CREATE || step->action == SETUP_UPDATE) && text != NULL)
			show_text(out, text);
	}
	if (!u->want.remove && u->facts.other_record)
		(void)fprintf(out,
		    "leave: the record *.%s to devmeshd, as [record] provider says: this "
		    "configuration\n    has no dynamic_dns, which would keep it as well\n",
		    u->facts.domain);
	if (!u->want.remove && u->running == SETUP_OTHERS)
		(void)fprintf(out,
		    "replace: what the Caddy at %s serves now:\n    %s\n"
		    "    it is kept in %s\n",
		    u->running_admin, u->running_hosts, u->backup);
	if (u->autosave != NULL)
		(void)fprintf(out, "rename: %s to %s.before-setup (--resume would prefer it)\n",
		    u->autosave, u->autosave);
	show_commands(out, u, false);
	if (!u->want.remove && !u->managed &&
	    (u->running == SETUP_OTHERS || u->running == SETUP_EMPTY))
		(void)fprintf(out, "load: POST %s/load\n", u->facts.admin);
}

void
setup_add_json(cJSON *o, const struct setup *u)
{
	cJSON *list = cJSON_AddArrayToObject(o, "files"), *item;

	for (size_t i = 0; i < u->step_count; i++) {
		const struct setup_step *step = &u->steps[i];
		char mode[8];

		item = cJSON_CreateObject();
		(void)cJSON_AddItemToArray(list, item);
		out_add_text(item, "path", step->path);
		out_add_text(item, "action", setup_action_name(step->action));
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)step->mode & 07777);
		out_add_text(item, "mode", mode);
		out_add_text(item, "why", step->action == SETUP_KEEP ? step->why_kept : NULL);
		/* with its newlines, which out_add_text would take out */
		if (u->want.dry_run && step->text != NULL)
			(void)cJSON_AddStringToObject(
			    item, "text", step->shown != NULL ? step->shown : step->text);
	}
	list = cJSON_AddArrayToObject(o, "commands");
	for (size_t i = 0; i < u->command_count; i++) {
		item = cJSON_CreateArray();
		(void)cJSON_AddItemToArray(list, item);
		for (size_t k = 0; u->commands[i].argv[k] != NULL; k++)
			(void)cJSON_AddItemToArray(
			    item, cJSON_CreateString(u->commands[i].argv[k]));
	}
	list = cJSON_AddArrayToObject(o, "problems");
	for (size_t i = 0; i < u->problem_count; i++) {
		item = cJSON_CreateObject();
		(void)cJSON_AddItemToArray(list, item);
		out_add_text(item, "code", dm_code_name(u->problems[i].code));
		out_add_text(item, "message", u->problems[i].msg);
		out_add_text(
		    item, "hint", u->problems[i].hint[0] != '\0' ? u->problems[i].hint : NULL);
	}
}

bool
setup_confirm(bool yes, bool json, struct dm_err *err)
{
	char line[16];

	if (yes)
		return true;
	if (!isatty(STDIN_FILENO) || json) {
		(void)dm_fail(err, DM_USAGE, "nothing was changed: nobody has agreed to it");
		return dm_hint(err, "--dry-run shows everything; --yes does it");
	}
	(void)fprintf(stderr, "do this? [y/N] ");
	if (fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y'))
		return true;
	return dm_fail(err, DM_DENIED, "nothing was changed");
}
