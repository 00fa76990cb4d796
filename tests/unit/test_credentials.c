/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as docker keeps them: the file, its keys, helpers that are programs, and what is refused. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/base64.h"
#include "codec/docker_config.h"
#include "oci/credentials.h"
#include "oci/credentials_helper.h"
#include "os/fs.h"

/* ---- a folder that is DOCKER_CONFIG and the first of PATH ------------------------------------------- */

static char folder[64];

static char *in_folder(const char *name)
{
	return text_format(NULL, "%s/%s", folder, name);
}

static void put(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = in_folder(name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
}

/* All of a file; "" where it is not there. The caller frees it. */
static char *get(const char *name)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_free_ char *path = in_folder(name);

	CHECK(buffer_reserve(&bytes, 1));
	fs_read_file(AT_FDCWD, path, 1 << 20, &bytes, NULL);
	return buffer_take_text(&bytes);
}

static mode_t mode_of(const char *name)
{
	_cleanup_free_ char *path = in_folder(name);
	struct stat s;

	CHECK(lstat(path, &s) == 0);
	return s.st_mode & 07777;
}

static void begin(const char *config)
{
	_cleanup_free_ char *path = NULL;

	strcpy(folder, "/tmp/test-credentials-XXXXXX");
	CHECK(mkdtemp(folder));
	path = text_format(NULL, "%s:/usr/local/bin:/usr/bin:/bin", folder);
	CHECK(setenv("DOCKER_CONFIG", folder, 1) == 0 && setenv("PATH", path, 1) == 0);
	if (config)
		put("config.json", config, 0600);
}

static void end(void)
{
	fs_remove_tree(AT_FDCWD, folder, NULL);
}

/* "user|password|identity token|registry token", or the error's name. The caller frees it. */
static char *who(const char *registry, const char *repository)
{
	_cleanup_credentials_ struct credentials c = {0};
	struct error err;
	int r = credentials_get(registry, repository, &c, &err);

	if (r < 0)
		return text_copy(error_name(r), NULL);
	return text_format(NULL, "%s|%s|%s|%s", c.username, c.password, c.identity_token, c.registry_token);
}

static void check_who(const char *registry, const char *repository, const char *expected)
{
	_cleanup_free_ char *is = who(registry, repository);

	CHECK_TEXT(is, expected);
}

static int store(const char *registry, const char *user, const char *password, const char *token,
	char **where, struct error *err)
{
	struct credentials c = {(char *)user, (char *)password, (char *)token, (char *)""};

	return credentials_store(registry, &c, where, err);
}

/* A helper that keeps one server's credentials in a file, and writes down what it is asked. */
static const char helper_script[] =
	"#!/bin/sh\n"
	"kept=${0%/*}/kept\n"
	"input=$(cat)\n"
	"echo \"$1 $input\" >> \"${0%/*}/log\"\n"
	"case $1 in\n"
	"store) printf '%s' \"$input\" > \"$kept\" ;;\n"
	"get) if grep -q \"\\\"$input\\\"\" \"$kept\" 2>/dev/null; then cat \"$kept\"\n"
	"     else echo 'credentials not found in native keychain'; exit 1; fi ;;\n"
	"erase) rm \"$kept\" ;;\n"
	"esac\n";

/* ---- base64 ----------------------------------------------------------------------------------------- */

