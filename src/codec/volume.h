/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels over the port of volumes: the FUSE messages of all volumes of a sandbox, in frames, so that a
 * volume that nobody answers holds up no other. docs/formats/volume.md describes the bytes; integers are
 * little-endian.
 *
 *   u32 length   of the payload, 0 to VOLUME_PAYLOAD_MAX
 *   u16 volume   its place in SETUP's list
 *   u16 type     enum volume_frame_type
 *
 * The FUSE messages themselves (Linux, include/uapi/linux/fuse.h) begin with a u32 that is their length. Of a
 * volume that comes by NFS the bytes are those of a TCP connection, one after the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define VOLUME_HEADER_SIZE 8u
#define VOLUME_PAYLOAD_MAX 65536u
#define VOLUME_WINDOW      (2u << 20) /* bytes of DATA under way for a volume in each direction */
#define VOLUMES_MAX        32u

/* A file system that comes by virtiofs has this tag, with its place in SETUP's list. */
#define VOLUME_TAG      "volume%u"
#define VOLUME_TAG_SIZE 20

/* What MOUNT asks the server of NFS for. */
#define VOLUME_EXPORT "/volume"

#define VOLUME_MESSAGE_MAX \
	((1u << 20) + 4096u)   /* bytes of a FUSE message: a write's data and what is around */
#define VOLUME_REQUEST_MIN 40u /* struct fuse_in_header */
#define VOLUME_REPLY_MIN   16u /* struct fuse_out_header */

/* In fuse_in_header.unique: another server had it before, and may have carried it out (Linux 6.9, fuse.h:
 * FUSE_UNIQUE_RESEND). The guest gets its answer without. */
#define VOLUME_AGAIN (UINT64_C(1) << 63)

/* The host's own kinds of notice (fuse_out_header.unique is 0, .error one of these), which the relay keeps
 * from the kernel. Behind the header: u64 node and, of what the kernel is about to ask for, */
#define VOLUME_AHEAD 1000 /* struct fuse_attr_out: its attributes */
#define VOLUME_BARE  1001 /* u64 seconds: for so long it has no extended attributes */

/* fuse_open_out.fh of a file that the server does not open: nothing is to be closed. */
#define VOLUME_NO_HANDLE UINT64_MAX

enum volume_frame_type {
	VOLUME_DATA = 1,   /* the next bytes of the volume's FUSE messages */
	VOLUME_CREDIT = 2, /* u32: so many bytes of DATA have been dealt with */
	VOLUME_END = 3,  /* from the guest: it is unmounted; from the host: it will not be served any more */
	VOLUME_RESET = 4 /* by NFS: the connection is over; DATA behind it is the next one's */
};

struct volume_frame {
	uint32_t length;
	uint16_t volume, type;
};

void volume_frame_encode(const struct volume_frame *f, uint8_t out[VOLUME_HEADER_SIZE]);

/* Judges length and type; INVALID. */
int volume_frame_decode(const uint8_t in[VOLUME_HEADER_SIZE], struct volume_frame *f, struct error *err);

void volume_u32_encode(uint32_t v, uint8_t out[4]);
uint32_t volume_u32_decode(const uint8_t in[4]);
