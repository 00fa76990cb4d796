/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine krun end to end but for libkrun itself: vm_start(), the confined process, mckrun, and a
 * stand-in for the library (tests/stub/libkrun.c) that plays an agent. /dev/null is given for /dev/kvm.
 * Needs what meson.build sets: MC_STUBS, the folder of the stand-ins, and MC_MCKRUN, the program.
 */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/frame.h"
#include "codec/message.h"
#include "oci/image.h"
#include "os/fs.h"
#include "sandbox/supervisor/root.h"
#include "test.h"
#include "vm/engine.h"
#include "vm/krun/engine.h"
#include "vm/krun/guest_kernel.h"
#include "vm/krun/root_disk.h"

#define DISK_BYTES 65536

/* One host with one home, made new for each test. */
static struct {
	char folder[64];
	char home[96], agent[96];
	struct krun_host host;
	struct vm_config config;
	struct vm *vm;
} here;

static struct error err;

static const char *set_by_build(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		test_fail(__FILE__, __LINE__, "%s is not set: 'meson test krun' does", name);
	return value;
}

static void tear_down(void)
{
	int *fds[] = {
		&here.host.kvm_fd, &here.config.image_fd, &here.config.disk_fd, &here.config.console_fd};

	if (!here.folder[0])
		return;
	vm_free(TAKE_PTR(here.vm));
	fs_remove_tree(AT_FDCWD, here.folder, NULL);
	krun_library_free(&here.host.library);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	memset(&here, 0, sizeof here);
}

static int make_file(const char *name, const void *bytes, size_t n, mode_t mode, int flags)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/%s", here.folder, name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), again;

	CHECK(fd >= 0);
	CHECK(fs_write_all(fd, bytes, n, name, NULL) == 0 && fchmod(fd, mode) == 0);
	again = open(path, flags | O_CLOEXEC);
	CHECK(again >= 0);
	close(fd);
	return again;
}

/* An image as the store keeps it, readable for its owner only. */
static int make_image(bool erofs)
{
	static uint8_t bytes[DISK_BYTES];

	memset(bytes, 0, sizeof bytes);
	memcpy(bytes + 1024, erofs ? "\xe2\xe1\xf5\xe0" : "\0\0\0\0", 4);
	memcpy(bytes + 1024 + 56, erofs ? "\0\0" : "\x53\xef", 2);
	return make_file(erofs ? "erofs" : "ext4", bytes, sizeof bytes, 0400, O_RDONLY);
}

static void copy_program(const char *from, const char *name)
{
	_cleanup_buffer_ struct buffer bytes = {0};

	CHECK_OK(fs_read_file(AT_FDCWD, from, 16 << 20, &bytes, &err));
	close(make_file(name, bytes.data, bytes.size, 0755, O_RDONLY));
}

static void use_stub(const char *name)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/libkrun_%s.so", set_by_build("MC_STUBS"), name);

	krun_library_free(&here.host.library);
	CHECK_OK(krun_library_at(path, &here.host.library, &err));
	here.host.by_path = true;
}

static void set_up(const char *stub)
{
	static const uint8_t zeroes[DISK_BYTES];

	static bool once;

	tear_down();
	if (!once && (once = true))
		atexit(tear_down);
	here.host.kvm_fd = here.config.image_fd = here.config.disk_fd = here.config.console_fd = -1;
	snprintf(here.folder, sizeof here.folder, "/tmp/mc-krun-XXXXXX");
	CHECK(mkdtemp(here.folder) && chmod(here.folder, 0755) == 0);
	snprintf(here.home, sizeof here.home, "%s/home", here.folder);
	CHECK(mkdir(here.home, 0700) == 0);
	snprintf(here.agent, sizeof here.agent, "%s/mcagent", here.folder);
	close(make_file("mcagent", "#!agent of this test", 20, 0755, O_RDONLY));
	copy_program(set_by_build("MC_MCKRUN"), "mckrun");
	use_stub(stub);
	here.host.kvm_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	here.host.boot_time = 20 * NANOSECONDS_PER_SECOND;
	here.config = (struct vm_config){.home = here.home,
		.agent_path = here.agent,
		.cpus = 3,
		.memory = 130 << 20,
		.image_fd = make_image(true),
		.disk_fd = make_file("disk", zeroes, sizeof zeroes, 0600, O_RDWR),
		.console_fd = make_file("console", "", 0, 0600, O_RDWR),
		.nic_count = 1,
		.id = 5};
}

