/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of registries: where a name leads, and how a mistake in the files is named. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "oci/registries.h"
#include "os/fs.h"

/* A home and a system's file in a folder that goes with the test. */
struct scene {
	char folder[64];
	char *system, *file;
};

static void put(const char *path, const char *text, mode_t mode)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
}

static struct scene scene_make(const char *system, const char *home)
{
	struct scene s = {.folder = "/tmp/test-registries-XXXXXX"};

	CHECK(mkdtemp(s.folder));
	s.system = text_format(NULL, "%s/system.json", s.folder);
	s.file = text_format(NULL, "%s/registries.json", s.folder);
	if (system)
		put(s.system, system, 0644);
	if (home)
		put(s.file, home, 0644);
	return s;
}

static void scene_end(struct scene *s)
{
	fs_remove_tree(AT_FDCWD, s->folder, NULL);
	free(s->system);
	free(s->file);
}

static int load(const char *system, const char *home, struct registries **r, struct error *err)
{
	struct scene s = scene_make(system, home);
	int result = registries_load_from(s.system, s.folder, r, err);

	scene_end(&s);
	return result;
}

/* "host repository flags" of each endpoint, one behind the other. */
static char *resolve(const struct registries *r, const char *text, struct error *err)
{
	_cleanup_name_ struct name n = {0};
	struct endpoint *list;
	char *all = NULL;
	size_t count;

	if (name_parse(text, registries_default(r), &n, err) < 0 ||
		registries_resolve(r, &n, &list, &count, err) < 0)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		char *more = text_format(err, "%s%s%s/%s %s%s%s%s%s", all ? all : "", all ? ", " : "",
			list[i].host, list[i].repository, list[i].registry, list[i].plain_http ? " http" : "",
			list[i].insecure ? " insecure" : "", list[i].mirror ? " mirror" : "",
			list[i].ca_file);

		free(all);
		all = more;
	}
	endpoints_free(list, count);
	return all;
}

TEST(without_any_file_docker_hub_is_the_default)
{
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	_cleanup_free_ char *hub = NULL, *other = NULL;
	struct error err;

	CHECK_OK(load(NULL, NULL, &r, &err));
	CHECK_TEXT(registries_default(r), "docker.io");
	hub = resolve(r, "alpine", &err);
	CHECK_TEXT(hub, "registry-1.docker.io/library/alpine docker.io");
	other = resolve(r, "localhost:5000/a/b", &err);
	CHECK_TEXT(other, "localhost:5000/a/b localhost:5000");
}

TEST(a_name_leads_where_the_longest_key_says)
{
	static const struct {
		const char *text, *places;
	} rows[] = {
		{"sandboxes.io/x", "ghcr.io/acme/x ghcr.io"},
		{"sandboxes.io/x/y:1", "ghcr.io/acme/x/y ghcr.io"},
		{"sandboxes.io/special/y", "quay.io/y quay.io"},
		{"sandboxes.io/specials/y", "ghcr.io/acme/specials/y ghcr.io"},
		{"sandboxes.io/hub/y", "mirror.local:5000/library/y mirror.local:5000 http mirror, "
				       "registry-1.docker.io/library/y docker.io"},
		/* mirrors first, with their own settings and names */
		{"alpine", "mirror.local:5000/library/alpine mirror.local:5000 http mirror, "
			   "registry-1.docker.io/library/alpine docker.io"},
		{"acme/x", "m.two/hub/x m.two insecure mirror/ca.pem, registry-1.docker.io/acme/x docker.io"},
		/* each setting by the longest key that has it */
		{"reg.corp/x", "reg.corp/x reg.corp/corp.pem"},
		{"reg.corp/team/x", "reg.corp/team/x reg.corp insecure/corp.pem"},
		{"reg.corp/team/safe/x", "reg.corp/team/safe/x reg.corp/corp.pem"},
		{"10.0.0.5:5000/x", "10.0.0.5:5000/x 10.0.0.5:5000 http"},
		{"10.0.0.5:5001/x", "10.0.0.5:5001/x 10.0.0.5:5001"},
		{"[::1]:5000/x", "[::1]:5000/x [::1]:5000 http"},
		/* from mapping to mapping */
		{"one.test/x", "three.test/b/a/x three.test"},
	};
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	struct error err;

	CHECK_OK(load("{\"registries\":{\"sandboxes.io\":{\"to\":\"example.com\"},"
		      "\"index.docker.io\":{\"mirrors\":[\"mirror.local:5000\"]}}}",
		"{\"default\":\"docker.io\",\"registries\":{\"sandboxes.io\":{\"to\":\"ghcr.io/acme\"},"
		"\"sandboxes.io/special\":{\"to\":\"quay.io\"},\"sandboxes.io/hub\":{\"to\":\"docker.io\"},"
		"\"docker.io/acme\":{\"mirrors\":[\"m.two/hub\"]},"
		"\"m.two/hub\":{\"insecure\":true},\"m.two\":{\"ca_file\":\"/ca.pem\"},"
		"\"mirror.local:5000\":{\"plain_http\":true},"
		"\"reg.corp\":{\"ca_file\":\"/corp.pem\"},\"reg.corp/team\":{\"insecure\":true},"
		"\"reg.corp/team/safe\":{\"insecure\":false},"
		"\"10.0.0.5:5000\":{\"plain_http\":true},\"[::1]:5000\":{\"plain_http\":true},"
		"\"one.test\":{\"to\":\"two.test/a\"},\"two.test\":{\"to\":\"three.test/b\"}}}",
		&r, &err));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *places = resolve(r, rows[i].text, &err);

		CHECK_TEXT(places, rows[i].places);
	}
}

