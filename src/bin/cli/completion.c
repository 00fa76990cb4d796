/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion scripts, written from the commands' tables. All three work the same way: the words before the
 * cursor that are no options are followed down the tree of commands as far as they go; that gives the path
 * ("self kernel"), and for each path the table gives its commands, options and kind of words.
 */
#include "bin/cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "bin/cli/output.h"

struct script {
	FILE *out;
	const struct program *program;
};

/* A text in which %p stands for the program's name, %n for its command that prints names, %c for the one that
 * prints this. */
static void write_text(const struct script *s, const char *text)
{
	for (; *text; text++) {
		if (*text != '%') {
			fputc(*text, s->out);
			continue;
		}
		text++;
		fputs(*text == 'n'     ? s->program->complete_names
			: *text == 'c' ? s->program->complete
				       : s->program->root->name,
			s->out);
	}
}

/* Text inside single quotes of a shell. */
static void write_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	fputc('\'', out);
}

static void write_option_words(FILE *out, const struct option_spec *specs, bool arguments_only)
{
	for (; specs && specs->name; specs++) {
		if (arguments_only ? !option_takes_argument(specs) : specs->hidden)
			continue;
		fprintf(out, " --%s", specs->name);
		if (specs->letter)
			fprintf(out, " -%c", specs->letter);
	}
}

static const char *words_name(enum command_words words)
{
	static const char *const names[] = {[WORDS_NONE] = "",
		[WORDS_SANDBOXES] = "sandboxes",
		[WORDS_SANDBOX] = "sandboxes",
		[WORDS_COMPONENTS] = "sandboxes",
		[WORDS_IMAGES] = "images",
		[WORDS_NAMES] = "names",
		[WORDS_INSTALLED] = "installed",
		[WORDS_REVISIONS] = "revisions",
		[WORDS_KEYS] = "keys",
		[WORDS_SNAPSHOT] = "snapshots",
		[WORDS_SNAPSHOTS] = "snapshots",
		[WORDS_PARTS] = "parts",
		[WORDS_BUILDS] = "builds",
		[WORDS_FILES] = "files",
		[WORDS_COMMANDS] = "commands",
		[WORDS_SHELLS] = "shells"};

	return names[words];
}

/* A branch of the table in bash and zsh: the lists of one path. */
static int write_case(void *context, const struct command *command, const char *path)
{
	const struct script *script = context;
	FILE *out = script->out;

	if (command->hidden || command->later)
		return 0;
	fprintf(out, "\t'%s')\n\t\tmc_commands='", path);
	for (const struct command *const *c = command->children; c && *c; c++)
		if (!(*c)->hidden && !(*c)->later)
			fprintf(out, " %s", (*c)->name);
	fputs(" '\n\t\tmc_options='", out);
	write_option_words(out, command->options, false);
	write_option_words(out, script->program->shared, false);
	fputs(" '\n\t\tmc_valued='", out);
	write_option_words(out, command->options, true);
	write_option_words(out, script->program->shared, true);
	fprintf(out, " '\n\t\tmc_kind='%s' ;;\n", words_name(command->words));
	return 0;
}

/* A line for each option that takes one of a few words. */
static int write_choices(void *context, const struct command *command, const char *path)
{
	const struct script *script = context;
	FILE *out = script->out;

	for (const struct option_spec *s = command->options; s && s->name; s++) {
		if (!s->choices)
			continue;
		fprintf(out, "\t'%s/--%s') mc_choices='", path, s->name);
		for (const char *const *c = s->choices; *c; c++)
			fprintf(out, "%s%s", c == s->choices ? "" : " ", *c);
		fputs("' ;;\n", out);
	}
	return 0;
}

/* The tables and the walk along the words, in what bash and zsh have in common. The names all start with
 * mc_: zsh gives `path`, `words`, `options` and `commands` meanings of its own. */
