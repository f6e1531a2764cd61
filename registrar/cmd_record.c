/* SPDX-License-Identifier: MIT */
/* record: the public DNS record that devmeshd keeps, looked at or put right now. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd.h"
#include "network.h"
#include "out.h"
#include "record.h"

static void
print_record(const struct record *r, bool dry_run)
{
	const char *was = r->found[0] == '\0' ? "nothing" : r->found;
	DM_AUTO_FREE char *shown = dm_printable(was);

	if (r->action == RECORD_NONE)
		(void)printf("%s leads to %s, as it has to\n", r->name, r->wanted);
	else if (r->written)
		(void)printf("%s leads to %s now; it was %s\n", r->name, r->wanted, shown);
	else
		(void)printf("%s leads to %s; %s%s record would be written in the zone %s: A %s\n",
		    r->name, shown, dry_run ? "" : "with `update` ",
		    r->action == RECORD_CREATE ? "a new" : "that", r->zone, r->wanted);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *word = cmd_arg(ctx, 0);
	bool dry_run = cmd_value(ctx, "dry-run") != NULL;
	bool update = word != NULL && strcmp(word, "update") == 0;
	const struct conf *conf = ctx->session->conf;
	struct lan_state network = {.serial = 0};
	struct record record;
	cJSON *o;

	if (word != NULL && !update && strcmp(word, "status") != 0) {
		(void)dm_fail(err, DM_USAGE, "devmesh record: \"%.60s\" is not known", word);
		return dm_hint(err, "devmesh record status | update [--dry-run]");
	}
	if (dry_run && !update)
		return dm_fail(err, DM_USAGE, "--dry-run is for devmesh record update");
	if (!network_look(conf, &network, err) ||
	    !record_keep(conf, &network, update && !dry_run, &record, err))
		return false;
	if (!ctx->line->json) {
		print_record(&record, dry_run);
		return true;
	}
	o = out_object();
	(void)cJSON_AddBoolToObject(o, "dry_run", !update || dry_run);
	(void)cJSON_AddItemToObject(o, "record", record_json(conf, &record, NULL));
	out_json(o);
	return true;
}

static const struct cmd_opt opts[] = {
    {"dry-run", 0, NULL, false, "update: only say what would be written"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_record;

const struct cmd cmd_record = {
    .name = "record",
    .args = "[status|update]",
    .max_args = 1,
    .summary = "look at the public DNS record of the domain's names, or put it right",
    .help =
	"For a domain of one's own, with [record] configured: *.<domain> leads to the address by\n"
	"which other devices reach this machine, or to 127.0.0.1 while they may not "
	"(lan.enabled).\n"
	"devmeshd keeps it so by itself, whenever that address changes; this shows what is there,\n"
	"and update writes it now.",
    .opts = opts,
    .run = run,
};
