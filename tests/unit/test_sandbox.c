/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes on disk, without a VM: records, directories and names, commands, the output log, peers. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/message.h"
#include "os/fs.h"
#include "os/peer.h"
#include "os/unix_socket.h"
#include "sandbox/command.h"
#include "sandbox/control.h"
#include "sandbox/directory.h"
#include "sandbox/home.h"
#include "sandbox/output.h"
#include "sandbox/output_format.h"
#include "sandbox/record.h"
#include "sandbox/snapshot.h"
#include "sandbox/volume.h"
#include "sandbox/volume_fill.h"

/* A home of its own for one test. */
struct place {
	char path[64];
	struct home home;
};

static void place_open(struct place *p)
{
	struct error err;

	snprintf(p->path, sizeof p->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->path));
	CHECK_OK(home_open(p->path, &p->home, &err));
}

static void place_close(struct place *p)
{
	home_close(&p->home);
	fs_remove_tree(AT_FDCWD, p->path, NULL);
}

static void make_sandbox(struct place *p, struct directory *d, const char *name)
{
	_cleanup_record_ struct record r = {.version = RECORD_VERSION};
	struct error err;

	CHECK_OK(directory_create(&p->home, d, &err));
	r.name = text_copy(name, NULL);
	r.id = text_copy(d->id, NULL);
	CHECK_OK(record_write(d->fd, &r, false, &err));
	CHECK_OK(directory_publish(&p->home, d, name, false, &err));
}

static size_t count_entries(const struct place *p)
{
	_cleanup_text_list_ char **ids = NULL;
	struct error err;

	CHECK_OK(directory_list(&p->home, &ids, &err));
	return text_list_size(ids);
}

static size_t count_temporary(int dirfd)
{
	_cleanup_list_ DIR *list = NULL;
	struct error err;
	size_t n = 0;

	CHECK_OK(fs_list_open(dirfd, ".", &list, &err));
	for (const char *name; (name = fs_list_next(list));)
		n += text_starts(name, ".new-") || text_starts(name, ".trash-");
	return n;
}

TEST(a_home_is_made_private)
{
	struct place p;
	struct stat s;

	place_open(&p);
	CHECK(stat(p.path, &s) == 0);
	CHECK_INT(s.st_mode & 0777, 0700);
	place_close(&p);
}

TEST(a_home_that_all_users_write_to_is_refused_and_left_as_it_is)
{
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct home home;
	struct error err;
	struct stat s;

	CHECK(mkdtemp(path));
	CHECK(chmod(path, 01777) == 0);
	CHECK_ERROR(home_open(path, &home, &err), ERROR_DENIED);
	CHECK(strstr(err.text, path) && strstr(err.text, "MONOCORE_HOME"));
	CHECK(stat(path, &s) == 0);
	CHECK_INT(s.st_mode & 07777, 01777);
	CHECK(rmdir(path) == 0);
}

TEST(a_record_reads_back_as_it_was_written_odd_bytes_too)
{
	struct place p;
	struct error err;
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record w = {
		.version = RECORD_VERSION, .cpus = 2, .memory = 1ULL << 40, .tty = true};
	_cleanup_record_ struct record r = {0};

	place_open(&p);
	CHECK_OK(directory_create(&p.home, &d, &err));
	w.name = text_copy("one", NULL);
	text_list_add(&w.argv, "printf", NULL);
	text_list_add(&w.argv, "\xff\xfe odd", NULL);
	w.rlimits[0] = (struct message_rlimit){7, 1024, UINT64_MAX};
	w.rlimit_count = 1;
	CHECK_OK(record_write(d.fd, &w, true, &err));
	CHECK_OK(record_read(d.fd, &r, &err));
	CHECK_TEXT(r.name, "one");
	CHECK_TEXT(r.argv[1], "\xff\xfe odd");
	CHECK(r.memory == 1ULL << 40 && r.tty && !r.discard);
	CHECK(r.rlimit_count == 1 && r.rlimits[0].hard == UINT64_MAX);
	directory_close(&d);
	place_close(&p);
}