TEST(base64_is_that_of_the_rfc_and_nothing_else_is_read)
{
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
		{"\xff\xef\xbe", "/+++"}};
	static const char *const bad[] = {"Z", "Zg",
		"Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "=g==", "Zg==Zg==", "Zm9v\n", "Zm 9v", "Zm-_",
		"Zm9v=", "Zg=a"};
	uint8_t out[16];
	struct error err;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		_cleanup_free_ char *text = base64_encode(vectors[i][0], strlen(vectors[i][0]), &err);

		CHECK_TEXT(text, vectors[i][1]);
		CHECK(base64_decode(text, strlen(text), out, &n));
		CHECK(n == strlen(vectors[i][0]) && memcmp(out, vectors[i][0], n) == 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (base64_decode(bad[i], strlen(bad[i]), out, &n))
			test_fail(__FILE__, __LINE__, "'%s' was read", bad[i]);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

TEST(without_a_file_everybody_is_anonymous)
{
	_cleanup_credentials_ struct credentials c = {0};
	struct error err;

	begin(NULL);
	CHECK_OK(credentials_get("docker.io", "library/alpine", &c, &err));
	CHECK(credentials_anonymous(&c));
	put("config.json", "", 0600);
	check_who("docker.io", NULL, "|||");
	put("config.json", "{}\n", 0600);
	check_who("docker.io", NULL, "|||");
	end();
}

TEST(the_file_is_in_the_home_where_nothing_else_is_said)
{
	_cleanup_free_ char *home = getenv("HOME") ? text_copy(getenv("HOME"), NULL) : NULL, *path = NULL;

	begin(NULL);
	path = in_folder(".docker");
	CHECK(mkdir(path, 0700) == 0);
	put(".docker/config.json", "{\"auths\":{\"a.b\":{\"auth\":\"dTpw\"}}}", 0600);
	setenv("HOME", folder, 1);
	setenv("DOCKER_CONFIG", "", 1);
	check_who("a.b", NULL, "u|p||");
	unsetenv("DOCKER_CONFIG");
	check_who("a.b", NULL, "u|p||");
	if (home)
		setenv("HOME", home, 1);
	end();
}

TEST(every_form_of_an_entry_is_read)
{
	begin("{\"auths\":{"
	      "\"pair.io\":{\"auth\":\"dXNlcjpwYTpzcw==\",\"username\":\"old\",\"password\":\"old\"},"
	      "\"plain.io\":{\"username\":\"u\",\"password\":\"p\"},"
	      "\"padded.io\":{\"auth\":\"dTpwAAA=\"},"
	      "\"empty.io\":{\"auth\":\"dTo=\"},"
	      "\"identity.io\":{\"auth\":\"dTo=\",\"identitytoken\":\"it\"},"
	      "\"token.io\":{\"registrytoken\":\"rt\"},"
	      "\"none.io\":{\"email\":\"a@b\"},"
	      "\"broken.io\":{\"auth\":\"!\"},\"colonless.io\":{\"auth\":\"dXNlcg==\"},"
	      "\"zero.io\":{\"auth\":\"dQA6cA==\"}},\"unknown\":[1]}");
	check_who("pair.io", "x", "user|pa:ss||");
	check_who("plain.io", "x", "u|p||");
	check_who("padded.io", "x", "u|p||");
	check_who("empty.io", "x", "u|||");
	check_who("identity.io", "x", "u||it|");
	check_who("token.io", "x", "|||rt");
	check_who("none.io", "x", "|||");
	check_who("other.io", "x", "|||");
	/* One that cannot be read harms nobody else. */
	check_who("broken.io", "x", "INVALID");
	check_who("colonless.io", "x", "INVALID");
	check_who("zero.io", "x", "INVALID");
	end();
}

TEST(a_key_fits_as_docker_and_podman_mean_it)
{
	static const struct {
		const char *key, *registry, *repository;
		bool fits, whole;
	} rows[] = {
		{"https://index.docker.io/v1/", "docker.io", "library/x", true, true},
		{"index.docker.io", "docker.io", "", true, true},
		{"docker.io", "docker.io", "", true, true},
		{"https://registry-1.docker.io/v2/", "docker.io", "", true, true},
		{"docker.io/acme", "docker.io", "acme/x", true, false},
		{"docker.io/acme", "docker.io", "acme", true, false},
		{"docker.io/acme", "docker.io", "acmes/x", false, false},
		{"docker.io/acme", "docker.io", "", false, false},
		{"https://index.docker.io/v1/access-token", "docker.io", "", false, false},
		{"quay.io", "quay.io", "a/b", true, true},
		{"QUAY.io", "quay.io", "a/b", true, true},
		{"https://quay.io", "quay.io", "a/b", true, true},
		{"http://quay.io/", "quay.io", "a/b", true, true},
		{"https://quay.io/v1/", "quay.io", "a/b", true, true},
		{"https://quay.io/some/path", "quay.io", "a/b", true, true},
		{"quay.io/v2", "quay.io", "a/b", true, true},
		{"quay.io/a/", "quay.io", "a/b", true, false},
		{"quay.io/a/b", "quay.io", "a/b", true, false},
		{"quay.io/a/b/c", "quay.io", "a/b", false, false},
		{"quay.io:443", "quay.io", "a/b", false, false},
		{"localhost", "localhost:5000", "", false, false},
		{"localhost:5000", "localhost:5000", "", true, true},
		{"[::1]:5000", "[::1]:5000", "", true, true},
		{"index.docker.io", "quay.io", "", false, false},
		{"", "quay.io", "", false, false},
		{"https://", "quay.io", "", false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool whole;
		size_t fit = docker_config_fit(rows[i].key, rows[i].registry, rows[i].repository, &whole);

		if ((fit > 0) != rows[i].fits || whole != rows[i].whole)
			test_fail(__FILE__, __LINE__, "%s for %s: %zu, %d", rows[i].key, rows[i].registry,
				fit, whole);
	}
}

TEST(the_longest_key_counts_and_dockers_spelling_first)
{
	begin("{\"auths\":{\"docker.io\":{\"auth\":\"YTph\"},\"https://index.docker.io/v1/"
	      "\":{\"auth\":\"Yjpi\"},"
	      "\"index.docker.io\":{\"auth\":\"Yzpj\"},\"docker.io/acme\":{\"auth\":\"ZDpk\"},"
	      "\"docker.io/acme/team/x\":{\"auth\":\"ZTpl\"}}}");
	check_who("docker.io", "library/alpine", "b|b||");
	check_who("docker.io", "acme/y", "d|d||");
	check_who("docker.io", "acme/team/x", "e|e||");
	check_who("docker.io", "acme/team/xy", "d|d||");
	check_who("docker.io", NULL, "b|b||");
	end();
}

TEST(a_file_that_is_not_dockers_is_named_with_line_and_column)
{
	static const struct {
		const char *json, *says;
	} rows[] = {
		{"{\n\"auths\": }", "config.json:2:10: "},
		{"[]", "config.json: not a JSON object"},
		{"{\"auths\":[]}", "config.json: auths is not an object"},
		{"{\"auths\":{\"a\":1}}", "config.json: auths: 'a': not an object"},
		{"{\"auths\":{\"a\":{\"auth\":1}}}", "config.json: auths: 'a': auth is not a string"},
		{"{\"credHelpers\":1}", "config.json: credHelpers is not an object"},
		{"{\"credHelpers\":{\"a\":1}}", "config.json: credHelpers: 'a': not a string"},
		{"{\"credsStore\":1}", "config.json: credsStore is not a string"},
		{"{\"a\":1,\"a\":2}", "duplicate"},
	};
	struct credentials c;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(rows[i].json);
		CHECK_ERROR(credentials_get("a", "", &c, &err), ERROR_INVALID);
		CHECK(!c.username && strstr(err.text, rows[i].says) && strstr(err.text, folder));
		end();
	}
}

TEST(a_file_without_end_or_a_pipe_is_refused)
{
	_cleanup_free_ char *path = NULL;

	begin("{}");
	path = in_folder("config.json");
	CHECK(truncate(path, (off_t)1 << 32) == 0);
	check_who("a", "", "LIMIT");
	CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	check_who("a", "", "INVALID");
	end();
}

/* ---- writing ---------------------------------------------------------------------------------------- */

TEST(what_is_stored_is_read_and_all_else_stays_in_its_order)
{
	_cleanup_free_ char *where = NULL, *after = NULL, *path = NULL;
	struct error err;

	begin("{\"HttpHeaders\":{\"b\":\"1\",\"a\":[1.5,true,null]},\"auths\":{\"z.io\":{\"auth\":\"dTpw\","
	      "\"email\":\"e\"},"
	      "\"a.io\":{\"email\":\"  two  "
	      "spaces\",\"auth\":\"dTpw\",\"registrytoken\":\"r\",\"password\":\"p\"}},"
	      "\"experimental\":\"on\"}");
	CHECK_OK(store("a.io", "user", "pa:ss", "", &where, &err));
	path = in_folder("config.json");
	CHECK_TEXT(where, path);
	after = get("config.json");
	CHECK_TEXT(after, "{\n\t\"HttpHeaders\": {\n\t\t\"b\": \"1\",\n\t\t\"a\": "
			  "[\n\t\t\t1.5,\n\t\t\ttrue,\n\t\t\tnull\n\t\t]"
			  "\n\t},\n\t\"auths\": {\n\t\t\"z.io\": {\n\t\t\t\"auth\": "
			  "\"dTpw\",\n\t\t\t\"email\": \"e\"\n\t\t},\n"
			  "\t\t\"a.io\": {\n\t\t\t\"email\": \"  two  spaces\",\n\t\t\t\"auth\": "
			  "\"dXNlcjpwYTpzcw==\"\n\t\t}\n"
			  "\t},\n\t\"experimental\": \"on\"\n}");
	check_who("a.io", "x", "user|pa:ss||");
	check_who("z.io", "x", "u|p||");
	end();
}

TEST(a_login_makes_the_file_for_its_owner_only)
{
	_cleanup_free_ char *deep = NULL, *text = NULL;
	struct error err;

	begin(NULL);
	deep = in_folder("deep/er");
	setenv("DOCKER_CONFIG", deep, 1);
	umask(0);
	CHECK_OK(store("docker.io", "u", "p", "", NULL, &err));
	umask(022);
	CHECK_INT(mode_of("deep/er/config.json"), 0600);
	CHECK_INT(mode_of("deep/er"), 0700);
	text = get("deep/er/config.json");
	CHECK_TEXT(text, "{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": "
			 "\"dTpw\"\n\t\t}\n\t}\n}");
	check_who("docker.io", "library/x", "u|p||");
	end();
}

TEST(the_mode_of_the_file_becomes_no_weaker)
{
	static const mode_t modes[][2] = {{0644, 0600}, {0600, 0600}, {0400, 0400}, {0666, 0600}};
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		begin(NULL);
		put("config.json", "{}", modes[i][0]);
		CHECK_OK(store("a.io", "u", "p", "", NULL, &err));
		CHECK_INT(mode_of("config.json"), modes[i][1]);
		end();
	}
}

