/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that libkrun takes over: the program mckrun, confined as QEMU is. It is taken to be the guest:
 * it gets descriptors, the libraries, and, where the modes of root disk and image let it open them, these
 * two read-only files. /dev/kvm and the sandbox's disk are opened for it until the agent has answered;
 * after that it opens nothing for writing any more.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "vm/krun/library.h"
#include "vm/vm.h"

struct krun_spec {
	const struct vm_config *config;
	const struct krun_library *library;
	bool by_path;    /* load the file library->path, not the name: for tests */
	uint64_t memory; /* bytes, rounded */
	int kvm_fd;      /* /dev/kvm, read-write */
	int root_fd;     /* of krun_root_disk() */
	const char *root_path;
};

struct krun_process {
	pid_t pid;
	int pid_fd;
	int agent_fd;   /* our end, non-blocking */
	int volumes_fd; /* the same; -1: not asked for */
	int words_fd;   /* what mckrun and libkrun say on standard error */
};

/* Starts it and waits for the agent's HELLO, whose payload is the caller's, until the deadline
 * (clock_monotonic()). On failure nothing is left. UNAVAILABLE: the library cannot be used. */
int krun_process_start(const struct krun_spec *spec, uint64_t deadline, struct krun_process *p,
	uint8_t **hello, size_t *hello_size, struct error *err);

/* Kills it, reaps it and releases all; *status (may be NULL) is what waitpid(2) told. */
void krun_process_end(struct krun_process *p, int *status);
