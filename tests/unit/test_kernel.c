/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <elf.h>
#include <lz4.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vm/kernel_parts.h"

#define SETUP_SIZE 1024

static void put_u32(uint8_t *p, size_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* A bzImage whose payload is the given bytes. */
static void compose_image(struct buffer *b, const void *payload, size_t n)
{
	CHECK(buffer_reserve(b, SETUP_SIZE + n));
	memset(b->data, 0, SETUP_SIZE);
	b->data[0x1f1] = SETUP_SIZE / 512 - 1;
	memcpy(b->data + 0x202, "HdrS", 4);
	b->data[0x206] = 0x0f;
	b->data[0x207] = 0x02;
	put_u32(b->data + 0x24c, n);
	b->size = SETUP_SIZE;
	CHECK(buffer_append(b, payload, n));
}

/* "\x7fELF" and zeroes, as an lz4 legacy frame behind which the size stands. */
static void compose_payload(struct buffer *b)
{
	static char kernel[100000] = "\177ELF";
	char block[LZ4_COMPRESSBOUND(sizeof kernel)];
	int n = LZ4_compress_default(kernel, block, sizeof kernel, sizeof block);

	buffer_append(b, "\x02\x21\x4c\x18", 4);
	buffer_u32(b, (uint32_t)n);
	buffer_append(b, block, (size_t)n);
	buffer_u32(b, sizeof kernel);
	CHECK(!b->failed);
}

TEST(the_kernel_comes_out_of_its_bzimage)
{
	_cleanup_buffer_ struct buffer payload = {0}, image = {0}, out = {0};
	struct error err;

	compose_payload(&payload);
	compose_image(&image, payload.data, payload.size);
	CHECK_OK(kernel_image_extract(image.data, image.size, &out, &err));
	CHECK_INT(out.size, 100000);
	CHECK(!memcmp(out.data, "\177ELF\0\0", 6));
}

TEST(every_cut_of_a_kernel_image_is_refused)
{
	_cleanup_buffer_ struct buffer payload = {0}, image = {0};
	struct error err;

	compose_payload(&payload);
	compose_image(&image, payload.data, payload.size);
	for (size_t n = 0; n < image.size; n++) {
		_cleanup_buffer_ struct buffer out = {0};

		CHECK(kernel_image_extract(image.data, n, &out, &err) < 0);
	}
}

TEST(a_kernel_image_that_lies_about_its_payload_is_refused)
{
	_cleanup_buffer_ struct buffer payload = {0}, image = {0}, out = {0};
	struct error err;

	compose_payload(&payload);
	compose_image(&image, payload.data, payload.size);
	put_u32(image.data + 0x248, 0xfffffff0);
	CHECK_ERROR(kernel_image_extract(image.data, image.size, &out, &err), ERROR_INVALID);
	put_u32(image.data + 0x248, 0);
	put_u32(image.data + SETUP_SIZE + 4, 0xffffff00);
	CHECK_ERROR(kernel_image_extract(image.data, image.size, &out, &err), ERROR_INVALID);
	image.data[SETUP_SIZE] = 'x';
	CHECK_ERROR(kernel_image_extract(image.data, image.size, &out, &err), ERROR_UNAVAILABLE);
}

/* An ELF file of a section table, the sections' names, and .modinfo. */
static void compose_module(struct buffer *b, const char *info, size_t n)
{
	static const char names[] = "\0.shstrtab\0.modinfo";
	Elf64_Ehdr h = {.e_ident = ELFMAG,
		.e_shoff = sizeof h,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = 1};
	Elf64_Shdr s[3] = {0};

	h.e_ident[EI_CLASS] = ELFCLASS64;
	s[1] = (Elf64_Shdr){.sh_name = 1,
		.sh_type = SHT_STRTAB,
		.sh_offset = sizeof h + sizeof s,
		.sh_size = sizeof names};
	s[2] = (Elf64_Shdr){.sh_name = 11,
		.sh_type = SHT_PROGBITS,
		.sh_offset = sizeof h + sizeof s + sizeof names,
		.sh_size = n};
	buffer_append(b, &h, sizeof h);
	buffer_append(b, s, sizeof s);
	buffer_append(b, names, sizeof names);
	CHECK(buffer_append(b, info, n));
}

TEST(a_module_says_what_it_needs)
{
	static const char info[] = "license=GPL\0depends=virtio,virtio_ring\0name=virtio_blk";
	_cleanup_buffer_ struct buffer m = {0};
	_cleanup_free_ char *depends = NULL;
	struct error err;

	compose_module(&m, info, sizeof info);
	CHECK_OK(kernel_module_depends(m.data, m.size, &depends, &err));
	CHECK_TEXT(depends, "virtio,virtio_ring");
	for (size_t n = 0; n < m.size; n++) {
		char *cut = NULL;

		if (kernel_module_depends(m.data, n, &cut, &err) == 0)
			free(cut);
	}
	CHECK(kernel_module_depends((const uint8_t *)"text", 4, &depends, &err) < 0);
}

static void add_module(struct kernel_package *p, const char *name, const char *needs)
{
	struct kernel_module *m = calloc(1, sizeof *m);
	char info[100];
	struct error err;

	m->name = strdup(name);
	compose_module(&m->data, info, (size_t)snprintf(info, sizeof info, "depends=%s", needs) + 1);
	CHECK_OK(map_set(&p->modules, name, strlen(name), m, NULL, &err));
}

TEST(modules_are_archived_behind_what_they_need)
{
	struct kernel_package p = {0};
	_cleanup_buffer_ struct buffer archive = {0}, nfs = {0};
	_cleanup_free_ char *text = NULL;
	struct error err;

	add_module(&p, "virtio_blk", "virtio,virtio_ring");
	add_module(&p, "virtio", "virtio_ring");
	add_module(&p, "virtio_ring", "");
	add_module(&p, "nfsv3", "nfs,virtio");
	add_module(&p, "nfs", "");
	add_module(&p, "unwanted", "");
	CHECK_OK(kernel_modules_archive(&p, &archive, &nfs, &err));
	CHECK(memmem(archive.data, archive.size, "modules/00-virtio_ring.ko", 25));
	CHECK(memmem(archive.data, archive.size, "modules/01-virtio.ko", 20));
	CHECK(memmem(archive.data, archive.size, "modules/02-virtio_blk.ko", 24));
	CHECK(!memmem(archive.data, archive.size, "unwanted", 8));
	CHECK(!memmem(archive.data, archive.size, "nfs", 3));
	CHECK(memmem(nfs.data, nfs.size, "modules/03-nfs.ko", 17));
	CHECK(memmem(nfs.data, nfs.size, "modules/04-nfsv3.ko", 19));
	CHECK(!memmem(nfs.data, nfs.size, "virtio_ring", 11));
	kernel_package_free(&p);
}

TEST(modules_that_need_each_other_are_an_error_and_not_a_loop)
{
	struct kernel_package p = {0};
	_cleanup_buffer_ struct buffer archive = {0}, nfs = {0};
	struct error err;

	add_module(&p, "virtio_blk", "virtio");
	add_module(&p, "virtio", "virtio_blk");
	CHECK_ERROR(kernel_modules_archive(&p, &archive, &nfs, &err), ERROR_INVALID);
	kernel_package_free(&p);
}
