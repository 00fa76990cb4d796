/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "os/fs.h"

#define FILE_MAX (4u << 20)

int json_file_read(int fd, const char *name, json_t **json, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	json_error_t why;
	int r = fs_read_file(fd, name, FILE_MAX, &bytes, err);

	if (r < 0)
		return r;
	*json = json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &why);
	if (!*json)
		return error_set(err, ERROR_CORRUPT, "%s, line %d: %s", name, why.line, why.text);
	return 0;
}

int json_file_write(int fd, const char *name, const json_t *json, bool durable, struct error *err)
{
	_cleanup_free_ char *text = json_dumps(json, JSON_INDENT(1));
	_cleanup_free_ char *temporary = NULL;
	_cleanup_fd_ int file = -1;
	int r;

	if (!text)
		return error_no_memory(err, name);
	if (durable)
		return fs_write_atomic(fd, name, text, strlen(text), 0600, err);
	temporary = text_format(err, ".%s.tmp", name);
	if (!temporary)
		return -ERROR_NO_MEMORY;
	file = fs_open(fd, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (file < 0)
		return file;
	r = fs_write_all(file, text, strlen(text), name, err);
	if (r == 0 && renameat(fd, temporary, fd, name) < 0)
		r = error_errno(err, errno, "rename %s", temporary);
	return r;
}