TEST(a_damaged_record_is_an_error_and_not_a_crash)
{
	static const char *const bad[] = {"", "{", "[]", "{\"version\":1,\"cpus\":\"x\"}", "{\"version\":2}",
		"{\"version\":1,\"argv\":[3]}", "{\"version\":1,\"rlimits\":[[1,2]]}",
		"{\"version\":1,\"cpus\":-1}"};
	struct place p;
	struct error err;
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;

	place_open(&p);
	CHECK_OK(directory_create(&p.home, &d, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct record r;

		CHECK_OK(fs_write_atomic(d.fd, "config.json", bad[i], strlen(bad[i]), 0600, &err));
		CHECK(record_read(d.fd, &r, &err) < 0);
	}
	directory_close(&d);
	place_close(&p);
}

TEST(a_name_is_given_once_and_free_again_after_removal)
{
	struct place p;
	struct error err;
	_cleanup_directory_ struct directory a = DIRECTORY_NONE, b = DIRECTORY_NONE, found = DIRECTORY_NONE;

	place_open(&p);
	make_sandbox(&p, &a, "web");
	CHECK_OK(directory_create(&p.home, &b, &err));
	CHECK_ERROR(directory_publish(&p.home, &b, "web", false, &err), ERROR_EXISTS);
	CHECK_INT(count_entries(&p), 1);
	CHECK_OK(directory_find(&p.home, "web", &found, &err));
	CHECK_TEXT(found.id, a.id);
	CHECK_OK(directory_remove(&p.home, &a, "web", &err));
	directory_close(&found);
	CHECK_ERROR(directory_find(&p.home, "web", &found, &err), ERROR_NOT_FOUND);
	directory_close(&b);
	make_sandbox(&p, &b, "web");
	directory_close(&a);
	directory_close(&b);
	place_close(&p);
}

TEST(a_sandbox_is_found_by_a_unique_start_of_its_id)
{
	struct place p;
	struct error err;
	_cleanup_directory_ struct directory a = DIRECTORY_NONE, found = DIRECTORY_NONE;
	char prefix[7] = "";

	place_open(&p);
	make_sandbox(&p, &a, "web");
	memcpy(prefix, a.id, 6);
	CHECK_OK(directory_find(&p.home, prefix, &found, &err));
	CHECK_TEXT(found.id, a.id);
	CHECK_ERROR(directory_find(&p.home, "wbe", &found, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "did you mean 'web'"));
	CHECK_ERROR(directory_find(&p.home, "../web", &found, &err), ERROR_INVALID);
	directory_close(&a);
	directory_close(&found);
	place_close(&p);
}

TEST(what_a_killed_maker_left_is_swept_and_what_lives_is_not)
{
	struct place p;
	struct error err;
	_cleanup_directory_ struct directory alive = DIRECTORY_NONE, kept = DIRECTORY_NONE;
	pid_t child;
	int status;

	place_open(&p);
	make_sandbox(&p, &kept, "kept");
	directory_close(&kept);
	make_sandbox(&p, &alive, "alive");
	close(openat(alive.fd, "discard", O_CREAT | O_WRONLY, 0600));
	child = fork();
	if (child == 0) { /* dies holding a throw-away sandbox, and a half-made one */
		struct directory d = DIRECTORY_NONE, half = DIRECTORY_NONE;

		make_sandbox(&p, &d, "gone");
		close(openat(d.fd, "discard", O_CREAT | O_WRONLY, 0600));
		directory_create(&p.home, &half, NULL);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(count_entries(&p), 3);
	/* And those of makers who were killed before they had locked, and of one that was being removed. */
	CHECK_INT(mkdirat(p.home.sandboxes, ".new-0123456789abcde", 0700), 0);
	CHECK_INT(mkdirat(p.home.sandboxes, ".trash-0123456789abcde", 0700), 0);
	CHECK_INT(mkdirat(p.home.snapshots, ".new-0123456789abcdef", 0700), 0);
	CHECK_OK(directory_sweep(&p.home, &err));
	snapshot_sweep(&p.home);
	CHECK_INT(count_entries(&p), 2);
	CHECK_INT(count_temporary(p.home.sandboxes), 0);
	CHECK_INT(count_temporary(p.home.snapshots), 0);
	CHECK_ERROR(directory_find(&p.home, "gone", &kept, &err), ERROR_NOT_FOUND);
	CHECK_OK(directory_find(&p.home, "alive", &kept, &err));
	directory_close(&alive);
	directory_close(&kept);
	place_close(&p);
}

TEST(sandboxes_are_made_while_others_sweep)
{
	struct place p;
	pid_t sweepers[3];

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(sweepers); i++) {
		sweepers[i] = fork();
		if (sweepers[i] == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (sweepers[i] == 0)
			directory_sweep(&p.home, NULL);
	}
	for (int i = 0; i < 400; i++) {
		struct directory d = DIRECTORY_NONE;
		char name[16];

		snprintf(name, sizeof name, "box%d", i);
		make_sandbox(&p, &d, name);
		directory_close(&d);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sweepers); i++) {
		kill(sweepers[i], SIGKILL);
		waitpid(sweepers[i], NULL, 0);
	}
	CHECK_INT(count_entries(&p), 400);
	place_close(&p);
}

TEST(a_lock_tells_who_lives)
{
	struct place p;
	struct error err;
	_cleanup_directory_ struct directory a = DIRECTORY_NONE, b = DIRECTORY_NONE;

	place_open(&p);
	make_sandbox(&p, &a, "one");
	CHECK_OK(directory_find(&p.home, "one", &b, &err));
	CHECK(directory_is_locked(&b));
	CHECK_ERROR(directory_lock(&b, false, &err), ERROR_BUSY);
	directory_close(&a);
	CHECK(!directory_is_locked(&b));
	CHECK_OK(directory_lock(&b, false, &err));
	directory_close(&b);
	place_close(&p);
}

#define LIST(...) ((char **)(const char *[]){__VA_ARGS__, NULL})
#define WISH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_command(
	const struct image_config *config, const struct command_wishes *wishes, const char *expected)
{
	_cleanup_text_list_ char **argv = NULL;
	_cleanup_free_ char *line = NULL;
	struct error err;

	CHECK_OK(command_resolve(config, wishes, &argv, &err));
	line = command_line(argv, &err);
	CHECK_TEXT(line, expected);
}

