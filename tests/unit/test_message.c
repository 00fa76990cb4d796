/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>

#include "codec/frame.h"
#include "codec/message.h"
#include "codec/volume.h"

/* Decodes a copy of n bytes with exactly that size, so that a read behind its end is seen by ASan. */
typedef int (*decoder)(struct cursor in, struct error *err);

static int decode_copy(decoder decode, const uint8_t *data, size_t n, struct error *err)
{
	_cleanup_free_ uint8_t *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, data, n);
	return decode(cursor_of(copy, n), err);
}

static void expect_exact(decoder decode, const struct buffer *bytes)
{
	_cleanup_buffer_ struct buffer longer = {0};
	struct error err = {0};

	CHECK_OK(decode_copy(decode, bytes->data, bytes->size, &err));
	for (size_t n = 0; n < bytes->size; n++)
		CHECK_ERROR(decode_copy(decode, bytes->data, n, &err), ERROR_INVALID);
	buffer_append(&longer, bytes->data, bytes->size);
	buffer_u8(&longer, 0);
	CHECK_ERROR(decode_copy(decode, longer.data, longer.size, &err), ERROR_INVALID);
}

/* For each message: decoding what was encoded and encoding that gives the same bytes; no cut passes. */
#define DECODER(name, release) \
	static int decode_##name(struct cursor in, struct error *err) \
	{ \
		struct message_##name m; \
		_cleanup_buffer_ struct buffer again = {0}; \
		int r = message_##name##_decode(in, &m, err); \
\
		if (r < 0) \
			return r; \
		message_##name##_encode(&m, &again); \
		CHECK_INT(again.size, in.left); \
		CHECK(memcmp(again.data, in.data, in.left) == 0); \
		release; \
		return 0; \
	}

DECODER(hello, message_hello_free(&m))
DECODER(setup, message_setup_free(&m))
DECODER(error, message_error_free(&m))
DECODER(exec, message_exec_free(&m))
DECODER(resize, (void)0)
DECODER(exited, (void)0)
DECODER(entry, message_entry_free(&m))
DECODER(usage, (void)0)
DECODER(shutdown, (void)0)
DECODER(network_switch, (void)0)

TEST(hello_is_read_as_written)
{
	struct message_hello m = {1, (char *)"6.1.0-56-cloud-amd64", (char *)"erofs,fuse"};
	_cleanup_buffer_ struct buffer out = {0};

	message_hello_encode(&m, &out);
	expect_exact(decode_hello, &out);
}

static const char entropy[SETUP_ENTROPY_MAX + 1] = "0123456789abcdef0123456789abcdef";

static struct message_setup sound_setup(void)
{
	static char *volumes[] = {(char *)"/data", (char *)"/var/lib/x", NULL};
	static struct message_mount mounts[] = {
		{(char *)"/work", MOUNT_FILE}, {(char *)"/src", MOUNT_READ_ONLY | MOUNT_VIRTIOFS}};
	static struct message_network networks[] = {
		{{0x52, 0x4d, 10, 7, 1, 3}, 0x0a070103, 24, 0x0a070101, 65520, true},
		{{0x52, 0x4d, 10, 9, 9, 9}, 0x0a090909, 16, 0, 1500, false}};

	return (struct message_setup){.entropy = (const uint8_t *)entropy,
		.entropy_size = 32,
		.realtime = 1767225600000000000ULL,
		.hostname = (char *)"web-1",
		.machine_id = (char *)"0123456789abcdef0123456789abcdef",
		.boot_id = (char *)"01234567-89ab-cdef-0123-456789abcdef",
		.root_type = (char *)"erofs",
		.disk = true,
		.pids = 512,
		.hosts = (char *)"127.0.0.1 localhost\n",
		.resolv_conf = (char *)"",
		.volumes = volumes,
		.mounts = mounts,
		.mount_count = 2,
		.networks = networks,
		.network_count = 2};
}

TEST(setup_is_read_as_written)
{
	struct message_setup m = sound_setup();
	_cleanup_buffer_ struct buffer out = {0};

	message_setup_encode(&m, &out);
	expect_exact(decode_setup, &out);
}

static void expect_setup_refused(const struct message_setup *m)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct error err = {0};

	message_setup_encode(m, &out);
	CHECK_ERROR(decode_copy(decode_setup, out.data, out.size, &err), ERROR_INVALID);
}