static int start_here(const struct vm_config *config, struct vm **vm, struct error *e)
{
	return krun_start(&here.host, config, vm, e);
}

/* engine_krun on the host of this test. */
static int start(void)
{
	struct vm_engine engine = engine_krun;

	engine.start = start_here;
	return vm_start(&engine, &here.config, &here.vm, &err);
}

static bool has_children(void)
{
	siginfo_t info = {0};

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static char *console_text(void)
{
	_cleanup_buffer_ struct buffer text = {0};

	CHECK(lseek(here.config.console_fd, 0, SEEK_SET) == 0);
	CHECK_OK(fs_read_fd(here.config.console_fd, "console", 65536, &text, &err));
	return buffer_take_text(&text);
}

static void send_payload(uint16_t type, const void *payload, size_t n)
{
	_cleanup_buffer_ struct buffer out = {0};

	CHECK(frame_write(&out, 0, type, 0, payload, n));
	CHECK_OK(fs_write_all(vm_agent_fd(here.vm), out.data, out.size, "agent", &err));
}

static void ping(void)
{
	send_payload(MESSAGE_PING, "\1\2\3\4\5\6\7\10", 8);
}

/* True where the answer to a PING comes within so many milliseconds. */
static bool hear_pong(int milliseconds)
{
	struct pollfd p = {.fd = vm_agent_fd(here.vm), .events = POLLIN};
	static const uint8_t expected[] = {
		16, 0, 0, 0, 0, 0, 0, 0, MESSAGE_PONG, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t bytes[64];

	if (poll(&p, 1, milliseconds) != 1)
		return false;
	CHECK_INT(read(p.fd, bytes, sizeof bytes), sizeof expected);
	CHECK(!memcmp(bytes, expected, sizeof expected));
	return true;
}

static bool process_ends(int milliseconds)
{
	struct pollfd p = {.fd = vm_process_fd(here.vm), .events = POLLIN};

	return poll(&p, 1, milliseconds) == 1;
}

TEST(a_guest_boots_says_hello_answers_and_resets)
{
	struct message_hello hello;
	const uint8_t *payload;
	size_t size;

	set_up("good");
	CHECK_OK(start());
	CHECK(!vm_is_clone(here.vm));
	CHECK_TEXT(vm_accelerator_name(here.vm), "kvm");
	payload = vm_hello(here.vm, &size);
	CHECK_OK(message_hello_decode(cursor_of(payload, size), &hello, &err));
	CHECK_TEXT(hello.kernel, "6.6.0-stub");
	message_hello_free(&hello);
	ping();
	CHECK(hear_pong(5000));
	send_payload(MESSAGE_SHUTDOWN, "\0\0\0\0\1", 5);
	CHECK(process_ends(5000));
	CHECK_OK(vm_wait(here.vm, &err));
	CHECK_ERROR(vm_wait(here.vm, &err), ERROR_BUSY);
}

/* The stand-in refuses wrong arguments and a wrong order by itself. */
TEST(the_machine_has_its_processors_memory_and_disks_and_nothing_of_the_host)
{
	_cleanup_free_ char *text = NULL;
	char written[20];

	set_up("good");
	CHECK_OK(start());
	text = console_text();
	CHECK_TEXT(text, "machine cpus=3 mebibytes=192\n"
			 "disk agent 00040000 53ef\n"
			 "disk image e2e1f5e0 0000\n"
			 "disk disk 00000000 0000 written\n"
			 "leaves read=0 write=0 make=0 socket=0 environment=0\n");
	CHECK_INT(pread(here.config.disk_fd, written, sizeof written, 4096), sizeof written);
	CHECK(!memcmp(written, "written by the guest", sizeof written));
}

TEST(a_sandbox_without_a_disk_gets_none)
{
	_cleanup_free_ char *text = NULL;

	set_up("good");
	close(here.config.disk_fd);
	here.config.disk_fd = -1;
	CHECK_OK(start());
	text = console_text();
	CHECK(strstr(text, "disk image") && !strstr(text, "disk disk"));
}

TEST(a_network_device_speaks_on_the_stream_that_waits_at_its_listener)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct vm_nic nic = {.mac = {0x52, 0x4d, 10, 1, 2, 3}};
	unsigned char frame[10];
	int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_up("good");
	snprintf(name.sun_path, sizeof name.sun_path, "%s/net0", here.folder);
	nic.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(nic.listener, (struct sockaddr *)&name, sizeof name) == 0 && listen(nic.listener, 4) == 0);
	here.config.nics = &nic;
	CHECK_ERROR(start(), ERROR_START); /* libkrun takes one that is connected, and here none is */
	CHECK(connect(stream, (struct sockaddr *)&name, sizeof name) == 0);
	CHECK_OK(start());
	CHECK_INT(recv(stream, frame, sizeof frame, MSG_WAITALL), sizeof frame);
	CHECK(!memcmp(frame, "\0\0\0\6\x52\x4d\x0a\1\2\3", sizeof frame));
	close(stream);
	close(nic.listener);
}

