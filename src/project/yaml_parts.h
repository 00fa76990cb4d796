/* SPDX-License-Identifier: Apache-2.0 */
/* Between yaml.c and yaml_source.c: places in the bytes, and what libyaml complains of. */
#pragma once

#include <yaml.h>

#include "project/yaml.h"

struct yaml_source {
	const uint8_t *bytes;
	size_t size, mark; /* mark: of the byte order mark that it begins with; 0 or 3 */
	uint32_t *steps;   /* where each STEP'th character begins; NULL: each character is a byte */
	size_t step_count;
	uint32_t file;
};

int yaml_source_open(struct yaml_source *s, const uint8_t *bytes, size_t n, uint32_t file, struct error *err);
void yaml_source_close(struct yaml_source *s);

/* libyaml counts characters; the byte where one begins. */
size_t yaml_source_offset(const struct yaml_source *s, size_t character);

/* `end` without white space before it, but not before `start`. */
size_t yaml_source_trim(const struct yaml_source *s, size_t start, size_t end);

/* What the parser found that is no YAML, as a mistake in words that help. */
void yaml_complain(const struct yaml_source *s, const yaml_parser_t *parser, struct mistakes *m);