/* Whether `path` can be a volume; what it is then. */
static int volume_of(struct place *p, const char *path, mode_t *type, struct error *err)
{
	_cleanup_free_ char *text = text_format(NULL, "%s:/target", path);
	struct record_mount m;
	struct stat s;
	int r = volume_parse(text, &m, err), fd;

	if (r < 0)
		return r;
	fd = r = volume_open(&p->home, &m, err);
	record_mount_free(&m);
	if (r < 0)
		return r;
	CHECK(fstat(fd, &s) == 0 && close(fd) == 0);
	*type = s.st_mode & S_IFMT;
	return 0;
}

TEST(a_file_can_be_a_volume_but_none_of_monocores_own)
{
	char folder[] = "/tmp/monocore-test-XXXXXX", file[96], ours[96], link[96], fifo[96];
	struct error err;
	struct place p;
	mode_t type;

	place_open(&p);
	CHECK(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/file", folder);
	snprintf(link, sizeof link, "%s/link", folder);
	snprintf(fifo, sizeof fifo, "%s/fifo", folder);
	snprintf(ours, sizeof ours, "%s/monocore.db", p.path);
	CHECK(mknod(file, S_IFREG | 0644, 0) == 0 && mknod(ours, S_IFREG | 0644, 0) == 0);
	CHECK(mkfifo(fifo, 0644) == 0 && symlink(ours, link) == 0);
	CHECK_OK(volume_of(&p, file, &type, &err));
	CHECK_INT(type, S_IFREG);
	CHECK_OK(volume_of(&p, folder, &type, &err));
	CHECK_INT(type, S_IFDIR);
	CHECK_ERROR(volume_of(&p, ours, &type, &err), ERROR_DENIED);
	CHECK_ERROR(volume_of(&p, link, &type, &err), ERROR_DENIED);
	CHECK_ERROR(volume_of(&p, fifo, &type, &err), ERROR_INVALID);
	CHECK_ERROR(volume_of(&p, p.path, &type, &err), ERROR_DENIED);
	/* A home may lie beside it. */
	snprintf(file, sizeof file, "%s-file", p.path);
	CHECK(mknod(file, S_IFREG | 0644, 0) == 0);
	CHECK_OK(volume_of(&p, file, &type, &err));
	CHECK(unlink(file) == 0);
	CHECK_OK(fs_remove_tree(AT_FDCWD, folder, &err));
	place_close(&p);
}

/* A sandbox with volumes as they are typed, from `volumes` to NULL. */
static void make_record(struct place *p, struct record *r, const char *const *volumes)
{
	struct error err;

	*r = (struct record){.version = RECORD_VERSION};
	r->mounts = calloc(4, sizeof *r->mounts);
	for (; *volumes; volumes++) {
		int fd;

		CHECK_OK(volume_parse(*volumes, &r->mounts[r->mount_count], &err));
		fd = volume_open(&p->home, &r->mounts[r->mount_count++], &err);
		CHECK(fd >= 0 && close(fd) == 0);
	}
}

/* Begins a start with one volume: whether the guest is to fill it. */
static bool begin(struct place *p, const char *volume, struct volume_fills **fills)
{
	_cleanup_record_ struct record r;
	struct error err;

	make_record(p, &r, (const char *const[]){volume, NULL});
	CHECK_OK(volume_fills_open(&p->home, &r, fills, &err));
	CHECK(volume_fills_has(*fills, 0) == volume_fills_any(*fills));
	return volume_fills_has(*fills, 0);
}

static void put_in_volume(struct place *p, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/volumes/%s", p->path, name);
	CHECK(mknod(path, S_IFREG | 0644, 0) == 0);
}

static bool is_in_volume(struct place *p, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/volumes/%s", p->path, name);
	return access(path, F_OK) == 0;
}

TEST(a_new_volume_is_filled_once_and_half_a_copy_is_made_anew)
{
	struct volume_fills *f;
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(begin(&p, "data:/x", &f));
	put_in_volume(&p, "data/half");
	volume_fills_close(f); /* the start has failed, or mcrun was killed */
	CHECK(begin(&p, "data:/x", &f));
	CHECK(!is_in_volume(&p, "data/half"));
	put_in_volume(&p, "data/whole");
	CHECK_OK(volume_fills_done(f, &err));
	volume_fills_close(f);
	CHECK(!begin(&p, "data:/x", &f) && !f);
	CHECK(is_in_volume(&p, "data/whole"));
	CHECK_OK(volume_remove(&p.home, "data", &err));
	CHECK(begin(&p, "data:/x", &f)); /* another of that name */
	volume_fills_close(f);
	CHECK_OK(volume_remove(&p.home, "data", &err));
	CHECK(!is_in_volume(&p, ".new-data"));
	place_close(&p);
}

TEST(a_new_volume_is_filled_by_one_sandbox_at_a_time)
{
	static const char *const both[] = {"other:/a", "data:/b", "data:/c", NULL};
	_cleanup_record_ struct record r;
	struct volume_fills *f, *second;
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(begin(&p, "data:/x", &f));
	make_record(&p, &r, both);
	CHECK_ERROR(volume_fills_open(&p.home, &r, &second, &err), ERROR_BUSY);
	CHECK(!second);
	CHECK(begin(&p, "other:/y", &second)); /* it was let go of */
	volume_fills_close(second);
	CHECK_OK(volume_fills_done(f, &err));
	CHECK_OK(volume_fills_open(&p.home, &r, &second, &err));
	CHECK(volume_fills_has(second, 0) && !volume_fills_has(second, 1) && !volume_fills_has(second, 2));
	volume_fills_close(second);
	volume_fills_close(f);
	place_close(&p);
}

TEST(a_new_volume_that_is_not_to_be_filled_is_not)
{
	struct volume_fills *f;
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(!begin(&p, "ro:/x:ro", &f)); /* it stays new */
	CHECK_OK(volume_fills_done(f, &err));
	volume_fills_close(f);
	CHECK(begin(&p, "ro:/x", &f));
	volume_fills_close(f);
	CHECK(!begin(&p, "none:/x:nocopy", &f));
	CHECK_OK(volume_fills_done(f, &err));
	volume_fills_close(f);
	CHECK(!begin(&p, "none:/x", &f) && !f);
	CHECK(!begin(&p, "put:/x:ro", &f));
	volume_fills_close(f);
	put_in_volume(&p, "put/mine"); /* by hand, before its first start */
	CHECK(!begin(&p, "put:/x", &f));
	CHECK_OK(volume_fills_done(f, &err));
	volume_fills_close(f);
	CHECK(is_in_volume(&p, "put/mine"));
	place_close(&p);
}

TEST(commands_follow_the_rules_of_docker_run)
{
	struct image_config both = {.entrypoint = LIST("/entry", "-x"), .cmd = LIST("serve")};
	struct image_config cmd = {.cmd = LIST("bash")};

	check_command(&both, &(struct command_wishes){0}, "/entry -x serve");
	check_command(&both, &(struct command_wishes){.command = WISH("a", "b c")}, "/entry -x a 'b c'");
	check_command(&both, &(struct command_wishes){.entrypoint = WISH("sh")}, "sh");
	check_command(&both, &(struct command_wishes){.entrypoint = WISH("sh"), .command = WISH("-c", "x")},
		"sh -c x");
	check_command(&both, &(struct command_wishes){.entrypoint = WISH(""), .command = WISH("ls")}, "ls");
	check_command(
		&both, &(struct command_wishes){.shell_command = "echo $HOME"}, "/bin/sh -c 'echo $HOME'");
	check_command(&cmd, &(struct command_wishes){0}, "bash");
	check_command(&cmd, &(struct command_wishes){.command = WISH("ls")}, "ls");
}

TEST(an_image_without_a_command_wants_one)
{
	struct image_config none = {0}, both = {.entrypoint = LIST("/entry"), .cmd = LIST("serve")};
	_cleanup_text_list_ char **argv = NULL;
	struct error err;

	CHECK_ERROR(command_resolve(&none, &(struct command_wishes){0}, &argv, &err), ERROR_INVALID);
	CHECK_ERROR(command_resolve(&both, &(struct command_wishes){.entrypoint = WISH("")}, &argv, &err),
		ERROR_INVALID);
}

TEST(scripts_come_from_the_label_and_an_unknown_one_lists_them)
{
	struct image_config c = {.cmd = LIST("bash"),
		.labels = LIST("dev.monocore.scripts={\"test\":\"pytest -q\",\"lint\":\"ruff .\"}")};
	struct image_config plain = {.cmd = LIST("bash")};
	_cleanup_text_list_ char **argv = NULL;
	struct error err;

	check_command(&c, &(struct command_wishes){.script = "test"}, "/bin/sh -c 'pytest -q'");
	check_command(&plain, &(struct command_wishes){.script = "start"}, "bash");
	CHECK_ERROR(command_resolve(&c, &(struct command_wishes){.script = "tset"}, &argv, &err),
		ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "start, test, lint"));
}