TEST(the_port_of_volumes_is_there_where_it_is_asked_for)
{
	_cleanup_free_ char *text = NULL;

	set_up("good");
	CHECK_OK(start());
	CHECK_INT(vm_volumes_fd(here.vm), -1);
	set_up("good");
	here.config.volumes = true;
	CHECK_OK(start());
	CHECK(vm_volumes_fd(here.vm) >= 0);
	text = console_text();
	CHECK(strstr(text, "\nvolumes 1\n"));
}

TEST(a_library_without_a_call_starts_nothing_and_the_call_is_named)
{
	_cleanup_free_ char *text = NULL;

	set_up("no_vsock");
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "libkrun.so.1 has no krun_disable_implicit_vsock"));
	text = console_text();
	CHECK_TEXT(text, "");
	CHECK(!has_children());
}

TEST(a_call_that_fails_is_named)
{
	set_up("refuses");
	CHECK_ERROR(start(), ERROR_CLOSED);
	CHECK(strstr(err.text, "libkrun refused krun_add_disk2: Operation not supported"));
	CHECK(!has_children());
}

TEST(what_libkrun_says_when_it_cannot_start_is_told)
{
	set_up("cannot_enter");
	CHECK_ERROR(start(), ERROR_CLOSED);
	CHECK_TEXT(err.text,
		"the VM ended before its agent came up: Couldn't find or load libkrunfw.so.5; libkrun "
		"refused krun_start_enter: No such file or directory");
	CHECK(!has_children());
}

TEST(a_library_that_is_not_there_is_one_clear_line)
{
	struct krun_library l;
	struct error e = {0};

	set_up("good");
	CHECK_ERROR(krun_library_at("/nonexistent/libkrun.so.1", &l, &e), ERROR_UNAVAILABLE);
	CHECK_TEXT(e.text, "libkrun.so.1 is not installed at /nonexistent/libkrun.so.1");
	/* Gone since it was found. */
	free(here.host.library.path);
	here.host.library.path = text_format(NULL, "%s/mcagent", here.folder);
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "load libkrun.so.1: "));
}

TEST(an_engine_that_does_not_work_here_says_what_is_missing)
{
	struct error e = {0};

	if (engine_krun.available(&e) < 0) {
		CHECK_INT(e.code, ERROR_UNAVAILABLE);
		CHECK(strstr(e.text, "libkrun"));
		CHECK(!vm_engine_find("krun", &e));
	} else {
		CHECK(vm_engine_find("krun", &e) == &engine_krun);
	}
	CHECK(!vm_engine_has_templates(&engine_krun));
}

TEST(an_agent_that_says_nothing_is_given_up_at_its_deadline)
{
	uint64_t before;

	set_up("silent");
	here.host.boot_time = MILLISECONDS(700);
	before = clock_monotonic();
	CHECK_ERROR(start(), ERROR_TIMEOUT);
	CHECK(clock_monotonic() - before < MILLISECONDS(20000));
	CHECK(!has_children());
}

