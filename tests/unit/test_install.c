/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that run in a sandbox: their names, their words, the scripts, and where this program stands. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "bin/monocore/install.h"
#include "bin/monocore/installed.h"
#include "bin/monocore/own_place.h"
#include "os/fs.h"

TEST(a_commands_name_is_small_and_plain)
{
	struct error err;
	static const char *const good[] = {"jq", "7z", "python3.12", "a_b-c", NULL};
	static const char *const bad[] = {
		"", ".jq", "-x", "_x", "Jq", "a/b", "a b", "a\n", "..", "j\xc3\xa4", NULL};
	char longest[65];

	for (const char *const *n = good; *n; n++)
		CHECK_OK(installed_check_name(*n, &err));
	for (const char *const *n = bad; *n; n++)
		CHECK_ERROR(installed_check_name(*n, &err), ERROR_USAGE);
	memset(longest, 'a', 64);
	longest[64] = 0;
	CHECK_ERROR(installed_check_name(longest, &err), ERROR_USAGE);
	longest[63] = 0;
	CHECK_OK(installed_check_name(longest, &err));
}

static void check_words(
	const struct install_wishes *w, const char *script, const char *json, const char *expected)
{
	struct error err;
	_cleanup_text_list_ char **words = NULL;
	char joined[1024] = "";

	CHECK_OK(install_words(w, "own", script, json, &words, &err));
	for (char **p = words; p && *p; p++) {
		strcat(joined, p == words ? "" : " ");
		strcat(joined, *p);
	}
	CHECK_TEXT(joined, expected);
}

TEST(the_words_are_arguments_of_what_the_image_runs)
{
	struct error err;
	const struct install_wishes none = {0}, program = {.entrypoint = "python3"};
	static const char both[] = "{\"Config\":{\"Entrypoint\":[\"jq\"],\"Cmd\":[\"--help\"]}}";
	static const char cmd[] = "{\"Config\":{\"Entrypoint\":null,\"Cmd\":[\"python3\",\"-q\"]}}";
	static const char scripts[] = "{\"Config\":{\"Cmd\":[\"sh\"],\"Labels\":{\"dev.monocore.scripts\":"
				      "\"{\\\"test\\\":\\\"pytest\\\"}\"}}}";
	_cleanup_text_list_ char **words = NULL;

	check_words(&none, NULL, both, "--quiet --pull never own --");
	check_words(&none, NULL, cmd, "--quiet --pull never own -- python3 -q");
	check_words(&program, NULL, cmd, "--quiet --pull never --entrypoint python3 own --");
	check_words(&none, "test", scripts, "--quiet --pull never own~test --");
	check_words(&none, "start", scripts, "--quiet --pull never own -- sh");
	CHECK_ERROR(install_words(&none, "own", "tset", scripts, &words, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "start, test"));
	CHECK_ERROR(install_words(&none, "own", NULL, "{\"Config\":{}}", &words, &err), ERROR_INVALID);
	CHECK_ERROR(install_words(&program, "own", "test", scripts, &words, &err), ERROR_USAGE);
	CHECK(!words);
}

