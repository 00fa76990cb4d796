/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's config as the base of a commit: first a line, which is an instruction, then the document. What
 * is accepted is a config by our own reader, with one layer more, and gives the same bytes once more.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/oci_json.h"
#include "oci/commit_config.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int make(const char *json, size_t n, char *instruction, struct buffer *out)
{
	const struct layer layer = {
		.diff_id = DIGEST, .digest = DIGEST, .size = 1, .entries = 1, .newest = 1};
	char *const changes[] = {instruction, NULL};
	const struct commit_options options = {.comment = "x", .changes = *instruction ? changes : NULL};
	struct error err = {0};
	int r = commit_config(json, n, &layer, &options, out, &err);

	assert(r == -(int)err.code && (r == 0 || *err.text));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer first = {0}, second = {0};
	const uint8_t *end = memchr(data, '\n', size);
	struct oci_config before = {0}, after = {0};
	struct error err = {0};
	char *instruction, *json;
	size_t n;

	if (!end)
		return 0;
	n = size - (size_t)(end + 1 - data);
	instruction = text_copy_bytes(data, (size_t)(end - data), NULL);
	json = malloc(n ? n : 1);
	memcpy(json, end + 1, n);
	if (make(json, n, instruction, &first) == 0) {
		assert(oci_config_parse(json, n, &before, &err) == 0);
		assert(oci_config_parse(first.data, first.size, &after, &err) == 0);
		assert(text_list_size(after.diff_ids) == text_list_size(before.diff_ids) + 1);
		assert(make(json, n, instruction, &second) == 0);
		assert(first.size == second.size && !memcmp(first.data, second.data, first.size));
	}
	oci_config_free(&before);
	oci_config_free(&after);
	free(instruction);
	free(json);
	return 0;
}
