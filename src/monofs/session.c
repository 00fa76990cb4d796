/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/session.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "os/fs.h"

static bool is_name(const char *name)
{
	return strlen(name) == SESSION_NAME_SIZE - 1 &&
	       strspn(name, "0123456789abcdef") == SESSION_NAME_SIZE - 1;
}

bool session_lives(const struct session *s, const char *name)
{
	return is_name(name) && (strcmp(name, s->name) == 0 || fs_is_locked(s->directory, name));
}

/* The file is locked while it is removed: its owner, who made it and has yet to lock it, then makes it anew.
 */
static void remove_dead(const struct session *s, const char *name)
{
	_cleanup_fd_ int fd = -1;

	if (fs_lock(s->directory, name, FS_LOCK_EXCLUSIVE, false, &fd, NULL) == 0)
		unlinkat(s->directory, name, 0);
}

int session_each(const struct session *s, int (*take)(void *context, const char *name, struct error *err),
	void *context, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(s->directory, ".", &list, err);

	while (r == 0 && (name = fs_list_next(list)))
		if (session_lives(s, name))
			r = take(context, name, err);
	return r;
}

static int sweep(const struct session *s, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(s->directory, ".", &list, err);

	while (r == 0 && (name = fs_list_next(list)))
		if (is_name(name) && !session_lives(s, name))
			remove_dead(s, name);
	return r;
}

int session_begin(int repository, struct session *s, struct error *err)
{
	uint8_t random[(SESSION_NAME_SIZE - 1) / 2];
	int r;

	*s = (struct session)SESSION_NONE;
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(s->name, sizeof s->name, random, sizeof random);
	s->directory = fs_open(repository, "sessions", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	r = s->directory < 0 ? s->directory
			     : fs_lock(s->directory, s->name, FS_LOCK_EXCLUSIVE, true, &s->fd, err);
	if (r < 0 && s->directory >= 0)
		error_prefix(err, "sessions");
	if (r == 0)
		r = sweep(s, err);
	if (r < 0)
		session_end(s);
	return r;
}

void session_end(struct session *s)
{
	if (s->fd >= 0) {
		unlinkat(s->directory, s->name, 0);
		close(s->fd);
	}
	if (s->directory >= 0)
		close(s->directory);
	*s = (struct session)SESSION_NONE;
}