TEST(every_wish_is_an_option_of_tmp)
{
	struct error err;
	char *env[] = {"A=b c", "HOME", NULL}, *volumes[] = {".:/here", "data:/d", "~/x:/x:ro", NULL},
	     *ports[] = {"80", NULL}, *rules[] = {"10.0.0.1:80", NULL};
	const struct install_wishes all = {.mount_cwd = true,
		.cpus = 2,
		.memory = (uint64_t)1 << 30,
		.env = env,
		.volumes = volumes,
		.ports = ports,
		.allow = rules,
		.deny = rules,
		.workdir = "/w",
		.user = "app",
		.reach = "none"};
	_cleanup_free_ char *here = realpath(".", NULL), *expected = NULL;

	expected = text_format(&err,
		"--quiet --pull never --mount-cwd --cpus 2 --ram 1048576K --volume %s:/here --volume data:/d "
		"--volume ~/x:/x:ro --env A=b c --env HOME --port 80 --allow 10.0.0.1:80 --deny 10.0.0.1:80 "
		"--workdir /w --user app --reach none own -- x",
		here);
	check_words(&all, NULL, "{\"Config\":{\"Cmd\":[\"x\"]}}", expected);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

TEST(only_what_was_written_by_install_is_replaced)
{
	struct error err;
	char *words[] = {"it's", "a b", NULL}, directory[] = "/tmp/mc-installed-XXXXXX";
	struct installed_script script = {
		.name = "x", .image = "alpine~go", .home = "/h o/me", .program = "/bin/echo", .words = words};
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_free_ char *bin = NULL, *path = NULL, *image = NULL, *again = NULL;
	struct stat s;

	CHECK(mkdtemp(directory));
	bin = text_format(&err, "%s/a/bin", directory);
	path = text_format(&err, "%s/x", bin);
	CHECK_INT(installed_look(bin, "x", NULL, &err), 0);
	CHECK_OK(installed_write(bin, &script, &err));
	CHECK(stat(path, &s) == 0 && (s.st_mode & 07777) == 0755);
	CHECK_INT(installed_look(bin, "x", &image, &err), 1);
	CHECK_TEXT(image, "alpine~go");
	script.image = "alpine:4";
	CHECK_OK(installed_write(bin, &script, &err));
	CHECK_INT(installed_look(bin, "x", &again, &err), 1);
	CHECK_TEXT(again, "alpine:4");
	CHECK_OK(fs_read_file(AT_FDCWD, path, 65536, &text, &err));
	buffer_append_text(&text, "rm -rf /\n");
	buffer_u8(&text, 0);
	put(path, (char *)text.data); /* changed */
	CHECK_ERROR(installed_look(bin, "x", NULL, &err), ERROR_EXISTS);
	CHECK_ERROR(installed_write(bin, &script, &err), ERROR_EXISTS);
	put(path, "");
	CHECK_ERROR(installed_write(bin, &script, &err), ERROR_EXISTS);
	CHECK(unlink(path) == 0 && symlink("/nowhere", path) == 0);
	CHECK_ERROR(installed_write(bin, &script, &err), ERROR_EXISTS);
	CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
	CHECK_ERROR(installed_write(bin, &script, &err), ERROR_EXISTS);
	CHECK_OK(fs_remove_tree(AT_FDCWD, directory, &err));
}

TEST(words_reach_the_program_as_they_are)
{
	struct error err;
	char *words[] = {"it's", "a $b\n`c`", "\\", "*", NULL};
	const struct installed_script script = {
		.name = "x", .image = "a\nb", .home = "/h'o", .program = "/bin/echo", .words = words};
	_cleanup_buffer_ struct buffer text = {0};

	installed_compose(&script, &text, &err);
	CHECK(buffer_u8(&text, 0));
	CHECK(strstr((char *)text.data, "# Runs a?b\n"));
	CHECK(strstr((char *)text.data, "MONOCORE_HOME='/h'\\''o'\n"));
	CHECK(strstr((char *)text.data, "exec \"$monocore\" tmp 'it'\\''s' 'a $b\n`c`' '\\' '*' \"$@\"\n"));
}

static void check_place(const char *executable, const char *prefix, const char *release)
{
	struct error err;
	_cleanup_place_ struct own_place place = {0};
	_cleanup_free_ char *program = text_format(&err, "%s/bin/monocore", prefix);

	CHECK_OK(own_place_of(executable, &place, &err));
	CHECK_TEXT(place.prefix, prefix);
	CHECK_TEXT(place.program, program);
	CHECK_TEXT(place.release ? place.release : "", release);
}

TEST(a_release_belongs_to_the_prefix_that_leads_to_it)
{
	struct error err;
	_cleanup_place_ struct own_place place = {0};

	check_place("/usr/local/bin/monocore", "/usr/local", "");
	check_place("/bin/monocore", "", "");
	check_place("/o/lib/monocore/releases/1.2.3/bin/monocore", "/o", "/o/lib/monocore/releases/1.2.3");
	check_place("/o/lib/monocore/releases/bin/monocore", "/o/lib/monocore/releases", "");
	CHECK_ERROR(own_place_of("/o/sbin/monocore", &place, &err), ERROR_UNAVAILABLE);
}
