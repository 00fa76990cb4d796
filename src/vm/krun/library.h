/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libkrun on this host, found without loading it: code of a library that brings a virtual machine runs in
 * the confined process only.
 */
#pragma once

#include "base/error.h"
#include "codec/sha256.h"

struct krun_library {
	char *path;      /* of libkrun.so.1 */
	char *directory; /* it lies in; libkrunfw, which holds the kernel, lies there as a rule */
	/* Tells this build of libkrun and libkrunfw from others: a digest of names, sizes and times. */
	char build[SHA256_HEX_SIZE];
};

/* Looks in the directories in which systems put libraries. UNAVAILABLE: it is not installed. */
int krun_library_find(struct krun_library *l, struct error *err);

/* The one at `path`, absolute. */
int krun_library_at(const char *path, struct krun_library *l, struct error *err);

void krun_library_free(struct krun_library *l); /* a zeroed one is fine */
static inline void cleanup_krun_library(struct krun_library *l)
{
	krun_library_free(l);
}
#define _cleanup_krun_library_ _cleanup_(cleanup_krun_library)
