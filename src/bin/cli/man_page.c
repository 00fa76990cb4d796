/* SPDX-License-Identifier: Apache-2.0 */
/* Man pages, written from the commands' tables in scdoc(5). */
#include "bin/cli/man_page.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/output.h"

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

static void write_synopsis(
	FILE *out, const struct program *program, const struct command *command, const char *path)
{
	fprintf(out, "*%s", program->root->name);
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

struct page {
	FILE *out;
	const struct program *program;
};

/* A command below the page's own: a section with its synopsis, help and options. */
static int write_below(void *context, const struct command *command, const char *path)
{
	const struct page *page = context;
	FILE *out = page->out;

	if (command->hidden || command->later || command->children)
		return 0;
	fprintf(out, "## %s\n\n", path);
	write_synopsis(out, page->program, command, path);
	write_paragraphs(out, command->summary);
	if (command->help)
		write_paragraphs(out, command->help);
	write_options(out, command->options);
	return 0;
}

static void write_page_name(FILE *out, const struct program *program, const char *verb)
{
	fprintf(out, "*%s-%s*(1)", program->root->name, verb);
}

static void write_verbs(FILE *out, const struct program *program)
{
	fputs("# COMMANDS\n\n", out);
	for (const struct command *const *c = program->root->children; *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		write_page_name(out, program, (*c)->name);
		fputs("\n\t", out);
		write_paragraphs(out, (*c)->summary);
	}
}

static void write_environment(FILE *out, const struct program *program)
{
	fputs("# ENVIRONMENT\n\n", out);
	for (const struct environment_variable *v = program->environment; v->name; v++) {
		write_bold(out, v->name);
		fputs("\n\t", out);
		write_paragraphs(out, v->help);
	}
}

static void write_see_also(FILE *out, const struct program *program, const struct command *command)
{
	const char *before = "";

	fputs("# SEE ALSO\n\n", out);
	if (command != program->root) {
		fprintf(out, "*%s*(1)\n", program->root->name);
		return;
	}
	for (const struct command *const *c = program->root->children; *c; c++) {
		if ((*c)->hidden || (*c)->later)
			continue;
		fputs(before, out);
		write_page_name(out, program, (*c)->name);
		before = ",\n";
	}
	fputc('\n', out);
}

static void write_page(
	FILE *out, const struct program *program, const struct command *command, const char *path)
{
	struct page page = {.out = out, .program = program};
	char title[64];

	snprintf(title, sizeof title, "%s%s%s", program->root->name, *path ? "-" : "", path);
	fprintf(out, "%s(1) \"%s %s\" \"User Commands\"\n\n# NAME\n\n%s - ", title, program->root->name,
		program->version(), title);
	write_paragraphs(out, command->summary);
	fputs("# SYNOPSIS\n\n", out);
	write_synopsis(out, program, command, path);
	if (command->help) {
		fputs("# DESCRIPTION\n\n", out);
		write_paragraphs(out, command->help);
	}
	if (command == program->root)
		write_verbs(out, program);
	else if (command->children) {
		fputs("# COMMANDS\n\n", out);
		command_walk(command, path, write_below, &page);
	}
	fputs("# OPTIONS\n\n", out);
	write_options(out, command->options);
	write_options(out, program->shared);
	if (command == program->root)
		write_environment(out, program);
	write_examples(out, command);
	write_see_also(out, program, command);
}

static int write_file(const struct program *program, const char *directory, const struct command *command,
	const char *path, struct error *err)
{
	_cleanup_free_ char *name =
		text_format(err, "%s/%s%s%s.1.scd", directory, program->root->name, *path ? "-" : "", path);
	FILE *out;
	int bad;

	if (!name)
		return -ERROR_NO_MEMORY;
	out = fopen(name, "we");
	if (!out)
		return error_errno(err, errno, "write '%s'", name);
	write_page(out, program, command, path);
	bad = ferror(out);
	if (fclose(out) < 0 || bad)
		return error_errno(err, errno, "write '%s'", name);
	return 0;
}

int man_run(struct cli *cli, const void *given, int count, char **words)
{
	const struct command *root = cli->program->root;
	struct error err;

	(void)given;
	(void)count;
	if (write_file(cli->program, words[0], root, "", &err) < 0)
		return cli_complain(cli, &err);
	for (const struct command *const *c = root->children; *c; c++)
		if (!(*c)->hidden && !(*c)->later &&
			write_file(cli->program, words[0], *c, (*c)->name, &err) < 0)
			return cli_complain(cli, &err);
	return 0;
}
