/* SPDX-License-Identifier: Apache-2.0 */
#include "oci_make.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "oci/walk.h"
#include "os/fs.h"

static void put_entry(char *line, struct buffer *tar)
{
	char *path = line + 2, *rest = strchr(path, ' ');
	struct tar_entry e = {.path = path, .mode = 0644, .mtime = 1};

	if (rest)
		*rest++ = 0;
	else
		rest = path + strlen(path);
	e.type = *line == 'd'   ? TAR_DIRECTORY
		 : *line == 's' ? TAR_SYMBOLIC_LINK
		 : *line == 'h' ? TAR_HARD_LINK
				: TAR_FILE;
	e.link = rest;
	e.size = e.type == TAR_FILE ? strlen(rest) : 0;
	assert(tar_write_entry(tar, &e, NULL) == 0);
	buffer_append(tar, rest, (size_t)e.size);
	while (tar->size % 512)
		buffer_u8(tar, 0);
}

void oci_make_layer(const char *text, struct buffer *tar)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		put_entry(line, tar);
	assert(tar_write_end(tar));
}

static void gzip(const struct buffer *in, struct buffer *out)
{
	z_stream z = {.next_in = in->data, .avail_in = (unsigned)in->size};

	assert(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	assert(buffer_reserve(out, deflateBound(&z, in->size)));
	z.next_out = out->data + out->size;
	z.avail_out = (unsigned)(out->capacity - out->size);
	assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	out->size += z.total_out;
	deflateEnd(&z);
}

void oci_make_compressed(enum oci_make_compression how, const struct buffer *in, struct buffer *out)
{
	size_t n;

	if (how == OCI_MAKE_PLAIN) {
		buffer_append(out, in->data, in->size);
	} else if (how == OCI_MAKE_GZIP) {
		gzip(in, out);
	} else {
		assert(buffer_reserve(out, ZSTD_compressBound(in->size)));
		n = ZSTD_compress(out->data + out->size, out->capacity - out->size, in->data, in->size, 3);
		assert(!ZSTD_isError(n));
		out->size += n;
	}
}

static void digest_of(const struct buffer *b, char *digest)
{
	uint8_t hash[SHA256_SIZE];

	assert(sha256_of(b->data, b->size, hash, NULL) == 0);
	sha256_digest(hash, digest);
}

static void write_file(const char *directory, const char *name, const struct buffer *b)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/%s", directory, name);
	FILE *f;

	*strrchr(path, '/') = 0;
	assert(fs_make_directories(AT_FDCWD, path, 0755, NULL) == 0);
	path[strlen(path)] = '/';
	f = fopen(path, "w");
	assert(f && fwrite(b->data, 1, b->size, f) == b->size && fclose(f) == 0);
}

static void write_blob(const char *directory, const struct buffer *b, char *digest)
{
	char name[100];

	digest_of(b, digest);
	snprintf(name, sizeof name, "blobs/sha256/%.64s", digest + 7);
	write_file(directory, name, b);
}

/* The blob of one layer, and what its config says of it. */
static void make_blob(const struct oci_make *image, size_t i, struct buffer *blob, char *diff_id)
{
	_cleanup_buffer_ struct buffer tar = {0};
	bool last = !image->layers[i + 1];

	oci_make_layer(image->layers[i], &tar);
	digest_of(&tar, diff_id);
	oci_make_compressed(image->compression, &tar, blob);
	if (last)
		blob->size -= image->cut;
	if (last && image->diff_id)
		snprintf(diff_id, OCI_DIGEST_SIZE, "%s", image->diff_id);
}

