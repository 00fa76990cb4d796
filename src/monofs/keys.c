/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/keys.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "monofs/checked.h"
#include "os/fs.h"

#define NONCE_SIZE  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEALED_SLOT (CRYPT_KEY_SIZE + CRYPT_TAG_SIZE)
#define MASTER_FILE "keys/master"
#define MASTER_MAX  ((1 + CRYPT_EPOCHS_MAX) * CRYPT_KEY_SIZE)

/* What Argon2id costs: libsodium's "interactive", 64 MiB and 2 passes. What a file says is bounded. */
#define OPS        crypto_pwhash_OPSLIMIT_INTERACTIVE
#define MEMORY     crypto_pwhash_MEMLIMIT_INTERACTIVE
#define OPS_MAX    64u
#define MEMORY_MAX (1u << 30)

struct cost {
	uint64_t ops, memory;
};

/* A slot as its file has it. */
struct slot {
	bool file;
	uint64_t made;
	struct cost cost;
	uint8_t salt[CRYPT_SALT_SIZE];
	uint8_t nonce[NONCE_SIZE];
	uint8_t sealed[SEALED_SLOT];
	struct buffer about; /* the repository's id and the lines before `nonce` */
};

static bool is_slot_name(const char *name)
{
	return strlen(name) == KEYS_SLOT_NAME - 1 && strspn(name, "0123456789abcdef") == KEYS_SLOT_NAME - 1;
}

static void slot_path(const char *name, char out[32])
{
	snprintf(out, 32, "keys/%s", name);
}

/* ---- keys of secrets --------------------------------------------------------------------------------- */

static int key_of(const struct slot *s, const struct repository_secret *secret, uint8_t key[CRYPT_KEY_SIZE],
	struct error *err)
{
	if (s->file) {
		(void)crypto_generichash(
			key, CRYPT_KEY_SIZE, secret->file, secret->file_size, s->salt, sizeof s->salt);
		return 0;
	}
	if (crypto_pwhash(key, CRYPT_KEY_SIZE, secret->passphrase, strlen(secret->passphrase), s->salt,
		    s->cost.ops, (size_t)s->cost.memory, crypto_pwhash_ALG_ARGON2ID13) < 0)
		return error_set(err, ERROR_NO_MEMORY,
			"make a key of the passphrase: it takes %llu MiB of memory",
			(unsigned long long)(s->cost.memory >> 20));
	return 0;
}

static int seal(const struct buffer *about, const uint8_t key[CRYPT_KEY_SIZE], const uint8_t *bytes, size_t n,
	uint8_t nonce[NONCE_SIZE], uint8_t *out)
{
	randombytes_buf(nonce, NONCE_SIZE);
	return crypto_aead_xchacha20poly1305_ietf_encrypt(
		out, NULL, bytes, n, about->data, about->size, NULL, nonce, key);
}

static bool unseal(const struct buffer *about, const uint8_t key[CRYPT_KEY_SIZE],
	const uint8_t nonce[NONCE_SIZE], const uint8_t *sealed, size_t n, uint8_t *out)
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(
		       out, NULL, NULL, sealed, n, about->data, about->size, nonce, key) == 0;
}

static void append_hex(struct buffer *out, const char *word, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	buffer_format(out, "%s ", word);
	for (size_t i = 0; i < n; i++) {
		buffer_u8(out, (uint8_t)digits[bytes[i] >> 4]);
		buffer_u8(out, (uint8_t)digits[bytes[i] & 15]);
	}
	buffer_append_text(out, "\n");
}

/* ---- slots ------------------------------------------------------------------------------------------ */

/* Everything before `nonce`, for both a slot and the master. */
static int begin_about(struct buffer *about, const uint8_t *id, const struct buffer *lines, struct error *err)
{
	const uint8_t *end = memmem(lines->data, lines->size, "\nnonce ", 7);

	if (!end)
		return error_set(err, ERROR_CORRUPT, "the line 'nonce' is missing");
	buffer_append(about, id, FORMAT_ID_SIZE);
	buffer_append(about, lines->data, (size_t)(end + 1 - lines->data));
	return about->failed ? error_no_memory(err, "read a key") : 0;
}