static void write_common(struct script *script)
{
	write_text(
		script, "_%p_table() {\n\tmc_commands= mc_options= mc_valued= mc_kind=\n\tcase \"$1\" in\n");
	write_case(script, script->program->root, "");
	command_walk(script->program->root, "", write_case, script);
	write_text(script, "\tesac\n}\n\n_%p_choices() {\n\tmc_choices=\n\tcase \"$1\" in\n");
	command_walk(script->program->root, "", write_choices, script);
	write_text(script,
		"\tesac\n}\n\n"
		"_%p_follow() {\n"
		"\tlocal mc_word mc_path=''\n"
		"\tmc_waiting=\n"
		"\t_%p_table ''\n"
		"\tfor mc_word in \"$@\"; do\n"
		"\t\tif [ -n \"$mc_waiting\" ]; then\n"
		"\t\t\tmc_waiting=\n"
		"\t\t\tcontinue\n"
		"\t\tfi\n"
		"\t\tcase \"$mc_word\" in\n"
		"\t\t-*=*) ;;\n"
		"\t\t-*) case \"$mc_valued\" in *\" $mc_word \"*) mc_waiting=$mc_path/$mc_word ;; esac ;;\n"
		"\t\t*) case \"$mc_commands\" in *\" $mc_word \"*)\n"
		"\t\t\tmc_path=\"${mc_path:+$mc_path }$mc_word\"\n"
		"\t\t\t_%p_table \"$mc_path\" ;;\n"
		"\t\tesac ;;\n"
		"\t\tesac\n"
		"\tdone\n"
		"}\n\n");
}

static void write_bash(struct script *script)
{
	write_text(script, "# bash completion for %p; for one shell: source <(%p %c bash)\n\n");
	write_common(script);
	write_text(script,
		"_%p() {\n"
		"\tlocal current=${COMP_WORDS[COMP_CWORD]} mc_cword=$COMP_CWORD "
		"mc_words=(\"${COMP_WORDS[@]}\")\n"
		"\tlocal mc_commands mc_options mc_valued mc_kind mc_waiting mc_choices list=\n"
		"\tCOMPREPLY=()\n"
		"\t# Names of images have colons, at which bash parts words.\n"
		"\tif declare -F _get_comp_words_by_ref __ltrim_colon_completions >/dev/null; then\n"
		"\t\t_get_comp_words_by_ref -n : -c current -w mc_words -i mc_cword\n"
		"\tfi\n"
		"\t_%p_follow \"${mc_words[@]:1:mc_cword-1}\"\n"
		"\tif [ -n \"$mc_waiting\" ]; then\n"
		"\t\t_%p_choices \"$mc_waiting\"\n"
		"\t\tlist=$mc_choices mc_kind=files\n"
		"\telif [[ $current == -* ]]; then\n"
		"\t\tlist=$mc_options\n"
		"\telif [ -n \"${mc_commands// /}\" ]; then\n"
		"\t\tlist=$mc_commands\n"
		"\telse\n"
		"\t\tcase \"$mc_kind\" in\n"
		"\t\tcommands) _%p_table ''; list=$mc_commands ;;\n"
		"\t\tshells) list='bash zsh fish' ;;\n"
		"\t\t''|files) ;;\n"
		"\t\t*) list=$(%p %n $mc_kind 2>/dev/null)\n"
		"\t\t\tcase \"$mc_kind:$current:$list\" in builds:*/*:*|builds:.*:*|builds:*:) list= "
		"mc_kind=files ;; esac ;;\n"
		"\t\tesac\n"
		"\tfi\n"
		"\tif [ -n \"$list\" ]; then\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$current\")\n"
		"\t\tif declare -F __ltrim_colon_completions >/dev/null; then\n"
		"\t\t\t__ltrim_colon_completions \"$current\"\n"
		"\t\tfi\n"
		"\telif [ \"$mc_kind\" = files ]; then\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
		"\tfi\n"
		"}\n\n"
		"complete -o filenames -F _%p %p\n");
}

static void write_zsh(struct script *script)
{
	write_text(script, "#compdef %p\n"
			   "# zsh completion for %p: save as _%p in a directory of $fpath\n\n");
	write_common(script);
	write_text(script,
		"_%p() {\n"
		"\tlocal mc_commands mc_options mc_valued mc_kind mc_waiting mc_choices\n"
		"\t_%p_follow \"${(@)words[2,CURRENT-1]}\"\n"
		"\tif [[ -n $mc_waiting ]]; then\n"
		"\t\t_%p_choices \"$mc_waiting\"\n"
		"\t\tif [[ -n $mc_choices ]]; then compadd -- ${=mc_choices}; else _files; fi\n"
		"\telif [[ ${words[CURRENT]} == -* ]]; then\n"
		"\t\tcompadd -- ${=mc_options}\n"
		"\telif [[ -n ${mc_commands// /} ]]; then\n"
		"\t\tcompadd -- ${=mc_commands}\n"
		"\telse\n"
		"\t\tif [[ $mc_kind == builds && ${words[CURRENT]} == (*/*|.*) ]]; then mc_kind=files; fi\n"
		"\t\tcase $mc_kind in\n"
		"\t\tcommands) _%p_table ''; compadd -- ${=mc_commands} ;;\n"
		"\t\tshells) compadd -- bash zsh fish ;;\n"
		"\t\tfiles) _files ;;\n"
		"\t\t?*) compadd -- ${(f)\"$(%p %n $mc_kind 2>/dev/null)\"}\n"
		"\t\t\tif [[ $mc_kind == builds ]]; then _files; fi ;;\n"
		"\t\tesac\n"
		"\tfi\n"
		"}\n\n"
		"if [[ $funcstack[1] == _%p ]]; then _%p \"$@\"; else compdef _%p %p; "
		"fi\n");
}

