/* SPDX-License-Identifier: MIT */
/* help and completion: what the table of verbs says, for people and for shells. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd.h"
#include "out.h"

static cJSON *
opts_json(const struct cmd_opt *opts)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; opts != NULL && opts[i].name != NULL; i++) {
		const char letter[2] = {opts[i].letter, '\0'};
		cJSON *o = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(o, "name", opts[i].name);
		out_add_text(o, "letter", opts[i].letter != 0 ? letter : NULL);
		out_add_text(o, "value", opts[i].value);
		(void)cJSON_AddBoolToObject(o, "value_optional", opts[i].optional);
		(void)cJSON_AddStringToObject(o, "help", opts[i].help);
		(void)cJSON_AddItemToArray(list, o);
	}
	return list;
}

static void
print_json(const struct cmd *only)
{
	cJSON *o = out_object(), *list = cJSON_AddArrayToObject(o, "verbs");

	for (size_t i = 0; cmds[i] != NULL; i++) {
		cJSON *verb;

		if (only != NULL && cmds[i] != only)
			continue;
		verb = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(verb, "name", cmds[i]->name);
		(void)cJSON_AddStringToObject(verb, "arguments", cmds[i]->args);
		(void)cJSON_AddStringToObject(verb, "summary", cmds[i]->summary);
		(void)cJSON_AddItemToObject(verb, "options", opts_json(cmds[i]->opts));
		(void)cJSON_AddItemToArray(list, verb);
	}
	(void)cJSON_AddItemToObject(o, "options", opts_json(cmd_global_opts));
	out_json(o);
}

static bool
run_help(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *name = cmd_arg(ctx, 0);
	const struct cmd *cmd = name == NULL ? NULL : cmd_find(name), *near;

	if (name != NULL && cmd == NULL) {
		near = cmd_nearest(name);
		(void)dm_fail(err, DM_USAGE, "there is no verb \"%.60s\"", name);
		if (near != NULL)
			return dm_hint(err, "perhaps devmesh help %s?", near->name);
		return dm_hint(err, "devmesh help lists them");
	}
	if (ctx->line->json)
		print_json(cmd);
	else
		cmd_print_help(cmd);
	return true;
}

/* Calls print for every option of a verb and for the global ones. */
static void
each_opt(FILE *out, const struct cmd *cmd,
    void (*print)(FILE *, const struct cmd *, const struct cmd_opt *))
{
	for (size_t i = 0; cmd->opts != NULL && cmd->opts[i].name != NULL; i++)
		print(out, cmd, &cmd->opts[i]);
	for (size_t i = 0; cmd_global_opts[i].name != NULL; i++)
		print(out, cmd, &cmd_global_opts[i]);
}

static void
print_word(FILE *out, const struct cmd *cmd, const struct cmd_opt *opt)
{
	(void)cmd;
	(void)fprintf(out, " --%s", opt->name);
}

/* The words of an argument like "start|stop", with blanks between; NULL: it is none. Caller owns.
 */
static char *
choices_of(const struct cmd *cmd)
{
	char *words;

	if (strchr(cmd->args, '|') == NULL ||
	    cmd->args[strspn(cmd->args, "abcdefghijklmnopqrstuvwxyz|")] != '\0')
		return NULL;
	words = dm_strdup(cmd->args);
	for (char *p = words; *p != '\0'; p++)
		*p = *p == '|' ? ' ' : *p;
	return words;
}

static void
complete_bash(FILE *out)
{
	(void)fputs("# bash completion for devmesh; eval \"$(devmesh completion bash)\"\n"
		    "_devmesh() {\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words=\n"
		    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords=\"\\\n",
	    out);
	for (size_t i = 0; cmds[i] != NULL; i++)
		(void)fprintf(out, "%s%s", i == 0 ? "" : " ", cmds[i]->name);
	(void)fputs("\"\n\telse\n\t\tcase $verb in\n", out);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_FREE char *choices = choices_of(cmds[i]);

		(void)fprintf(
		    out, "\t\t%s) words=\"%s", cmds[i]->name, choices != NULL ? choices : "");
		for (size_t k = 0; strcmp(cmds[i]->name, "help") == 0 && cmds[k] != NULL; k++)
			(void)fprintf(out, " %s", cmds[k]->name);
		each_opt(out, cmds[i], print_word);
		(void)fputs("\" ;;\n", out);
	}
	(void)fputs(
	    "\t\tesac\n"
	    "\t\tcase \"$verb:$cur\" in\n"
	    "\t\t*:-*) ;;\n"
	    "\t\turl:*|env:*|down:*|wait:*) words=$(devmesh -q list 2>/dev/null | cut -f1) ;;\n"
	    "\t\tesac\n"
	    "\tfi\n"
	    "\t# shellcheck disable=SC2207 # macOS has bash 3.2, without mapfile\n"
	    "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	    "}\n"
	    "complete -o default -F _devmesh devmesh\n",
	    out);
}

/* Text inside single quotes of zsh's _arguments: quotes, brackets and colons are special. */
static void
print_zsh_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			(void)fputs("'\\''", out);
		else if (strchr("[]:\\", *text) != NULL)
			(void)fprintf(out, "\\%c", *text);
		else
			(void)fputc(*text, out);
	}
}