static int parse_cost(const struct buffer *lines, struct cost *cost, struct error *err)
{
	unsigned long long ops, memory;
	char text[64], end;
	int r = checked_text(lines, "argon2id", text, sizeof text, err);

	if (r < 0)
		return r;
	if (sscanf(text, "%llu %llu%c", &ops, &memory, &end) != 2 || ops < 1 || ops > OPS_MAX ||
		memory < crypto_pwhash_MEMLIMIT_MIN || memory > MEMORY_MAX)
		return error_set(err, ERROR_CORRUPT, "the costs of Argon2id, '%s', are none", text);
	*cost = (struct cost){.ops = ops, .memory = memory};
	return 0;
}

static int parse_slot(const struct buffer *lines, const uint8_t *id, struct slot *s, struct error *err)
{
	char kind[16];
	uint64_t version;
	int r = checked_number(lines, "monofs-key", UINT32_MAX, &version, err);

	if (r == 0 && version != 1)
		r = error_set(err, ERROR_UNAVAILABLE, "it is of a newer monofs");
	if (r == 0)
		r = checked_text(lines, "kind", kind, sizeof kind, err);
	if (r == 0 && strcmp(kind, "file") != 0 && strcmp(kind, "passphrase") != 0)
		r = error_set(err, ERROR_CORRUPT, "'%s' is no kind of key", kind);
	s->file = r == 0 && strcmp(kind, "file") == 0;
	if (r == 0)
		r = checked_number(lines, "made", INT64_MAX, &s->made, err);
	if (r == 0 && !s->file)
		r = parse_cost(lines, &s->cost, err);
	if (r == 0)
		r = checked_bytes(lines, "salt", s->salt, sizeof s->salt, err);
	if (r == 0)
		r = checked_bytes(lines, "nonce", s->nonce, sizeof s->nonce, err);
	if (r == 0)
		r = checked_bytes(lines, "sealed", s->sealed, sizeof s->sealed, err);
	return r < 0 ? r : begin_about(&s->about, id, lines, err);
}

static int read_slot(int repository, const uint8_t *id, const char *name, struct slot *s, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	char path[32];
	int r;

	*s = (struct slot){0};
	slot_path(name, path);
	r = checked_read(repository, path, &lines, err);
	if (r < 0)
		return r;
	r = parse_slot(&lines, id, s, err);
	if (r == 0)
		return 0;
	buffer_free(&s->about);
	return error_prefix(err, "%s", path);
}

static int write_slot(int repository, const uint8_t *id, const uint8_t master[CRYPT_KEY_SIZE],
	const struct repository_secret *secret, const struct cost *cost, char name[KEYS_SLOT_NAME],
	struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0}, about = {0};
	struct slot s = {.file = !secret->passphrase, .cost = *cost};
	uint8_t key[CRYPT_KEY_SIZE], random[(KEYS_SLOT_NAME - 1) / 2];
	char path[32];
	int r;

	if (!secret->passphrase && !secret->file)
		return error_set(
			err, ERROR_INVALID, "make a key: there is neither a passphrase nor a key file");
	randombytes_buf(s.salt, sizeof s.salt);
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(name, KEYS_SLOT_NAME, random, sizeof random);
	slot_path(name, path);
	r = key_of(&s, secret, key, err);
	if (r < 0)
		return r;
	buffer_format(&lines, "monofs-key 1\nkind %s\nmade %llu\n", s.file ? "file" : "passphrase",
		(unsigned long long)(clock_realtime() / NANOSECONDS_PER_SECOND));
	if (!s.file)
		buffer_format(&lines, "argon2id %llu %llu\n", (unsigned long long)s.cost.ops,
			(unsigned long long)s.cost.memory);
	append_hex(&lines, "salt", s.salt, sizeof s.salt);
	buffer_append(&about, id, FORMAT_ID_SIZE);
	buffer_append(&about, lines.data, lines.size);
	seal(&about, key, master, CRYPT_KEY_SIZE, s.nonce, s.sealed);
	sodium_memzero(key, sizeof key);
	append_hex(&lines, "nonce", s.nonce, sizeof s.nonce);
	append_hex(&lines, "sealed", s.sealed, sizeof s.sealed);
	return about.failed ? error_no_memory(err, path) : checked_write(repository, path, &lines, err);
}

/* ---- keys/master ------------------------------------------------------------------------------------ */

