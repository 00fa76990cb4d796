/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in a file that is replaced as a whole. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "codec/json.h"

/* Reads `name` in the directory `fd`. *json is the caller's. NOT_FOUND, CORRUPT. */
int json_file_read(int fd, const char *name, json_t **json, struct error *err);

/* Without `durable` the file is still replaced as a whole, but a power cut may lose it. */
int json_file_write(int fd, const char *name, const json_t *json, bool durable, struct error *err);
