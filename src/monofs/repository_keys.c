/* SPDX-License-Identifier: Apache-2.0 */
/* A repository's keys, as its users change them. */
#include <fcntl.h>
#include <string.h>

#include "monofs/repository_parts.h"
#include "monofs/session.h"
#include "os/fs.h"

static int check_encrypted(struct repository *r, struct error *err)
{
	return r->format.encrypted
		       ? 0
		       : error_set(err, ERROR_INVALID, "%s is not encrypted: it has no keys", r->path);
}

int repository_slots(struct repository *r, struct repository_slot **out, size_t *count, struct error *err)
{
	int result = check_encrypted(r, err);

	return result < 0 ? result : keys_list(r->directory, &r->secrets->keys, out, count, err);
}

int repository_slot_add(
	struct repository *r, const struct repository_secret *secret, char name[17], struct error *err)
{
	int result = check_encrypted(r, err);

	return result < 0 ? result
			  : keys_add(r->directory, r->format.id, &r->secrets->keys, secret, name, err);
}

int repository_slot_remove(struct repository *r, const char *name, struct error *err)
{
	int result = check_encrypted(r, err);

	return result < 0 ? result : keys_remove(r->directory, name, err);
}

static int count_session(void *context, const char *name, struct error *err)
{
	unsigned *count = context;

	(void)name;
	(void)err;
	++*count;
	return 0;
}

/* Others would go on writing what is sealed by the old keys, and could not read what is by the new ones. */
static int check_alone(struct repository *r, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(r->directory, "sessions", O_RDONLY | O_DIRECTORY, 0, err);
	struct session s = {.directory = fd, .fd = -1};
	unsigned count = 0;
	int result = fd < 0 ? fd : session_each(&s, count_session, &count, err);

	if (result == 0 && count > 1)
		result = error_set(err, ERROR_BUSY,
			"rotate the keys of %s: it is mounted, or somebody else has it open", r->path);
	return result;
}

int repository_rotate(
	struct repository *r, const struct repository_secret *secret, char name[17], struct error *err)
{
	int result = check_encrypted(r, err);

	if (result == 0)
		result = check_alone(r, err);
	if (result == 0)
		result = keys_rotate(r->directory, r->format.id, &r->secrets->keys, secret, name, err);
	return result < 0 ? result : repository_prepare(&r->format, r->secrets, err);
}
