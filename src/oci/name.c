/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/name.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "codec/sha256.h"

#define TEXT_MAX     720u
#define HOST_MAX     253u /* RFC 1035 §2.3.4, without the root's dot */
#define DIGITS       "0123456789"
#define LOWER        "abcdefghijklmnopqrstuvwxyz" DIGITS
#define UPPER        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALPHANUMERIC LOWER UPPER
#define DIGEST_START "sha256:"

#define OTHER_CHARACTERS "it has characters other than a-z, 0-9, '.', '_', '-' and '/'"

void name_free(struct name *n)
{
	free(n->registry);
	free(n->repository);
	free(n->tag);
	free(n->digest);
	*n = (struct name){0};
}

static void to_lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* ---- the registry ----------------------------------------------------------------------------------- */

/* A host of labels. Sets *reason, or leaves it. */
static void check_labels(const char *host, const char **reason)
{
	for (const char *p = host;; p++) {
		size_t n = strspn(p, ALPHANUMERIC "-");

		if (n == 0 && (!*p || *p == '.'))
			*reason = "a part of its host is empty";
		else if (p[n] && p[n] != '.')
			*reason = "its host is not of letters, digits, '-' and '.'";
		else if (*p == '-' || p[n - 1] == '-')
			*reason = "a part of its host starts or ends with '-'";
		p += n;
		if (*reason || !*p)
			return;
	}
}

static void check_port(const char *port, const char **reason)
{
	uint64_t value;

	if (text_parse_u64(port, 65535, "port", &value, NULL) < 0 || value == 0)
		*reason = "its port is no number from 1 to 65535";
}

/* "HOST", "HOST:PORT", "[IPV6]", "[IPV6]:PORT". Returns what is wrong, or NULL. The text is changed, and put
 * back. */
static const char *check_registry(char *text)
{
	char *colon = strchr(text, ':'), *close;
	const char *reason = NULL;
	struct in6_addr address;

	if (strlen(text) > HOST_MAX)
		return "its host is too long";
	if (*text != '[') {
		if (colon && strchr(colon + 1, ':'))
			return "an IPv6 address stands in brackets, [::1]";
		if (colon)
			*colon = 0;
		check_labels(text, &reason);
		if (colon)
			*colon = ':';
		if (colon && !reason)
			check_port(colon + 1, &reason);
		return reason;
	}
	close = strchr(text, ']');
	if (!close)
		return "a ']' is missing";
	*close = 0;
	if (strspn(text + 1, DIGITS "abcdefABCDEF:") != strlen(text + 1) ||
		inet_pton(AF_INET6, text + 1, &address) != 1)
		reason = "what stands in brackets is no IPv6 address";
	*close = ']';
	if (!reason && close[1] == ':')
		check_port(close + 2, &reason);
	else if (!reason && close[1])
		reason = "something stands behind the ']'";
	return reason;
}

/* Hosts mean the same in upper case. But upper case alone is what makes a registry of some names, such as
 * "Registry/x": these stay. And docker.io has other names. */
static void normalize_registry(char *registry)
{
	static const char *const aliases[] = {"index.docker.io", "registry-1.docker.io"};

	if (strpbrk(registry, ".:") || strcasecmp(registry, "localhost") == 0)
		to_lower(registry);
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(registry, aliases[i]) == 0)
			memcpy(registry, NAME_DEFAULT_REGISTRY, sizeof NAME_DEFAULT_REGISTRY);
}

/* ---- the repository --------------------------------------------------------------------------------- */

/* One component: letters and digits, and between them one '.', one or two '_', or any number of '-'. */
static const char *check_component(const char *p, size_t n)
{
	size_t i = 0;

	if (n == 0)
		return "a part between slashes is empty";
	while (i < n) {
		size_t word = strspn(p + i, LOWER), mark, run;

		if (word == 0)
			return strchr("._-", p[i]) ? "a part of it starts with '.', '_' or '-'"
						   : OTHER_CHARACTERS;
		i += word;
		if (i == n)
			return NULL;
		run = strspn(p + i, "._-");
		mark = p[i] == '-' ? strspn(p + i, "-") : p[i] == '_' && p[i + 1] == '_' ? 2 : 1;
		if (run == 0)
			return OTHER_CHARACTERS;
		if (i + run >= n)
			return "a part of it ends with '.', '_' or '-'";
		if (run != mark)
			return "between letters stand one '.', one or two '_', or any number of '-'";
		i += run;
	}
	return NULL;
}

