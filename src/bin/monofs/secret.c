/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/cli/prompt.h"
#include "os/fs.h"
#include "os/terminal.h"

#define PASSPHRASE_MAX 4096u
#define KEY_FILE_LEAST 16u
#define KEY_FILE_MAX   65536u

void secret_forget(struct secret *s)
{
	secret_free(s->passphrase);
	cleanup_secret_buffer(&s->file);
	explicit_bzero(s, sizeof *s);
}

static int read_file(const char *path, size_t most, struct buffer *out, struct error *err)
{
	if (!buffer_reserve(out, most + 1))
		return error_no_memory(err, "read a key");
	return fs_read_file(AT_FDCWD, path, most, out, err);
}

/* The first line, of a file that has no second one: what an editor puts behind it is not part of it. */
static int read_passphrase(const char *path, struct secret *s, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer b = {0};
	int r = read_file(path, PASSPHRASE_MAX, &b, err);

	if (r < 0)
		return error_prefix(err, "the passphrase");
	if (b.size && b.data[b.size - 1] == '\n')
		b.size--;
	if (b.size && b.data[b.size - 1] == '\r')
		b.size--;
	if (!b.size || memchr(b.data, 0, b.size) || memchr(b.data, '\n', b.size))
		return error_set(
			err, ERROR_INVALID, "the passphrase: '%s' is to hold one line of text", path);
	s->passphrase = text_copy_bytes(b.data, b.size, err);
	s->given.passphrase = s->passphrase;
	return s->passphrase ? 0 : -ERROR_NO_MEMORY;
}

static int read_key_file(const char *path, struct secret *s, struct error *err)
{
	int r = read_file(path, KEY_FILE_MAX, &s->file, err);

	if (r < 0)
		return error_prefix(err, "the key file");
	if (s->file.size < KEY_FILE_LEAST)
		return error_set(err, ERROR_INVALID,
			"the key file '%s' holds %zu bytes, and %u at least are needed: make one by 'head -c "
			"32 "
			"/dev/urandom >FILE'",
			path, s->file.size, KEY_FILE_LEAST);
	s->given.file = s->file.data;
	s->given.file_size = s->file.size;
	return 0;
}

static int read_either(const char *passphrase_file, const char *key_file, struct secret *s, struct error *err)
{
	if (passphrase_file && key_file)
		return error_set(err, ERROR_USAGE, "a passphrase or a key file, not both");
	return key_file ? read_key_file(key_file, s, err) : read_passphrase(passphrase_file, s, err);
}

static int ask(struct cli *cli, const char *question, const char *about, char **answer, struct error *err)
{
	_cleanup_free_ char *text = text_format(err, "%s of %s", question, about);
	int r;

	if (!text)
		return -ERROR_NO_MEMORY;
	progress_clear(cli->progress);
	r = prompt_line(text, true, answer, err);
	if (r == 0 && !**answer) {
		secret_free(TAKE_PTR(*answer));
		return error_set(err, ERROR_DENIED, "%s: the passphrase is empty", about);
	}
	return r;
}

static int no_terminal(const char *about, const char *instead, struct error *err)
{
	return error_set(err, ERROR_DENIED,
		"%s: a passphrase is needed, and there is no terminal to ask at: give %s", about, instead);
}

static const char *set_file(void)
{
	const char *file = getenv("MONOFS_PASSPHRASE_FILE");

	return file && *file ? file : NULL;
}

int secret_get(struct cli *cli, const char *about, bool silent, struct secret *s, struct error *err)
{
	int r;

	if (cli->global.passphrase_file || cli->global.key_file)
		return read_either(cli->global.passphrase_file, cli->global.key_file, s, err);
	if (set_file())
		return read_passphrase(set_file(), s, err);
	if (silent || !terminal_is(STDIN_FILENO))
		return no_terminal(about, "--passphrase-file, --key-file or MONOFS_PASSPHRASE_FILE", err);
	r = ask(cli, "Passphrase", about, &s->passphrase, err);
	s->given.passphrase = s->passphrase;
	return r;
}

static int ask_twice(struct cli *cli, const char *about, struct secret *s, struct error *err)
{
	_cleanup_secret_ char *again = NULL;
	int r = ask(cli, "New passphrase", about, &s->passphrase, err);

	if (r == 0)
		r = ask(cli, "The same again", about, &again, err);
	if (r < 0)
		return r;
	if (strcmp(s->passphrase, again) != 0)
		return error_set(err, ERROR_INVALID, "%s: what was typed the second time differs", about);
	s->given.passphrase = s->passphrase;
	return 0;
}

int secret_get_first(struct cli *cli, const char *about, struct secret *s, struct error *err)
{
	if (!cli->global.passphrase_file && !cli->global.key_file && !set_file() && terminal_is(STDIN_FILENO))
		return ask_twice(cli, about, s, err);
	return secret_get(cli, about, true, s, err);
}

int secret_get_new(struct cli *cli, const char *passphrase_file, const char *key_file, const char *about,
	struct secret *s, struct error *err)
{
	if (passphrase_file || key_file)
		return read_either(passphrase_file, key_file, s, err);
	if (!terminal_is(STDIN_FILENO))
		return no_terminal(about, "--new-passphrase-file or --new-key-file", err);
	return ask_twice(cli, about, s, err);
}
