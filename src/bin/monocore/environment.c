/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/environment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "os/fs.h"

#define FILE_LIMIT ((size_t)16 << 20)

int environment_add(char ***list, const char *text, struct error *err)
{
	_cleanup_free_ char *whole = NULL;
	const char *value;

	if (!*text || *text == '=')
		return error_set(err, ERROR_USAGE, "-e/--env: '%s' has no name; write KEY=value", text);
	if (strchr(text, '='))
		return text_list_add(list, text, err);
	value = getenv(text);
	if (!value)
		return 0;
	whole = text_format(err, "%s=%s", text, value);
	return whole ? text_list_add(list, whole, err) : -ERROR_NO_MEMORY;
}

static int parse_line(char ***list, const char *line, const char *name, size_t number, struct error *err)
{
	size_t key;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	key = strcspn(line, "=");
	if (!key)
		return error_set(
			err, ERROR_INVALID, "%s:%zu: no name before '='; write KEY=value", name, number);
	if (strcspn(line, " \t\v\f") < key)
		return error_set(err, ERROR_INVALID, "%s:%zu: the name '%.*s' has a space in it", name,
			number, (int)key, line);
	return environment_add(list, line, err);
}

int environment_parse(char ***list, const char *data, size_t size, const char *name, struct error *err)
{
	size_t number = 0;

	if (size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3)) { /* a byte order mark */
		data += 3;
		size -= 3;
	}
	while (size) {
		const char *end = memchr(data, '\n', size);
		size_t n = end ? (size_t)(end - data) : size;
		size_t keep = n && data[n - 1] == '\r' ? n - 1 : n;
		_cleanup_free_ char *line = strndup(data, keep);
		int r;

		number++;
		if (!line)
			return error_no_memory(err, "read an environment file");
		if (strlen(line) != keep)
			return error_set(err, ERROR_INVALID, "%s:%zu: a NUL byte in the line", name, number);
		r = parse_line(list, line, name, number, err);
		if (r < 0)
			return r;
		data += n + (end != NULL);
		size -= n + (end != NULL);
	}
	return 0;
}

static int add_file(char ***list, const char *name, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {.limit = FILE_LIMIT};
	int r = fs_read_file(AT_FDCWD, name, FILE_LIMIT, &text, err);

	if (r < 0)
		return error_prefix(err, "--env-file");
	return environment_parse(list, (const char *)text.data, text.size, name, err);
}

int environment_collect(char ***list, char *const *files, char *const *variables, struct error *err)
{
	int r = 0;

	for (; r == 0 && files && *files; files++)
		r = add_file(list, *files, err);
	for (; r == 0 && variables && *variables; variables++)
		r = environment_add(list, *variables, err);
	return r;
}