TEST(the_environment_of_the_user_wins_over_the_image)
{
	struct image_config c = {.env = LIST("PATH=/bin", "A=1", "nonsense")};
	_cleanup_text_list_ char **env = NULL;
	struct error err;

	CHECK_OK(command_environment(&c, WISH("A=2", "B=x=y"), &env, &err));
	CHECK_INT(text_list_size(env), 3);
	CHECK_TEXT(env[1], "A=2");
	CHECK_TEXT(env[2], "B=x=y");
	CHECK_ERROR(command_environment(&c, WISH("=x"), &env, &err), ERROR_INVALID);
}

TEST(signals_are_known_by_name_and_number)
{
	struct error err;
	int s;

	CHECK_OK(command_signal("", &s, &err));
	CHECK_INT(s, SIGTERM);
	CHECK_OK(command_signal("SIGQUIT", &s, &err));
	CHECK_INT(s, SIGQUIT);
	CHECK_OK(command_signal("usr1", &s, &err));
	CHECK_INT(s, SIGUSR1);
	CHECK_OK(command_signal("9", &s, &err));
	CHECK_INT(s, SIGKILL);
	CHECK_OK(command_signal("SIGRTMIN+3", &s, &err));
	CHECK_INT(s, 37);
	CHECK_ERROR(command_signal("SIGNOPE", &s, &err), ERROR_INVALID);
	CHECK_ERROR(command_signal("0", &s, &err), ERROR_INVALID);
	CHECK_ERROR(command_signal("65", &s, &err), ERROR_INVALID);
}

