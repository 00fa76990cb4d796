/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/install.h"
#include "bin/monocore/installed.h"
#include "bin/monocore/output.h"
#include "os/fs.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in the directory that could be of ours, sorted. */
static int list_names(const char *directory, char ***names, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(AT_FDCWD, directory, &list, err);
	const char *name;

	if (r == -ERROR_NOT_FOUND)
		return 0;
	while (r == 0 && (name = fs_list_next(list)))
		if (installed_check_name(name, NULL) == 0)
			r = text_list_add(names, name, err);
	if (r == 0 && *names)
		qsort(*names, text_list_size(*names), sizeof **names, by_name);
	return r;
}

static void put_json(struct buffer *b, const char *name, const char *image, const char *path)
{
	json_put_open(b, '{');
	json_put_key(b, "name");
	json_put_string(b, name);
	json_put_key(b, "image");
	json_put_string(b, image);
	json_put_key(b, "path");
	json_put_string(b, path);
	json_put_close(b, '}');
}

static void put_row(struct table *t, const char *name, const char *image, const char *path)
{
	table_row(t);
	table_cell(t, 0, name, 0, COLOUR_NONE);
	table_cell(t, 1, image, 0, COLOUR_NONE);
	table_cell(t, 2, path, 0, COLOUR_NONE);
}

/* Those that are ours, in each of the forms. */
static int collect(const char *directory, char *const *names, struct buffer *json, struct table *t,
	struct buffer *plain, struct error *err)
{
	for (; names && *names; names++) {
		_cleanup_free_ char *image = NULL, *path = text_format(err, "%s/%s", directory, *names);

		if (!path)
			return -ERROR_NO_MEMORY;
		if (installed_look(directory, *names, &image, NULL) != 1)
			continue;
		put_json(json, *names, image, path);
		put_row(t, *names, image, path);
		buffer_format(plain, "%s\n", *names);
	}
	return 0;
}

int install_list(struct cli *cli, bool as_json)
{
	static const char *const titles[] = {"NAME", "IMAGE", "FILE"};
	struct table t = {.columns = ARRAY_SIZE(titles)};
	_cleanup_buffer_ struct buffer json = {0}, plain = {0};
	_cleanup_text_list_ char **names = NULL;
	struct error err;
	_cleanup_free_ char *directory = installed_directory(&err);
	int r = directory ? list_names(directory, &names, &err) : -1;

	table_titles(&t, titles);
	json_put_open(&json, '[');
	if (r == 0)
		r = collect(directory, names, &json, &t, &plain, &err);
	json_put_close(&json, ']');
	if (r == 0 && !as_json && !cli->global.quiet)
		return output_table(cli, &t);
	table_free(&t);
	if (r < 0)
		return cli_complain(cli, &err);
	if (as_json)
		return output_json(cli, &json);
	fwrite(plain.data, 1, plain.size, stdout);
	return output_finish();
}
