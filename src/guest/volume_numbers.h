/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay tells the kernel to be made before the host has heard of it (volume_behind.h) needs a number
 * at once. The kernel has one of ours for it, for as long as it knows the object; the host has its own. So
 * numbers are changed in all that passes between them; and the host's side knows ours from the request on
 * that makes the object until its reply has come here (codec/volume.h: VOLUME_GIVES).
 *
 * No I/O and no lock: the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers;

struct numbers *numbers_new(void); /* NULL: no memory */
void numbers_free(struct numbers *numbers);

/* A number for what the request `unique` makes. 0: there is none to be had now. */
uint64_t numbers_give(struct numbers *numbers, uint64_t unique);

/* The host has answered all requests that make something with a number of ours. */
bool numbers_are_settled(const struct numbers *numbers);

/* A request for the host, whole. False: the host can only read it, and this is to be called again, once all
 * are settled. */
bool numbers_to_host(struct numbers *numbers, uint8_t *request, size_t n);

/* What comes from the host for the kernel, whole. */
void numbers_to_kernel(struct numbers *numbers, uint8_t *message, size_t n);
