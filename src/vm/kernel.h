/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest kernels: directories kernels/<version>/ with
 *   vmlinux       the uncompressed ELF kernel
 *   modules.cpio  newc archive of /modules/NN-name.ko in load order, debug symbols stripped
 *   nfs.cpio      the same, of what an NFS client needs beside these
 *   info.json     version, source package, digests of these
 * under $MONOCORE_HOME, or system-wide under /usr/local/lib/monocore or /usr/lib/monocore.
 */
#pragma once

#include "base/error.h"
#include "base/progress.h"

struct kernel {
	char *version; /* "6.1.0-56-cloud-amd64" */
	char *directory;
	char *vmlinux;
	char *modules;
	char *nfs; /* the archive of what an NFS client needs beside; earlier versions installed none */
};
void kernel_free(struct kernel *k);

/* The newest installed kernel: $MONOCORE_HOME's first, then the system's. NOT_FOUND tells the command that
 * installs one. */
int kernel_find(const char *home, struct kernel *k, struct error *err);

/* Installs a kernel into directory/<version>. `package` is a .deb file, or NULL: the distribution's is
 * downloaded (Debian: linux-image-cloud-amd64 by apt-get download). *version (may be NULL) is the caller's.
 */
int kernel_install(const char *directory, const char *package, char **version,
	const struct progress *progress, struct error *err);

/* All installed kernels, newest first; NULL-terminated in *kernels, freed by kernel_list_free. */
int kernel_list(const char *home, struct kernel **kernels, size_t *count, struct error *err);
void kernel_list_free(struct kernel *kernels, size_t count);
