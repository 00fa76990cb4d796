/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/installed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "lib/images.h"
#include "os/fs.h"

#define FIRST_LINE   "#!/bin/sh\n"
#define MARK         "# monocore command "
#define RUNS         "# Runs "
#define SCRIPT_LIMIT 65536u
#define NAME_LIMIT   63u

int installed_check_name(const char *name, struct error *err)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

	if (*name && strchr(first, *name) && strspn(name, all) == strlen(name) && strlen(name) <= NAME_LIMIT)
		return 0;
	return error_set(err, ERROR_USAGE,
		"'%s' cannot be the name of a command: small letters, digits, '.', '_' and '-', at most %u; "
		"write one behind the image",
		name, NAME_LIMIT);
}

char *installed_directory(struct error *err)
{
	const char *home = getenv("HOME");

	if (!home || *home != '/') {
		error_set(err, ERROR_NOT_FOUND, "HOME is not set, so there is no ~/.local/bin");
		return NULL;
	}
	return text_format(err, "%s/.local/bin", home);
}

char *installed_image(const char *name, struct error *err)
{
	return text_format(err, IMAGES_INSTALLED "%s", name);
}

/* ---- the text --------------------------------------------------------------------------------------- */

static void put_quoted(struct buffer *b, const char *text)
{
	buffer_u8(b, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buffer_append_text(b, "'\\''");
		else
			buffer_u8(b, (uint8_t)*text);
	buffer_u8(b, '\'');
}

static void put_body(const struct installed_script *s, struct buffer *b)
{
	buffer_append_text(b, RUNS);
	for (const char *p = s->image; *p; p++) /* in a comment: of one line */
		buffer_u8(b, *p == '\n' ? '?' : (uint8_t)*p);
	buffer_format(
		b, "\n# in a sandbox, by 'monocore install'; 'monocore uninstall %s' removes it.\n", s->name);
	buffer_append_text(b, "MONOCORE_HOME=");
	put_quoted(b, s->home);
	buffer_append_text(b, "\nexport MONOCORE_HOME\nmonocore=");
	put_quoted(b, s->program);
	buffer_append_text(b, "\n[ -x \"$monocore\" ] || monocore=monocore\nexec \"$monocore\" tmp");
	for (char *const *w = s->words; *w; w++) {
		buffer_u8(b, ' ');
		put_quoted(b, *w);
	}
	buffer_append_text(b, " \"$@\"\n");
}

static void put_hash(struct buffer *out, const void *body, size_t size, struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	char hex[SHA256_HEX_SIZE];

	if (sha256_of(body, size, hash, err) < 0) {
		out->failed = true;
		return;
	}
	buffer_format(out, FIRST_LINE MARK "%s\n", sha256_hex(hash, hex));
}

void installed_compose(const struct installed_script *script, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer body = {.limit = SCRIPT_LIMIT - 256};

	put_body(script, &body);
	if (body.failed) {
		error_set(err, ERROR_LIMIT, "the options are too long for a command");
		out->failed = true;
		return;
	}
	put_hash(out, body.data, body.size, err);
	buffer_append(out, body.data, body.size);
	if (out->failed)
		error_no_memory(err, "write a command");
}

/* ---- the file --------------------------------------------------------------------------------------- */

/* What a script runs; NULL: it is none of ours, or was changed. */
static char *read_image(const struct buffer *text, struct error *err)
{
	const size_t head = strlen(FIRST_LINE MARK) + SHA256_HEX_SIZE;
	_cleanup_buffer_ struct buffer expected = {0};
	const char *body = (const char *)text->data + head, *end;

	if (text->size < head)
		return NULL;
	put_hash(&expected, body, text->size - head, err);
	if (expected.failed || expected.size != head || memcmp(expected.data, text->data, head) != 0)
		return NULL;
	end = memchr(body, '\n', text->size - head);
	if (!end || text->size - head < strlen(RUNS) || memcmp(body, RUNS, strlen(RUNS)) != 0)
		return NULL;
	body += strlen(RUNS);
	return text_copy_bytes(body, (size_t)(end - body), err);
}

int installed_look(const char *directory, const char *name, char **image, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/%s", directory, name), *runs = NULL;
	_cleanup_buffer_ struct buffer text = {0};
	struct stat s;

	if (image)
		*image = NULL;
	if (!path)
		return -ERROR_NO_MEMORY;
	if (lstat(path, &s) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, errno, "look at %s", path);
	if (S_ISREG(s.st_mode) && s.st_size < SCRIPT_LIMIT &&
		fs_read_file(AT_FDCWD, path, SCRIPT_LIMIT, &text, NULL) == 0)
		runs = read_image(&text, NULL);
	if (!runs)
		return error_set(err, ERROR_EXISTS,
			"%s was not written by 'monocore install', or was changed since: it stays as it is",
			path);
	if (image)
		*image = TAKE_PTR(runs);
	return 1;
}

static int write_temporary(const char *path, const struct buffer *text, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, err);

	if (fd < 0)
		return fd;
	if (fs_write_all(fd, text->data, text->size, path, err) < 0)
		return -ERROR_SYSTEM;
	if (fchmod(fd, 0755) < 0 || fsync(fd) < 0)
		return error_errno(err, errno, "write %s", path);
	return 0;
}

/* A link is made only where nothing has the name. */
static int put_in_place(const char *temporary, const char *path, bool replace, struct error *err)
{
	int r = replace ? rename(temporary, path) : link(temporary, path);

	if (r < 0)
		return error_errno(err, errno, "write %s", path);
	return 0;
}

int installed_write(const char *directory, const struct installed_script *script, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_free_ char *path = text_format(err, "%s/%s", directory, script->name), *temporary = NULL;
	int there, r;

	installed_compose(script, &text, err);
	temporary = path ? text_format(err, "%s/.%s.%ld", directory, script->name, (long)getpid()) : NULL;
	if (!temporary || text.failed)
		return err ? -(int)err->code : -ERROR_NO_MEMORY;
	r = fs_make_directories(AT_FDCWD, directory, 0755, err);
	there = r < 0 ? r : installed_look(directory, script->name, NULL, err);
	if (there < 0)
		return there;
	unlink(temporary); /* of a process of this id that was killed */
	r = write_temporary(temporary, &text, err);
	if (r == 0)
		r = put_in_place(temporary, path, there, err);
	unlink(temporary);
	return r;
}