TEST(an_identity_token_is_kept_instead_of_a_password)
{
	struct error err;

	begin("{\"auths\":{\"a.io\":{\"auth\":\"dTpw\"}}}");
	CHECK_OK(store("a.io", "u", "", "token", NULL, &err));
	check_who("a.io", "", "u||token|");
	CHECK_OK(store("a.io", "u", "p", "", NULL, &err));
	check_who("a.io", "", "u|p||");
	end();
}

TEST(a_login_follows_a_link_of_the_user_and_keeps_it)
{
	_cleanup_free_ char *path = NULL, *other = NULL, *text = NULL;
	char target[8] = "";
	struct error err;

	begin(NULL);
	path = in_folder("config.json");
	other = in_folder("elsewhere");
	CHECK(mkdir(other, 0700) == 0);
	put("elsewhere/real", "{}", 0600);
	CHECK(symlink("elsewhere/real", path) == 0);
	CHECK_OK(store("a.io", "u", "p", "", NULL, &err));
	CHECK(readlink(path, target, sizeof target) == sizeof target && !memcmp(target, "elsewher", 8));
	text = get("elsewhere/real");
	CHECK(strstr(text, "dTpw"));
	check_who("a.io", "", "u|p||");
	/* One that leads nowhere is no place to keep a password. */
	CHECK(unlink(path) == 0 && symlink("nowhere", path) == 0);
	CHECK_ERROR(store("a.io", "u", "p", "", NULL, &err), ERROR_NOT_FOUND);
	end();
}