static const char *check_repository(const char *repository)
{
	const char *p = repository;

	for (;;) {
		size_t n = strcspn(p, "/");
		const char *reason = check_component(p, n);

		if (reason || !p[n])
			return reason;
		p += n + 1;
	}
}

/* ---- all of it -------------------------------------------------------------------------------------- */

static bool is_registry(const char *text, size_t n)
{
	return memchr(text, '.', n) || memchr(text, ':', n) || strcspn(text, UPPER) < n ||
	       (n == strlen("localhost") && strncmp(text, "localhost", n) == 0);
}

/* What nobody means by a name: a URL, or an image's id. */
static int refuse(const char *text, struct error *err)
{
	const char *scheme = strstr(text, "://");
	const char *hex = text_starts(text, DIGEST_START) ? text + strlen(DIGEST_START) : text;

	if (!*text)
		return error_set(err, ERROR_INVALID, "the name of the image is empty");
	if (strlen(text) > TEXT_MAX)
		return error_set(err, ERROR_LIMIT, "image '%.100s...': over %u bytes", text, TEXT_MAX);
	if (scheme)
		return error_set(err, ERROR_INVALID,
			"image '%s': a name starts without '%.*s': did you mean '%s'?", text,
			(int)(scheme - text) + 3, text, scheme + 3);
	if (strlen(hex) == 64 && strspn(hex, DIGITS "abcdef") == 64)
		return error_set(err, ERROR_INVALID,
			"image '%s': this is an image's id or digest: a name stands before it, "
			"NAME@sha256:%s",
			text, hex);
	return 0;
}

static int take_digest(const char *text, const char *at, struct name *n, struct error *err)
{
	n->digest = text_copy(at ? at + 1 : "", err);
	if (!n->digest)
		return -ERROR_NO_MEMORY;
	if (!at || sha256_digest_valid(n->digest))
		return 0;
	if (!text_starts(n->digest, DIGEST_START) && n->digest[strspn(n->digest, LOWER "+._-")] == ':')
		return error_set(
			err, ERROR_INVALID, "image '%s': only digests of sha256 are known here", text);
	return error_set(err, ERROR_INVALID,
		"image '%s': behind '@' stands a digest: sha256: and 64 hexadecimal digits in lower case",
		text);
}

static int take_tag(const char *text, char *rest, struct name *n, struct error *err)
{
	char *slash = strrchr(rest, '/'), *colon = strchr(slash ? slash : rest, ':');
	const char *tag = colon ? colon + 1 : *n->digest ? "" : "latest";

	if (colon)
		*colon = 0;
	if (colon && !*tag)
		return error_set(err, ERROR_INVALID, "image '%s': the tag behind ':' is empty", text);
	if (strlen(tag) > NAME_TAG_MAX)
		return error_set(
			err, ERROR_LIMIT, "image '%s': the tag is over %u characters", text, NAME_TAG_MAX);
	if (strspn(tag, ALPHANUMERIC "_.-") != strlen(tag) || *tag == '.' || *tag == '-')
		return error_set(err, ERROR_INVALID,
			"image '%s': the tag '%s' is not of letters, digits, '_', '.' and '-', or starts "
			"with one of "
			"the last two",
			text, tag);
	n->tag = text_copy(tag, err);
	return n->tag ? 0 : -ERROR_NO_MEMORY;
}

static int take_registry(
	const char *text, const char *fallback, const char **rest, struct name *n, struct error *err)
{
	size_t size = strcspn(*rest, "/");
	bool given = (*rest)[size] && is_registry(*rest, size);
	const char *reason;

	n->registry = given ? text_copy_bytes(*rest, size, err) : text_copy(fallback, err);
	if (!n->registry)
		return -ERROR_NO_MEMORY;
	reason = check_registry(n->registry);
	if (!reason && !is_registry(n->registry, strlen(n->registry)))
		reason = "it has neither a dot nor a port"; /* only the default: its names could not be read
							       again */
	if (reason)
		return error_set(
			err, ERROR_INVALID, "image '%s': '%s' is no registry: %s", text, n->registry, reason);
	normalize_registry(n->registry);
	*rest += given ? size + 1 : 0;
	return 0;
}

