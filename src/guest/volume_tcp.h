/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume that comes by NFS: the kernel's client connects to a port of the loopback interface, and what it
 * says goes over the port of volumes, as what is answered comes back. One connection at a time, the client's
 * one after the other; where the host ends one, the client connects anew and asks again.
 *
 * Any process of the sandbox can connect to that port, and say there that it is anybody: so a connection of
 * another user than root is closed before a byte of it is read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/volume.h"

struct volume_tcp;

/* Sends a frame over the port: blocks, from any thread. bytes has VOLUME_HEADER_SIZE bytes of room and then
 * the payload. */
typedef void volume_tcp_send(void *context, enum volume_frame_type type, uint8_t *bytes, uint32_t n);

/* Listens, and starts its threads. Never freed: it ends with the process. */
int volume_tcp_new(
	volume_tcp_send *send, void *context, struct volume_tcp **out, uint16_t *port, struct error *err);

/* Its mount's root, O_PATH, which is taken: what is broken off where the host serves no more. */
void volume_tcp_mounted(struct volume_tcp *t, int mount);

/* A frame of the host's. False: it breaks the protocol. Never waits for the client. */
bool volume_tcp_data(struct volume_tcp *t, const uint8_t *bytes, uint32_t n);
void volume_tcp_credit(struct volume_tcp *t, uint32_t more);
bool volume_tcp_reset(struct volume_tcp *t);
void volume_tcp_end(struct volume_tcp *t);