TEST(a_setup_out_of_bounds_is_refused)
{
	static char *relative[] = {(char *)"data", NULL};
	struct message_setup m = sound_setup();

	m.upper_only = true;
	m.disk = false; /* there is no upper to be read */
	expect_setup_refused(&m);
	m = sound_setup();
	m.entropy_size = 31;
	expect_setup_refused(&m);
	m.entropy_size = SETUP_ENTROPY_MAX + 1;
	expect_setup_refused(&m);
	m = sound_setup();
	m.hostname = (char *)"../x";
	expect_setup_refused(&m);
	m.hostname = (char *)"";
	expect_setup_refused(&m);
	m = sound_setup();
	m.machine_id = (char *)"0123456789ABCDEF0123456789abcdef";
	expect_setup_refused(&m);
	m = sound_setup();
	m.boot_id = (char *)"0123456789abcdef0123456789abcdef0123";
	expect_setup_refused(&m);
	m = sound_setup();
	m.root_type = (char *)"btrfs";
	expect_setup_refused(&m);
	m = sound_setup();
	m.volumes = relative;
	expect_setup_refused(&m);
}

TEST(a_setup_may_have_the_root_behind_all_volumes)
{
	struct message_mount mounts[VOLUMES_MAX + 1];
	struct message_setup m = sound_setup();
	_cleanup_buffer_ struct buffer out = {0};

	for (size_t i = 0; i < VOLUMES_MAX; i++)
		mounts[i] = (struct message_mount){(char *)"/work", 0};
	mounts[VOLUMES_MAX] = (struct message_mount){(char *)"/", MOUNT_ROOT | MOUNT_VIRTIOFS};
	m.mounts = mounts;
	m.mount_count = VOLUMES_MAX + 1;
	message_setup_encode(&m, &out);
	expect_exact(decode_setup, &out);
	/* It may be all that the changes are read from. */
	m.disk = false;
	m.upper_only = true;
	buffer_free(&out);
	message_setup_encode(&m, &out);
	expect_exact(decode_setup, &out);
}

TEST(a_setup_with_a_root_out_of_its_place_is_refused)
{
	static const struct message_mount wrong[] = {{(char *)"/", MOUNT_ROOT},
		{(char *)"/", MOUNT_ROOT | MOUNT_VIRTIOFS | MOUNT_READ_ONLY},
		{(char *)"/root", MOUNT_ROOT | MOUNT_VIRTIOFS}};
	struct message_mount mounts[] = {{(char *)"/", MOUNT_ROOT | MOUNT_VIRTIOFS}, {(char *)"/work", 0}};
	struct message_setup m = sound_setup();

	m.mounts = mounts;
	m.mount_count = 2;
	expect_setup_refused(&m); /* it is not the last */
	m.mount_count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		mounts[0] = wrong[i];
		expect_setup_refused(&m);
	}
}

TEST(a_setup_with_mounts_out_of_bounds_is_refused)
{
	static struct message_mount relative[] = {{(char *)"work", 0}}, flags[] = {{(char *)"/work", 3}},
				    unknown[] = {{(char *)"/work", 1u << 31}},
				    file[] = {{(char *)"/work", MOUNT_FILE | MOUNT_STAGED}};
	struct message_mount many[VOLUMES_MAX + 1];
	struct message_setup m = sound_setup();

	m.mount_count = 1;
	m.mounts = relative;
	expect_setup_refused(&m);
	m.mounts = flags;
	expect_setup_refused(&m);
	m.mounts = unknown;
	expect_setup_refused(&m);
	m.mounts = file;
	expect_setup_refused(&m);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct message_mount){(char *)"/work", 0};
	m.mounts = many;
	m.mount_count = VOLUMES_MAX + 1;
	expect_setup_refused(&m);
}

