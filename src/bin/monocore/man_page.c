/* SPDX-License-Identifier: Apache-2.0 */
/* Man pages, written from the commands' tables. */
#include "bin/monocore/man_page.h"

#include <ctype.h>
#include <string.h>

#include "bin/monocore/root.h"

/* Text with what roff would take for its own made harmless. Commands are typed from a page, so a '-' must
 * stay one and not become a hyphen. */
static void write_text(FILE *out, const char *text, size_t size)
{
	bool line_start = true;

	for (size_t i = 0; i < size; i++) {
		if (line_start && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", out);
		line_start = text[i] == '\n';
		switch (text[i]) {
		case '\\':
			fputs("\\e", out);
			break;
		case '-':
			fputs("\\-", out);
			break;
		case '~':
			fputs("\\(ti", out);
			break;
		case '^':
			fputs("\\(ha", out);
			break;
		case '\'':
			fputs("\\(aq", out);
			break;
		case '`':
			fputs("\\(ga", out);
			break;
		default:
			fputc(text[i], out);
		}
	}
}

static void write_line(FILE *out, const char *text)
{
	write_text(out, text, strlen(text));
	fputc('\n', out);
}

static void write_paragraphs(FILE *out, const char *text)
{
	for (;;) {
		const char *end = strstr(text, "\n\n");

		write_text(out, text, end ? (size_t)(end - text) : strlen(text));
		fputc('\n', out);
		if (!end)
			return;
		fputs(".PP\n", out);
		text = end + 2;
	}
}

static void write_options(FILE *out, const struct option_spec *specs)
{
	for (; specs && specs->name; specs++) {
		if (specs->hidden)
			continue;
		fputs(".TP\n", out);
		if (specs->letter)
			fprintf(out, "\\fB\\-%c\\fR, ", specs->letter);
		fputs("\\fB\\-\\-", out);
		write_text(out, specs->name, strlen(specs->name));
		fputs("\\fR", out);
		if (specs->argument) {
			fputs(" \\fI", out);
			write_text(out, specs->argument, strlen(specs->argument));
			fputs("\\fR", out);
		}
		fputc('\n', out);
		write_text(out, specs->help, strlen(specs->help));
		for (const char *const *c = specs->choices; c && *c; c++)
			fprintf(out, "%s %s", c == specs->choices ? ":" : ",", *c);
		fputs(specs->kind == OPTION_LATER ? " (not yet available).\n" : ".\n", out);
	}
}

static void write_synopsis(FILE *out, const struct command *command, const char *path)
{
	fputs("\\fBmonocore", out);
	if (*path) {
		fputc(' ', out);
		write_text(out, path, strlen(path));
	}
	fputs("\\fR [\\fIOPTION\\fR]... ", out);
	write_line(out, command->children    ? "COMMAND [ARGUMENT]..."
			: command->arguments ? command->arguments
					     : "");
}

static void write_examples(FILE *out, const struct command *command)
{
	if (!command->examples)
		return;
	fputs(".SH EXAMPLES\n.nf\n", out);
	write_line(out, command->examples);
	fputs(".fi\n", out);
}

/* A command below the page's own: a section with its synopsis, help and options. */
static int write_below(void *context, const struct command *command, const char *path)
{
	FILE *out = context;

	if (command->hidden || command->later || command->children)
		return 0;
	fputs(".SS ", out);
	write_line(out, path);
	write_synopsis(out, command, path);
	fputs(".PP\n", out);
	write_line(out, command->summary);
	if (command->help) {
		fputs(".PP\n", out);
		write_paragraphs(out, command->help);
	}
	write_options(out, command->options);
	return 0;
}

static void write_verbs(FILE *out)
{
	fputs(".SH COMMANDS\n", out);
	for (const struct command *const *c = monocore_root.children; *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		fprintf(out, ".TP\n\\fBmonocore\\-%s\\fR(1)\n", (*c)->name);
		write_line(out, (*c)->summary);
	}
}

static void write_environment(FILE *out)
{
	fputs(".SH ENVIRONMENT\n", out);
	for (const struct environment_variable *v = environment_variables; v->name; v++) {
		fprintf(out, ".TP\n\\fB%s\\fR\n", v->name);
		write_line(out, v->help);
	}
}

static void write_see_also(FILE *out, const struct command *command)
{
	bool any = false;

	fputs(".SH SEE ALSO\n", out);
	if (command != &monocore_root) {
		fputs("\\fBmonocore\\fR(1)\n", out);
		return;
	}
	for (const struct command *const *c = monocore_root.children; *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		fprintf(out, "%s\\fBmonocore\\-%s\\fR(1)", any ? ",\n" : "", (*c)->name);
		any = true;
	}
	fputc('\n', out);
}

void man_write(FILE *out, const struct command *command, const char *path)
{
	char title[64];

	snprintf(title, sizeof title, "%s%s%s", "monocore", *path ? "-" : "", path);
	fputs(".TH ", out);
	for (const char *p = title; *p; p++)
		fputc(toupper((unsigned char)*p), out);
	fprintf(out, " 1 \"\" \"monocore %s\" \"User Commands\"\n.SH NAME\n", monocore_version());
	write_text(out, title, strlen(title));
	fputs(" \\- ", out);
	write_line(out, command->summary);
	fputs(".SH SYNOPSIS\n", out);
	write_synopsis(out, command, path);
	if (command->help) {
		fputs(".SH DESCRIPTION\n", out);
		write_paragraphs(out, command->help);
	}
	if (command == &monocore_root)
		write_verbs(out);
	else if (command->children) {
		fputs(".SH COMMANDS\n", out);
		command_walk(command, path, write_below, out);
	}
	fputs(".SH OPTIONS\n", out);
	write_options(out, command->options);
	write_options(out, global_options);
	if (command == &monocore_root)
		write_environment(out);
	write_examples(out, command);
	write_see_also(out, command);
}
