/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a kernel's installation: package → image and modules → what a microVM boots from. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/map.h"
#include "base/progress.h"

struct kernel_module {
	char *name; /* "virtio_blk", with '_' for '-' */
	struct buffer data;
};

struct kernel_package {
	char *version;       /* "6.1.0-56-cloud-amd64" */
	struct buffer image; /* boot/vmlinuz-<version>, a bzImage */
	struct map modules;  /* name → struct kernel_module */
};
void kernel_package_free(struct kernel_package *p);
static inline void cleanup_kernel_package(struct kernel_package *p)
{
	kernel_package_free(p);
}

/* Reads a Debian package of a kernel (deb(5)) by dpkg-deb and our own tar reader. */
int kernel_package_read(
	const char *file, struct kernel_package *p, const struct progress *progress, struct error *err);

/* The uncompressed ELF kernel inside a bzImage (the kernel's Documentation/arch/x86/boot.rst, "The Real-Mode
 * Kernel Header", protocol 2.08 and later). Payloads in lz4 and zstd. Pure. */
int kernel_image_extract(const uint8_t *image, size_t n, struct buffer *vmlinux, struct error *err);

/* Names of the modules that `data`, a module's ELF file, needs: its .modinfo's "depends=", comma-separated,
 * into depends (the caller's). Pure. */
int kernel_module_depends(const uint8_t *data, size_t n, char **depends, struct error *err);

/* The newc archive modules/NN-name.ko, in an order in which each comes behind what it needs, of the modules a
 * guest wants; another one of those that NFS needs beside, to be loaded behind them. */
int kernel_modules_archive(
	const struct kernel_package *p, struct buffer *archive, struct buffer *nfs, struct error *err);