static int write_master(int repository, const uint8_t *id, const struct keys *k, struct error *err)
{
	static const char first[] = "monofs-master 1\n";
	_cleanup_buffer_ struct buffer lines = {0}, about = {0};
	uint8_t plain[MASTER_MAX], sealed[MASTER_MAX + CRYPT_TAG_SIZE], nonce[NONCE_SIZE];
	size_t n = (1 + k->root_count) * CRYPT_KEY_SIZE;

	memcpy(plain, k->base, CRYPT_KEY_SIZE);
	memcpy(plain + CRYPT_KEY_SIZE, k->roots, k->root_count * CRYPT_KEY_SIZE);
	buffer_append_text(&lines, first);
	buffer_append(&about, id, FORMAT_ID_SIZE);
	buffer_append_text(&about, first);
	seal(&about, k->master, plain, n, nonce, sealed);
	sodium_memzero(plain, sizeof plain);
	append_hex(&lines, "nonce", nonce, sizeof nonce);
	append_hex(&lines, "sealed", sealed, n + CRYPT_TAG_SIZE);
	return about.failed ? error_no_memory(err, MASTER_FILE)
			    : checked_write(repository, MASTER_FILE, &lines, err);
}

/* Whole keys, of 1 + the number of later epochs. */
static bool take_master(const uint8_t *plain, size_t n, struct keys *k)
{
	if (n < CRYPT_KEY_SIZE || n % CRYPT_KEY_SIZE != 0)
		return false;
	memcpy(k->base, plain, CRYPT_KEY_SIZE);
	memcpy(k->roots, plain + CRYPT_KEY_SIZE, n - CRYPT_KEY_SIZE);
	k->root_count = (uint32_t)(n / CRYPT_KEY_SIZE - 1);
	return true;
}

/* By k->master. 1: it is open; 0: that is not its key. */
static int read_master(int repository, const uint8_t *id, struct keys *k, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0}, about = {0};
	uint8_t sealed[MASTER_MAX + CRYPT_TAG_SIZE], plain[MASTER_MAX], nonce[NONCE_SIZE];
	size_t n;
	const char *hex;
	bool ok;
	int r = checked_read(repository, MASTER_FILE, &lines, err);

	if (r == -ERROR_NOT_FOUND)
		return error_set(err, ERROR_CORRUPT, MASTER_FILE " is missing");
	if (r == 0)
		r = checked_bytes(&lines, "nonce", nonce, sizeof nonce, err);
	if (r == 0)
		r = begin_about(&about, id, &lines, err);
	if (r < 0)
		return error_prefix(err, MASTER_FILE);
	hex = checked_line(&lines, "sealed", &n);
	if (!hex || n / 2 < CRYPT_TAG_SIZE || n / 2 > sizeof sealed)
		return error_set(err, ERROR_CORRUPT, MASTER_FILE " holds no keys");
	r = checked_bytes(&lines, "sealed", sealed, n / 2, err);
	if (r < 0)
		return r;
	ok = unseal(&about, k->master, nonce, sealed, n / 2, plain) &&
	     take_master(plain, n / 2 - CRYPT_TAG_SIZE, k);
	sodium_memzero(plain, sizeof plain);
	return ok;
}

/* ---- creating and opening ---------------------------------------------------------------------------- */

int keys_create(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct repository_secret *secret,
	bool weak, struct keys *out, struct error *err)
{
	const struct cost cost =
		weak ? (struct cost){.ops = crypto_pwhash_OPSLIMIT_MIN, .memory = crypto_pwhash_MEMLIMIT_MIN}
		     : (struct cost){.ops = OPS, .memory = MEMORY};
	int r;

	memset(out, 0, sizeof *out);
	randombytes_buf(out->master, sizeof out->master);
	randombytes_buf(out->base, sizeof out->base);
	r = write_slot(repository, id, out->master, secret, &cost, out->slot, err);
	return r < 0 ? r : write_master(repository, id, out, err);
}

struct attempt {
	int repository;
	const uint8_t *id;
	const struct repository_secret *secret;
	struct keys *keys;
	unsigned tried, opened;
	struct error damage; /* of the last slot that was */
};