TEST(what_others_may_replace_is_no_place_for_a_password)
{
	struct error err;

	begin("{}");
	CHECK(chmod(folder, 0777) == 0);
	CHECK_ERROR(store("a.io", "u", "p", "", NULL, &err), ERROR_DENIED);
	CHECK(strstr(err.text, "chmod o-w"));
	CHECK(chmod(folder, 0700) == 0);
	end();
}

TEST(a_file_of_somebody_else_is_not_replaced)
{
	_cleanup_free_ char *path = NULL;
	struct error err;

	if (geteuid() != 0)
		return; /* only root can give a file away: the run as root shows it */
	begin("{}");
	path = in_folder("config.json");
	CHECK(chown(path, 12345, 12345) == 0);
	CHECK_ERROR(store("a.io", "u", "p", "", NULL, &err), ERROR_DENIED);
	CHECK(unlink(path) == 0 && symlink("/tmp/x", path) == 0 && lchown(path, 12345, 12345) == 0);
	CHECK_ERROR(store("a.io", "u", "p", "", NULL, &err), ERROR_DENIED);
	CHECK(unlink(path) == 0 && chown(folder, 12345, 12345) == 0);
	CHECK_ERROR(store("a.io", "u", "p", "", NULL, &err), ERROR_DENIED);
	end();
}

