/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First bytes of hostile clients: what is said of a prefix stays said, a name is one by the letter, and what
 * is read as HTTP holds the name in a Host field or its target.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "codec/first_flight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const uint8_t *data, size_t size, const char *name)
{
	size_t n = strlen(name);
	bool there = false;

	assert(n > 0 && n < FIRST_FLIGHT_NAME_SIZE && name[n - 1] != '.' && name[0] != '.');
	assert(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n && !strstr(name, ".."));
	if (data[0] == 22) /* may be cut by headers of records */
		return;
	for (size_t i = 0; i + n <= size && !there; i++)
		there = strncasecmp((const char *)data + i, name, n) == 0;
	assert(there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char all_name[FIRST_FLIGHT_NAME_SIZE], name[FIRST_FLIGHT_NAME_SIZE];
	enum first_flight all = first_flight_read(data, size, all_name);
	size_t step = size / 64 + 1;

	if (all == FIRST_FLIGHT_NAME)
		check_name(data, size, all_name);
	else
		assert(all_name[0] == 0);
	assert(all != FIRST_FLIGHT_NEED_MORE || size < FIRST_FLIGHT_MOST);
	for (size_t n = 0; n < size; n += step) {
		_cleanup_free_ uint8_t *prefix = malloc(n + 1);
		enum first_flight part;

		assert(prefix);
		memcpy(prefix, data, n);
		part = first_flight_read(prefix, n, name);
		assert(part == FIRST_FLIGHT_NEED_MORE || (part == all && strcmp(name, all_name) == 0));
	}
	return 0;
}