/* 1: keys/master is open. */
static int try_slot(struct attempt *a, const char *name, struct error *err)
{
	uint8_t key[CRYPT_KEY_SIZE];
	struct error why;
	struct slot s;
	int r = read_slot(a->repository, a->id, name, &s, &why);
	bool ok;

	if (r < 0 && r != -ERROR_CORRUPT && r != -ERROR_UNAVAILABLE && r != -ERROR_NOT_FOUND) {
		buffer_free(&s.about);
		return error_set(err, why.code, "%s", why.text);
	}
	if (r < 0 && r != -ERROR_NOT_FOUND)
		a->damage = why;
	if (r < 0 || s.file != !a->secret->passphrase) {
		buffer_free(&s.about);
		return 0;
	}
	a->tried++;
	r = key_of(&s, a->secret, key, err);
	ok = r == 0 && unseal(&s.about, key, s.nonce, s.sealed, sizeof s.sealed, a->keys->master);
	sodium_memzero(key, sizeof key);
	buffer_free(&s.about);
	if (r < 0 || !ok)
		return r;
	a->opened++;
	memcpy(a->keys->slot, name, KEYS_SLOT_NAME);
	return read_master(a->repository, a->id, a->keys, err);
}

static int refuse(const struct attempt *a, struct error *err)
{
	const char *what = a->secret->passphrase ? "passphrase" : "key file";

	if (a->opened)
		return error_set(
			err, ERROR_CORRUPT, MASTER_FILE " does not open with its key: it is damaged");
	if (a->damage.code)
		return error_set(err, ERROR_CORRUPT, "no key opens with this %s, but one is damaged: %s",
			what, a->damage.text);
	if (!a->tried)
		return error_set(err, ERROR_DENIED, "no key of this repository is a %s", what);
	return error_set(
		err, ERROR_DENIED, "the %s opens none of its keys (%u): it is wrong", what, a->tried);
}