TEST(a_killed_process_is_seen_and_told)
{
	set_up("good");
	CHECK_OK(start());
	CHECK(!process_ends(0));
	CHECK(kill(vm_pid(here.vm), SIGKILL) == 0);
	CHECK(process_ends(5000));
	CHECK_ERROR(vm_wait(here.vm, &err), ERROR_CLOSED);
	CHECK(strstr(err.text, "signal 9"));
	CHECK(!has_children());
}

TEST(a_vm_that_breaks_down_is_told_with_its_last_words)
{
	set_up("breaks");
	CHECK_OK(start());
	ping();
	CHECK(process_ends(5000));
	CHECK_ERROR(vm_wait(here.vm, &err), ERROR_CLOSED);
	CHECK_TEXT(err.text, "libkrun ended with status 3: first words; the stub broke down");
}

TEST(a_vm_that_is_freed_leaves_nothing)
{
	set_up("good");
	CHECK_OK(start());
	vm_free(TAKE_PTR(here.vm));
	CHECK(!has_children());
}

TEST(a_paused_guest_stands_still_and_goes_on_when_resumed)
{
	set_up("good");
	CHECK_OK(start());
	for (int i = 0; i < 3; i++) {
		CHECK_OK(vm_pause(here.vm, &err));
		CHECK_OK(vm_pause(here.vm, &err));
		ping();
		CHECK(!hear_pong(200));
		CHECK(!process_ends(0));
		CHECK_OK(vm_resume(here.vm, &err));
		CHECK(hear_pong(5000));
	}
	CHECK_OK(vm_pause(here.vm, &err));
	vm_kill(here.vm);
	CHECK_ERROR(vm_pause(here.vm, &err), ERROR_CLOSED);
}

TEST(what_comes_by_virtiofs_is_refused)
{
	const struct vm_share share = {"volume0", -1};

	set_up("good");
	here.config.shares = &share;
	here.config.share_count = 1;
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "--engine qemu"));
	here.config.share_count = VM_SHARES_MAX + 1;
	CHECK_ERROR(start(), ERROR_LIMIT);
}

TEST(software_emulation_is_refused)
{
	set_up("good");
	here.config.accelerator = VM_ACCELERATOR_TCG;
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "KVM"));
}

TEST(a_kernel_that_lacks_the_images_file_system_is_found_out_once_and_named)
{
	_cleanup_free_ char *known = NULL;

	set_up("old_kernel");
	CHECK(!krun_kernel_recall(here.home, here.host.library.build));
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "cannot mount erofs"));
	CHECK(!has_children());
	known = krun_kernel_recall(here.home, here.host.library.build);
	CHECK_TEXT(known, "erofs,fuse");
	/* Nothing is started to find out again: without time it would be a TIMEOUT. */
	here.host.boot_time = 0;
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	/* Another form of the image is fine. */
	here.host.boot_time = 20 * NANOSECONDS_PER_SECOND;
	close(here.config.image_fd);
	here.config.image_fd = make_image(false);
	CHECK_OK(start());
}

/* An image in the store of this home; returns what names its root file system. */
static struct image *store_image(void)
{
	_cleanup_free_ char *directory = text_format(NULL, "%s/tree", here.folder);
	_cleanup_free_ char *reference = text_format(NULL, "rootfs:%s", directory);
	struct image *image = NULL;
	struct store *store;

	CHECK(mkdir(directory, 0755) == 0);
	CHECK_OK(store_open(here.home, &store, &err));
	CHECK_OK(image_open(store, reference, NULL, &image, &err));
	store_free(store);
	return image;
}

/* Notes the form of each start. */
static int start_root(void *context, const struct root *root, struct error *e)
{
	struct vm_engine engine = engine_krun;
	struct vm_config config = here.config;

	CHECK(buffer_format(context, "%s ", root->form));
	engine.start = start_here;
	config.image_fd = root->fd;
	return vm_start(&engine, &config, &here.vm, e);
}

