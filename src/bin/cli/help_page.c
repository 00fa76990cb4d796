/* SPDX-License-Identifier: Apache-2.0 */
/* The help of a command, written from its table. */
#include "bin/cli/help_page.h"

#include <string.h>
#include <unistd.h>

#include "bin/cli/output.h"
#include "os/terminal.h"

#define COLUMNS_DEFAULT 80
#define COLUMNS_MOST    100
#define OPTION_COLUMN   28

/* Writes `size` bytes of text word by word, each line indented, none wider than `columns`; `at` is the column
 * where the first word may start. */
static void write_wrapped(
	FILE *out, const char *text, size_t size, unsigned indent, unsigned at, unsigned columns)
{
	const char *end = text + size;
	bool first = true;

	while (text < end) {
		size_t n = 0;

		while (text < end && (*text == ' ' || *text == '\n'))
			text++;
		while (text + n < end && text[n] != ' ' && text[n] != '\n')
			n++;
		if (!n)
			break;
		if (at > indent && at + 1 + n > columns) {
			fputc('\n', out);
			at = 0;
			first = true;
		}
		if (at < indent)
			at += (unsigned)fprintf(out, "%*s", (int)(indent - at), "");
		else if (!first)
			at += (unsigned)fprintf(out, " ");
		fwrite(text, 1, n, out);
		at += (unsigned)n;
		text += n;
		first = false;
	}
	fputc('\n', out);
}

static void write_paragraphs(FILE *out, const char *text, unsigned columns)
{
	for (;;) {
		const char *end = strstr(text, "\n\n");

		fputc('\n', out);
		write_wrapped(out, text, end ? (size_t)(end - text) : strlen(text), 0, 0, columns);
		if (!end)
			return;
		text = end + 2;
	}
}

static void write_option(FILE *out, const struct option_spec *spec, unsigned columns)
{
	const char letter[] = {
		spec->letter ? '-' : ' ', spec->letter ? spec->letter : ' ', spec->letter ? ',' : ' ', 0};
	unsigned at = (unsigned)fprintf(out, "  %s --%s", letter, spec->name);
	char choices[256] = "";
	char text[1024];
	size_t n = 0;

	if (spec->argument)
		at += (unsigned)fprintf(out, " %s", spec->argument);
	if (at + 2 > OPTION_COLUMN) {
		fputc('\n', out);
		at = 0;
	}
	for (const char *const *c = spec->choices; c && *c && n < sizeof choices; c++)
		n += (size_t)snprintf(choices + n, sizeof choices - n, "%s%s", n ? ", " : ": ", *c);
	snprintf(text, sizeof text, "%s%s%s", spec->help, choices,
		spec->kind == OPTION_LATER ? " (not yet available)" : "");
	write_wrapped(out, text, strlen(text), OPTION_COLUMN, at, columns);
}

static void write_options(FILE *out, const char *title, const struct option_spec *specs, unsigned columns)
{
	if (!specs || !specs->name)
		return;
	fprintf(out, "\n%s:\n", title);
	for (; specs->name; specs++)
		if (!specs->hidden)
			write_option(out, specs, columns);
}

/* The children of a group; -1: all. */
static void write_children(
	FILE *out, const struct command *command, int group, const char *title, unsigned columns)
{
	bool any = false;

	for (const struct command *const *c = command->children; *c; c++) {
		unsigned at;

		if ((*c)->hidden || (*c)->later || (group >= 0 && (int)(*c)->group != group))
			continue;
		if (!any)
			fprintf(out, "\n%s:\n", title);
		any = true;
		at = (unsigned)fprintf(out, "  %s", (*c)->name);
		write_wrapped(out, (*c)->summary, strlen((*c)->summary), 16, at, columns);
	}
}

static void write_groups(
	FILE *out, const struct program *program, const struct command *command, unsigned columns)
{
	if (command != program->root)
		write_children(out, command, -1, "Commands", columns);
	for (int group = 0; command == program->root && group < GROUP_LATER; group++)
		if (program->groups[group])
			write_children(out, command, group, program->groups[group], columns);
}

static void write_later(FILE *out, const struct command *command, unsigned columns)
{
	char line[1024] = "";
	size_t n = 0;

	for (const struct command *const *c = command->children; *c && n < sizeof line; c++)
		if ((*c)->later)
			n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", n ? ", " : "", (*c)->name);
	if (!n)
		return;
	fprintf(out, "\nNot yet available:\n");
	write_wrapped(out, line, strlen(line), 2, 0, columns);
}

void help_synopsis(FILE *out, const struct program *program, const struct command *command, const char *path)
{
	fprintf(out, "%s%s%s [OPTION]...", program->root->name, *path ? " " : "", path);
	if (command->children)
		fprintf(out, " COMMAND [ARGUMENT]...");
	else if (command->arguments)
		fprintf(out, " %s", command->arguments);
}

void help_write(FILE *out, const struct program *program, const struct command *command, const char *path,
	unsigned columns)
{
	fprintf(out, "Usage: ");
	help_synopsis(out, program, command, path);
	fputc('\n', out);
	if (command->later)
		fprintf(out, "\n(Not yet available in this version.)\n");
	fputc('\n', out);
	fprintf(out, "%c",
		*command->summary >= 'a' && *command->summary <= 'z' ? *command->summary - 32
								     : *command->summary);
	write_wrapped(out, command->summary + 1, strlen(command->summary + 1), 0, 1, columns);
	if (command->help)
		write_paragraphs(out, command->help, columns);
	if (command->children) {
		write_groups(out, program, command, columns);
		write_later(out, command, columns);
	}
	write_options(out, "Options", command->options, columns);
	write_options(out, "Options of every command", program->shared, columns);
	if (command->examples) {
		fprintf(out, "\nExamples:\n");
		for (const char *line = command->examples; *line;) {
			size_t n = strcspn(line, "\n");

			fprintf(out, "  %.*s\n", (int)n, line);
			line += n + (line[n] == '\n');
		}
	}
	if (command->children)
		fprintf(out, "\nRun '%s help%s%s COMMAND' for more about one of them.\n", program->root->name,
			*path ? " " : "", path);
}

int help_print(const struct program *program, const struct command *command, const char *path)
{
	uint16_t rows, columns = COLUMNS_DEFAULT;

	terminal_size(STDOUT_FILENO, &rows, &columns);
	if (columns < 40)
		columns = 40;
	help_write(stdout, program, command, path, columns > COLUMNS_MOST ? COLUMNS_MOST : columns);
	return output_finish();
}

int help_run(struct cli *cli, const void *given, int count, char **words)
{
	const struct command *command = cli->program->root;
	char path[128] = "";
	struct error err;
	size_t n = 0;

	(void)given;
	for (int i = 0; i < count; i++) {
		const struct command *child = command_find(command, words[i]);

		if (!child && !command->children)
			break; /* `help volume ls`: what is known of volume */
		if (!child) {
			command_unknown(cli->program, command, path, words[i], &err);
			return cli_complain(cli, &err);
		}
		command = child;
		n += (size_t)snprintf(path + n, sizeof path - n, "%s%s", n ? " " : "", command->name);
	}
	return help_print(cli->program, command, path);
}