static int open_by_slots(struct attempt *a, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(a->repository, "keys", &list, err);

	while (r == 0 && (name = fs_list_next(list)))
		if (is_slot_name(name))
			r = try_slot(a, name, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return refuse(a, err);
}

int keys_open(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct repository_secret *secret,
	struct keys *out, struct error *err)
{
	struct attempt a = {.repository = repository, .id = id, .secret = secret, .keys = out};
	int r;

	memset(out, 0, sizeof *out);
	if (!secret || (!secret->passphrase && !secret->file && !secret->master))
		return error_set(err, ERROR_DENIED, "it is encrypted: a passphrase or a key file is needed");
	if (!secret->master) {
		r = open_by_slots(&a, err);
	} else {
		memcpy(out->master, secret->master, sizeof out->master);
		r = read_master(repository, id, out, err);
		r = r == 0 ? error_set(err, ERROR_DENIED, "its keys were rotated meanwhile") : r > 0 ? 0 : r;
	}
	if (r < 0)
		sodium_memzero(out, sizeof *out);
	return r;
}

/* ---- changes ---------------------------------------------------------------------------------------- */

/* What the slot costs that opened the repository; the usual where that was no passphrase. */
static struct cost cost_as(int repository, const uint8_t *id, const struct keys *k)
{
	struct cost cost = {.ops = OPS, .memory = MEMORY};
	struct slot s;

	if (*k->slot && read_slot(repository, id, k->slot, &s, NULL) == 0) {
		if (!s.file)
			cost = s.cost;
		buffer_free(&s.about);
	}
	return cost;
}

int keys_add(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct keys *keys,
	const struct repository_secret *secret, char name[KEYS_SLOT_NAME], struct error *err)
{
	const struct cost cost = cost_as(repository, id, keys);

	return write_slot(repository, id, keys->master, secret, &cost, name, err);
}

/* But `keep`, which may be NULL: how many there are. */
static int each_slot(int repository, const char *keep, bool remove, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	char path[32];
	int r = fs_list_open(repository, "keys", &list, err), count = 0;

	while (r == 0 && (name = fs_list_next(list))) {
		if (!is_slot_name(name) || (keep && strcmp(name, keep) == 0))
			continue;
		slot_path(name, path);
		if (remove)
			unlinkat(repository, path, 0);
		count++;
	}
	return r < 0 ? r : count;
}

static int sync_keys(int repository, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(repository, "keys", O_RDONLY | O_DIRECTORY, 0, err);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? error_set(err, ERROR_SYSTEM, "sync keys/") : 0;
}

int keys_remove(int repository, const char *name, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	char path[32];
	int r;

	if (!is_slot_name(name))
		return error_set(err, ERROR_INVALID, "'%s' is no name of a key: 'key list' shows them", name);
	slot_path(name, path);
	r = fs_lock(repository, "locks/keys", FS_LOCK_EXCLUSIVE, true, &lock, err);
	if (r == 0)
		r = each_slot(repository, name, false, err);
	if (r < 0)
		return r;
	if (r == 0 && faccessat(repository, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(err, ERROR_DENIED,
			"remove the key %s: it is the last one, and nobody could open the repository any "
			"more",
			name);
	if (unlinkat(repository, path, 0) < 0)
		return error_set(err, ERROR_NOT_FOUND, "there is no key %s", name);
	return sync_keys(repository, err);
}

int keys_check(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct keys *keys,
	void (*damaged)(void *context, const char *file, const char *what), void *context, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	struct keys again = {0};
	struct error damage;
	const char *name;
	char path[32];
	int r = fs_list_open(repository, "keys", &list, err), ok;

	while (r == 0 && (name = fs_list_next(list))) {
		struct slot s;

		if (!is_slot_name(name))
			continue;
		slot_path(name, path);
		if (read_slot(repository, id, name, &s, &damage) < 0)
			damaged(context, path, damage.text);
		buffer_free(&s.about);
	}
	memcpy(again.master, keys->master, sizeof again.master);
	ok = r < 0 ? r : read_master(repository, id, &again, &damage);
	sodium_memzero(&again, sizeof again);
	if (r == 0 && ok <= 0)
		damaged(context, MASTER_FILE, ok < 0 ? damage.text : "it does not open with its key");
	return r;
}

static int compare_slots(const void *a, const void *b)
{
	const struct repository_slot *x = a, *y = b;

	if (x->made != y->made)
		return x->made < y->made ? -1 : 1;
	return strcmp(x->name, y->name);
}

int keys_list(int repository, const struct keys *keys, struct repository_slot **out, size_t *count,
	struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	_cleanup_free_ struct repository_slot *slots = NULL;
	static const uint8_t no_id[FORMAT_ID_SIZE];
	const char *name;
	size_t n = 0;
	int r = fs_list_open(repository, "keys", &list, err);

	while (r == 0 && (name = fs_list_next(list))) {
		struct slot s;
		struct repository_slot *more;

		if (!is_slot_name(name))
			continue;
		more = reallocarray(slots, n + 1, sizeof *slots);
		if (!more)
			return error_no_memory(err, "list the keys");
		slots = more;
		r = read_slot(repository, no_id, name, &s, err);
		slots[n] = (struct repository_slot){.file = s.file, .made = (int64_t)s.made};
		memcpy(slots[n].name, name, KEYS_SLOT_NAME);
		slots[n++].used = strcmp(name, keys->slot) == 0;
		buffer_free(&s.about);
	}
	if (r < 0)
		return r;
	if (n)
		qsort(slots, n, sizeof *slots, compare_slots);
	*count = n;
	*out = TAKE_PTR(slots);
	return 0;
}

int keys_rotate(int repository, const uint8_t id[FORMAT_ID_SIZE], struct keys *keys,
	const struct repository_secret *secret, char name[KEYS_SLOT_NAME], struct error *err)
{
	const struct cost cost = cost_as(repository, id, keys);
	_cleanup_fd_ int lock = -1;
	int r = fs_lock(repository, "locks/keys", FS_LOCK_EXCLUSIVE, true, &lock, err);

	if (r < 0)
		return r;
	if (keys->root_count + 1 >= CRYPT_EPOCHS_MAX)
		return error_set(err, ERROR_LIMIT, "rotate the keys: that was done %u times already",
			CRYPT_EPOCHS_MAX - 1);
	randombytes_buf(keys->master, sizeof keys->master);
	randombytes_buf(keys->roots[keys->root_count++], CRYPT_KEY_SIZE);
	r = write_slot(repository, id, keys->master, secret, &cost, name, err);
	if (r == 0)
		r = write_master(repository, id, keys, err);
	if (r < 0)
		return r;
	memcpy(keys->slot, name, KEYS_SLOT_NAME);
	r = each_slot(repository, name, true, err);
	return r < 0 ? r : sync_keys(repository, err);
}