/* `written` is the repository, as it stands in text behind `before` bytes. */
static int take_repository(
	const char *text, size_t before, const char *written, struct name *n, struct error *err)
{
	bool library = !strchr(written, '/') && strcmp(n->registry, NAME_DEFAULT_REGISTRY) == 0;
	const char *reason;

	n->repository = text_format(err, "%s%s", library ? "library/" : "", written);
	if (!n->repository)
		return -ERROR_NO_MEMORY;
	if (!*written)
		return error_set(
			err, ERROR_INVALID, "image '%s': the name of the repository is missing", text);
	if (strpbrk(written, UPPER)) {
		to_lower(n->repository);
		return error_set(err, ERROR_INVALID,
			"image '%s': repository names are lower case: did you mean '%.*s%s%s'?", text,
			(int)before, text, n->repository + (library ? strlen("library/") : 0),
			text + before + strlen(written));
	}
	reason = check_repository(written);
	if (reason)
		return error_set(
			err, ERROR_INVALID, "image '%s': '%s' is no repository: %s", text, written, reason);
	if (strlen(n->repository) > NAME_REPOSITORY_MAX)
		return error_set(err, ERROR_LIMIT, "image '%s': the repository's name is over %u characters",
			text, NAME_REPOSITORY_MAX);
	return 0;
}

static int parse(const char *text, const char *fallback, struct name *n, struct error *err)
{
	_cleanup_free_ char *head = NULL;
	const char *at = strchr(text, '@'), *rest;
	int r = refuse(text, err);

	if (r < 0)
		return r;
	head = text_copy_bytes(text, at ? (size_t)(at - text) : strlen(text), err);
	if (!head)
		return -ERROR_NO_MEMORY;
	rest = head;
	if ((r = take_digest(text, at, n, err)) < 0 ||
		(r = take_registry(text, fallback, &rest, n, err)) < 0 ||
		(r = take_tag(text, head + (rest - head), n, err)) < 0)
		return r;
	return take_repository(text, (size_t)(rest - head), rest, n, err);
}

int name_parse(const char *text, const char *default_registry, struct name *n, struct error *err)
{
	int r;

	*n = (struct name){0};
	r = parse(text, default_registry ? default_registry : NAME_DEFAULT_REGISTRY, n, err);
	if (r < 0)
		name_free(n);
	return r;
}

char *name_text(const struct name *n, struct error *err)
{
	return text_format(err, "%s/%s%s%s%s%s", n->registry, n->repository, *n->tag ? ":" : "", n->tag,
		*n->digest ? "@" : "", n->digest);
}

/* Whether `text` means the name whose canonical form is given. */
static bool means(const char *text, const char *fallback, const char *canonical)
{
	_cleanup_name_ struct name n = {0};
	_cleanup_free_ char *again = NULL;

	if (name_parse(text, fallback, &n, NULL) < 0)
		return false;
	again = name_text(&n, NULL);
	return again && strcmp(again, canonical) == 0;
}

char *name_familiar(const char *canonical, const char *default_registry, struct error *err)
{
	_cleanup_name_ struct name n = {0};
	_cleanup_free_ char *full = NULL;
	const char *path, *last;

	if (name_parse(canonical, default_registry, &n, err) < 0 || !(full = name_text(&n, err)))
		return NULL;
	path = full + strlen(n.registry) + 1;
	last = text_starts(path, "library/") ? path + strlen("library/") : path;
	if (means(last, default_registry, full))
		return text_copy(last, err);
	return text_copy(means(path, default_registry, full) ? path : full, err);
}

int name_parse_prefix(const char *text, char **registry, char **repository, struct error *err)
{
	_cleanup_free_ char *host = NULL, *path = NULL;
	size_t n = strcspn(text, "/");
	const char *reason;

	*registry = *repository = NULL;
	if (strlen(text) > TEXT_MAX)
		return error_set(err, ERROR_LIMIT, "'%.100s...' is over %u bytes", text, TEXT_MAX);
	if (strstr(text, "://"))
		return error_set(err, ERROR_INVALID, "'%s': a registry stands here without '%.*s'", text,
			(int)(strstr(text, "://") - text) + 3, text);
	host = text_copy_bytes(text, n, err);
	path = text_copy(text[n] ? text + n + 1 : "", err);
	if (!host || !path)
		return -ERROR_NO_MEMORY;
	reason = check_registry(host);
	if (reason)
		return error_set(err, ERROR_INVALID, "'%s': '%s' is no registry: %s", text, host, reason);
	reason = text[n] ? check_repository(path) : NULL;
	if (reason)
		return error_set(err, ERROR_INVALID, "'%s': '%s' is no repository: %s", text, path, reason);
	if (strlen(path) > NAME_REPOSITORY_MAX)
		return error_set(err, ERROR_LIMIT, "'%s': the repository's name is over %u characters", text,
			NAME_REPOSITORY_MAX);
	normalize_registry(host);
	*registry = TAKE_PTR(host);
	*repository = TAKE_PTR(path);
	return 0;
}
