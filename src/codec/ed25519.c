/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/ed25519.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(key, EVP_PKEY, EVP_PKEY_free);
CLEANUP_DEFINE(digest, EVP_MD_CTX, EVP_MD_CTX_free);

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int ed25519_key_parse(const char *text, uint8_t key[ED25519_KEY_SIZE], struct error *err)
{
	if (strlen(text) != 2 * (size_t)ED25519_KEY_SIZE)
		return error_set(err, ERROR_INVALID, "a public key is 64 hex digits");
	for (size_t i = 0; i < ED25519_KEY_SIZE; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, ERROR_INVALID, "a public key is 64 hex digits");
		key[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int ed25519_verify(const uint8_t key[ED25519_KEY_SIZE], const void *bytes, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE], struct error *err)
{
	_cleanup_(cleanup_key) EVP_PKEY *public =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, ED25519_KEY_SIZE);
	_cleanup_(cleanup_digest) EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!public || !context || EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) != 1)
		return error_set(err, ERROR_SYSTEM, "check a signature: the library refused");
	if (EVP_DigestVerify(context, signature, ED25519_SIGNATURE_SIZE, bytes, n) == 1)
		return 0;
	return error_set(err, ERROR_DENIED, "the signature is not by the key that it must be by");
}