TEST(names_that_the_file_cannot_hold_are_refused_and_change_nothing)
{
	_cleanup_free_ char *text = NULL;
	struct error err;

	begin("{}");
	CHECK_ERROR(store("a.io", "u:v", "p", "", NULL, &err), ERROR_INVALID);
	CHECK_ERROR(store("a.io", "u", "", "\xff", NULL, &err), ERROR_INVALID);
	put("config.json", "{\"auths\":[]}", 0600);
	CHECK_ERROR(store("a.io", "u", "p", "", NULL, &err), ERROR_INVALID);
	text = get("config.json");
	CHECK_TEXT(text, "{\"auths\":[]}");
	end();
}

TEST(logins_at_once_lose_none)
{
	enum { LOGINS = 12 };
	pid_t children[LOGINS];
	struct error err;
	int status;

	begin("{}");
	for (int i = 0; i < LOGINS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			_cleanup_free_ char *registry = text_format(&err, "r%d.io", i);

			_exit(store(registry, "u", "p", "", NULL, &err) < 0);
		}
	}
	for (int i = 0; i < LOGINS; i++)
		CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
	for (int i = 0; i < LOGINS; i++) {
		_cleanup_free_ char *registry = text_format(&err, "r%d.io", i);

		check_who(registry, "", "u|p||");
	}
	end();
}

TEST(a_logout_removes_every_spelling_of_a_registry_only)
{
	_cleanup_free_ char *text = NULL;
	struct error err;
	bool was_there;

	begin("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"},\"docker.io\":{},"
	      "\"docker.io/acme\":{\"auth\":\"dTpw\"},\"quay.io\":{\"auth\":\"dTpw\"}},\"x\":1}");
	CHECK_OK(credentials_erase("docker.io", &was_there, &err));
	CHECK(was_there);
	text = get("config.json");
	CHECK_TEXT(text, "{\n\t\"auths\": {\n\t\t\"docker.io/acme\": {\n\t\t\t\"auth\": "
			 "\"dTpw\"\n\t\t},\n\t\t\"quay.io\": {\n"
			 "\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t},\n\t\"x\": 1\n}");
	CHECK_OK(credentials_erase("docker.io", &was_there, &err));
	CHECK(!was_there);
	end();
}

TEST(a_logout_without_a_login_makes_nothing)
{
	_cleanup_free_ char *missing = NULL;
	struct error err;
	bool was_there;

	begin(NULL);
	CHECK_OK(credentials_erase("docker.io", &was_there, &err));
	CHECK(!was_there);
	missing = in_folder("missing");
	setenv("DOCKER_CONFIG", missing, 1);
	CHECK_OK(credentials_erase("docker.io", &was_there, &err));
	CHECK(!was_there && access(missing, F_OK) < 0);
	end();
}

/* ---- helpers ---------------------------------------------------------------------------------------- */

TEST(a_helper_keeps_gives_and_forgets)
{
	_cleanup_free_ char *where = NULL, *log = NULL, *config = NULL;
	struct error err;
	bool was_there;

	begin("{\"credsStore\":\"test\"}");
	put("docker-credential-test", helper_script, 0755);
	check_who("docker.io", "library/x", "|||");
	CHECK_OK(store("docker.io", "u", "p w", "", &where, &err));
	CHECK_TEXT(where, "docker-credential-test");
	check_who("docker.io", "library/x", "u|p w||");
	check_who("quay.io", "x", "|||");
	CHECK_OK(credentials_erase("docker.io", &was_there, &err));
	CHECK(was_there);
	CHECK_OK(credentials_erase("docker.io", &was_there, &err));
	CHECK(!was_there);
	CHECK_OK(store("quay.io", "ignored", "", "it", NULL, &err));
	check_who("quay.io", "x", "||it|");
	config = get("config.json");
	CHECK_TEXT(config, "{\"credsStore\":\"test\"}");
	log = get("log");
	/* In one line, as docker writes it: helpers may be shell scripts. */
	CHECK(text_starts(log, "get https://index.docker.io/v1/\nstore {\"ServerURL\":"
			       "\"https://index.docker.io/v1/\",\"Username\":\"u\",\"Secret\":\"p w\"}"));
	CHECK(strstr(log, "\nerase https://index.docker.io/v1/\n") && strstr(log, "\"<token>\""));
	end();
}

