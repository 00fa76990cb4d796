/* SPDX-License-Identifier: Apache-2.0 */
/* The engine libkrun, without the search for what it needs on the host: engine_krun is this and that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vm/krun/library.h"
#include "vm/vm.h"

struct krun_host {
	struct krun_library library;
	bool by_path;       /* load the file library.path, not the name */
	int kvm_fd;         /* /dev/kvm, read-write */
	uint64_t boot_time; /* nanoseconds that the agent has to come up */
};

/* vm_start() on this host; *host is the caller's. */
int krun_start(
	const struct krun_host *host, const struct vm_config *config, struct vm **vm, struct error *err);