static void put_config(const struct oci_make *image, const struct oci_made *made, struct buffer *json)
{
	buffer_format(json,
		"{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{\"Cmd\":[\"/bin/sh\"],\"User\":\"7\"},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		image->architecture ? image->architecture : "amd64");
	for (size_t i = 0; image->layers[i]; i++)
		buffer_format(json, "%s\"%s\"", i ? "," : "", made->diff_ids[i]);
	buffer_append_text(json, "]}}");
}

static void put_descriptor(struct buffer *json, const char *type, const char *digest, size_t size)
{
	buffer_format(json, "{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"%s\",\"size\":%zu",
		type, digest, size);
}

static void put_index(const struct oci_make *image, const char *digest, size_t size, struct buffer *json)
{
	buffer_append_text(json, "{\"schemaVersion\":2,\"manifests\":[");
	put_descriptor(json, "manifest.v1+json", digest, size);
	if (image->tag)
		buffer_format(
			json, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", image->tag);
	buffer_append_text(json, "}]}");
}

void oci_make_layout(const char *directory, const struct oci_make *image, struct oci_made *made)
{
	_cleanup_buffer_ struct buffer config = {0}, manifest = {0}, layers = {0}, index = {0};
	struct oci_made own;

	made = made ? made : &own;
	for (size_t i = 0; image->layers[i]; i++) {
		_cleanup_buffer_ struct buffer blob = {0};
		bool lie = image->wrong_size && !image->layers[i + 1];

		make_blob(image, i, &blob, made->diff_ids[i]);
		write_blob(directory, &blob, made->layers[i]);
		buffer_append_text(&layers, i ? "," : "");
		put_descriptor(&layers, "layer.v1.tar", made->layers[i], blob.size + lie);
		buffer_u8(&layers, '}');
	}
	put_config(image, made, &config);
	write_blob(directory, &config, made->config);
	buffer_append_text(&manifest, "{\"schemaVersion\":2,\"config\":");
	put_descriptor(&manifest, "config.v1+json", made->config, config.size);
	buffer_append_text(&manifest, "},\"layers\":[");
	buffer_append(&manifest, layers.data, layers.size);
	buffer_append_text(&manifest, "]}");
	write_blob(directory, &manifest, made->manifest);
	put_index(image, made->manifest, manifest.size, &index);
	write_file(directory, "index.json", &index);
}

void oci_make_docker(const char *directory, const struct oci_make *image)
{
	_cleanup_buffer_ struct buffer config = {0}, manifest = {0}, layers = {0};
	struct oci_made made;
	char name[100];

	for (size_t i = 0; image->layers[i]; i++) {
		_cleanup_buffer_ struct buffer blob = {0};

		make_blob(image, i, &blob, made.diff_ids[i]);
		snprintf(name, sizeof name, "%zu/layer.tar", i);
		write_file(directory, name, &blob);
		buffer_format(&layers, "%s\"%s\"", i ? "," : "", name);
	}
	put_config(image, &made, &config);
	digest_of(&config, made.config);
	snprintf(name, sizeof name, "%.64s.json", made.config + 7);
	write_file(directory, name, &config);
	buffer_format(&manifest, "[{\"Config\":\"%s\",\"RepoTags\":[\"%s\"],\"Layers\":[", name,
		image->tag ? image->tag : "image:latest");
	buffer_append(&manifest, layers.data, layers.size);
	buffer_append_text(&manifest, "]}]");
	write_file(directory, "manifest.json", &manifest);
}

static int add_file(void *context, const struct walk_file *f, struct error *err)
{
	struct buffer *tar = context;
	struct tar_entry e = {.type = S_ISDIR(f->stat->st_mode) ? TAR_DIRECTORY : TAR_FILE,
		.path = (char *)(uintptr_t)f->path,
		.mode = 0644};

	e.size = e.type == TAR_FILE ? (uint64_t)f->stat->st_size : 0;
	assert(tar_write_entry(tar, &e, err) == 0);
	if (e.type == TAR_FILE)
		assert(fs_read_file(f->directory, f->name, (size_t)e.size, tar, err) == 0);
	while (tar->size % 512)
		buffer_u8(tar, 0);
	return 0;
}

void oci_make_archive(const char *directory, const char *path)
{
	_cleanup_fd_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_buffer_ struct buffer tar = {0};

	assert(fd >= 0 && walk_tree(fd, directory, add_file, &tar, NULL) == 0 && tar_write_end(&tar));
	write_file("/", path, &tar);
}
