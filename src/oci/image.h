/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: from a reference or a place on disk to a root file system that a VM can mount.
 *
 * The store is a directory ($MONOCORE_HOME/store): blobs/sha256/<digest>, rootfs/<id>.img (one EROFS file per
 * list of layers; rootfs/<id>.ext4 is made of it where a guest needs that), and tmp/. Everything is written
 * to a temporary name, synced and renamed; locks are flock(2) per object, so a killed process leaves nothing
 * that the next one does not sweep away.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "codec/oci_json.h"

struct store;

int store_open(const char *home, struct store **store, struct error *err);

/* Removes what dead processes left half-made in the store of this home; store_open() does it, too. */
void store_sweep(const char *home); /* makes it where missing */
void store_free(struct store *store);

/* What an image's config says (OCI image-spec v1.1 config.md); unset strings are "", unset lists NULL. */
struct image_config {
	char **entrypoint, **cmd, **env;
	char *workdir, *user, *stop_signal;
	char **volumes;       /* paths */
	char **exposed_ports; /* "80/tcp" */
	char **labels;        /* "key=value" */
	char *os, *architecture, *variant, *created;
	struct oci_health health;
};

struct image {
	char *reference;    /* as the user wrote it */
	char *name;         /* canonical, as the store has it: "docker.io/library/alpine:3"; "" from disk */
	char *digest;       /* "sha256:…" of the manifest; "" for a rootfs directory */
	char *target;       /* what the name leads to: an index's digest, or the manifest's; "" as above */
	char *source;       /* "https://ghcr.io/acme/x": where it was pulled from; "" where it was not */
	char root_id[65];   /* names store/rootfs/<id>.img: SHA-256 over the format's version and the layers'
			       diff ids */
	uint64_t root_size; /* bytes of that file */
	struct image_config config;
	bool pulled;             /* just now, and it was not there before */
	struct store_hold *hold; /* keeps what it is made of from being collected */
};
void image_free(struct image *image);

/* Most of what a stranger's image may cost; 0 takes the default. */
struct image_limits {
	uint64_t layer_bytes; /* of one uncompressed layer: 32 GiB */
	uint64_t root_bytes;  /* of the root file system: 64 GiB */
	uint64_t entries;     /* files and directories: 4,000,000 */
	uint32_t layers;      /* 512 */
	uint32_t ratio;       /* uncompressed bytes per compressed byte, once past 64 MiB: 1,100 */
};

enum image_pull { IMAGE_PULL_MISSING, IMAGE_PULL_ALWAYS, IMAGE_PULL_NEVER };

struct image_options {
	const char *platform; /* "linux/amd64"; NULL: this host's */
	enum image_pull pull; /* of an image that a registry has */
	bool plain_http;      /* allowed, whatever is configured */
	bool referrers;       /* pull what is said about the image, too */
	struct image_limits limits;
	const struct progress *progress; /* may be NULL */
};

/* Opens the image that `reference` names and makes its root file system where the store lacks it:
 *   oci:DIR[:TAG|@DIGEST]       an OCI image layout, a directory or a tar of one
 *   docker-archive:FILE[:TAG]   what `docker save` writes
 *   rootfs:DIR                  a directory that is a root file system
 *   DIR or FILE starting with / ./ or ../ : found out from what is there
 *   anything else               a name, as docker has it: what the store or a registry has under it
 * Two processes that want the same image build it once. *image is the caller's: image_free(). */
int image_open(struct store *store, const char *reference, const struct image_options *options,
	struct image **image, struct error *err);

/* The root file system in a form, "erofs" or "ext4": read-only, with a shared lock held by the descriptor, so
 * that garbage collection leaves it alone while it is open. The EROFS file is there since image_open(); the
 * other is made of it when it is first asked for, and kept. */
int image_open_root(
	struct store *store, const struct image *image, const char *form, int *fd, struct error *err);

/* This machine in the words of OCI: "amd64". */
const char *image_host_architecture(void);
