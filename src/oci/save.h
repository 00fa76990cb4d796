/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images out of the store. What is written is an OCI image layout (image-spec v1.1 image-layout.md) and a
 * docker archive in one, as docker writes it since version 25: index.json names manifests and indexes,
 * manifest.json configs and layers, both the same blobs. The same images give the same bytes.
 */
#pragma once

#include "base/progress.h"
#include "oci/catalog.h"

enum save_format {
	SAVE_OCI,    /* a tar of both */
	SAVE_DOCKER, /* a tar with manifest.json alone: one platform of each image */
	SAVE_LAYOUT  /* a directory, with index.json alone */
};

struct save_options {
	enum save_format format;
	bool platform;                   /* only the one that the catalog shows */
	const struct progress *progress; /* may be NULL */
};

/* Writes the images that were found to fd: a file or a pipe, or, of a layout, an empty directory. One that
 * was found by a name is written with it. Every blob's digest is checked on its way: CORRUPT; NOT_FOUND where
 * something is missing, UNAVAILABLE where nothing is here for the platform. */
int save_images(struct store *s, const struct catalog_match *matches, size_t count,
	const struct save_options *options, int fd, struct error *err);
