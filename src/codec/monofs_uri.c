/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/monofs_uri.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

bool monofs_uri_is(const char *text)
{
	return text_starts(text, MONOFS_URI);
}

void monofs_uri_free(struct monofs_uri *u)
{
	free(u->path);
	free(u->revision);
	*u = (struct monofs_uri){0};
}

static bool is_word(const char *at, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(at, word, n);
}

static int set_key(struct monofs_uri *u, const char *at, size_t n, struct error *err)
{
	if (n > 4 && !memcmp(at, "rev=", 4) && !u->revision)
		u->revision = text_copy_bytes(at + 4, n - 4, err);
	else if (is_word(at, n, "commit=on-exit"))
		u->mark = true;
	else if (is_word(at, n, "rollback=on-failure"))
		u->mark = u->undo = true;
	else
		return error_set(err, ERROR_INVALID,
			"'%.*s' is nothing that a monofs can be asked for: there are rev=REVISION, "
			"commit=on-exit and rollback=on-failure",
			(int)(n > 80 ? 80 : n), at);
	return u->revision || n < 4 || memcmp(at, "rev=", 4) != 0 ? 0 : -ERROR_NO_MEMORY;
}

static int parse(const char *text, struct monofs_uri *u, struct error *err)
{
	const char *path = text + strlen(MONOFS_URI);
	size_t n = strcspn(path, "?");
	int r = 0;

	if (!n || memchr(path, ':', n))
		return error_set(err, ERROR_INVALID,
			"'%.80s': write monofs://PATH, or monofs://PATH?rev=REVISION", text);
	u->path = text_copy_bytes(path, n, err);
	if (!u->path)
		return -ERROR_NO_MEMORY;
	for (const char *at = path[n] ? path + n + 1 : NULL; r == 0 && at;) {
		size_t size = strcspn(at, "&");

		r = set_key(u, at, size, err);
		at = at[size] ? at + size + 1 : NULL;
	}
	if (r == 0 && u->revision && u->mark)
		r = error_set(err, ERROR_INVALID, "a revision is not written to: there is nothing to commit");
	return r;
}

int monofs_uri_parse(const char *text, struct monofs_uri *u, struct error *err)
{
	int r;

	*u = (struct monofs_uri){0};
	r = parse(text, u, err);
	if (r < 0)
		monofs_uri_free(u);
	return r;
}
