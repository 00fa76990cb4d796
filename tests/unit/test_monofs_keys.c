/* SPDX-License-Identifier: Apache-2.0 */
/* Passphrases, key files, and keys that are rotated. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monofs/keys.h"
#include "monofs/pack.h"
#include "monofs_place.h"

static const struct repository_secret first = {.passphrase = "correct horse"};
static const struct repository_secret second = {.passphrase = "battery staple"};
static const struct repository_secret file = {.file = (const uint8_t *)"0123456789abcdef", .file_size = 16};

static void make(char path[256])
{
	const struct repository_new o = {.secret = &first, .weak = true};
	struct error err;

	monofs_path(monofs_place(), "a", path);
	CHECK_OK(repository_create(path, &o, &err));
}

static struct repository *open_by(const char *path, const struct repository_secret *secret)
{
	struct repository *r;
	struct error err;

	CHECK_OK(repository_open(path, secret, false, NULL, &r, &err));
	return r;
}

static void denied(const char *path, const struct repository_secret *secret)
{
	struct repository *r;
	struct error err;

	CHECK_ERROR(repository_open(path, secret, false, NULL, &r, &err), ERROR_DENIED);
}

static struct object_id put(struct repository *r, const char *text)
{
	struct store_writer *w;
	struct object_id id;
	struct error err;

	CHECK_OK(store_writer_new(repository_store(r), &w, &err));
	CHECK_OK(store_put(w, OBJECT_CHUNK, text, strlen(text), &id, NULL, &err));
	CHECK_OK(store_writer_flush(w, &err));
	CHECK_OK(store_sync(repository_store(r), &err));
	store_writer_free(w);
	return id;
}

static void has(struct repository *r, const struct object_id *id, const char *text)
{
	struct store_bytes bytes;
	struct error err;

	CHECK_OK(store_get(repository_store(r), OBJECT_CHUNK, id, &bytes, &err));
	CHECK(bytes.size == strlen(text) && memcmp(bytes.bytes, text, bytes.size) == 0);
	store_release(repository_store(r), &bytes);
}

TEST(each_of_several_secrets_opens_the_same)
{
	struct repository_slot *slots;
	char path[256], a[17], b[17];
	struct object_id id;
	struct repository *r;
	struct error err;
	size_t count;

	make(path);
	r = open_by(path, &first);
	id = put(r, "hello");
	CHECK_OK(repository_slot_add(r, &second, a, &err));
	CHECK_OK(repository_slot_add(r, &file, b, &err));
	repository_close(r);
	r = open_by(path, &second);
	has(r, &id, "hello");
	CHECK_OK(repository_slots(r, &slots, &count, &err));
	CHECK_INT(count, 3);
	for (size_t i = 0; i < count; i++) {
		CHECK(slots[i].used == (strcmp(slots[i].name, a) == 0));
		CHECK(slots[i].file == (strcmp(slots[i].name, b) == 0));
		CHECK(slots[i].made > 1700000000);
	}
	free(slots);
	repository_close(r);
	r = open_by(path, &file);
	has(r, &id, "hello");
	CHECK_OK(repository_slot_remove(r, a, &err));
	CHECK_ERROR(repository_slot_remove(r, a, &err), ERROR_NOT_FOUND);
	CHECK_ERROR(repository_slot_remove(r, "../format", &err), ERROR_INVALID);
	repository_close(r);
	denied(path, &second);
}

TEST(the_last_key_cannot_be_removed)
{
	struct repository_slot *slots;
	struct repository *r;
	char path[256];
	struct error err;
	size_t count;

	make(path);
	r = open_by(path, &first);
	CHECK_OK(repository_slots(r, &slots, &count, &err));
	CHECK_ERROR(repository_slot_remove(r, slots[0].name, &err), ERROR_DENIED);
	free(slots);
	repository_close(r);
	repository_close(open_by(path, &first));
}

TEST(a_process_hands_the_master_key_to_another)
{
	struct repository_secret master = {0};
	uint8_t key[CRYPT_KEY_SIZE];
	struct repository *r;
	char path[256];

	make(path);
	r = open_by(path, &first);
	memcpy(key, repository_master(r), sizeof key);
	repository_close(r);
	master.master = key;
	repository_close(open_by(path, &master));
	key[0] ^= 1;
	denied(path, &master);
}

TEST(rotated_keys_leave_the_old_secrets_behind)
{
	struct repository_secret master = {0};
	uint8_t key[CRYPT_KEY_SIZE];
	struct object_id before, after;
	struct repository *r, *other;
	char path[256], name[17];
	struct error err;

	make(path);
	r = open_by(path, &first);
	memcpy(key, repository_master(r), sizeof key);
	master.master = key;
	before = put(r, "before");
	other = open_by(path, &first);
	CHECK_ERROR(repository_rotate(r, &second, name, &err), ERROR_BUSY);
	repository_close(other);
	CHECK_OK(repository_rotate(r, &second, name, &err));
	after = put(r, "after");
	has(r, &before, "before");
	repository_close(r);
	denied(path, &first);
	denied(path, &master);
	r = open_by(path, &second);
	CHECK_INT(repository_crypt(r)->epochs, 2);
	has(r, &before, "before");
	has(r, &after, "after");
	CHECK_OK(repository_rotate(r, &first, name, &err));
	repository_close(r);
	r = open_by(path, &first);
	CHECK_INT(repository_crypt(r)->epochs, 3);
	has(r, &after, "after");
	repository_close(r);
}

/* As where the power was cut behind the new slot, or behind the new master. */
TEST(a_rotation_that_was_cut_short_leaves_a_repository_that_opens)
{
	char path[256], name[17];
	struct keys keys;
	struct repository *r;
	struct error err;
	int fd, other;

	make(path);
	r = open_by(path, &first);
	fd = repository_directory(r);
	CHECK_OK(keys_open(fd, repository_id(r), &first, &keys, &err));
	keys.master[0] ^= 1;
	CHECK_OK(keys_add(fd, repository_id(r), &keys, &first, name, &err)); /* a slot of a master to come */
	CHECK_OK(keys_add(fd, repository_id(r), &keys, &second, name, &err));
	other = dup(fd);
	repository_close(r);
	repository_close(open_by(path, &first));
	CHECK_ERROR(repository_open(path, &second, false, NULL, &r, &err), ERROR_CORRUPT);
	close(other);
}

