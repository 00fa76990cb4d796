/* SPDX-License-Identifier: Apache-2.0 */
/* What a scalar says, by its kind. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/monofs_uri.h"
#include "project/env.h"
#include "project/scalar.h"
#include "project/schema.h"

static int wrong(const struct schema *s, const char *text, struct error *err)
{
	return error_set(err, ERROR_INVALID, "expected %s, got '%.80s'",
		s->what ? s->what : schema_expected[s->scalar], text);
}

static int check_number(const struct schema *s, const char *text, struct error *err)
{
	uint64_t v;

	if (!scalar_number(text, &v))
		return wrong(s, text, err);
	if (v < s->least || v > s->most)
		return error_set(err, ERROR_INVALID, "expected a number from %llu to %llu, got %s",
			(unsigned long long)s->least, (unsigned long long)s->most, text);
	return 0;
}

static int check_choice(const struct schema *s, const char *text, struct error *err)
{
	const char *nearest;

	for (const char *const *c = s->choices; *c; c++)
		if (!strcmp(*c, text))
			return 0;
	nearest = text_nearest(text, s->choices);
	if (nearest)
		return error_set(err, ERROR_INVALID, "expected %s, got '%.80s'; did you mean '%s'?", s->what,
			text, nearest);
	return wrong(s, text, err);
}

static int check_size(const struct schema *s, const char *text, struct error *err)
{
	uint64_t bytes;
	int r = text_parse_size(text, s->scalar == SCHEMA_RATE ? 1 : 1 << 20, "size", &bytes, err);

	if (r == -ERROR_LIMIT)
		return error_set(err, ERROR_INVALID, "'%.80s' is too large", text);
	if (r < 0)
		return wrong(s, text, err);
	if (!bytes)
		return error_set(
			err, ERROR_INVALID, "expected %s, and more than 0", schema_expected[s->scalar]);
	if (bytes < s->least)
		return error_set(err, ERROR_INVALID, "expected at least %lluM, got '%.80s'",
			(unsigned long long)s->least >> 20, text);
	if (s->most && bytes > s->most)
		return error_set(err, ERROR_INVALID, "'%.80s' is too large", text);
	return 0;
}

/* "ro,stage": words that volumes have, each once. */
static int check_options(const char *text, struct error *err)
{
	static const char *const known[] = {"ro", "rw", "squash", "nocopy", "stage", NULL};
	unsigned seen = 0;
	char word[16];

	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ","), i = 0;
		const char *nearest;

		if (n >= sizeof word)
			return error_set(err, ERROR_INVALID, "unknown option '%.*s' of a volume",
				(int)(n > 40 ? 40 : n), p);
		memcpy(word, p, n);
		word[n] = 0;
		while (known[i] && strcmp(known[i], word))
			i++;
		nearest = text_nearest(word, known);
		if (!known[i])
			return error_set(err, ERROR_INVALID,
				nearest ? "unknown option '%s' of a volume; did you mean '%s'?"
					: "unknown option '%s' of a volume; there are ro, rw, squash, nocopy "
					  "and stage",
				word, nearest);
		if (seen & (1u << i))
			return error_set(err, ERROR_INVALID, "the option '%s' stands there twice", word);
		seen |= 1u << i;
		if ((seen & 3) == 3)
			return error_set(err, ERROR_INVALID, "'ro' and 'rw' cannot stand together");
		p += n;
		if (!*p)
			return 0;
	}
}

static bool is_absolute(const char *text)
{
	return *text == '/';
}

/* The path in the sandbox, up to its options. */
static int check_target(
	const char *target, const char *options, const struct project_checks *checks, struct error *err)
{
	size_t n = options ? (size_t)(options - target) : strlen(target);
	_cleanup_free_ char *path = text_copy_bytes(target, n, err);

	return path ? checks->target(path, err) : -ERROR_NO_MEMORY;
}

static int check_monofs(const char *text, size_t n, struct error *err)
{
	_cleanup_free_ char *uri = text_copy_bytes(text, n, err);
	_cleanup_monofs_uri_ struct monofs_uri u = {0};
	int r = uri ? monofs_uri_parse(uri, &u, err) : -ERROR_NO_MEMORY;

	if (r == 0 && !project_is_path(u.path, strlen(u.path)))
		r = error_set(
			err, ERROR_INVALID, "'%.80s' is no path, which begins with './', '/' or '~'", u.path);
	return r;
}

static int check_volume(
	const struct schema *s, const char *text, const struct project_checks *checks, struct error *err)
{
	bool monofs = s->scalar != SCHEMA_MOUNT && monofs_uri_is(text);
	const char *source = monofs ? text + strlen(MONOFS_URI) : text;
	const char *target = strchr(source, ':'), *options;

	if (monofs && check_monofs(text, target ? (size_t)(target - text) : strlen(text), err) < 0)
		return -ERROR_INVALID;
	if (s->scalar == SCHEMA_MOUNT)
		target = text;
	else if (!target || target == source)
		return wrong(s, text, err);
	else if (!monofs && !project_is_path(text, (size_t)(target - text)) &&
		 !project_is_volume_name(text, (size_t)(target - text)))
		return error_set(err, ERROR_INVALID,
			"'%.*s' can be neither a path, which begins with './', '/' or '~', nor a volume's "
			"name",
			(int)(target - text > 80 ? 80 : target - text), text);
	else
		target++;
	options = strchr(target, ':');
	if (!is_absolute(target) || target[1] == ':')
		return error_set(err, ERROR_INVALID,
			"expected %s, got '%.80s': the path in the sandbox begins with '/'",
			s->what ? s->what : schema_expected[s->scalar], text);
	if (check_target(target, options, checks, err) < 0)
		return -(int)err->code;
	if (options && check_options(options + 1, err) < 0)
		return -ERROR_INVALID;
	if (monofs && options && strcmp(options, ":ro") != 0 && strcmp(options, ":rw") != 0)
		return error_set(
			err, ERROR_INVALID, "of the options of a volume, a monofs takes 'ro' and 'rw'");
	if (options && strstr(options, "nocopy") && s->scalar == SCHEMA_VOLUME &&
		project_is_path(text, strlen(text)))
		return error_set(err, ERROR_INVALID, "'nocopy' is for volumes that have names");
	return 0;
}

