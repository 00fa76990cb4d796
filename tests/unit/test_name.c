/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images in registries: docker's grammar, what is refused and what the refusal says. */
#include "test.h"

#include <stdlib.h>

#include "base/text.h"
#include "oci/name.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* text, default registry, canonical, familiar with the same default */
static const struct {
	const char *text, *fallback, *canonical, *familiar;
} good[] = {
	{"alpine", NULL, "docker.io/library/alpine:latest", "alpine:latest"},
	{"alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"library/alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"docker.io/alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"docker.io/library/alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"index.docker.io/alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"registry-1.docker.io/library/alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"Docker.IO/alpine:3", NULL, "docker.io/library/alpine:3", "alpine:3"},
	{"acme/x", NULL, "docker.io/acme/x:latest", "acme/x:latest"},
	{"acme/x/y:1", NULL, "docker.io/acme/x/y:1", "acme/x/y:1"},
	{"library/x/y:1", NULL, "docker.io/library/x/y:1", "library/x/y:1"},
	{"library/library:1", NULL, "docker.io/library/library:1", "library:1"},
	/* digests */
	{"alpine@sha256:" HEX, NULL, "docker.io/library/alpine@sha256:" HEX, "alpine@sha256:" HEX},
	{"alpine:3@sha256:" HEX, NULL, "docker.io/library/alpine:3@sha256:" HEX, "alpine:3@sha256:" HEX},
	{"docker.io/library/alpine:3@sha256:" HEX, NULL, "docker.io/library/alpine:3@sha256:" HEX,
		"alpine:3@sha256:" HEX},
	/* registries */
	{"ghcr.io/acme/x:v1.2", NULL, "ghcr.io/acme/x:v1.2", "ghcr.io/acme/x:v1.2"},
	{"quay.io/x", NULL, "quay.io/x:latest", "quay.io/x:latest"},
	{"localhost/x", NULL, "localhost/x:latest", "localhost/x:latest"},
	{"LOCALHOST/x", NULL, "localhost/x:latest", "localhost/x:latest"},
	{"localhost:5000/a/b", NULL, "localhost:5000/a/b:latest", "localhost:5000/a/b:latest"},
	{"localhost", NULL, "docker.io/library/localhost:latest", "localhost:latest"},
	{"localhost:5000", NULL, "docker.io/library/localhost:5000", "localhost:5000"},
	{"example.com:5000", NULL, "docker.io/library/example.com:5000", "example.com:5000"},
	{"a:5000/b:c", NULL, "a:5000/b:c", "a:5000/b:c"},
	{"Registry/x", NULL, "Registry/x:latest", "Registry/x:latest"},
	{"REG.Corp:443/x", NULL, "reg.corp:443/x:latest", "reg.corp:443/x:latest"},
	{"127.0.0.1:5000/x", NULL, "127.0.0.1:5000/x:latest", "127.0.0.1:5000/x:latest"},
	{"[::1]/x", NULL, "[::1]/x:latest", "[::1]/x:latest"},
	{"[::1]:5000/a/b:1", NULL, "[::1]:5000/a/b:1", "[::1]:5000/a/b:1"},
	{"[2001:DB8::1]:5000/x", NULL, "[2001:db8::1]:5000/x:latest", "[2001:db8::1]:5000/x:latest"},
	{"xn--n3h.com/x", NULL, "xn--n3h.com/x:latest", "xn--n3h.com/x:latest"},
	/* components and their separators */
	{"a.b/c", NULL, "a.b/c:latest", "a.b/c:latest"},
	{"x/a.b_c__d-e---f", NULL, "docker.io/x/a.b_c__d-e---f:latest", "x/a.b_c__d-e---f:latest"},
	{"0/1", NULL, "docker.io/0/1:latest", "0/1:latest"},
	{"a/b/c/d/e/f", NULL, "docker.io/a/b/c/d/e/f:latest", "a/b/c/d/e/f:latest"},
	/* tags */
	{"x:_.-A", NULL, "docker.io/library/x:_.-A", "x:_.-A"},
	{"x:" HEX HEX, NULL, "docker.io/library/x:" HEX HEX, "x:" HEX HEX}, /* 128 */
	{"x:" HEX, NULL, "docker.io/library/x:" HEX, "x:" HEX},
	/* another default */
	{"x", "quay.io", "quay.io/x:latest", "x:latest"},
	{"acme/x", "quay.io", "quay.io/acme/x:latest", "acme/x:latest"},
	{"alpine", "docker.io", "docker.io/library/alpine:latest", "alpine:latest"},
	{"alpine", "index.docker.io", "docker.io/library/alpine:latest", "alpine:latest"},
	{"docker.io/alpine", "quay.io", "docker.io/library/alpine:latest", "docker.io/library/alpine:latest"},
	{"library/alpine", "quay.io", "quay.io/library/alpine:latest", "library/alpine:latest"},
	{"quay.io/localhost/x", "quay.io", "quay.io/localhost/x:latest", "quay.io/localhost/x:latest"},
	{"quay.io/a.b/x", "quay.io", "quay.io/a.b/x:latest", "quay.io/a.b/x:latest"},
	{"x/y", "[::1]:5000", "[::1]:5000/x/y:latest", "x/y:latest"},
};

