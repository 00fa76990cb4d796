/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that keep credentials: docker-credential-NAME, looked up in PATH. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/docker_config.h"

#define CREDENTIALS_HELPER_PROGRAM "docker-credential-"
#define CREDENTIALS_HELPER_TIME    10000u /* milliseconds for an answer */

struct credentials_helper {
	const char *name;
	uint32_t time; /* milliseconds; then it is killed */
};

/* What it keeps for a key (docker_config_key()): *found, and then *auth, the caller's. Errors name the
 * helper: NOT_FOUND (no such program), TIMEOUT, LIMIT, INVALID, SYSTEM. */
int credentials_helper_get(const struct credentials_helper *h, const char *key, bool *found,
	struct docker_auth *auth, struct error *err);

int credentials_helper_store(
	const struct credentials_helper *h, const struct docker_auth *auth, struct error *err);

/* What is not there is no error. */
int credentials_helper_erase(const struct credentials_helper *h, const char *key, struct error *err);
