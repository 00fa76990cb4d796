/* SPDX-License-Identifier: Apache-2.0 */
/* Man pages, written from the commands' tables in scdoc(5). */
#include "bin/monocore/man_page.h"

#include <string.h>

#include "bin/monocore/root.h"

/* Text with what scdoc would take for its own made harmless. */
static void write_text(FILE *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		bool line_start = i == 0 || text[i - 1] == '\n';

		if (strchr("\\*_+`<>", text[i]) || (line_start && strchr("#-|[]. \t", text[i])))
			fputc('\\', out);
		fputc(text[i], out);
	}
}

static void write_line(FILE *out, const char *text)
{
	write_text(out, text, strlen(text));
	fputc('\n', out);
}

static void write_bold(FILE *out, const char *text)
{
	fputc('*', out);
	write_text(out, text, strlen(text));
	fputc('*', out);
}

/* Parted by empty lines in both. */
static void write_paragraphs(FILE *out, const char *text)
{
	write_line(out, text);
	fputc('\n', out);
}

static void write_options(FILE *out, const struct option_spec *specs)
{
	for (; specs && specs->name; specs++) {
		if (specs->hidden)
			continue;
		if (specs->letter)
			fprintf(out, "*-%c*, ", specs->letter);
		fputs("*--", out);
		write_text(out, specs->name, strlen(specs->name));
		fputc('*', out);
		if (specs->argument) {
			fputs(" _", out);
			write_text(out, specs->argument, strlen(specs->argument));
			fputc('_', out);
		}
		fputs("\n\t", out);
		write_text(out, specs->help, strlen(specs->help));
		for (const char *const *c = specs->choices; c && *c; c++)
			fprintf(out, "%s %s", c == specs->choices ? ":" : ",", *c);
		fputs(specs->kind == OPTION_LATER ? " (not yet available).\n\n" : ".\n\n", out);
	}
}

static void write_synopsis(FILE *out, const struct command *command, const char *path)
{
	fputs("*monocore", out);
	if (*path) {
		fputc(' ', out);
		write_text(out, path, strlen(path));
	}
	fputs("* [_OPTION_]... ", out);
	write_line(out, command->children    ? "COMMAND [ARGUMENT]..."
			: command->arguments ? command->arguments
					     : "");
	fputc('\n', out);
}

static void write_examples(FILE *out, const struct command *command)
{
	if (command->examples)
		fprintf(out, "# EXAMPLES\n\n```\n%s\n```\n\n", command->examples);
}

/* A command below the page's own: a section with its synopsis, help and options. */
static int write_below(void *context, const struct command *command, const char *path)
{
	FILE *out = context;

	if (command->hidden || command->later || command->children)
		return 0;
	fprintf(out, "## %s\n\n", path);
	write_synopsis(out, command, path);
	write_paragraphs(out, command->summary);
	if (command->help)
		write_paragraphs(out, command->help);
	write_options(out, command->options);
	return 0;
}

static void write_page_name(FILE *out, const char *verb)
{
	fprintf(out, "*monocore-%s*(1)", verb);
}

static void write_verbs(FILE *out)
{
	fputs("# COMMANDS\n\n", out);
	for (const struct command *const *c = monocore_root.children; *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		write_page_name(out, (*c)->name);
		fputs("\n\t", out);
		write_paragraphs(out, (*c)->summary);
	}
}

static void write_environment(FILE *out)
{
	fputs("# ENVIRONMENT\n\n", out);
	for (const struct environment_variable *v = environment_variables; v->name; v++) {
		write_bold(out, v->name);
		fputs("\n\t", out);
		write_paragraphs(out, v->help);
	}
}

static void write_see_also(FILE *out, const struct command *command)
{
	const char *before = "";

	fputs("# SEE ALSO\n\n", out);
	if (command != &monocore_root) {
		fputs("*monocore*(1)\n", out);
		return;
	}
	for (const struct command *const *c = monocore_root.children; *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		fputs(before, out);
		write_page_name(out, (*c)->name);
		before = ",\n";
	}
	fputc('\n', out);
}

void man_write(FILE *out, const struct command *command, const char *path)
{
	char title[64];

	snprintf(title, sizeof title, "%s%s%s", "monocore", *path ? "-" : "", path);
	fprintf(out, "%s(1) \"monocore %s\" \"User Commands\"\n\n# NAME\n\n%s - ", title, monocore_version(),
		title);
	write_paragraphs(out, command->summary);
	fputs("# SYNOPSIS\n\n", out);
	write_synopsis(out, command, path);
	if (command->help) {
		fputs("# DESCRIPTION\n\n", out);
		write_paragraphs(out, command->help);
	}
	if (command == &monocore_root)
		write_verbs(out);
	else if (command->children) {
		fputs("# COMMANDS\n\n", out);
		command_walk(command, path, write_below, out);
	}
	fputs("# OPTIONS\n\n", out);
	write_options(out, command->options);
	write_options(out, global_options);
	if (command == &monocore_root)
		write_environment(out);
	write_examples(out, command);
	write_see_also(out, command);
}
