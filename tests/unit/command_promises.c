/* SPDX-License-Identifier: Apache-2.0 */
#include "command_promises.h"

#include "test.h"

#include <string.h>

/* Docker itself uses these twice, and so do we, each as docker's verb of that name. */
static const char twice[] = "ftn";

/* Names that mean the same. */
static const char *meaning_of(const char *name)
{
	if (!strcmp(name, "as-group")) /* whose --group says which one a sandbox is put into */
		return "group";
	return strcmp(name, "username") ? name : "user";
}

struct letters {
	const char *name[128], *path[128];
};

static void see(struct letters *l, const struct option_spec *o, const char *path)
{
	unsigned char letter = (unsigned char)o->letter;
	static char paths[128][64];

	if (!letter || strchr(twice, letter))
		return;
	CHECK(letter < 128);
	if (!l->name[letter]) {
		l->name[letter] = meaning_of(o->name);
		snprintf(paths[letter], sizeof paths[letter], "%s", path);
		l->path[letter] = paths[letter];
	} else if (strcmp(l->name[letter], meaning_of(o->name)) != 0) {
		test_fail(__FILE__, __LINE__, "-%c is --%s of '%s' and --%s of '%s'", letter, l->name[letter],
			l->path[letter], o->name, path);
	}
}

static int visit(void *context, const struct command *command, const char *path)
{
	for (const struct option_spec *o = command->options; o && o->name; o++)
		see(context, o, path);
	return 0;
}

void letters_promise(const struct program *program)
{
	struct letters l = {0};

	for (const struct option_spec *o = program->shared; o->name; o++)
		see(&l, o, "every command");
	CHECK_INT(command_walk(program->root, "", visit, &l), 0);
	CHECK_TEXT(l.name['q'], "quiet");
}

static int check_command(void *context, const struct command *command, const char *path)
{
	size_t *count = context;

	++*count;
	if (!command->summary || !*command->summary || strchr(command->summary, '\n'))
		test_fail(__FILE__, __LINE__, "'%s' has no summary of one line", path);
	if (!command->later && !command->children && !command->run)
		test_fail(__FILE__, __LINE__, "'%s' does nothing", path);
	for (const struct option_spec *o = command->options; o && o->name; o++)
		if (!o->help || !*o->help || o->help[strlen(o->help) - 1] == '.')
			test_fail(__FILE__, __LINE__, "--%s of '%s' has no help, or one with a full stop",
				o->name, path);
	return 0;
}

void help_promise(const struct program *program, size_t least)
{
	size_t count = 0;

	CHECK_INT(command_walk(program->root, "", check_command, &count), 0);
	CHECK(count > least);
}
