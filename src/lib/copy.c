/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "lib/handle.h"

/* The last part of a path, without the slashes behind it. */
static const char *last_part(const char *path, size_t *size)
{
	size_t end = strlen(path), start;

	while (end && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/';)
		start--;
	*size = end - start;
	return path + start;
}

static bool is_part(const char *part, size_t size, const char *text)
{
	return strlen(text) == size && !memcmp(part, text, size);
}

int copy_source_name(const char *source, char **name, struct error *err)
{
	size_t size;
	const char *part = last_part(source, &size);

	*name = NULL;
	if (!*source)
		return error_set(err, ERROR_INVALID, "the source's path is empty");
	if (is_part(part, size, "..") && !part[size])
		return error_set(err, ERROR_INVALID,
			"'%s' has no name of its own: write '%s/.' for its contents", source, source);
	if (!size || is_part(part, size, ".") || is_part(part, size, ".."))
		return 0;
	*name = strndup(part, size);
	return *name ? 0 : error_no_memory(err, "read a path");
}

int copy_split(const char *path, char **directory, char **name, struct error *err)
{
	size_t size, before;
	const char *part = last_part(path, &size);

	if (!size || is_part(part, size, ".") || is_part(part, size, ".."))
		return error_set(err, ERROR_NOT_FOUND, "'%s' is not there", path);
	before = (size_t)(part - path);
	*directory = before ? strndup(path, before) : text_copy(".", NULL);
	*name = strndup(part, size);
	if (*directory && *name)
		return 0;
	free(*directory);
	free(*name);
	*directory = *name = NULL;
	return error_no_memory(err, "read a path");
}

static void report(const struct copy_meter *meter, bool finished)
{
	const struct progress_event event = {
		.task = meter->task, .unit = "bytes", .done = meter->done, .finished = finished};

	progress_report(&meter->mc->progress, &event);
}

void copy_meter_add(struct copy_meter *meter, size_t n)
{
	uint64_t now = clock_monotonic();

	meter->done += n;
	if (now - meter->told_at < MILLISECONDS(50))
		return;
	meter->told_at = now;
	report(meter, false);
}

void copy_meter_finish(struct copy_meter *meter)
{
	report(meter, true);
}