TEST(the_homes_file_replaces_keys_and_the_default)
{
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	_cleanup_free_ char *plain = NULL, *kept = NULL;
	struct error err;

	CHECK_OK(load("{\"default\":\"quay.io\",\"registries\":{\"a.b\":{\"plain_http\":true},"
		      "\"c.d\":{\"insecure\":true}}}",
		"{\"default\":\"LOCALHOST:5000\",\"registries\":{\"a.b\":{}}}", &r, &err));
	CHECK_TEXT(registries_default(r), "localhost:5000");
	plain = resolve(r, "a.b/x", &err);
	CHECK_TEXT(plain, "a.b/x a.b");
	kept = resolve(r, "c.d/x", &err);
	CHECK_TEXT(kept, "c.d/x c.d insecure");
}

TEST(our_name_space_without_a_mapping_says_what_to_write_where)
{
	static const char *const texts[] = {"sandboxes.io/acme/x", "mapped.test/x", "mirrored.test/x"};
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	struct scene s = scene_make(NULL, "{\"registries\":{\"mapped.test\":{\"to\":\"sandboxes.io\"},"
					  "\"sandboxes.io\":{\"insecure\":true},"
					  "\"mirrored.test\":{\"mirrors\":[\"sandboxes.io\"]}}}");
	struct error err;
	int result = registries_load_from(NULL, s.folder, &r, &err);

	scene_end(&s);
	CHECK_OK(result);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CHECK(!resolve(r, texts[i], &err));
		CHECK_INT(err.code, ERROR_UNAVAILABLE);
		CHECK(strstr(
			err.text, "{\"registries\": {\"sandboxes.io\": {\"to\": \"ghcr.io/OWNER\"}}} into "));
		CHECK(strstr(err.text, s.folder) && strstr(err.text, texts[i]) &&
			text_ends(err.text, "/registries.json"));
	}
}

TEST(a_mapping_must_leave_a_repository)
{
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	_cleanup_free_ char *deep = NULL, *long_name = NULL;
	char path[256] = "";
	struct error err;

	memset(path, 'a', 250);
	CHECK_OK(load(NULL, "{\"registries\":{\"a.b/x\":{\"to\":\"c.d\"},\"e.f\":{\"to\":\"g.h/longer\"}}}",
		&r, &err));
	CHECK(!resolve(r, "a.b/x", &err) && strstr(err.text, "no repository"));
	deep = resolve(r, "a.b/x/y", &err);
	CHECK_TEXT(deep, "c.d/y c.d");
	long_name = text_format(&err, "e.f/%s", path);
	CHECK(!resolve(r, long_name, &err) && err.code == ERROR_INVALID && strstr(err.text, "255"));
}

TEST(mappings_in_a_circle_are_an_error_that_names_file_and_key)
{
	static const char *const circles[] = {
		"{\"registries\":{\"a.b\":{\"to\":\"a.b/c\"}}}",
		"{\"registries\":{\"a.b\":{\"to\":\"c.d\"},\"c.d\":{\"to\":\"a.b\"}}}",
		"{\"registries\":{\"a.b\":{\"to\":\"c.d/x\"},\"c.d/"
		"x\":{\"to\":\"e.f\"},\"e.f\":{\"to\":\"a.b/y\"}}}",
	};
	struct registries *r;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(circles); i++) {
		CHECK_ERROR(load(NULL, circles[i], &r, &err), ERROR_INVALID);
		CHECK(!r && strstr(err.text, "registries.json: ") && strstr(err.text, "circle") &&
			strstr(err.text, "'a.b'"));
	}
}

TEST(a_mapping_that_a_name_would_take_twice_is_an_error)
{
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	_cleanup_free_ char *other = NULL;
	struct error err;

	CHECK_OK(load(
		NULL, "{\"registries\":{\"a.b\":{\"to\":\"c.d\"},\"c.d/x\":{\"to\":\"a.b\"}}}", &r, &err));
	CHECK(!resolve(r, "a.b/x/y", &err) && err.code == ERROR_INVALID && strstr(err.text, "circle"));
	other = resolve(r, "a.b/z", &err);
	CHECK_TEXT(other, "c.d/z c.d");
}

