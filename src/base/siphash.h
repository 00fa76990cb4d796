/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3 (Aumasson and Bernstein 2012): who does not know the seed cannot choose keys that collide. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t seed[2], const void *key, size_t n);