TEST(a_setup_with_networks_out_of_bounds_is_refused)
{
	static const struct message_network good = {
		{0x52, 0x4d, 10, 7, 1, 3}, 0x0a070103, 24, 0x0a070101, 65520, true};
	struct message_network bad[] = {good, good, good, good, good}, many[NETWORKS_MAX + 1];
	struct message_setup m = sound_setup();

	bad[0].mac[0] = 0xff; /* of a group of stations */
	bad[1].bits = 31;
	bad[2].gateway = 0x0a070201; /* in another subnet */
	bad[3].mtu = 575;
	bad[4].mtu = 65521;
	m.network_count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		m.networks = &bad[i];
		expect_setup_refused(&m);
	}
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = good;
	m.networks = many;
	m.network_count = ARRAY_SIZE(many);
	expect_setup_refused(&m);
}

TEST(network_is_read_as_written)
{
	const struct message_network_switch m = {7, true};
	_cleanup_buffer_ struct buffer out = {0};

	message_network_switch_encode(&m, &out);
	expect_exact(decode_network_switch, &out);
}

TEST(error_is_read_as_written)
{
	struct message_error m = {ERROR_NO_COMMAND, (char *)"pyton3: not found in PATH"};
	_cleanup_buffer_ struct buffer out = {0}, none = {0};
	struct error err = {0};

	message_error_encode(&m, &out);
	expect_exact(decode_error, &out);
	m.code = ERROR_COUNT;
	message_error_encode(&m, &none);
	CHECK_ERROR(decode_copy(decode_error, none.data, none.size, &err), ERROR_INVALID);
}

static struct message_exec sound_exec(void)
{
	static char *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo \xff\x01", NULL};
	static char *env[] = {(char *)"PATH=/bin", (char *)"EMPTY=", NULL};
	static struct message_rlimit limits[] = {{7, 1024, 4096}, {4, 0, UINT64_MAX}};

	return (struct message_exec){.flags = EXEC_TTY | EXEC_STDIN,
		.argv = argv,
		.env = env,
		.workdir = (char *)"/srv",
		.user = (char *)"www-data:www-data",
		.rows = 24,
		.columns = 80,
		.rlimits = limits,
		.rlimit_count = 2};
}

TEST(exec_is_read_as_written)
{
	struct message_exec m = sound_exec();
	_cleanup_buffer_ struct buffer out = {0};

	message_exec_encode(&m, &out);
	expect_exact(decode_exec, &out);
}

static void expect_exec_refused(const struct message_exec *m)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct error err = {0};

	message_exec_encode(m, &out);
	CHECK_ERROR(decode_copy(decode_exec, out.data, out.size, &err), ERROR_INVALID);
}

TEST(an_exec_out_of_bounds_is_refused)
{
	static struct message_rlimit limits[17], upside_down[] = {{7, 2, 1}}, unknown[] = {{16, 1, 1}};
	static char *none[] = {NULL}, *empty[] = {(char *)"", NULL};
	struct message_exec m = sound_exec();

	m.argv = none;
	expect_exec_refused(&m);
	m.argv = empty;
	expect_exec_refused(&m);
	m = sound_exec();
	m.flags = 16;
	expect_exec_refused(&m);
	m = sound_exec();
	m.rlimits = limits;
	m.rlimit_count = 17;
	expect_exec_refused(&m);
	m.rlimits = upside_down;
	m.rlimit_count = 1;
	expect_exec_refused(&m);
	m.rlimits = unknown;
	expect_exec_refused(&m);
}

TEST(a_count_of_strings_that_lies_is_refused)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct error err = {0};

	buffer_u32(&out, 0);
	buffer_u32(&out, 0xffffffff);
	buffer_u64(&out, 0);
	CHECK_ERROR(decode_copy(decode_exec, out.data, out.size, &err), ERROR_INVALID);
}

TEST(an_exec_with_a_megabyte_of_environment_fits_a_message)
{
	struct message_exec m = sound_exec();
	_cleanup_free_ char **env = calloc(11, sizeof *env);
	_cleanup_free_ char *value = malloc(100001);
	_cleanup_buffer_ struct buffer out = {0}, frames = {0};
	struct error err = {0};

	memset(value, 'x', 100000);
	value[100000] = 0;
	for (size_t i = 0; i < 10; i++)
		env[i] = value;
	m.env = env;
	message_exec_encode(&m, &out);
	CHECK_OK(decode_copy(decode_exec, out.data, out.size, &err));
	CHECK(frame_write(&frames, 3, MESSAGE_EXEC, 0, out.data, out.size));
}

