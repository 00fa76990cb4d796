/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can stand in a monocore.yaml, as data: the tables of schema_table.c. The validator (schema.c), the
 * document (schema_markdown.c) and the JSON Schema (schema_json.c) are made from them and know no key
 * themselves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "project/load.h"
#include "project/yaml.h"

/* What a scalar can be: identifier, what messages expect, a pattern for editors (of ECMA-262; "": any text)
 */
#define SCHEMA_SCALARS(X) \
	X(TEXT, "text", "") \
	X(BOOL, "true or false", "") \
	X(NUMBER, "a number", "") \
	X(CHOICE, "a word", "") \
	X(SIZE, "a size such as 512M or 1GiB", "^[0-9]+(\\.[0-9]+)? *([kKmMgGtT]([iI]?[bB])?|[bB])?$") \
	X(RATE, "bytes a second such as 10M", "^[0-9]+(\\.[0-9]+)? *([kKmMgGtT]([iI]?[bB])?|[bB])?$") \
	X(DURATION, "a time such as 30s, 5m or 1h30m", "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$|^[0-9]+$") \
	X(IMAGE, "an image, a build's name or a path", "") \
	X(NAME, "a component's name", "^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$") \
	X(PATH, "a path", "") \
	X(TARGET, "a path in the sandbox that begins with '/'", "^/") \
	X(VOLUME, "SOURCE:PATH[:OPTIONS], such as ./src:/app:ro or data:/var/lib/data", \
		"^[^:]+:/[^:]*(:[a-z,]+)?$") \
	X(MOUNT, "PATH[:OPTIONS], such as /shared:ro", "^/[^:]*(:[a-z,]+)?$") \
	X(SOURCE, "a path such as ./shared, or the name of a volume", "") \
	X(PORT, "[ADDRESS:][HOST:]GUEST[/tcp|/udp], such as \"8080:80\"", "") \
	X(EXPOSE, "PORT[-PORT][/tcp|/udp], such as 80 or 53/udp", "^[0-9]+(-[0-9]+)?(/(tcp|udp))?$") \
	X(RULE, "TARGET[:PORT[-PORT]][/tcp|udp|icmp], such as \"*.pypi.org:443\"", "") \
	X(SUBNET, "a private network such as 10.0.1.0/24", "^[0-9.]+/[0-9]+$") \
	X(ADDRESS, "an address such as 10.0.1.5", "^[0-9.]+$") \
	X(HOSTNAME, "a host's name: letters, digits, '-' and '.'", \
		"^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$") \
	X(VARIABLE, "KEY=value, or KEY alone", "^[^= ]+(=|$)") \
	X(LABEL, "KEY=value", "^[^= ]+(=|$)") \
	X(RESTART, "no, on-failure, on-failure:TIMES, always or unless-stopped", \
		"^(no|on-failure(:[0-9]+)?|always|unless-stopped)$") \
	X(COMMAND, "a command", "") \
	X(EXPORT, "the name of an export, or BUILD.NAME", "")

enum schema_scalar {
#define X(name, expected, pattern) SCHEMA_##name,
	SCHEMA_SCALARS(X)
#undef X
};

/* What can stand there; several where there are several ways to write it. */
enum { SHAPE_SCALAR = 1, SHAPE_LIST = 2, SHAPE_MAPPING = 4, SHAPE_NOTHING = 8 };

/* What the keys of a mapping with names of one's own have to be. */
enum schema_keys {
	KEYS_TEXT,
	KEYS_COMPONENT,
	KEYS_VARIABLE,
	KEYS_WORD,
	KEYS_PATH,
	KEYS_REFERENCE,
	KEYS_EXPORT
};

struct schema {
	const char *name; /* of what is described by itself; NULL: where it is used */
	const char *what; /* "a list of volumes": what is expected; NULL: what its scalar is */
	unsigned shapes;
	enum schema_scalar scalar;           /* SCALAR */
	const char *const *choices;          /* of a CHOICE */
	uint64_t least, most;                /* of a NUMBER or, in bytes, a SIZE; most 0: no bound */
	const struct schema *item;           /* of LIST */
	const struct schema *value;          /* of MAPPING with names of one's own */
	enum schema_keys keys;               /* these names */
	const struct schema_member *members; /* of MAPPING with known keys */
	size_t items_most;                   /* of LIST and MAPPING; 0: no bound but the file's */
};

struct schema_member {
	const char *key; /* NULL ends the table */
	const struct schema *schema;
	const char *help;     /* a sentence */
	const char *fallback; /* what is where it is not written; NULL: nothing */
	const char *example;
	const char *alias; /* another word for the key */
	bool required, later;
};

extern const struct schema schema_file; /* all of it */

/* Words of other systems → what they are called here; the last has no key. */
struct schema_stranger {
	const char *key, *ours;
};
extern const struct schema_stranger schema_strangers[];

extern const char *const schema_expected[]; /* by scalar */
extern const char *const schema_patterns[];

/* Adds all that is wrong below `root` in file number `file`, and marks those nodes as broken. */
void schema_check(
	struct yaml_node *root, const struct project_checks *checks, struct mistakes *m, uint32_t file);

/* Whether the text can be such a scalar. INVALID, with words that end in what was expected. */
int schema_check_scalar(
	const struct schema *s, const char *text, const struct project_checks *checks, struct error *err);

/* Whether the text can be a component's own name. INVALID. */
int schema_check_name(const char *text, struct error *err);

int schema_json(struct buffer *out, struct error *err);
int schema_markdown(struct buffer *out, struct error *err);

/* What stands for a volume: a path begins with "/", "./", "../" or "~", or is "." or ".."; anything else has
 * to be a name, [a-zA-Z0-9][a-zA-Z0-9_.-]*. */
bool project_is_path(const char *text, size_t n);
bool project_is_volume_name(const char *text, size_t n);
