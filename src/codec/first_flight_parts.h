/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of first flights share. Each returns what first_flight_read() does. */
#pragma once

#include <stdbool.h>

#include "codec/first_flight.h"

enum first_flight first_flight_tls(const uint8_t *bytes, size_t n, char name[FIRST_FLIGHT_NAME_SIZE]);
enum first_flight first_flight_http(const uint8_t *bytes, size_t n, char name[FIRST_FLIGHT_NAME_SIZE]);

/* A host as it is written: NAME, lower-case and without a trailing dot; NONE for "" and an IP address in any
 * form that a client might take for one; OTHER for what is neither. */
enum first_flight first_flight_host(const uint8_t *text, size_t n, char name[FIRST_FLIGHT_NAME_SIZE]);
