/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's process. QEMU counts as the guest: it gets descriptors and no paths. The one file that it insists
 * on opening for writing by a name, its memory, is opened for it: a clone is handed a descriptor that can
 * only be read (its pages are private copies), so that nothing in a guest can write to the template that
 * all others start from.
 */
#pragma once

#include "base/error.h"
#include "vm/kernel.h"
#include "vm/qemu/machine.h"
#include "vm/qemu/qmp.h"
#include "vm/vm.h"

struct qemu {
	pid_t pid;
	int pid_fd;
	int agent_fd;   /* our end, non-blocking */
	int volumes_fd; /* the same; -1: the port is connected to nothing */
	int words_fd;   /* what QEMU says on standard error */
	unsigned layers;
	struct qmp qmp;
};

struct qemu_spec {
	const char *path; /* of QEMU */
	const struct machine *machine;
	const char *kernel, *initrd; /* NULL for a clone */
	int memory_fd;               /* -1: it is private */
	int state_fd;                /* of a clone, else -1: saved by xen-save-devices-state */
	const struct vm_config *config;
};

/* Starts QEMU; returns when it has its memory. On failure nothing is left. */
int qemu_start(const struct qemu_spec *spec, uint64_t deadline, struct qemu *q, struct error *err);

/* Kills it and releases all. A struct that qemu_empty() or a failed start left is fine. */
void qemu_end(struct qemu *q);
void qemu_empty(struct qemu *q);

/* After a failure r that QEMU's end may explain: appends its last words, or, where the disk behind its memory
 * was full (SIGBUS), says so: NO_SPACE. Returns the code. */
int qemu_explain_end(const struct qemu *q, int r, struct error *err);