TEST(small_messages_are_read_as_written)
{
	struct message_resize resize = {50, 200};
	struct message_exited exited = {3, 0, false, true}, killed = {0, 9, true, false};
	struct message_shutdown shutdown = {10000, true};
	_cleanup_buffer_ struct buffer a = {0}, b = {0}, c = {0}, d = {0};

	message_resize_encode(&resize, &a);
	expect_exact(decode_resize, &a);
	message_exited_encode(&exited, &b);
	expect_exact(decode_exited, &b);
	message_exited_encode(&killed, &c);
	expect_exact(decode_exited, &c);
	message_shutdown_encode(&shutdown, &d);
	expect_exact(decode_shutdown, &d);
}

TEST(an_exit_status_out_of_range_is_refused)
{
	struct message_exited wide = {256, 0, false, false}, both = {1, 9, false, false};
	_cleanup_buffer_ struct buffer a = {0}, b = {0};
	struct error err = {0};

	message_exited_encode(&wide, &a);
	CHECK_ERROR(decode_copy(decode_exited, a.data, a.size, &err), ERROR_INVALID);
	message_exited_encode(&both, &b);
	CHECK_ERROR(decode_copy(decode_exited, b.data, b.size, &err), ERROR_INVALID);
}

TEST(entry_and_usage_are_read_as_written)
{
	struct message_entry e = {(char *)"a\xff", 0120777, 1, 2, 3, -4, 5, (char *)"../b"};
	struct message_usage u = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
	_cleanup_buffer_ struct buffer a = {0}, b = {0};

	message_entry_encode(&e, &a);
	expect_exact(decode_entry, &a);
	message_usage_encode(&u, &b);
	expect_exact(decode_usage, &b);
}

static uint16_t request_type;

static int decode_request(struct cursor in, struct error *err)
{
	struct message_request m;
	_cleanup_buffer_ struct buffer again = {0};
	int r = message_request_decode(request_type, in, &m, err);

	if (r < 0)
		return r;
	message_request_encode(request_type, &m, &again);
	CHECK_INT(again.size, in.left);
	CHECK(memcmp(again.data, in.data, in.left) == 0);
	message_request_free(&m);
	return 0;
}

TEST(requests_are_read_as_written)
{
	static const uint16_t types[] = {MESSAGE_GET, MESSAGE_PUT, MESSAGE_READ, MESSAGE_WRITE, MESSAGE_STAT,
		MESSAGE_LIST, MESSAGE_UPPER, MESSAGE_REMOVE};
	struct message_request m = {(char *)"/etc/passwd", 1, 31};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		request_type = types[i];
		message_request_encode(request_type, &m, &out);
		expect_exact(decode_request, &out);
	}
}

TEST(a_request_without_a_path_or_with_unknown_flags_is_refused)
{
	struct message_request empty = {(char *)"", 0, 0}, flags = {(char *)"/x", 4, 0},
			       mode = {(char *)"/x", 010000, 0}, upper = {(char *)"/x", 0, 32};
	_cleanup_buffer_ struct buffer a = {0}, b = {0}, c = {0}, d = {0};
	struct message_request m;
	struct error err;

	message_request_encode(MESSAGE_GET, &empty, &a);
	CHECK_ERROR(message_request_decode(MESSAGE_GET, cursor_of(a.data, a.size), &m, &err), ERROR_INVALID);
	message_request_encode(MESSAGE_PUT, &flags, &b);
	CHECK_ERROR(message_request_decode(MESSAGE_PUT, cursor_of(b.data, b.size), &m, &err), ERROR_INVALID);
	message_request_encode(MESSAGE_WRITE, &mode, &c);
	CHECK_ERROR(
		message_request_decode(MESSAGE_WRITE, cursor_of(c.data, c.size), &m, &err), ERROR_INVALID);
	message_request_encode(MESSAGE_REMOVE, &upper, &d);
	CHECK_ERROR(
		message_request_decode(MESSAGE_REMOVE, cursor_of(d.data, d.size), &m, &err), ERROR_INVALID);
}

TEST(every_message_has_its_name)
{
	CHECK_TEXT(message_name(MESSAGE_HELLO), "HELLO");
	CHECK_TEXT(message_name(MESSAGE_PONG), "PONG");
	CHECK_TEXT(message_name(0), "?");
	CHECK_TEXT(message_name(UINT16_MAX), "?");
}