TEST(a_name_means_what_docker_means_by_it)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_name_ struct name n = {0};
		_cleanup_free_ char *text = NULL, *familiar = NULL;
		struct error err = {0};

		if (name_parse(good[i].text, good[i].fallback, &n, &err) < 0)
			test_fail(__FILE__, __LINE__, "%s: %s", good[i].text, err.text);
		text = name_text(&n, &err);
		CHECK_TEXT(text, good[i].canonical);
		familiar = name_familiar(text, good[i].fallback, &err);
		CHECK_TEXT(familiar, good[i].familiar);
	}
}

TEST(the_parts_of_a_name_are_told_apart)
{
	_cleanup_name_ struct name n = {0}, bare = {0};
	struct error err;

	CHECK_OK(name_parse("[::1]:5000/a/b:1@sha256:" HEX, NULL, &n, &err));
	CHECK_TEXT(n.registry, "[::1]:5000");
	CHECK_TEXT(n.repository, "a/b");
	CHECK_TEXT(n.tag, "1");
	CHECK_TEXT(n.digest, "sha256:" HEX);
	CHECK_OK(name_parse("alpine@sha256:" HEX, NULL, &bare, &err));
	CHECK_TEXT(bare.registry, "docker.io");
	CHECK_TEXT(bare.repository, "library/alpine");
	CHECK_TEXT(bare.tag, "");
}

/* text, what the error says of it */
static const struct {
	const char *text, *says;
} bad[] = {
	{"", "empty"},
	{"Alpine", "lower case: did you mean 'alpine'?"},
	{"Alpine:RC1", "did you mean 'alpine:RC1'?"},
	{"library/Alpine", "did you mean 'library/alpine'?"},
	{"ghcr.io/Acme/X:V1@sha256:" HEX, "did you mean 'ghcr.io/acme/x:V1@sha256:" HEX "'?"},
	{HEX, "NAME@sha256:" HEX},
	{"sha256:" HEX, "NAME@sha256:" HEX},
	{"https://ghcr.io/acme/x", "did you mean 'ghcr.io/acme/x'?"},
	{"docker://alpine", "starts without 'docker://': did you mean 'alpine'?"},
	{"/alpine", "a part between slashes is empty"},
	{"a//b", "a part between slashes is empty"},
	{"a/", "a part between slashes is empty"},
	{"quay.io/", "the name of the repository is missing"},
	{":3", "the name of the repository is missing"},
	{"@sha256:" HEX, "the name of the repository is missing"},
	{"-a", "starts with"},
	{"a/.b", "starts with"},
	{"a-", "ends with"},
	{"a_/b", "ends with"},
	{"a..b", "one '.'"},
	{"a___b", "one or two '_'"},
	{"a._b", "one '.'"},
	{"a-_b", "one '.'"},
	{"a b", "other than a-z"},
	{"a\x1b[31m", "other than a-z"},
	{"\xc3\xa9", "other than a-z"},
	{"a+b", "other than a-z"},
	{"a:b:c", "the tag 'b:c'"},
	{"a/b:c/d", "other than a-z"},
	{"a:", "the tag behind ':' is empty"},
	{"a:.b", "the tag '.b'"},
	{"a:-b", "the tag '-b'"},
	{"a:b c", "the tag 'b c'"},
	{"a:b+c", "the tag 'b+c'"},
	{"a@", "a digest: sha256: and 64"},
	{"a@sha256:abc", "a digest: sha256: and 64"},
	{"a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "in lower case"},
	{"a@sha256:" HEX "0", "a digest: sha256: and 64"},
	{"a@sha256:" HEX "@sha256:" HEX, "a digest: sha256: and 64"},
	{"a@sha512:" HEX HEX, "only digests of sha256"},
	{"a@b", "a digest: sha256: and 64"},
	{"a.:5000/x", "a part of its host is empty"},
	{"a..b/x", "a part of its host is empty"},
	{".a/x", "a part of its host is empty"},
	{"-a.b/x", "starts or ends with '-'"},
	{"a-.b/x", "starts or ends with '-'"},
	{"a_b.c/x", "its host is not of letters"},
	{"user:pw@reg.io/x", "a digest"},
	{"a:0/x", "1 to 65535"},
	{"a:65536/x", "1 to 65535"},
	{"a:/x", "1 to 65535"},
	{"a:b/x", "1 to 65535"},
	{":5000/x", "a part of its host is empty"},
	{"::1/x", "in brackets"},
	{"[::1/x", "a ']' is missing"},
	{"[::1]5000/x", "behind the ']'"},
	{"[::1]:/x", "1 to 65535"},
	{"[1]:5/x", "no IPv6 address"},
	{"[fe80::1%25eth0]:5/x", "no IPv6 address"},
	{"[::ffff:1.2.3.4]:5/x", "no IPv6 address"},
	{"[]:5/x", "no IPv6 address"},
};

TEST(a_name_that_is_none_is_refused_with_text_and_reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct name n;
		struct error err = {0};
		int r = name_parse(bad[i].text, NULL, &n, &err);

		if (r != -ERROR_INVALID || !strstr(err.text, bad[i].says))
			test_fail(__FILE__, __LINE__, "'%s': %d, %s", bad[i].text, r, err.text);
		CHECK(!n.registry && !n.repository && !n.tag && !n.digest);
		if (*bad[i].text && !strchr(bad[i].text, '\x1b') && !strstr(err.text, bad[i].text))
			test_fail(__FILE__, __LINE__, "'%s' is not named: %s", bad[i].text, err.text);
		CHECK(!strchr(err.text, '\x1b'));
	}
}

