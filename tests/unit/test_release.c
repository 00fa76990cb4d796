/* SPDX-License-Identifier: Apache-2.0 */
/* Releases: signatures, what a manifest may say, which version is newer. */
#include "test.h"

#include "base/text.h"
#include "codec/ed25519.h"
#include "codec/release.h"

#define HASH          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FILE_OF(path) "{\"path\":\"" path "\",\"mode\":493,\"size\":0,\"sha256\":\"" HASH "\"}"
#define MANIFEST(files) \
	"{\"format\":1,\"version\":\"1.2.3\",\"architecture\":\"x86_64\",\"files\":[" files "]}"

static void from_hex(const char *hex, uint8_t *out)
{
	for (; hex[0] && hex[1]; hex += 2) {
		unsigned v;

		CHECK_INT(sscanf(hex, "%2x", &v), 1);
		*out++ = (uint8_t)v;
	}
}

/* RFC 8032, section 7.1, tests 1 and 2. */
TEST(a_signature_holds_for_its_bytes_and_its_key_alone)
{
	static const char *const keys[] = {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"3D4017C3E843895A92B70AA74D1B7EBC9C982CCF2EC4968CC0CD55F12AF4660C"};
	static const char *const signatures[] = {"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224"
						 "901555fb8821590a33bacc61e39701cf9b46b"
						 "d25bf5f0595bbe24655141438e7a100b",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
		"1d8c"
		"387b2eaeb4302aeeb00d291612bb0c00"};
	uint8_t key[2][ED25519_KEY_SIZE], signature[2][ED25519_SIGNATURE_SIZE];
	struct error err;

	for (int i = 0; i < 2; i++) {
		CHECK_OK(ed25519_key_parse(keys[i], key[i], &err));
		from_hex(signatures[i], signature[i]);
	}
	CHECK_OK(ed25519_verify(key[0], "", 0, signature[0], &err));
	CHECK_OK(ed25519_verify(key[1], "\x72", 1, signature[1], &err));
	CHECK_ERROR(ed25519_verify(key[1], "\x73", 1, signature[1], &err), ERROR_DENIED);
	CHECK_ERROR(ed25519_verify(key[0], "\x72", 1, signature[1], &err), ERROR_DENIED);
	signature[1][40] ^= 1;
	CHECK_ERROR(ed25519_verify(key[1], "\x72", 1, signature[1], &err), ERROR_DENIED);
}

TEST(a_key_is_64_hex_digits)
{
	uint8_t key[ED25519_KEY_SIZE];
	struct error err;

	CHECK_ERROR(ed25519_key_parse("", key, &err), ERROR_INVALID);
	CHECK_ERROR(ed25519_key_parse(HASH "0", key, &err), ERROR_INVALID);
	CHECK_ERROR(ed25519_key_parse("g" HASH, key, &err), ERROR_INVALID);
	CHECK_ERROR(ed25519_key_parse(
			    " 3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", key, &err),
		ERROR_INVALID);
	CHECK_OK(ed25519_key_parse(HASH, key, &err));
	CHECK_INT(key[0], 0xe3);
}

TEST(versions_are_compared_by_their_numbers)
{
	static const char *const bad[] = {"", "1", "1.2", "1.2.3.4", "1.2.x", "01.2.3", "1..3", "1.2.3-rc1",
		"v1.2.3", "1.2.1234567890", " 1.2.3", NULL};

	for (const char *const *v = bad; *v; v++)
		if (release_version_valid(*v))
			test_fail(__FILE__, __LINE__, "'%s' is a version", *v);
	CHECK(release_version_valid("0.0.0") && release_version_valid("10.20.999999999"));
	CHECK(release_compare("0.10.0", "0.9.9") > 0);
	CHECK(release_compare("1.0.0", "0.999.999") > 0);
	CHECK(release_compare("1.2.3", "1.2.3") == 0);
	CHECK(release_compare("1.2.3", "1.2.4") < 0);
}

TEST(a_manifest_names_its_files)
{
	static const char text[] = MANIFEST(FILE_OF("share/man/man1/a.1") "," FILE_OF("bin/monocore"));
	_cleanup_release_ struct release release = {0};
	struct error err;

	CHECK_OK(release_parse(text, strlen(text), &release, &err));
	CHECK_TEXT(release.version, "1.2.3");
	CHECK_TEXT(release.architecture, "x86_64");
	CHECK_INT(release.count, 2);
	CHECK(release_find(&release, "bin/monocore") && release_find(&release, "share/man/man1/a.1"));
	CHECK(!release_find(&release, "bin/mono"));
	CHECK_INT(release_find(&release, "bin/monocore")->mode, 0755);
}

static const struct {
	const char *text, *says;
} wrong[] = {
	{"", ""},
	{"[]", ""},
	{"{}", "format"},
	{"{\"format\":2}", "format"},
	{"{\"format\":1,\"version\":\"1.2\",\"architecture\":\"x\",\"files\":[]}", "version"},
	{"{\"format\":1,\"version\":\"1.2.3\",\"files\":[]}", "architecture"},
	{MANIFEST(""), "no bin/monocore"},
	{MANIFEST(FILE_OF("bin/x")), "no bin/monocore"},
	{MANIFEST(FILE_OF("bin/monocore") "," FILE_OF("bin/monocore")), "twice"},
	{MANIFEST(FILE_OF("bin/monocore") ",{\"path\":7}"), "path"},
	{MANIFEST(FILE_OF("bin/monocore") ",7"), "path"},
	{MANIFEST(FILE_OF("/bin/monocore")), "no path"},
	{MANIFEST(FILE_OF("bin/../x")), "no path"},
	{MANIFEST(FILE_OF("bin/./x")), "no path"},
	{MANIFEST(FILE_OF("bin//x")), "no path"},
	{MANIFEST(FILE_OF("bin/")), "no path"},
	{MANIFEST(FILE_OF("bin")), "no path"},
	{MANIFEST(FILE_OF("etc/passwd")), "no path"},
	{MANIFEST(FILE_OF("bin/a b")), "no path"},
	{MANIFEST(FILE_OF("bin/.x")), "no path"},
	{MANIFEST(FILE_OF("bin/-x")), "no path"},
	{MANIFEST("{\"path\":\"bin/monocore\",\"mode\":2541,\"size\":0,\"sha256\":\"" HASH "\"}"), "mode"},
	{MANIFEST("{\"path\":\"bin/monocore\",\"mode\":493,\"size\":-1,\"sha256\":\"" HASH "\"}"), "size"},
	{MANIFEST("{\"path\":\"bin/monocore\",\"mode\":493,\"size\":0}"), "sha256"},
	{MANIFEST("{\"path\":\"bin/monocore\",\"mode\":493,\"size\":0,\"sha256\":\"x\"}"), "sha256"},
	{MANIFEST("{\"path\":\"bin/monocore\",\"mode\":493,\"size\":1073741825,\"sha256\":\"" HASH "\"}"),
		"1 GiB"},
};

TEST(a_manifest_that_says_what_none_may_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_release_ struct release release = {0};
		struct error err;

		if (release_parse(wrong[i].text, strlen(wrong[i].text), &release, &err) == 0)
			test_fail(__FILE__, __LINE__, "this is a manifest: %s", wrong[i].text);
		else if (!strstr(err.text, wrong[i].says))
			test_fail(__FILE__, __LINE__, "%s: %s", wrong[i].text, err.text);
	}
}
