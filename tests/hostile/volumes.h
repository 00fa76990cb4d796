/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile guest does on the port of volumes, past its kernel. */
#pragma once

#include <stdint.h>

void volume_noise(uint32_t stream);  /* bytes that are no frames */
void volume_credit(uint32_t stream); /* credit for what was never sent */
void volume_window(uint32_t stream); /* data that nobody has room for */
void volume_giant(uint32_t stream);  /* a request of 4 GiB */

/* Raw requests to volume 0, which names in it and outside of it; tell() gets a line for each: what it was and
 * the error that came. */
void volume_requests(uint32_t stream, void (*tell)(uint32_t stream, const char *text));
