/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain scalar means: the core schema of YAML 1.2.2, §10.3.2. `no`, `on` and `yes` are text, 010 is
 * ten, 12:30 is text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum scalar_kind { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOL, SCALAR_NUMBER, SCALAR_FRACTION };

enum scalar_kind scalar_kind(const char *text);
const char *scalar_kind_name(enum scalar_kind kind); /* "a number", for messages */

bool scalar_bool(const char *text, bool *value); /* false: it is none */
/* Whole numbers from 0, also 0x1f and 0o17; false: it is none, or over 2^64 - 1. */
bool scalar_number(const char *text, uint64_t *value);