static void write_fish_options(
	const struct script *script, const struct option_spec *specs, const char *condition)
{
	FILE *out = script->out;

	for (; specs && specs->name; specs++) {
		if (specs->hidden)
			continue;
		fprintf(out, "complete -c %s -n %s -l %s", script->program->root->name, condition,
			specs->name);
		if (specs->letter)
			fprintf(out, " -s %c", specs->letter);
		if (option_takes_argument(specs))
			fputs(specs->choices ? " -x" : " -r", out);
		if (specs->choices) {
			fputs(" -a '", out);
			for (const char *const *c = specs->choices; *c; c++)
				fprintf(out, "%s%s", c == specs->choices ? "" : " ", *c);
			fputc('\'', out);
		}
		fputs(" -d ", out);
		write_quoted(out, specs->help);
		fputc('\n', out);
	}
}

static int write_fish_command(void *context, const struct command *command, const char *path)
{
	const struct script *script = context;
	const char *program = script->program->root->name;
	FILE *out = script->out;
	char condition[192];

	if (command->hidden || command->later)
		return 0;
	snprintf(condition, sizeof condition, "'__%s_at \"%s\"'", program, path);
	for (const struct command *const *c = command->children; c && *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		fprintf(out, "complete -c %s -n %s -a %s -d ", program, condition, (*c)->name);
		write_quoted(out, (*c)->summary);
		fputc('\n', out);
	}
	write_fish_options(script, command->options, condition);
	if (command->words >= WORDS_SANDBOXES && command->words <= WORDS_NAMED_LAST)
		fprintf(out, "complete -c %s -n %s -a '(%s %s %s 2>/dev/null)'\n", program, condition,
			program, script->program->complete_names, words_name(command->words));
	if (command->words == WORDS_FILES || command->words == WORDS_BUILDS)
		fprintf(out, "complete -c %s -n %s -F\n", program, condition);
	if (command->words == WORDS_SHELLS)
		fprintf(out, "complete -c %s -n %s -a 'bash zsh fish'\n", program, condition);
	return 0;
}

static int write_fish_path(void *context, const struct command *command, const char *path)
{
	const struct script *script = context;

	if (!command->hidden && !command->later)
		fprintf(script->out, " '%s'", path);
	return 0;
}

static void write_fish(struct script *script)
{
	write_text(script, "# fish completion for %p: save as ~/.config/fish/completions/%p.fish\n\n"
			   "set -g __%p_paths");
	command_walk(script->program->root, "", write_fish_path, script);
	write_text(script, "\n\nfunction __%p_at\n"
			   "\tset -l path ''\n"
			   "\tfor word in (commandline -opc)[2..-1]\n"
			   "\t\tset -l longer (string trim \"$path $word\")\n"
			   "\t\tif contains -- $longer $__%p_paths\n"
			   "\t\t\tset path $longer\n"
			   "\t\tend\n"
			   "\tend\n"
			   "\ttest \"$path\" = \"$argv[1]\"\n"
			   "end\n\n"
			   "complete -c %p -f\n");
	write_fish_command(script, script->program->root, "");
	command_walk(script->program->root, "", write_fish_command, script);
	write_fish_options(script, script->program->shared, "true");
}

int completion_run(struct cli *cli, const void *given, int count, char **words)
{
	struct script script = {.out = stdout, .program = cli->program};
	struct error err;

	(void)given;
	(void)count;
	if (!strcmp(words[0], "bash")) {
		write_bash(&script);
	} else if (!strcmp(words[0], "zsh")) {
		write_zsh(&script);
	} else if (!strcmp(words[0], "fish")) {
		write_fish(&script);
	} else {
		error_set(&err, ERROR_USAGE, "no completion for the shell '%s'; there is bash, zsh and fish",
			words[0]);
		return cli_complain(cli, &err);
	}
	return output_finish();
}
