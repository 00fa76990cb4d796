/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the port of volumes (docs/formats/volume.md), without any I/O: bytes of the port on one
 * side, FUSE messages (or a stream of bytes) of a server for each volume on the other. It keeps the windows,
 * and all requests until they are answered, so that a server that dies can be replaced.
 *
 * The guest is hostile, and a server may have been taken over by it: both are judged, and what is kept of a
 * volume is bounded by its windows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct volume_mux;

int volume_mux_new(uint32_t count, struct volume_mux **mux, struct error *err);
void volume_mux_free(struct volume_mux *mux);

/* What this volume's server speaks is not FUSE but a stream of bytes, one connection after the other: nothing
 * of it is judged or kept, a connection ends with its server, and a server with its connection. To be called
 * before anything else. */
void volume_mux_set_stream(struct volume_mux *mux, uint32_t volume);

/* The guest has ended the connection: the volume's server, if it has one, is to be replaced. */
bool volume_mux_is_stale(const struct volume_mux *mux, uint32_t volume);

/* From the guest: room to read(2) into, then how much came. INVALID: the guest breaks the protocol. */
uint8_t *volume_mux_space(struct volume_mux *mux, size_t *room);
int volume_mux_filled(struct volume_mux *mux, size_t n, struct error *err);

/* To the guest: the next bytes for the port (NULL: none), then how many of them it took. */
const uint8_t *volume_mux_output(struct volume_mux *mux, size_t *n);
void volume_mux_written(struct volume_mux *mux, size_t n);

/* To the server of a volume: the same. */
const uint8_t *volume_mux_request(struct volume_mux *mux, uint32_t volume, size_t *n);
void volume_mux_requested(struct volume_mux *mux, uint32_t volume, size_t n);

/* From the server: NULL where nothing is to be read now, since the guest is behind. INVALID: it does not
 * speak FUSE, and is to be replaced. */
uint8_t *volume_mux_reply_space(struct volume_mux *mux, uint32_t volume, size_t *room);
int volume_mux_replied(struct volume_mux *mux, uint32_t volume, size_t n, struct error *err);

/* The volume has a new server, in place of one that died: it will get what was not answered. NO_MEMORY. */
int volume_mux_resume(struct volume_mux *mux, uint32_t volume, struct error *err);

/* Nothing is on its way that the mux knows of: no request is unanswered, and nothing waits for the guest. */
bool volume_mux_is_idle(const struct volume_mux *mux);

/* Of an idle one: what another must know to go on with a copy of the guest; of a new one: becomes that.
 * CORRUPT. Each volume is to be resumed then. Not of streams. */
void volume_mux_save(const struct volume_mux *mux, struct buffer *out);
int volume_mux_load(struct volume_mux *mux, struct cursor *in, struct error *err);

/* The volume will not be served any more: the guest is told. */
void volume_mux_end(struct volume_mux *mux, uint32_t volume);

/* It is over for either side: it needs no server. */
bool volume_mux_is_over(const struct volume_mux *mux, uint32_t volume);
