/* SPDX-License-Identifier: Apache-2.0 */
/* What reads registries' answers, names and configuration when memory runs out: each allocation fails once,
 * in its turn, and the call fails, leaks nothing and gives out nothing. */
#include "test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/challenge.h"
#include "codec/docker_config.h"
#include "codec/http_headers.h"
#include "codec/registry_json.h"
#include "fault.h"
#include "oci/name.h"
#include "oci/registries.h"
#include "os/fs.h"

static void *library_malloc(size_t n)
{
	return malloc(n);
}

static void library_free(void *p)
{
	free(p);
}

static void each_allocation(const char *name, int (*call)(struct error *err))
{
	struct error err = {0};
	bool happened = true;

	json_set_alloc_funcs(library_malloc, library_free);
	CHECK_OK(call(&err));
	for (unsigned n = 1; happened; n++) {
		long before = fault_blocks(), after;
		int r;

		fault_disarm();
		fault_arm(FAULT_MEMORY, n);
		r = call(&err);
		happened = fault_happened();
		fault_disarm();
		after = fault_blocks();
		if (happened && r >= 0)
			test_fail(__FILE__, __LINE__, "%s: allocation %u was not missed", name, n);
		if (after != before)
			test_fail(__FILE__, __LINE__, "%s: allocation %u: %ld blocks are left", name, n,
				after - before);
		CHECK(n < 2000);
	}
}

#define JSON_OF(text) text, strlen(text)

static int read_tokens(struct error *err)
{
	struct registry_token t;
	int r = registry_token_parse(
		JSON_OF("{\"token\":\"a\",\"refresh_token\":\"b\",\"expires_in\":60}"), &t, err);

	if (r == 0)
		registry_token_free(&t);
	return r;
}

static int read_lists(struct error *err)
{
	char **tags = NULL, **names = NULL;
	int r = registry_tags_parse(JSON_OF("{\"name\":\"a\",\"tags\":[\"1\",\"2\"]}"), &tags, err);

	text_list_free(tags);
	if (r == 0)
		r = registry_catalog_parse(JSON_OF("{\"repositories\":[\"a/b\",\"c\"]}"), &names, err);
	text_list_free(names);
	return r;
}

static int read_results(struct error *err)
{
	struct registry_search s;
	int r = registry_search_parse(
		JSON_OF("{\"results\":[{\"name\":\"a\",\"description\":\"b\",\"star_count\":1},"
			"{\"name\":\"c\",\"namespace\":{\"name\":\"d\"},\"kind\":\"repository\"}]}"),
		&s, err);

	if (r == 0)
		registry_search_free(&s);
	return r;
}

static int read_headers(struct error *err)
{
	_cleanup_challenges_ struct challenges c = {0};
	static const char value[] =
		"Basic realm=\"x\", Bearer realm=\"https://a/\\\"b\",service=s,scope=\"repository:a:pull\"";
	char *target = NULL;
	int r = challenges_add(&c, value, strlen(value), err);

	if (r == 0)
		r = http_link_next(JSON_OF("</a>; rel=\"prev\", </b?c>; rel=\"next\""), &target, err);
	free(target);
	return r;
}

static int read_names(struct error *err)
{
	static const char *const names[] = {"alpine", "[::1]:5000/a/b:c",
		"quay.io/a:1@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		_cleanup_name_ struct name n = {0};
		_cleanup_free_ char *text = NULL;

		r = name_parse(names[i], "docker.io", &n, err);
		if (r == 0 && !(text = name_text(&n, err)))
			r = -ERROR_NO_MEMORY;
	}
	return r;
}

static int read_docker(struct error *err)
{
	static const char text[] =
		"{\"auths\":{\"a.b\":{\"auth\":\"dTpw\"},\"c.d\":{\"identitytoken\":\"t\"}},"
		"\"credHelpers\":{\"e.f\":\"h\"},\"credsStore\":\"s\"}";
	struct docker_auth auth = {.key = (char[]){"x.y"},
		.username = (char[]){"u"},
		.password = (char[]){"p"},
		.identity_token = (char[]){""},
		.registry_token = (char[]){""}};
	_cleanup_buffer_ struct buffer out = {0};
	struct docker_config c;
	int r = docker_config_parse(text, strlen(text), "f", &c, err);

	if (r == 0)
		docker_config_free(&c);
	if (r == 0)
		r = docker_config_set(text, strlen(text), "f", &auth, &out, err);
	return r;
}

static char home[] = "/tmp/test-fault-registry-XXXXXX";

static int read_registries(struct error *err)
{
	struct registries *r = NULL;
	struct endpoint *list = NULL;
	_cleanup_name_ struct name n = {0};
	size_t count = 0;
	int result = registries_load_from(NULL, home, &r, err);

	if (result == 0)
		result = name_parse("sandboxes.io/x", registries_default(r), &n, err);
	if (result == 0)
		result = registries_resolve(r, &n, &list, &count, err);
	endpoints_free(list, count);
	if (r)
		registries_free(r);
	return result;
}

TEST(answers_of_registries_survive_the_loss_of_any_allocation)
{
	each_allocation("read_tokens", read_tokens);
	each_allocation("read_lists", read_lists);
	each_allocation("read_results", read_results);
	each_allocation("read_headers", read_headers);
}

TEST(names_and_credentials_survive_the_loss_of_any_allocation)
{
	each_allocation("read_names", read_names);
	each_allocation("read_docker", read_docker);
}

TEST(the_configuration_survives_the_loss_of_any_allocation)
{
	static const char text[] =
		"{\"default\":\"quay.io\",\"registries\":{\"sandboxes.io\":{\"to\":\"a.b/c\"},"
		"\"a.b\":{\"mirrors\":[\"m:1\",\"n.o/p\"],\"ca_file\":\"/"
		"x\"},\"m:1\":{\"plain_http\":true}}}";
	_cleanup_free_ char *path = NULL;
	struct error err = {0};

	CHECK(mkdtemp(home));
	path = text_format(&err, "%s/" REGISTRIES_FILE, home);
	CHECK(path);
	{
		_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	}
	each_allocation("read_registries", read_registries);
	fs_remove_tree(AT_FDCWD, home, NULL);
}
