/* SPDX-License-Identifier: Apache-2.0 */
#include "project_files.h"

#include <string.h>

#include "base/text.h"
#include "lib/project.h"

static const struct memory_file *find(const struct memory_project *memory, const char *path)
{
	for (size_t i = 0; i < memory->count; i++)
		if (!strcmp(memory->files[i].path, path))
			return &memory->files[i];
	return NULL;
}

static int resolve(void *context, const char *path, char **resolved, struct error *err)
{
	const struct memory_file *file;

	*resolved = text_clean_path(path, err);
	file = *resolved ? find(context, *resolved) : NULL;
	if (file && file->link) {
		free(*resolved);
		*resolved = text_copy(file->link, err);
	}
	return *resolved ? 0 : -ERROR_NO_MEMORY;
}

static int read_file(void *context, const char *path, size_t most, struct buffer *out, struct error *err)
{
	const struct memory_file *file = find(context, path);

	if (!file)
		return error_set(err, ERROR_NOT_FOUND, "open '%s': No such file or directory", path);
	if (!file->text)
		return error_set(err, ERROR_INVALID, "read '%s': it is no regular file", path);
	if (strlen(file->text) > most)
		return error_set(err, ERROR_LIMIT, "read '%s': it is too large", path);
	return buffer_append_text(out, file->text) ? 0 : error_no_memory(err, "read a file");
}

static const char *variable(void *context, const char *name)
{
	const struct memory_project *memory = context;
	size_t n = strlen(name);

	for (size_t i = 0; memory->environment && memory->environment[i]; i++)
		if (!strncmp(memory->environment[i], name, n) && memory->environment[i][n] == '=')
			return memory->environment[i] + n + 1;
	return NULL;
}

int memory_load(const struct memory_project *memory, const char *text, size_t size, struct project **p,
	struct mistakes *m, struct error *err)
{
	struct memory_project copy = *memory;
	struct project_files files = {.read = read_file, .resolve = resolve, .context = &copy};
	struct project_load load = {
		.path = "/p/monocore.yaml", .shown = "monocore.yaml", .text = text, .size = size};

	project_load_here(&load);
	load.files = &files;
	load.variable = variable;
	load.context = &copy;
	load.home = "/home/me";
	*m = (struct mistakes){0};
	return project_load(&load, p, m, err);
}