struct lines {
	char text[4096];
	size_t count;
};

static int take_line(void *context, const struct output_line *line)
{
	struct lines *l = context;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof l->text - n, "%d:%.*s|", (int)line->stream, (int)line->size,
		(const char *)line->data);
	l->count++;
	return 0;
}

static int open_directory(const struct place *p)
{
	return open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

TEST(lines_of_the_log_are_put_together_per_stream)
{
	struct place p;
	struct error err;
	struct output_writer *w;
	struct lines l = {0};
	_cleanup_fd_ int fd = -1;

	place_open(&p);
	fd = open_directory(&p);
	CHECK_OK(output_open(fd, &w, &err));
	CHECK_OK(output_append(w, OUTPUT_OUT, "one\ntw", 6, &err));
	CHECK_OK(output_append(w, OUTPUT_ERR, "oops\n", 5, &err));
	CHECK_OK(output_append(w, OUTPUT_OUT, "o\nend", 5, &err));
	output_close(w);
	CHECK_OK(output_read(fd, &(struct output_query){0}, take_line, &l, &err));
	CHECK_TEXT(l.text, "1:one\n|2:oops\n|1:two\n|1:end|");
	l = (struct lines){0};
	CHECK_OK(output_read(fd, &(struct output_query){.last = 2}, take_line, &l, &err));
	CHECK_TEXT(l.text, "1:two\n|1:end|");
	l = (struct lines){0};
	CHECK_OK(output_read(fd, &(struct output_query){.streams = 1 << OUTPUT_ERR}, take_line, &l, &err));
	CHECK_TEXT(l.text, "2:oops\n|");
	l = (struct lines){0};
	CHECK_OK(output_read(fd, &(struct output_query){.grep = "^(two|end)$"}, take_line, &l, &err));
	CHECK_TEXT(l.text, "1:two\n|1:end|");
	CHECK_ERROR(output_read(fd, &(struct output_query){.grep = "("}, take_line, &l, &err), ERROR_INVALID);
	place_close(&p);
}

TEST(the_log_never_holds_more_than_its_ring)
{
	static uint64_t block[OUTPUT_RECORD_MAX / sizeof(uint64_t)];
	uint64_t random = 88172645463325252ULL;
	struct place p;
	struct error err;
	struct output_writer *w;
	uint32_t oldest, newest;
	uint64_t held = 0;
	_cleanup_fd_ int fd = -1, log = -1;

	place_open(&p);
	fd = open_directory(&p);
	CHECK_OK(output_open(fd, &w, &err));
	for (uint64_t written = 0; written < OUTPUT_TOTAL * 3ULL / 2; written += sizeof block) {
		for (size_t i = 0; i < ARRAY_SIZE(block); i++) { /* xorshift: nothing that could be packed */
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			block[i] = random;
		}
		CHECK_OK(output_append(w, OUTPUT_OUT, block, sizeof block, &err));
	}
	output_close(w);
	log = openat(fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(output_segments(log, &oldest, &newest, &err));
	for (uint32_t i = oldest; i <= newest; i++) {
		char name[OUTPUT_NAME_SIZE];
		struct stat s;

		CHECK(fstatat(log, output_segment_name(i, i < newest, name), &s, 0) == 0);
		held += (uint64_t)s.st_size;
	}
	CHECK(held <= OUTPUT_TOTAL && held > OUTPUT_TOTAL / 2);
	place_close(&p);
}

TEST(a_record_that_a_killed_writer_cut_is_skipped)
{
	struct place p;
	struct error err;
	struct output_writer *w;
	struct lines l = {0};
	_cleanup_fd_ int fd = -1, segment = -1;

	place_open(&p);
	fd = open_directory(&p);
	CHECK_OK(output_open(fd, &w, &err));
	CHECK_OK(output_append(w, OUTPUT_OUT, "whole\n", 6, &err));
	output_close(w);
	segment = openat(fd, "log/00000001", O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK(write(segment, "\x20\0\0\0\1\0\0\0\0\0", 10) == 10);
	CHECK_OK(output_open(fd, &w, &err));
	CHECK_OK(output_append(w, OUTPUT_OUT, "after\n", 6, &err));
	output_close(w);
	CHECK_OK(output_read(fd, &(struct output_query){0}, take_line, &l, &err));
	CHECK_TEXT(l.text, "1:whole\n|1:after\n|");
	place_close(&p);
}

TEST(frames_pass_between_peers_and_a_closed_one_is_noticed)
{
	struct peer a = PEER_NONE, b = PEER_NONE;
	struct error err, sent = {.code = ERROR_NO_COMMAND, .text = "no such command"};
	struct message_error got = {0};
	struct frame f;
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	a.fd = ends[0];
	b.fd = ends[1];
	CHECK(peer_send(&a, 7, MESSAGE_DATA, CHANNEL_OUT, "hello", 5));
	CHECK(peer_send_error(&a, 8, &sent));
	CHECK_INT(peer_wait(&b, &f, UINT64_MAX, &err), 1);
	CHECK(f.stream == 7 && f.size == 5 && !memcmp(f.payload, "hello", 5));
	CHECK_INT(peer_wait(&b, &f, UINT64_MAX, &err), 1);
	CHECK_OK(message_error_decode(cursor_of(f.payload, f.size), &got, &err));
	CHECK_TEXT(got.text, "no such command");
	message_error_free(&got);
	CHECK_ERROR(peer_wait(&b, &f, 1, &err), ERROR_TIMEOUT);
	peer_close(&a);
	CHECK_ERROR(peer_wait(&b, &f, UINT64_MAX, &err), ERROR_CLOSED);
	peer_close(&b);
}

TEST(the_control_socket_is_reached_under_a_path_of_any_length)
{
	char path[400] = "/tmp/monocore-test-XXXXXX";
	struct error err;
	_cleanup_fd_ int directory = -1, listener = -1, connection = -1, accepted = -1;

	CHECK(mkdtemp(path));
	memset(path + strlen(path), 0, 1);
	snprintf(path + strlen(path), sizeof path - strlen(path), "/%0200d", 1);
	CHECK(mkdir(path, 0700) == 0);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_ERROR(control_connect(directory, &connection, &err), ERROR_NOT_FOUND);
	CHECK_OK(control_listen(directory, &listener, &err));
	CHECK_OK(control_connect(directory, &connection, &err));
	accepted = accept(listener, NULL, NULL);
	CHECK(accepted >= 0);
	CHECK_OK(unix_socket_check_peer(accepted, &err));
	*strrchr(path, '/') = 0;
	fs_remove_tree(AT_FDCWD, path, NULL);
}
