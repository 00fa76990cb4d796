/* SPDX-License-Identifier: Apache-2.0 */
/* What is run in a sandbox by the name of a script. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/handle.h"
#include "lib/project.h"
#include "oci/image.h"
#include "sandbox/command.h"

#define SHELL "/bin/sh"

CLEANUP_DEFINE(image, struct image, image_free);
CLEANUP_DEFINE(store, struct store, store_free);

static const struct project_common *component_of(const struct monocore_script_options *o)
{
	const struct project_sandbox *s =
		o->project && o->component ? project_sandbox(o->project->project, o->component) : NULL;

	return s ? &s->common : NULL;
}

static const char *line_of(const struct project_common *c, const char *script)
{
	for (size_t i = 0; c && i < c->script_count; i++)
		if (!strcmp(c->scripts[i].name, script))
			return c->scripts[i].value;
	return NULL;
}

static int add_all(char ***list, const char *const *more, struct error *err)
{
	int r = 0;

	for (; r == 0 && more && *more; more++)
		r = text_list_add(list, *more, err);
	return r;
}

/* SHELL -c LINE, and behind it, where there are arguments, $0 and these. */
static int shell_command(const struct project_common *c, const char *line,
	const struct monocore_script_options *o, const char *called, char ***command, struct error *err)
{
	const char *const shell[] = {c && c->shell ? c->shell : SHELL, "-c", line, NULL};
	const char *const zero[] = {called, NULL};
	_cleanup_text_list_ char **list = NULL;
	int r = add_all(&list, shell, err);

	if (r == 0 && o->arguments && *o->arguments && (r = add_all(&list, zero, err)) == 0)
		r = add_all(&list, o->arguments, err);
	if (r == 0)
		*command = TAKE_PTR(list);
	return r;
}

/* The names of the file stand beside those of the image. */
static int no_such_script(const struct project_common *c, struct error *err)
{
	_cleanup_buffer_ struct buffer names = {0};
	_cleanup_free_ char *list = NULL;

	if (err->code != ERROR_NOT_FOUND || !c || !c->script_count)
		return -(int)err->code;
	for (size_t i = 0; i < c->script_count; i++)
		buffer_format(&names, "%s%s", i ? ", " : "", c->scripts[i].name);
	list = buffer_take_text(&names);
	return list ? error_prefix(err, "the file has the scripts %s", list) : -(int)err->code;
}

/* The image that the sandbox was made of, as its reference leads to it now: nothing is pulled. */
static int image_command(struct monocore *mc, const char *sandbox, const char *script,
	const struct monocore_script_options *o, char ***command, struct error *err)
{
	const struct command_wishes wishes = {
		.script = script, .command = o->arguments && *o->arguments ? o->arguments : NULL};
	const struct image_options options = {.pull = IMAGE_PULL_NEVER};
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(cleanup_image) struct image *image = NULL;
	int r = directory_find(&mc->home, sandbox, &d, err);

	if (r == 0)
		r = record_read(d.fd, &record, err);
	if (r == 0)
		r = store_open(mc->home.path, &store, err);
	if (r == 0)
		r = image_open(store, record.image, &options, &image, err);
	return r < 0 ? r : command_resolve(&image->config, &wishes, command, err);
}

static int resolve(struct monocore *mc, const char *sandbox, const struct monocore_script_options *o,
	char ***command, struct error *err)
{
	const char *script = o->script ? o->script : "start", *line;
	const struct project_common *c = component_of(o);
	bool arguments = o->arguments && *o->arguments;
	int r;

	*command = NULL;
	if (o->version != 1)
		return error_set(err, ERROR_INVALID, "script options of version %u", o->version);
	if (o->line)
		return shell_command(c, o->line, o, c && c->shell ? c->shell : SHELL, command, err);
	if (!strcmp(script, "start") && !arguments)
		return 0;
	line = line_of(c, script);
	if (line)
		return shell_command(c, line, o, script, command, err);
	r = image_command(mc, sandbox, script, o, command, err);
	return r < 0 ? no_such_script(c, err) : 0;
}

int monocore_script(struct monocore *mc, const char *sandbox, const struct monocore_script_options *options,
	char ***command, struct monocore_error *error)
{
	struct error err;

	return resolve(mc, sandbox, options, command, &err) < 0 ? give_error(error, &err) : 0;
}

const char *monocore_project_shell(const struct monocore_project *project, const char *component)
{
	const struct project_sandbox *s = project_sandbox(project->project, component);

	return s && s->common.shell ? s->common.shell : SHELL;
}
