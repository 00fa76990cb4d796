/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's processor can do for a guest. /dev/kvm alone proves nothing: there are hosts on which it
 * opens, KVM_CREATE_VM works, and guests crawl or die. KVM is trusted where the processor shows vmx or svm,
 * or where a small guest has passed a test in time. The verdict, and the measured frequency of the time
 * stamp counter, are remembered in $MONOCORE_HOME/host.json for this boot of the host.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vm/vm.h"

struct accelerator {
	bool kvm;
	char reason[160];   /* why, or why not */
	uint64_t tsc_khz;   /* 0: unknown */
	char processor[65]; /* digest of its model and features, part of a KVM template's key */
};

/* UNAVAILABLE where KVM is wished for and is not to be had. */
int accelerator_find(const char *home, enum vm_accelerator wish, struct accelerator *a, struct error *err);

/* True where a flags line of /proc/cpuinfo says that the processor can run guests. Pure. */
bool accelerator_flags(const char *cpuinfo);

/* Runs a few million instructions in a KVM guest, in a child, for half a second at most. */
bool accelerator_self_test(int kvm_fd);