/* file, what the error says behind the file's name */
static const struct {
	const char *json, *says;
} bad[] = {
	{"", ":1:0: "},
	{"{\n\t\"default\": \"quay.io\",\n\t\"registries\": {]\n}", ":3:17: "},
	{"[]", ": not a JSON object"},
	{"{\"a\":1,\"a\":2}", "duplicate"},
	{"{\"registry\":{}}", ": unknown member 'registry': did you mean 'registries'?"},
	{"{\"xyzzy\":{}}", ": unknown member 'xyzzy'"},
	{"{\"default\":1}", ": default is not a string"},
	{"{\"default\":\"plain\"}", ": default: 'plain' is no registry"},
	{"{\"default\":\"\"}", ": default: '' is no registry"},
	{"{\"default\":\"quay.io/acme\"}", ": default: 'quay.io/acme' is no registry"},
	{"{\"registries\":[]}", ": registries is not an object"},
	{"{\"registries\":{\"a.b\":1}}", ": registries: 'a.b': not an object"},
	{"{\"registries\":{\"a.b\":{\"mirror\":[]}}}",
		": registries: 'a.b': unknown member 'mirror': did you mean 'mirrors'?"},
	{"{\"registries\":{\"a.b\":{\"plain-http\":true}}}", "did you mean 'plain_http'?"},
	{"{\"registries\":{\"a.b\":{\"plain_http\":\"yes\"}}}",
		"'a.b': plain_http is neither true nor false"},
	{"{\"registries\":{\"a.b\":{\"insecure\":1}}}", "'a.b': insecure is neither true nor false"},
	{"{\"registries\":{\"a.b\":{\"mirrors\":\"c.d\"}}}", "'a.b': mirrors is not a list"},
	{"{\"registries\":{\"a.b\":{\"mirrors\":[1]}}}", "'a.b': mirrors is not a list"},
	{"{\"registries\":{\"a.b\":{\"mirrors\":[\"https://c.d\"]}}}", "'a.b': 'https://c.d'"},
	{"{\"registries\":{\"a.b\":{\"ca_file\":\"ca.pem\"}}}", "'a.b': ca_file is no path"},
	{"{\"registries\":{\"a.b\":{\"to\":\"http://c.d\"}}}",
		"'a.b': 'http://c.d': a registry stands here without"},
	{"{\"registries\":{\"a.b\":{\"to\":\"c.d\",\"insecure\":true}}}", "'a.b': 'to' stands alone"},
	{"{\"registries\":{\"a.b\":{\"to\":\"c.d/X\"}}}", "'c.d/X'"},
	{"{\"registries\":{\"a b\":{}}}", ": registries: 'a b': "},
	{"{\"registries\":{\"docker.io\":{},\"index.docker.io\":{}}}",
		": registries: 'docker.io' is there twice"},
};

TEST(a_mistake_is_named_with_its_file_and_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad) * 2; i++) {
		struct scene s = scene_make(i % 2 ? bad[i / 2].json : NULL, i % 2 ? NULL : bad[i / 2].json);
		struct registries *r;
		struct error err = {0};
		int result = registries_load_from(s.system, s.folder, &r, &err);
		bool named = text_starts(err.text, i % 2 ? s.system : s.file);

		scene_end(&s);
		if (result != -ERROR_INVALID || r || !named || !strstr(err.text, bad[i / 2].says))
			test_fail(__FILE__, __LINE__, "%s: %d, %s", bad[i / 2].json, result, err.text);
	}
}

TEST(a_file_that_others_may_write_is_refused)
{
	static const mode_t modes[] = {0666, 0664, 0646};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct scene s = scene_make(NULL, NULL);
		struct registries *r;
		struct error err;
		int result;

		put(s.file, "{}", modes[i]);
		result = registries_load_from(NULL, s.folder, &r, &err);
		scene_end(&s);
		CHECK_INT(result, -ERROR_DENIED);
		CHECK(!r && strstr(err.text, "chmod go-w"));
	}
}

TEST(what_is_no_file_does_not_hang)
{
	struct scene s = scene_make(NULL, NULL);
	struct registries *r;
	struct error err;
	int result;

	CHECK(mkfifo(s.file, 0600) == 0);
	result = registries_load_from(NULL, s.folder, &r, &err);
	scene_end(&s);
	CHECK_INT(result, -ERROR_INVALID);
}

TEST(a_file_without_end_is_refused)
{
	struct scene s = scene_make(NULL, "{}");
	struct registries *r;
	struct error err;
	int result;

	CHECK(truncate(s.file, (off_t)1 << 32) == 0);
	result = registries_load_from(NULL, s.folder, &r, &err);
	scene_end(&s);
	CHECK_INT(result, -ERROR_LIMIT);
}
