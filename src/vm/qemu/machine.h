/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that QEMU emulates, as its argument list. Facts about the machine and the architecture live
 * here and nowhere else. Pure but for machine_find_qemu(), which looks for QEMU.
 *
 * The same devices stand in the template and in its clones, or the saved state would not fit; what is
 * behind them differs: the template's disks are 1 TiB of nothing, and its memory is the template's file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vm/vm.h"

/* Descriptors of QEMU's process. */
enum machine_fd {
	MACHINE_FD_QMP = 3,
	MACHINE_FD_AGENT = 4,
	MACHINE_FD_IMAGE = 5,
	MACHINE_FD_DISK = 6,
};

/* Paths in QEMU's root directory. The kernel's lie where they can be opened with and without a root of its
 * own: there they are files bound to these names, here descriptors. */
#define MACHINE_MEMORY_PATH "/memory"
#define MACHINE_FD_KERNEL   7
#define MACHINE_FD_INITRD   8
#define MACHINE_FD_STATE    9
#define MACHINE_FD_VOLUMES  10
#define MACHINE_FD_SHARES   11 /* and those behind it */
#define MACHINE_FD_NICS     (MACHINE_FD_SHARES + VM_SHARES_MAX)
#define MACHINE_KERNEL_PATH "/proc/self/fd/7"
#define MACHINE_INITRD_PATH "/proc/self/fd/8"

enum machine_role {
	MACHINE_COLD, /* boots, with private memory, or, where it has shares, with a file that others map */
	MACHINE_TEMPLATE, /* boots, and its memory is a file */
	MACHINE_CLONE     /* waits for a saved state */
};

struct machine {
	enum machine_role role;
	bool kvm;
	unsigned cpus;
	uint64_t memory; /* bytes */
	bool disk;       /* /dev/vdb has a file behind it */
	bool volumes;    /* the port of volumes has a socket behind it */
	bool console;    /* the serial console goes to standard output */
	const struct vm_share *shares;
	size_t share_count; /* of MACHINE_COLD alone */
	const struct vm_nic *nics;
	size_t nic_count;
	uint64_t tsc_khz;
};

#define MACHINE_MEMORY_STEP (64ULL << 20)
#define MACHINE_MEMORY_MIN  (128ULL << 20)

/* Rounds up to what a machine can have. */
uint64_t machine_memory(uint64_t bytes);

/* QEMU's arguments; a text list (base/text.h), the caller's. */
char **machine_arguments(const struct machine *m, struct error *err);

/* Upper bound of QEMU's address space with such a machine. */
uint64_t machine_address_space(const struct machine *m);

/* The path of QEMU for this architecture, found in the places where systems put it. The caller frees. */
char *machine_find_qemu(struct error *err);
