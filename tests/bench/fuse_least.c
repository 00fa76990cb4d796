/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a file system by FUSE can do: it answers each request at once out of this process, keeps
 * names and attributes in memory and throws contents away. What it takes is the kernel's and the two
 * processes' own time: a volume whose requests pass through a process of the guest takes that and more.
 *
 *     fuse_least DIRECTORY
 *
 * Mounts it there and serves it in the background until it is unmounted. It is asked for what an untar needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX   16384
#define NAME_SIZE   64
#define MESSAGE_MAX (1u << 20)
#define NO_ANSWER   INT32_MIN
#define VALID       3600 /* seconds */

static struct {
	uint64_t parent;
	char name[NAME_SIZE];
	struct fuse_attr attr;
} nodes[NODES_MAX];
static uint64_t count = 2;
static uint32_t buckets[NODES_MAX], next[NODES_MAX];

static uint32_t bucket(uint64_t parent, const char *name)
{
	uint32_t h = (uint32_t)parent * 2654435761u;

	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return h % NODES_MAX;
}

static uint64_t find(uint64_t parent, const char *name)
{
	uint64_t n = buckets[bucket(parent, name)];

	while (n && (nodes[n].parent != parent || strcmp(nodes[n].name, name) != 0))
		n = next[n];
	return n;
}

static uint64_t make(uint64_t parent, const char *name, uint32_t mode)
{
	uint64_t n = count++;
	uint32_t b = bucket(parent, name);
	struct timespec now;

	if (n >= NODES_MAX || strlen(name) >= NAME_SIZE)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	nodes[n].parent = parent;
	strcpy(nodes[n].name, name);
	nodes[n].attr = (struct fuse_attr){.ino = n, .mode = mode, .nlink = 1, .blksize = 4096};
	nodes[n].attr.atime = nodes[n].attr.mtime = nodes[n].attr.ctime = (uint64_t)now.tv_sec;
	next[n] = buckets[b];
	buckets[b] = (uint32_t)n;
	return n;
}

static size_t entry(uint64_t node, void *out)
{
	*(struct fuse_entry_out *)out = (struct fuse_entry_out){
		.nodeid = node, .entry_valid = VALID, .attr_valid = VALID, .attr = nodes[node].attr};
	return sizeof(struct fuse_entry_out);
}

static size_t attributes(uint64_t node, void *out)
{
	*(struct fuse_attr_out *)out = (struct fuse_attr_out){.attr_valid = VALID, .attr = nodes[node].attr};
	return sizeof(struct fuse_attr_out);
}

static size_t set(uint64_t node, const struct fuse_setattr_in *in, void *out)
{
	struct fuse_attr *a = &nodes[node].attr;

	if (in->valid & FATTR_MODE)
		a->mode = in->mode;
	if (in->valid & FATTR_UID)
		a->uid = in->uid;
	if (in->valid & FATTR_GID)
		a->gid = in->gid;
	if (in->valid & FATTR_SIZE)
		a->size = in->size;
	if (in->valid & FATTR_MTIME)
		a->mtime = in->mtime, a->mtimensec = in->mtimensec;
	return attributes(node, out);
}

/* The answer's size, or a negative errno; NO_ANSWER: none is wanted. */
static long answer(const struct fuse_in_header *h, void *in, void *out)
{
	uint64_t n = h->nodeid;

	switch (h->opcode) {
	case FUSE_INIT:
		*(struct fuse_init_out *)out = (struct fuse_init_out){.major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = 131072,
			.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS |
				 FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_AUTO_INVAL_DATA |
				 FUSE_ATOMIC_O_TRUNC,
			.max_write = MESSAGE_MAX - 4096,
			.max_pages = 255,
			.time_gran = 1};
		return sizeof(struct fuse_init_out);
	case FUSE_LOOKUP:
		n = find(n, in);
		return n ? (long)entry(n, out) : -ENOENT;
	case FUSE_GETATTR:
		return (long)attributes(n, out);
	case FUSE_SETATTR:
		return (long)set(n, in, out);
	case FUSE_MKDIR:
		n = make(n, (char *)in + sizeof(struct fuse_mkdir_in),
			S_IFDIR | ((struct fuse_mkdir_in *)in)->mode);
		return n ? (long)entry(n, out) : -ENOSPC;
	case FUSE_CREATE:
		n = make(n, (char *)in + sizeof(struct fuse_create_in),
			S_IFREG | ((struct fuse_create_in *)in)->mode);
		if (!n)
			return -ENOSPC;
		memset((char *)out + sizeof(struct fuse_entry_out), 0, sizeof(struct fuse_open_out));
		return (long)(entry(n, out) + sizeof(struct fuse_open_out));
	case FUSE_WRITE: {
		struct fuse_write_in *w = in;

		if (w->offset + w->size > nodes[n].attr.size)
			nodes[n].attr.size = w->offset + w->size;
		*(struct fuse_write_out *)out = (struct fuse_write_out){.size = w->size};
		return sizeof(struct fuse_write_out);
	}
	case FUSE_OPENDIR:
		memset(out, 0, sizeof(struct fuse_open_out));
		return sizeof(struct fuse_open_out);
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return 0;
	case FUSE_FLUSH:
		return -ENOSYS; /* and it asks never again */
	case FUSE_GETXATTR:
		return -ENODATA;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return NO_ANSWER;
	default:
		return -ENOSYS;
	}
}

static void serve(int fd)
{
	static _Alignas(16) char in[MESSAGE_MAX + 4096], out[4096];

	for (;;) {
		ssize_t got = read(fd, in, sizeof in);
		const struct fuse_in_header *h = (const void *)in;
		struct fuse_out_header head = {0};
		long r;

		if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (got < (ssize_t)sizeof *h)
			break;
		r = answer(h, in + sizeof *h, out);
		if (r == NO_ANSWER)
			continue;
		head.unique = h->unique;
		head.error = r < 0 ? (int32_t)r : 0;
		head.len = (uint32_t)(sizeof head + (r > 0 ? (size_t)r : 0));
		struct iovec v[2] = {{&head, sizeof head}, {out, r > 0 ? (size_t)r : 0}};
		if (writev(fd, v, 2) < 0)
			perror("fuse_least: answer");
	}
}

int main(int argc, char **argv)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (argc != 2 || fd < 0)
		return perror("fuse_least"), 1;
	nodes[FUSE_ROOT_ID].attr = (struct fuse_attr){.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2};
	snprintf(options, sizeof options,
		"fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", fd);
	if (mount("least", argv[1], "fuse", 0, options) < 0)
		return perror("fuse_least: mount"), 1;
	pid_t child = fork();
	if (child == 0)
		serve(fd);
	return child < 0;
}
