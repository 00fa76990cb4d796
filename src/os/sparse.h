/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse files: what of them is not zeroes, whatever a file system keeps as holes. */
#pragma once

#include "base/error.h"
#include "codec/sha256.h"

/* Of every 4 KiB page that is not all zeroes (a last shorter one among them) its number, 64 bits
 * little-endian, and its bytes. */
int sparse_digest(int fd, const char *name, char digest[SHA256_HEX_SIZE], struct error *err);

/* Makes holes of the pages that are all zeroes, where the file system can. */
int sparse_punch(int fd, const char *name, struct error *err);

/* Copies all data of `from` into the empty file `to`, holes kept (a reflink where the file system can). */
int sparse_copy(int from, int to, const char *name, struct error *err);
