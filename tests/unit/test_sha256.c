/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 against the vectors of FIPS 180-4 and NIST's test suite, and digests as text. */
#include "test.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "codec/sha256.h"

static void must_be(const char *text, size_t n, const char *expected)
{
	uint8_t hash[SHA256_SIZE];
	char hex[SHA256_HEX_SIZE];
	struct error err;

	CHECK_OK(sha256_of(text, n, hash, &err));
	CHECK_TEXT(sha256_hex(hash, hex), expected);
}

TEST(known_messages_have_their_known_hashes)
{
	_cleanup_free_ char *million = malloc(1000000);

	memset(million, 'a', 1000000);
	must_be(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	must_be("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	must_be("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	must_be(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(bytes_in_pieces_have_the_same_hash)
{
	uint8_t bytes[300], whole[SHA256_SIZE], hash[SHA256_SIZE];
	struct error err;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	CHECK_OK(sha256_of(bytes, sizeof bytes, whole, &err));
	for (size_t piece = 1; piece <= sizeof bytes; piece++) {
		struct sha256 s;

		CHECK_OK(sha256_init(&s, &err));
		for (size_t at = 0; at < sizeof bytes; at += piece)
			sha256_update(&s, bytes + at, sizeof bytes - at < piece ? sizeof bytes - at : piece);
		CHECK_OK(sha256_final(&s, hash, &err));
		CHECK(!memcmp(hash, whole, sizeof hash));
	}
}

TEST(an_unused_one_can_be_released_and_gives_no_hash)
{
	uint8_t hash[SHA256_SIZE];
	struct sha256 s = {0};
	struct error err;

	sha256_free(&s);
	sha256_update(&s, "a", 1);
	CHECK_ERROR(sha256_final(&s, hash, &err), ERROR_SYSTEM);
}

TEST(digests_are_judged_strictly_and_read_back)
{
	static const char good[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char *const bad[] = {"", "sha256:", "sha256:00",
		"sha512:", "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
		"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		" sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
	uint8_t hash[SHA256_SIZE];
	char digest[SHA256_DIGEST_SIZE];
	struct error err;

	CHECK_OK(sha256_digest_parse(good, hash, &err));
	CHECK_TEXT(sha256_digest(hash, digest), good);
	CHECK(sha256_digest_valid(good));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(!sha256_digest_valid(bad[i]));
		CHECK_ERROR(sha256_digest_parse(bad[i], NULL, &err), ERROR_INVALID);
	}
}