TEST(what_is_too_long_is_refused)
{
	char text[4000];
	struct name n;
	struct error err;

	memset(text, 'a', sizeof text);
	text[255 - strlen("library/")] = 0;
	CHECK_OK(name_parse(text, NULL, &n, &err)); /* library/ counts */
	name_free(&n);
	text[255 - strlen("library/")] = 'a';
	text[256 - strlen("library/")] = 0;
	CHECK_ERROR(name_parse(text, NULL, &n, &err), ERROR_LIMIT);
	CHECK_OK(name_parse(text, "quay.io", &n, &err));
	name_free(&n);
	CHECK_ERROR(name_parse("x:" HEX HEX "0", NULL, &n, &err), ERROR_LIMIT);
	text[256 - strlen("library/")] = 'a';
	text[sizeof text - 1] = 0;
	CHECK_ERROR(name_parse(text, NULL, &n, &err), ERROR_LIMIT);
	text[254] = '.';
	text[255] = '/';
	text[257] = 0;
	CHECK_ERROR(name_parse(text, NULL, &n, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "too long"));
}

TEST(a_default_registry_that_is_none_is_refused)
{
	static const char *const registries[] = {"", "plain", "https://quay.io", "quay.io/acme", "a b.c"};
	struct name n;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(registries); i++)
		CHECK_ERROR(name_parse("x", registries[i], &n, &err), ERROR_INVALID);
}

TEST(a_prefix_is_a_registry_and_a_part_of_its_repositories)
{
	static const struct {
		const char *text, *registry, *repository; /* NULL: refused */
	} rows[] = {
		{"docker.io", "docker.io", ""},
		{"index.docker.io/library", "docker.io", "library"},
		{"ghcr.io/acme/team", "ghcr.io", "acme/team"},
		{"registry/x", "registry", "x"},
		{"[::1]:5000", "[::1]:5000", ""},
		{"GHCR.io", "ghcr.io", ""},
		{"ghcr.io/", NULL, NULL},
		{"ghcr.io/Acme", NULL, NULL},
		{"ghcr.io/a:1", NULL, NULL},
		{"https://ghcr.io", NULL, NULL},
		{"*.ghcr.io", NULL, NULL},
		{"", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *registry = NULL, *repository = NULL;
		struct error err = {0};
		int r = name_parse_prefix(rows[i].text, &registry, &repository, &err);

		if (!rows[i].registry) {
			CHECK_INT(r, -ERROR_INVALID);
			CHECK(strstr(err.text, rows[i].text) && !registry && !repository);
			continue;
		}
		CHECK_OK(r);
		CHECK_TEXT(registry, rows[i].registry);
		CHECK_TEXT(repository, rows[i].repository);
	}
}
