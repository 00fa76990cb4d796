/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sha256.h"

/* The functions behind EVP: EVP's first use reads OpenSSL's configuration, which costs more than a
 * millisecond of every start. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

#define PREFIX "sha256:"

_Static_assert(sizeof(SHA256_CTX) <= sizeof((struct sha256){0}.state), "the library's state fits");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(uint64_t), "and is aligned");

static SHA256_CTX *state_of(struct sha256 *s)
{
	return (SHA256_CTX *)(void *)s->state;
}

int sha256_init(struct sha256 *s, struct error *err)
{
	*s = (struct sha256){0};
	s->begun = SHA256_Init(state_of(s)) == 1;
	return s->begun ? 0 : error_set(err, ERROR_SYSTEM, "begin a SHA-256: the library refused");
}

void sha256_update(struct sha256 *s, const void *data, size_t n)
{
	if (!s->begun || SHA256_Update(state_of(s), data, n) != 1)
		s->failed = true;
}

int sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE], struct error *err)
{
	bool ok = s->begun && !s->failed && SHA256_Final(out, state_of(s)) == 1;

	sha256_free(s);
	return ok ? 0 : error_set(err, ERROR_SYSTEM, "compute a SHA-256: the library refused");
}

void sha256_free(struct sha256 *s)
{
	*s = (struct sha256){0};
}

int sha256_of(const void *data, size_t n, uint8_t out[SHA256_SIZE], struct error *err)
{
	struct sha256 s;
	int r = sha256_init(&s, err);

	if (r < 0)
		return r;
	sha256_update(&s, data, n);
	return sha256_final(&s, out, err);
}

const char *sha256_hex(const uint8_t hash[SHA256_SIZE], char out[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[SHA256_HEX_SIZE - 1] = 0;
	return out;
}

const char *sha256_digest(const uint8_t hash[SHA256_SIZE], char out[SHA256_DIGEST_SIZE])
{
	memcpy(out, PREFIX, strlen(PREFIX));
	sha256_hex(hash, out + strlen(PREFIX));
	return out;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse(const char *text, uint8_t hash[SHA256_SIZE])
{
	const char *p = text + strlen(PREFIX);

	if (strncmp(text, PREFIX, strlen(PREFIX)) || strnlen(p, SHA256_HEX_SIZE) != SHA256_HEX_SIZE - 1)
		return false;
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		int high = digit_value(p[2 * i]), low = digit_value(p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool sha256_digest_valid(const char *text)
{
	uint8_t hash[SHA256_SIZE];

	return parse(text, hash);
}

int sha256_digest_parse(const char *text, uint8_t hash[SHA256_SIZE], struct error *err)
{
	uint8_t unused[SHA256_SIZE];

	if (parse(text, hash ? hash : unused))
		return 0;
	return error_set(err, ERROR_INVALID,
		"'%s' is no digest: it must be sha256: and 64 lower-case hex digits", text);
}
