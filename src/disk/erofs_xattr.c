/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes in the form in which they follow an inode, and the format's checksum. */
#include <string.h>

#include "disk/erofs.h"
#include "disk/erofs_format.h"

const struct erofs_xattr_prefix erofs_xattr_prefixes[5] = {
	{"user.", EROFS_XATTR_USER},
	{"trusted.", EROFS_XATTR_TRUSTED},
	{"security.", EROFS_XATTR_SECURITY},
	{"system.posix_acl_access", EROFS_XATTR_ACL_ACCESS},
	{"system.posix_acl_default", EROFS_XATTR_ACL_DEFAULT},
};

/* The index of `name`, and what of the name stays to be written; 0: the format has none. */
static uint8_t find_index(const char *name, const char **rest)
{
	for (size_t i = 0; i < sizeof erofs_xattr_prefixes / sizeof *erofs_xattr_prefixes; i++) {
		const struct erofs_xattr_prefix *p = &erofs_xattr_prefixes[i];
		size_t n = strlen(p->text);
		bool open = p->text[n - 1] == '.';

		*rest = name + n;
		if (!strncmp(name, p->text, n) && (**rest != 0) == open)
			return p->index;
	}
	return 0;
}

size_t erofs_xattrs_room(const struct erofs_xattr *list, size_t count)
{
	size_t room = EROFS_XATTR_HEADER;

	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(room, strlen(list[i].name) + 8, &room) ||
			__builtin_add_overflow(room, list[i].size, &room))
			return SIZE_MAX;
	return room;
}

int erofs_xattrs_encode(
	const struct erofs_xattr *list, size_t count, uint8_t *out, size_t *size, struct error *err)
{
	size_t at = EROFS_XATTR_HEADER;

	*size = 0;
	memset(out, 0, EROFS_XATTR_HEADER);
	for (size_t i = 0; i < count; i++) {
		const char *rest;
		uint8_t index = find_index(list[i].name, &rest);
		size_t name = index ? strlen(rest) : 0, used = 4 + name + list[i].size;

		if (!index)
			continue;
		if (name > EROFS_NAME_MAX || list[i].size > UINT16_MAX ||
			at + used > EROFS_XATTR_SIZE_MAX - 3)
			return error_set(err, ERROR_LIMIT,
				"extended attribute %.64s: over 64 KiB, or 256 KiB of all", list[i].name);
		out[at] = (uint8_t)name;
		out[at + 1] = index;
		put16(out + at + 2, (uint16_t)list[i].size);
		memcpy(out + at + 4, rest, name);
		if (list[i].size)
			memcpy(out + at + 4 + name, list[i].value, list[i].size);
		at += used;
		for (; at % 4; at++)
			out[at] = 0;
	}
	*size = at > EROFS_XATTR_HEADER ? at : 0;
	return 0;
}

uint32_t erofs_checksum(const uint8_t *bytes, size_t n)
{
	uint32_t sum = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
	}
	return sum;
}