static int check_exposed(const struct schema *s, const char *text, struct error *err)
{
	_cleanup_free_ char *copy = text_copy(text, err);
	char *protocol = copy ? strchr(copy, '/') : NULL, *end;
	uint64_t first, last;

	if (!copy)
		return -ERROR_NO_MEMORY;
	if (protocol)
		*protocol++ = 0;
	end = strchr(copy, '-');
	if (end)
		*end++ = 0;
	if ((protocol && strcmp(protocol, "tcp") && strcmp(protocol, "udp")) ||
		text_parse_u64(copy, UINT16_MAX, "port", &first, NULL) < 0 ||
		text_parse_u64(end ? end : copy, UINT16_MAX, "port", &last, NULL) < 0 || first == 0 ||
		last < first)
		return wrong(s, text, err);
	return 0;
}

static int check_restart(const struct schema *s, const char *text, struct error *err)
{
	static const char *const words[] = {"no", "on-failure", "always", "unless-stopped", NULL};
	const char *nearest;
	uint64_t n;

	for (size_t i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			return 0;
	if (text_starts(text, "on-failure:") && text_parse_u64(text + 11, 1000000, "times", &n, NULL) == 0 &&
		n)
		return 0;
	nearest = text_nearest(text, words);
	if (nearest)
		return error_set(err, ERROR_INVALID, "expected %s, got '%.80s'; did you mean '%s'?",
			schema_expected[s->scalar], text, nearest);
	return wrong(s, text, err);
}

static bool is_hostname(const char *text)
{
	size_t n = strlen(text);

	return n && n <= 63 && !strchr("-.", text[0]) && !strchr("-.", text[n - 1]) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n;
}

/* Words that other folders know: what they complain of is passed on, but for "publish 'x': ". */
static int judge(
	const struct schema *s, const char *text, const struct project_checks *checks, struct error *err)
{
	_cleanup_free_ struct project_port *ports = NULL;
	size_t count = 0;
	bool beyond;
	int r;

	switch (s->scalar) {
	case SCHEMA_IMAGE:
		return checks->image(text, err);
	case SCHEMA_PORT:
		r = checks->ports(text, &ports, &count, err);
		return r < 0 && r != -ERROR_NO_MEMORY ? wrong(s, text, err) : r;
	case SCHEMA_RULE:
		return checks->rule(text, &beyond, err);
	case SCHEMA_SUBNET:
		return checks->subnet(text, err);
	default:
		return checks->address(NULL, text, err);
	}
}

int schema_check_scalar(
	const struct schema *s, const char *text, const struct project_checks *checks, struct error *err)
{
	uint64_t number;
	bool flag;

	if (!*text && s->scalar != SCHEMA_TEXT)
		return error_set(err, ERROR_INVALID, "expected %s, got an empty text",
			s->what ? s->what : schema_expected[s->scalar]);
	switch (s->scalar) {
	case SCHEMA_BOOL:
		return scalar_bool(text, &flag) ? 0 : wrong(s, text, err);
	case SCHEMA_NUMBER:
		return check_number(s, text, err);
	case SCHEMA_CHOICE:
		return check_choice(s, text, err);
	case SCHEMA_SIZE:
	case SCHEMA_RATE:
		return check_size(s, text, err);
	case SCHEMA_DURATION:
		return text_parse_duration(text, "time", &number, NULL) < 0 ? wrong(s, text, err) : 0;
	case SCHEMA_TARGET:
		return is_absolute(text) ? 0 : wrong(s, text, err);
	case SCHEMA_VOLUME:
	case SCHEMA_MOUNT:
		return check_volume(s, text, checks, err);
	case SCHEMA_EXPOSE:
		return check_exposed(s, text, err);
	case SCHEMA_HOSTNAME:
		return is_hostname(text) ? 0 : wrong(s, text, err);
	case SCHEMA_VARIABLE:
		return env_is_name(text, strcspn(text, "=")) ? 0 : wrong(s, text, err);
	case SCHEMA_LABEL:
		return strchr(text, '=') && env_is_name(text, strcspn(text, "=")) ? 0 : wrong(s, text, err);
	case SCHEMA_RESTART:
		return check_restart(s, text, err);
	case SCHEMA_SOURCE:
		return project_is_path(text, strlen(text)) || project_is_volume_name(text, strlen(text))
			       ? 0
			       : wrong(s, text, err);
	case SCHEMA_IMAGE:
	case SCHEMA_PORT:
	case SCHEMA_RULE:
	case SCHEMA_SUBNET:
	case SCHEMA_ADDRESS:
		return judge(s, text, checks, err);
	default:
		return 0;
	}
}

bool project_is_path(const char *text, size_t n)
{
	if (!n)
		return false;
	if (*text == '/' || *text == '~')
		return true;
	return *text == '.' && (n == 1 || text[1] == '/' || (text[1] == '.' && (n == 2 || text[2] == '/')));
}

bool project_is_volume_name(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", text[i]) ||
			!text[i])
			return false;
	return n && n <= 63 && !strchr("_.-", *text);
}