TEST(the_helper_of_a_registry_counts_before_the_store)
{
	_cleanup_free_ char *log = NULL;

	begin("{\"credsStore\":\"missing\",\"credHelpers\":{\"quay.io\":\"test\",\"quay.io/acme\":\"test\","
	      "\"plain.io\":\"\"},\"auths\":{\"quay.io\":{\"auth\":\"dTpw\"},\"plain.io\":{\"auth\":\"dTpw\"}"
	      "}}");
	put("docker-credential-test", helper_script, 0755);
	/* It knows nothing: the file counts. */
	check_who("quay.io", "x", "u|p||");
	check_who("quay.io", "acme/x", "u|p||");
	check_who("plain.io", "x", "u|p||"); /* an empty name: none for this one */
	check_who("other.io", "x", "NOT_FOUND");
	log = get("log");
	CHECK_TEXT(log, "get quay.io\nget quay.io/acme\n");
	end();
}

TEST(with_a_helper_no_password_stays_in_the_file)
{
	_cleanup_free_ char *config = NULL;
	struct error err;

	begin("{\"auths\":{\"quay.io\":{\"auth\":\"dTpw\",\"email\":\"e\"}},\"credsStore\":\"test\"}");
	put("docker-credential-test", helper_script, 0755);
	CHECK_OK(store("quay.io", "u", "new", "", NULL, &err));
	config = get("config.json");
	CHECK_TEXT(config, "{\n\t\"auths\": {\n\t\t\"quay.io\": {\n\t\t\t\"email\": \"e\"\n\t\t}\n\t},\n"
			   "\t\"credsStore\": \"test\"\n}");
	check_who("quay.io", "", "u|new||");
	end();
}

TEST(a_helper_that_fails_is_named_with_its_words)
{
	static const struct {
		const char *script;
		enum error_code code;
		const char *says;
	} rows[] = {
		{"#!/bin/sh\necho 'the \033[31mkeyring is locked'; exit 3\n", ERROR_SYSTEM,
			"get: the ?[31mkeyring is locked (status 3)"},
		{"#!/bin/sh\nexit 3\n", ERROR_SYSTEM, "get: (status 3)"},
		{"#!/bin/sh\nkill -9 $$\n", ERROR_SYSTEM, "(status 137)"},
		{"#!/bin/sh\necho hello\n", ERROR_INVALID, "docker-credential-test:1:"},
		{"#!/bin/sh\necho '{\"Username\":1}'\n", ERROR_INVALID, "Username is not a string"},
		{"#!/bin/sh\nexec yes\n", ERROR_LIMIT, "docker-credential-test"},
	};
	struct credentials c;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin("{\"credsStore\":\"test\"}");
		put("docker-credential-test", rows[i].script, 0755);
		CHECK_ERROR(credentials_get("a.io", "", &c, &err), rows[i].code);
		CHECK(strstr(err.text, "credential helper docker-credential-test") &&
			strstr(err.text, rows[i].says));
		CHECK(!c.username && !strchr(err.text, '\033'));
		end();
	}
}

TEST(a_helper_that_is_not_there_or_has_a_path_for_a_name_is_refused)
{
	struct credentials c;
	struct error err;

	begin("{\"credsStore\":\"missing\",\"credHelpers\":{\"a.io\":\"x/../../bin/sh\"}}");
	CHECK_ERROR(credentials_get("b.io", "", &c, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "docker-credential-missing") && strstr(err.text, "credsStore"));
	CHECK_ERROR(credentials_get("a.io", "", &c, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "x/../../bin/sh"));
	end();
}

TEST(a_helper_has_only_so_much_time)
{
	struct credentials_helper h = {.name = "test", .time = 200};
	uint64_t start = clock_monotonic();
	struct docker_auth auth;
	struct error err;
	bool found;

	begin(NULL);
	put("docker-credential-test", "#!/bin/sh\nexec sleep 100\n", 0755);
	CHECK_ERROR(credentials_helper_get(&h, "a.io", &found, &auth, &err), ERROR_TIMEOUT);
	CHECK(!found && !auth.username && strstr(err.text, "docker-credential-test"));
	CHECK(clock_monotonic() - start < 60 * NANOSECONDS_PER_SECOND);
	end();
}

TEST(a_helper_that_does_not_read_harms_nobody)
{
	begin("{\"credsStore\":\"test\"}");
	put("docker-credential-test", "#!/bin/sh\nexec <&-\necho '{\"Username\":\"u\",\"Secret\":\"s\"}'\n",
		0755);
	check_who("a.io", "", "u|s||");
	end();
}