static const char *root_type_here(const char *home)
{
	return krun_kernel_root_type(home, here.host.library.build);
}

/* As a supervisor starts a sandbox of that image. Which forms were tried is the caller's. */
static char *start_from_store(const char *id, int expected)
{
	_cleanup_buffer_ struct buffer tried = {0};
	struct vm_engine engine = engine_krun;
	struct root root = ROOT_NONE;

	engine.root_type = root_type_here;
	CHECK_INT(root_start(&engine, here.home, id, start_root, &tried, &root, &err), expected);
	root_close(&root);
	return buffer_take_text(&tried);
}

TEST(a_kernel_without_erofs_gets_the_image_as_ext4_from_the_first_start_on)
{
	_cleanup_free_ char *first = NULL, *second = NULL, *text = NULL;
	struct image *image;

	set_up("old_kernel");
	image = store_image();
	CHECK_TEXT(vm_root_type(&engine_qemu, here.home), "erofs");
	first = start_from_store(image->root_id, 0);
	CHECK_TEXT(first, "erofs ext4 ");
	text = console_text();
	if (!strstr(text, "disk image e2e1f5e0 ") || !strstr(text, " 53ef\ndisk disk"))
		test_fail(__FILE__, __LINE__, "the console says: %s", text);
	ping();
	CHECK(hear_pong(5000));
	vm_free(TAKE_PTR(here.vm));
	CHECK(!has_children());
	second = start_from_store(image->root_id, 0);
	CHECK_TEXT(second, "ext4 ");
	image_free(image);
}

TEST(only_a_kernel_that_reads_the_other_form_is_given_it)
{
	_cleanup_free_ char *good = NULL, *neither = NULL;
	struct image *image;

	set_up("good");
	image = store_image();
	good = start_from_store(image->root_id, 0);
	CHECK_TEXT(good, "erofs ");
	vm_free(TAKE_PTR(here.vm));
	krun_kernel_remember(here.home, here.host.library.build, "erofs,ext4");
	CHECK_TEXT(root_type_here(here.home), "erofs");
	neither = start_from_store(image->root_id, -ERROR_UNAVAILABLE);
	CHECK_TEXT(neither, "erofs ");
	CHECK(strstr(err.text, "cannot mount erofs"));
	image_free(image);
}

TEST(what_is_remembered_of_a_kernel_is_of_one_library_and_a_damaged_memory_is_none)
{
	_cleanup_free_ char *good = NULL, *path = NULL;

	set_up("old_kernel");
	CHECK_ERROR(start(), ERROR_UNAVAILABLE);
	path = text_format(NULL, "%s/krun/%s.json", here.home, here.host.library.build);
	use_stub("good");
	good = krun_kernel_recall(here.home, here.host.library.build);
	CHECK(!good);
	CHECK_OK(start());
	use_stub("old_kernel");
	CHECK(truncate(path, 5) == 0);
	CHECK(!krun_kernel_recall(here.home, here.host.library.build));
}

TEST(overlay_and_the_disks_ext4_are_needed_as_well)
{
	set_up("good");
	CHECK_OK(krun_kernel_suits("", here.config.image_fd, true, &err));
	CHECK_OK(krun_kernel_suits("fuse,erofs2", here.config.image_fd, true, &err));
	CHECK_OK(krun_kernel_suits("ext4", here.config.image_fd, false, &err));
	CHECK_ERROR(krun_kernel_suits("fuse,ext4", here.config.image_fd, true, &err), ERROR_UNAVAILABLE);
	CHECK_ERROR(krun_kernel_suits("fuse,overlay", here.config.image_fd, false, &err), ERROR_UNAVAILABLE);
	CHECK_ERROR(krun_kernel_suits("erofs", here.config.image_fd, false, &err), ERROR_UNAVAILABLE);
}

