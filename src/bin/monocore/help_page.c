/* SPDX-License-Identifier: Apache-2.0 */
/* The help of a command, written from its table. */
#include "bin/monocore/help_page.h"

#include <string.h>
#include <unistd.h>

#include "bin/monocore/output.h"
#include "bin/monocore/root.h"
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

static void write_children(FILE *out, const struct command *command, enum command_group group,
	const char *title, unsigned columns)
{
	bool any = false;

	for (const struct command *const *c = command->children; *c; c++) {
		unsigned at;

		if ((*c)->hidden || (*c)->later || (*c)->group != group)
			continue;
		if (!any)
			fprintf(out, "\n%s:\n", title);
		any = true;
		at = (unsigned)fprintf(out, "  %s", (*c)->name);
		write_wrapped(out, (*c)->summary, strlen((*c)->summary), 16, at, columns);
	}
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

void help_synopsis(FILE *out, const struct command *command, const char *path)
{
	fprintf(out, "monocore%s%s [OPTION]...", *path ? " " : "", path);
	if (command->children)
		fprintf(out, " COMMAND [ARGUMENT]...");
	else if (command->arguments)
		fprintf(out, " %s", command->arguments);
}

void help_write(FILE *out, const struct command *command, const char *path, unsigned columns)
{
	fprintf(out, "Usage: ");
	help_synopsis(out, command, path);
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
		write_children(out, command, GROUP_SANDBOXES, "Sandboxes", columns);
		write_children(out, command, GROUP_IMAGES, *path ? "Commands" : "Images", columns);
		write_children(out, command, GROUP_HOST, *path ? "Commands" : "This program", columns);
		write_later(out, command, columns);
	}
	write_options(out, "Options", command->options, columns);
	write_options(out, "Options of every command", global_options, columns);
	if (command->examples) {
		fprintf(out, "\nExamples:\n");
		for (const char *line = command->examples; *line;) {
			size_t n = strcspn(line, "\n");

			fprintf(out, "  %.*s\n", (int)n, line);
			line += n + (line[n] == '\n');
		}
	}
	if (command->children)
		fprintf(out, "\nRun 'monocore help%s%s COMMAND' for more about one of them.\n",
			*path ? " " : "", path);
}

int help_print(const struct command *command, const char *path)
{
	uint16_t rows, columns = COLUMNS_DEFAULT;

	terminal_size(STDOUT_FILENO, &rows, &columns);
	if (columns < 40)
		columns = 40;
	help_write(stdout, command, path, columns > COLUMNS_MOST ? COLUMNS_MOST : columns);
	return output_finish();
}
