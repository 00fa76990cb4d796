/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/cpio.h"
#include "vm/kernel_parts.h"

/* What a guest loads. One that is missing from a kernel's modules is taken to be built in. */
static const char *const wanted[] = {
	"virtio_mmio", "virtio_console", "virtio_blk", "virtio_net", "erofs", "overlay", "fuse", "virtiofs"};
static const char *const wanted_nfs[] = {"nfsv3"};

#define DEPTH_MAX 16

/* The section's bytes, or NULL where the file is malformed or has none of that name. */
static const uint8_t *find_section(const uint8_t *data, size_t n, const char *name, size_t *size)
{
	Elf64_Ehdr header;
	Elf64_Shdr names, section;

	if (n < sizeof header)
		return NULL;
	memcpy(&header, data, sizeof header);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
		header.e_shentsize != sizeof section || header.e_shoff > n ||
		(n - header.e_shoff) / sizeof section < header.e_shnum || header.e_shstrndx >= header.e_shnum)
		return NULL;
	memcpy(&names, data + header.e_shoff + header.e_shstrndx * sizeof names, sizeof names);
	if (names.sh_offset > n || names.sh_size > n - names.sh_offset)
		return NULL;
	for (size_t i = 0; i < header.e_shnum; i++) {
		memcpy(&section, data + header.e_shoff + i * sizeof section, sizeof section);
		if (section.sh_name >= names.sh_size || section.sh_offset > n ||
			section.sh_size > n - section.sh_offset || section.sh_type == SHT_NOBITS)
			continue;
		if (strlen(name) < names.sh_size - section.sh_name &&
			!memcmp(data + names.sh_offset + section.sh_name, name, strlen(name) + 1)) {
			*size = section.sh_size;
			return data + section.sh_offset;
		}
	}
	return NULL;
}

int kernel_module_depends(const uint8_t *data, size_t n, char **depends, struct error *err)
{
	static const char key[] = "depends=";
	size_t size = 0;
	const uint8_t *at = find_section(data, n, ".modinfo", &size);

	if (!at)
		return error_set(err, ERROR_INVALID, "not a kernel module: no .modinfo section");
	while (size) {
		const uint8_t *end = memchr(at, 0, size);
		size_t length = end ? (size_t)(end - at) : size;

		if (length >= sizeof key - 1 && !memcmp(at, key, sizeof key - 1)) {
			*depends = strndup((const char *)at + sizeof key - 1, length - (sizeof key - 1));
			return *depends ? 0 : error_no_memory(err, "read a module");
		}
		at += end ? length + 1 : length;
		size -= end ? length + 1 : length;
	}
	*depends = text_copy("", err);
	return *depends ? 0 : -ERROR_NO_MEMORY;
}

struct order {
	const struct kernel_package *package;
	struct map done; /* names that are in the archive */
	struct buffer *archive;
	unsigned number;
};

static int write_module(struct order *o, const struct kernel_module *m, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "modules/%02u-%s.ko", o->number++, m->name);

	if (!path)
		return -ERROR_NO_MEMORY;
	return cpio_write(o->archive, path, 0100644, m->data.data, m->data.size, err);
}

static int add_module(struct order *o, const char *name, unsigned depth, struct error *err)
{
	const struct kernel_module *m = map_get(&o->package->modules, name, strlen(name));
	_cleanup_free_ char *depends = NULL;
	char *rest, *part;
	int r;

	if (!m || map_get(&o->done, name, strlen(name)))
		return 0;
	if (depth > DEPTH_MAX)
		return error_set(err, ERROR_INVALID, "module %s needs itself", name);
	r = kernel_module_depends(m->data.data, m->data.size, &depends, err);
	if (r < 0)
		return error_prefix(err, "module %s", name);
	for (rest = depends; r == 0 && (part = strsep(&rest, ","));)
		if (*part)
			r = add_module(o, part, depth + 1, err);
	if (r == 0)
		r = map_set(&o->done, name, strlen(name), (void *)m, NULL, err);
	return r == 0 ? write_module(o, m, err) : r;
}

static int add_all(struct order *o, const char *const *names, size_t count, struct error *err)
{
	int r = cpio_write(o->archive, "modules", 040755, NULL, 0, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_module(o, names[i], 0, err);
	return r == 0 ? cpio_write_end(o->archive, err) : r;
}

int kernel_modules_archive(
	const struct kernel_package *p, struct buffer *archive, struct buffer *nfs, struct error *err)
{
	struct order o = {.package = p, .archive = archive};
	int r = add_all(&o, wanted, ARRAY_SIZE(wanted), err);

	o.archive = nfs;
	if (r == 0)
		r = add_all(&o, wanted_nfs, ARRAY_SIZE(wanted_nfs), err);
	map_free(&o.done);
	return r;
}
