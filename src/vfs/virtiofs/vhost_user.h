/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between QEMU (the front end) and us (the back end), and the descriptors with them.
 *
 * Source: QEMU, docs/interop/vhost-user.rst. Numbers are in the machine's byte order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define VHOST_REGIONS_MAX 8u
#define VHOST_FDS_MAX     8

#define VHOST_F_PROTOCOL_FEATURES (1ull << 30) /* among the device's features */
#define VHOST_PROTOCOL_MQ         (1ull << 0)
#define VHOST_PROTOCOL_REPLY_ACK  (1ull << 3)

#define VHOST_INDEX_MASK 0xffu     /* of a number that names a queue and comes with a descriptor */
#define VHOST_NO_FD      (1u << 8) /* in such a number: without one */

/* Requests that we take: name, number, payload, descriptors (AT_MOST_ONE: by VHOST_NO_FD). */
#define VHOST_REQUESTS(X) \
	X(GET_FEATURES, 1, 0, NO_FDS) \
	X(SET_FEATURES, 2, sizeof(uint64_t), NO_FDS) \
	X(SET_OWNER, 3, 0, NO_FDS) \
	X(RESET_OWNER, 4, 0, NO_FDS) \
	X(SET_MEM_TABLE, 5, VHOST_TABLE_SIZE, ONE_PER_REGION) \
	X(SET_VRING_NUM, 8, sizeof(struct vhost_state), NO_FDS) \
	X(SET_VRING_ADDR, 9, sizeof(struct vhost_addresses), NO_FDS) \
	X(SET_VRING_BASE, 10, sizeof(struct vhost_state), NO_FDS) \
	X(GET_VRING_BASE, 11, sizeof(struct vhost_state), NO_FDS) \
	X(SET_VRING_KICK, 12, sizeof(uint64_t), AT_MOST_ONE) \
	X(SET_VRING_CALL, 13, sizeof(uint64_t), AT_MOST_ONE) \
	X(SET_VRING_ERR, 14, sizeof(uint64_t), AT_MOST_ONE) \
	X(GET_PROTOCOL_FEATURES, 15, 0, NO_FDS) \
	X(SET_PROTOCOL_FEATURES, 16, sizeof(uint64_t), NO_FDS) \
	X(GET_QUEUE_NUM, 17, 0, NO_FDS) \
	X(SET_VRING_ENABLE, 18, sizeof(struct vhost_state), NO_FDS)

enum vhost_request {
#define X(name, number, size, fds) VHOST_##name = (number),
	VHOST_REQUESTS(X)
#undef X
};

struct vhost_state {
	uint32_t index, number;
};

struct vhost_addresses {
	uint32_t index, flags;
	uint64_t descriptors, used, available; /* addresses in the front end's process */
	uint64_t log;
};

struct vhost_region {
	uint64_t guest; /* its address for the guest */
	uint64_t size;
	uint64_t user;   /* for the front end */
	uint64_t offset; /* in the file */
};

struct vhost_table {
	uint32_t count, padding;
	struct vhost_region regions[VHOST_REGIONS_MAX];
};

struct vhost_message {
	uint32_t request;
	bool wants_reply; /* where the request by itself has none */
	union {
		uint64_t number;
		struct vhost_state state;
		struct vhost_addresses addresses;
		struct vhost_table table;
	};
	int fds[VHOST_FDS_MAX]; /* the message's: vhost_message_close() */
	int fd_count;
};

/* Takes the next message and judges its kind, size and number of descriptors. 1; 0 at the end of the
 * connection; INVALID. */
int vhost_receive(int socket, struct vhost_message *m, struct error *err);
void vhost_message_close(struct vhost_message *m);
#define _cleanup_message_ __attribute__((cleanup(vhost_message_close)))

/* Answers a request. */
int vhost_reply_number(int socket, enum vhost_request request, uint64_t number, struct error *err);
int vhost_reply_state(int socket, enum vhost_request request, struct vhost_state state, struct error *err);