/* Reads /init out of the disk by libext2fs. */
static void check_init(const char *path, const char *expected)
{
	ext2_filsys fs;
	ext2_ino_t number;
	struct ext2_inode inode;
	ext2_file_t file;
	char bytes[64];
	unsigned n = 0;

	CHECK(ext2fs_open(path, 0, 0, 0, unix_io_manager, &fs) == 0);
	for (const char *const *name = (const char *const[]){"dev", "proc", "sys", "run", NULL}; *name;
		name++) {
		CHECK(ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, *name, &number) == 0);
		CHECK(ext2fs_read_inode(fs, number, &inode) == 0 && inode.i_mode == (S_IFDIR | 0755));
	}
	CHECK(ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, "init", &number) == 0);
	CHECK(ext2fs_read_inode(fs, number, &inode) == 0 && inode.i_mode == (S_IFREG | 0755));
	CHECK(ext2fs_file_open(fs, number, 0, &file) == 0);
	CHECK(ext2fs_file_read(file, bytes, sizeof bytes, &n) == 0);
	CHECK(n == strlen(expected) && !memcmp(bytes, expected, n));
	ext2fs_file_close(file);
	ext2fs_close_free(&fs);
}

TEST(the_root_disk_holds_the_agent_and_is_made_once_for_each_build_of_it)
{
	_cleanup_free_ char *first = NULL, *second = NULL, *other = NULL;
	_cleanup_fd_ int a = -1, b = -1, c = -1, agent = -1;
	struct stat made, again;

	set_up("good");
	CHECK_OK(krun_root_disk(here.home, here.agent, &a, &first, &err));
	CHECK_OK(krun_root_disk(here.home, here.agent, &b, &second, &err));
	CHECK_TEXT(first, second);
	CHECK(fstat(a, &made) == 0 && fstat(b, &again) == 0);
	CHECK_INT(made.st_ino, again.st_ino);
	CHECK_INT(made.st_mode & 07777, 0400);
	CHECK(made.st_blocks * 512 < 1 << 20);
	check_init(first, "#!agent of this test");
	agent = open(here.agent, O_WRONLY | O_TRUNC);
	CHECK(write(agent, "another", 7) == 7);
	CHECK_OK(krun_root_disk(here.home, here.agent, &c, &other, &err));
	CHECK(strcmp(first, other) != 0);
	check_init(other, "another");
}

TEST(many_starts_at_once_make_one_root_disk)
{
	ino_t inodes[8];
	int ends[2];

	set_up("good");
	CHECK(pipe(ends) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(inodes); i++)
		if (fork() == 0) {
			struct stat st = {0};
			char *path;
			int fd;

			if (krun_root_disk(here.home, here.agent, &fd, &path, NULL) < 0 || fstat(fd, &st) < 0)
				_exit(1);
			_exit(write(ends[1], &st.st_ino, sizeof st.st_ino) != sizeof st.st_ino);
		}
	for (size_t i = 0; i < ARRAY_SIZE(inodes); i++) {
		int status = -1;

		CHECK(wait(&status) > 0);
		CHECK_INT(status, 0);
		CHECK_INT(read(ends[0], &inodes[i], sizeof inodes[i]), sizeof inodes[i]);
		CHECK_INT(inodes[i], inodes[0]);
	}
	close(ends[0]);
	close(ends[1]);
}

TEST(an_unfinished_root_disk_is_swept_away_but_not_from_under_its_maker)
{
	_cleanup_free_ char *path = NULL, *directory = NULL, *unfinished = NULL;
	_cleanup_fd_ int fd = -1, dir = -1;
	int lock;

	set_up("good");
	CHECK_OK(krun_root_disk(here.home, here.agent, &fd, &path, &err));
	directory = text_format(NULL, "%s/krun", here.home);
	unfinished = text_format(NULL, "%s/new.img", directory);
	dir = open(directory, O_RDONLY | O_DIRECTORY);
	CHECK_OK(fs_write_atomic(dir, "new.img", "x", 1, 0600, &err));
	CHECK_OK(fs_lock(dir, "lock", FS_LOCK_EXCLUSIVE, true, &lock, &err));
	krun_root_disk_sweep(here.home);
	CHECK(access(unfinished, F_OK) == 0);
	close(lock);
	krun_root_disk_sweep(here.home);
	CHECK(access(unfinished, F_OK) < 0);
	CHECK(access(path, F_OK) == 0);
}
