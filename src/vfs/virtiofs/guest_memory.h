/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory, as far as QEMU shares it: files of its, mapped here. The guest writes to it while we
 * read. A file that shrinks ends the process (virtiofs.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "vfs/virtiofs/vhost_user.h"

struct guest_memory;

/* Maps the regions; the descriptors stay the caller's. INVALID where regions overlap, wrap around or leave
 * their file, or where that is no regular file. */
int guest_memory_new(
	const struct vhost_table *table, const int *fds, struct guest_memory **memory, struct error *err);

/* It is unmapped when as many have let go of it as have held it, and who made it. NULL is fine. */
struct guest_memory *guest_memory_hold(struct guest_memory *m);
void guest_memory_drop(struct guest_memory *m);

/* Where bytes of the guest's are, which lie in one region; NULL. */
void *guest_memory_at(const struct guest_memory *m, uint64_t address, uint64_t size);
/* The same by addresses of QEMU's. */
void *guest_memory_at_user(const struct guest_memory *m, uint64_t address, uint64_t size);

/* Appends to vectors where bytes of the guest's are, which may lie in regions one behind the other; what lies
 * side by side here becomes one vector. *count is raised, up to room; -1. */
int guest_memory_vectors(const struct guest_memory *m, uint64_t address, uint64_t size, struct iovec *vectors,
	unsigned *count, unsigned room);
