/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `applied` of a sandbox (docs/formats/sandbox.md): what was applied to the host from it, so that it
 * is not taken for a change of the host's later, and is missed when the sandbox deletes it. It is written
 * before anything is applied, with no time that a file has, and once more with the times: who is killed in
 * between has at worst conflicts too many.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/stage.h"
#include "os/fs.h"

#define FILE_NAME "applied"
#define FILE_MOST (256u << 20)

void applied_free(struct staged_volume *v)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&v->applied, &at)))
		free(slot->value);
	map_free(&v->applied);
}

int applied_note(struct staged_volume *v, const char *path, uint64_t changed, struct error *err)
{
	uint64_t *value;
	void *old = NULL;
	int r;

	if (!changed) {
		free(map_remove(&v->applied, path, strlen(path) + 1));
		return 0;
	}
	value = malloc(sizeof *value);
	if (!value)
		return error_no_memory(err, "remember what was applied");
	*value = changed;
	r = map_set(&v->applied, path, strlen(path) + 1, value, &old, err);
	free(r < 0 ? value : old);
	return r;
}

int applied_forget(struct staged_volume *v, const char *path, bool *any, struct error *err)
{
	struct map kept = {0};
	struct map_slot *slot;
	size_t at = 0;
	int r = 0;

	*any = false;
	while (r == 0 && (slot = map_next(&v->applied, &at))) {
		if (stage_is_within((const char *)slot->key, path)) {
			free(TAKE_PTR(slot->value));
			*any = true;
		} else {
			r = map_set(&kept, slot->key, slot->key_size, slot->value, NULL, err);
			slot->value = r == 0 ? NULL : slot->value;
		}
	}
	applied_free(v);
	v->applied = kept;
	return r;
}

/* "NUMBER NANOSECONDS PATH", with its NUL. Of what is damaged nothing more is read. */
static int read_line(struct staged *s, const char *line, bool *whole, struct error *err)
{
	char *end;
	unsigned long number = strtoul(line, &end, 10);
	uint64_t changed;

	*whole = *end == ' ';
	if (!*whole)
		return 0;
	changed = strtoull(end + 1, &end, 10);
	*whole = *end == ' ';
	for (size_t i = 0; *whole && i < s->count; i++)
		if (s->volumes[i].number == number)
			return applied_note(&s->volumes[i], end + 1, changed, err);
	return 0;
}

int applied_read(struct staged *s, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	bool whole = true;
	int r = fs_read_file(s->directory.fd, FILE_NAME, FILE_MOST, &bytes, err);

	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (r == 0 && !buffer_u8(&bytes, 0))
		r = error_no_memory(err, "read what was applied");
	for (size_t at = 0; r == 0 && whole && at + 1 < bytes.size;) {
		const char *line = (const char *)bytes.data + at;

		r = read_line(s, line, &whole, err);
		at += strlen(line) + 1;
	}
	return r;
}

int applied_write(const struct staged *s, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};

	for (size_t i = 0; i < s->count; i++) {
		const struct staged_volume *v = &s->volumes[i];
		struct map_slot *slot;
		size_t at = 0;

		while ((slot = map_next(&v->applied, &at))) {
			buffer_format(&bytes, "%u %" PRIu64 " ", v->number, *(uint64_t *)slot->value);
			buffer_append(&bytes, slot->key, slot->key_size);
		}
	}
	if (bytes.failed)
		return error_no_memory(err, "remember what was applied");
	if (!bytes.size)
		return unlinkat(s->directory.fd, FILE_NAME, 0) == 0 || errno == ENOENT
			       ? 0
			       : error_errno(err, errno, "forget what was applied");
	return fs_write_atomic(s->directory.fd, FILE_NAME, bytes.data, bytes.size, 0600, err);
}