static void
print_zsh(FILE *out, const struct cmd *cmd, const struct cmd_opt *opt)
{
	(void)cmd;
	(void)fprintf(out, " \\\n\t\t\t'--%s%s[", opt->name,
	    opt->value == NULL ? ""
	    : opt->optional    ? "=-"
			       : "=");
	print_zsh_text(out, opt->help);
	(void)fprintf(out, "]%s%s%s'",
	    opt->value == NULL ? ""
	    : opt->optional    ? "::"
			       : ":",
	    opt->value == NULL ? "" : opt->value,
	    opt->value == NULL							 ? ""
	    : strcmp(opt->value, "DIR") == 0					 ? ":_directories"
	    : strcmp(opt->value, "FILE") == 0 || strcmp(opt->value, "PATH") == 0 ? ":_files"
										 : ":");
}

static void
complete_zsh(FILE *out)
{
	(void)fputs("#compdef devmesh\n"
		    "# zsh completion for devmesh\n"
		    "_devmesh() {\n"
		    "\tlocal -a verbs=(\n",
	    out);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		(void)fprintf(out, "\t\t'%s:", cmds[i]->name);
		print_zsh_text(out, cmds[i]->summary);
		(void)fputs("'\n", out);
	}
	(void)fputs("\t)\n"
		    "\tif (( CURRENT == 2 )); then\n"
		    "\t\t_describe verb verbs\n"
		    "\t\treturn\n"
		    "\tfi\n"
		    "\tlocal verb=$words[2]\n"
		    "\tshift words\n"
		    "\t(( CURRENT-- ))\n"
		    "\tcase $verb in\n",
	    out);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_FREE char *choices = choices_of(cmds[i]);

		(void)fprintf(out, "\t%s)\n\t\t_arguments", cmds[i]->name);
		each_opt(out, cmds[i], print_zsh);
		if (strcmp(cmds[i]->args, "[ID]") == 0)
			(void)fprintf(
			    out, " \\\n\t\t\t'1:id:($(devmesh -q list 2>/dev/null | cut -f1))'");
		if (choices != NULL)
			(void)fprintf(out, " \\\n\t\t\t'1:what:(%s)'", choices);
		(void)fputs("\n\t\t;;\n", out);
	}
	(void)fputs("\tesac\n}\ncompdef _devmesh devmesh\n", out);
}

/* Text inside single quotes of fish, where only the quote and the backslash are special. */
static void
print_fish_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		(void)fprintf(out, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
}

static void
print_fish(FILE *out, const struct cmd *cmd, const struct cmd_opt *opt)
{
	(void)fprintf(out, "complete -c devmesh -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
	    cmd->name, opt->name, opt->value != NULL && !opt->optional ? " -r" : "");
	print_fish_text(out, opt->help);
	(void)fputs("'\n", out);
}

static void
complete_fish(FILE *out)
{
	(void)fputs("# fish completion for devmesh\ncomplete -c devmesh -f\n", out);
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_FREE char *choices = choices_of(cmds[i]);

		(void)fprintf(
		    out, "complete -c devmesh -n __fish_use_subcommand -a %s -d '", cmds[i]->name);
		print_fish_text(out, cmds[i]->summary);
		(void)fputs("'\n", out);
		each_opt(out, cmds[i], print_fish);
		if (strcmp(cmds[i]->args, "[ID]") == 0)
			(void)fprintf(out,
			    "complete -c devmesh -n '__fish_seen_subcommand_from %s' "
			    "-a '(devmesh -q list 2>/dev/null | cut -f1)'\n",
			    cmds[i]->name);
		if (choices != NULL)
			(void)fprintf(out,
			    "complete -c devmesh -n '__fish_seen_subcommand_from %s' -a '%s'\n",
			    cmds[i]->name, choices);
	}
}

/* The script as text; the caller frees it. */
static char *
script_of(void (*complete)(FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	complete(out);
	return fclose(out) == 0 ? text : NULL;
}

static bool
run_completion(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const struct {
		const char *shell;
		void (*complete)(FILE *);
	} shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};
	const char *shell = cmd_arg(ctx, 0);

	for (size_t i = 0; shell != NULL && i < 3; i++) {
		DM_AUTO_FREE char *script = NULL;
		cJSON *o;

		if (strcmp(shell, shells[i].shell) != 0)
			continue;
		if (!ctx->line->json) {
			shells[i].complete(stdout);
			return true;
		}
		script = script_of(shells[i].complete);
		o = out_object();
		(void)cJSON_AddStringToObject(o, "shell", shell);
		(void)cJSON_AddStringToObject(o, "script", script == NULL ? "" : script);
		out_json(o);
		return true;
	}
	if (shell == NULL)
		(void)dm_fail(err, DM_USAGE, "completion for which shell?");
	else
		(void)dm_fail(err, DM_USAGE, "there is no completion for \"%.40s\"", shell);
	return dm_hint(err, "devmesh completion bash, zsh or fish");
}

extern const struct cmd cmd_help, cmd_completion;

const struct cmd cmd_help = {
    .name = "help",
    .args = "[VERB]",
    .max_args = 1,
    .summary = "print what the verbs do",
    .without_session = true,
    .run = run_help,
};

const struct cmd cmd_completion = {
    .name = "completion",
    .args = "bash|zsh|fish",
    .max_args = 1,
    .summary = "print a completion script for a shell",
    .without_session = true,
    .run = run_completion,
};