TEST(a_plain_repository_has_no_keys)
{
	struct repository_slot *slots;
	char path[256], name[17];
	struct repository *r;
	struct error err;
	size_t count;

	monofs_path(monofs_place(), "a", path);
	CHECK_OK(repository_create(path, &(struct repository_new){0}, &err));
	r = open_by(path, NULL);
	CHECK(!repository_master(r));
	CHECK_ERROR(repository_slots(r, &slots, &count, &err), ERROR_INVALID);
	CHECK_ERROR(repository_slot_add(r, &first, name, &err), ERROR_INVALID);
	CHECK_ERROR(repository_rotate(r, &first, name, &err), ERROR_INVALID);
	repository_close(r);
}

/* ---- what who stores it sees ------------------------------------------------------------------------- */

static bool has_text(const char *path, const char *text)
{
	const char *const argv[] = {"grep", "-rqa", "--", text, path, NULL};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(2);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

TEST(no_content_stands_in_the_files_of_an_encrypted_repository)
{
	char path[256], plain[256];
	struct repository *r;
	struct object_id id = {{1}};
	struct error err;

	make(path);
	r = open_by(path, &first);
	put(r, "the secret plan");
	CHECK_OK(references_set(
		repository_directory(r), repository_crypt(r), "tag/secret-name", &id, "", NULL, &err));
	repository_close(r);
	CHECK(!has_text(path, "the secret plan") && !has_text(path, "secret-name"));
	CHECK(!has_text(path, "correct horse"));
	monofs_path(monofs_place(), "a", plain);
	CHECK_OK(repository_create(plain, &(struct repository_new){0}, &err));
	r = open_by(plain, NULL);
	put(r, "the secret plan");
	repository_close(r);
	CHECK(has_text(plain, "the secret plan"));
}

TEST(packs_of_an_encrypted_repository_have_sizes_of_classes)
{
	for (uint64_t n = 1; n < 1u << 26; n += 1 + n / 7) {
		uint64_t padded = pack_padded(n);

		CHECK(padded >= n && padded - n <= n * 12 / 100);
		CHECK(pack_padded(padded) == padded);
	}
	CHECK(pack_padded(1000) == 1024 && pack_padded(16u << 20) == 16u << 20);
}
