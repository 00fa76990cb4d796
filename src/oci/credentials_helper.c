/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/credentials_helper.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/printable.h"
#include "codec/secret.h"
#include "os/process.h"

#define OUTPUT_MAX ((size_t)64 << 10)

/* A name is a part of a file's name, never a path. */
static bool is_name(const char *name)
{
	return *name && strlen(name) <= 100 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(name);
}

/* Its words for a failure stand on its standard output. */
static int failed(
	const char *program, const char *action, int status, const struct buffer *out, struct error *err)
{
	char words[300];

	printable_line(out->data, out->size, words, sizeof words);
	return error_set(err, ERROR_SYSTEM, "credential helper %s: %s: %s%s(status %d)", program, action,
		words, *words ? " " : "", status);
}

/* Runs an action. *found is false where it says that there is nothing. */
static int run(const struct credentials_helper *h, const char *action, const void *input, size_t n,
	bool *found, struct buffer *out, struct error *err)
{
	_cleanup_free_ char *program = NULL;
	int status = 0, r;
	struct process_run_options o = {.input = input,
		.input_size = n,
		.out = out,
		.limit = OUTPUT_MAX,
		.timeout = MILLISECONDS(h->time),
		.status = &status};

	if (!is_name(h->name))
		return error_set(
			err, ERROR_INVALID, "credential helper '%s': that is no name of a helper", h->name);
	program = text_format(err, CREDENTIALS_HELPER_PROGRAM "%s", h->name);
	if (!program || !buffer_reserve(out, OUTPUT_MAX + 1))
		return error_no_memory(err, "run a credential helper");
	r = process_run((const char *const[]){program, action, NULL}, &o, err);
	if (r == -ERROR_NOT_FOUND)
		return error_set(err, ERROR_NOT_FOUND,
			"credential helper %s: it is not in PATH, but docker's config.json names it: install "
			"it, or "
			"take '%s' out of credsStore or credHelpers",
			program, h->name);
	if (r < 0) {
		error_prefix(err, "credential helper %s: %s", program, action);
		return r;
	}
	*found = status == 0;
	return status == 0 || docker_helper_not_found(out->data, out->size)
		       ? 0
		       : failed(program, action, status, out, err);
}

int credentials_helper_get(const struct credentials_helper *h, const char *key, bool *found,
	struct docker_auth *auth, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer out = {0};
	_cleanup_free_ char *what = NULL;
	int r;

	*auth = (struct docker_auth){0};
	*found = false;
	r = run(h, "get", key, strlen(key), found, &out, err);
	if (r < 0 || !*found)
		return r;
	what = text_format(err, "credential helper " CREDENTIALS_HELPER_PROGRAM "%s", h->name);
	r = what ? docker_helper_parse(out.data, out.size, what, auth, err) : -ERROR_NO_MEMORY;
	*found = r == 0;
	return r;
}

int credentials_helper_store(
	const struct credentials_helper *h, const struct docker_auth *auth, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer request = {0}, out = {0};
	bool done = false;
	int r = docker_helper_request(auth, &request, err);

	if (r == 0)
		r = run(h, "store", request.data, request.size, &done, &out, err);
	if (r == 0 && !done)
		return error_set(err, ERROR_SYSTEM,
			"credential helper " CREDENTIALS_HELPER_PROGRAM "%s: store: it did not keep them",
			h->name);
	return r;
}

int credentials_helper_erase(const struct credentials_helper *h, const char *key, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer out = {0};
	bool done;

	return run(h, "erase", key, strlen(key), &done, &out, err);
}
