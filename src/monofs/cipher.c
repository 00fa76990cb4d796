/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/cipher.h"

#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == CIPHER_KEY_SIZE, "a key of the cipher");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == CIPHER_NONCE_SIZE, "its nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == CIPHER_TAG_SIZE, "its tag");

#define LARGE       8192u /* below that OpenSSL takes longer to begin than it saves */
#define PIECE       4096u /* that the second pass finds in the nearest cache: OpenSSL takes two */
#define INNER_NONCE 12

/* ---- OpenSSL ---- */

static EVP_CIPHER *fetched; /* once; it stays */

static void fetch(void)
{
	fetched = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

/* What begins with the key and nonce that XChaCha20 derives, and has taken what is authenticated beside.
 * NULL: OpenSSL does not do it. */
static EVP_CIPHER_CTX *begin(const struct cipher *c, bool seals)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint8_t key[CIPHER_KEY_SIZE], nonce[INNER_NONCE] = {0};
	EVP_CIPHER_CTX *context;
	int taken;

	pthread_once(&once, fetch);
	context = fetched && c->about_size <= INT_MAX ? EVP_CIPHER_CTX_new() : NULL;
	if (!context)
		return NULL;
	(void)crypto_core_hchacha20(key, c->nonce, c->key, NULL);
	memcpy(nonce + 4, c->nonce + 16, 8);
	if (EVP_CipherInit_ex(context, fetched, NULL, key, nonce, seals) != 1 ||
		(c->about_size &&
			EVP_CipherUpdate(context, NULL, &taken, c->about, (int)c->about_size) != 1)) {
		EVP_CIPHER_CTX_free(context);
		context = NULL;
	}
	sodium_memzero(key, sizeof key);
	return context;
}

/* All of the n bytes, and the end. */
static bool pass(EVP_CIPHER_CTX *context, const uint8_t *bytes, size_t n, uint8_t *out)
{
	int done, rest;

	for (size_t at = 0; at < n; at += (size_t)done) {
		size_t piece = n - at < PIECE ? n - at : PIECE;

		if (EVP_CipherUpdate(context, out + at, &done, bytes + at, (int)piece) != 1 ||
			done != (int)piece)
			return false;
	}
	return EVP_CipherFinal_ex(context, out + n, &rest) == 1 && rest == 0;
}

static bool seal_large(EVP_CIPHER_CTX *context, const void *bytes, size_t n, uint8_t *out)
{
	return pass(context, bytes, n, out) &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG_SIZE, out + n) == 1;
}

static bool open_large(EVP_CIPHER_CTX *context, const uint8_t *bytes, size_t n, uint8_t *out)
{
	uint8_t tag[CIPHER_TAG_SIZE];

	memcpy(tag, bytes + n, sizeof tag);
	if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
		pass(context, bytes, n, out))
		return true;
	sodium_memzero(out, n);
	return false;
}

static bool is_large(size_t n)
{
	return n >= LARGE && n <= INT_MAX;
}

/* ---- either ---- */

void cipher_seal(const struct cipher *c, const void *bytes, size_t n, void *out)
{
	EVP_CIPHER_CTX *context = is_large(n) ? begin(c, true) : NULL;
	bool done = false;

	if (context)
		done = seal_large(context, bytes, n, out);
	EVP_CIPHER_CTX_free(context);
	if (!done)
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
			out, NULL, bytes, n, c->about, c->about_size, NULL, c->nonce, c->key);
}

bool cipher_open(const struct cipher *c, const void *bytes, size_t n, void *out)
{
	EVP_CIPHER_CTX *context;
	bool ok;

	if (n < CIPHER_TAG_SIZE)
		return false;
	context = is_large(n) ? begin(c, false) : NULL;
	if (!context)
		return crypto_aead_xchacha20poly1305_ietf_decrypt(
			       out, NULL, NULL, bytes, n, c->about, c->about_size, c->nonce, c->key) == 0;
	ok = open_large(context, bytes, n - CIPHER_TAG_SIZE, out);
	EVP_CIPHER_CTX_free(context);
	return ok;
}
