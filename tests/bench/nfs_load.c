/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for a server of NFSv3 on this machine, by libnfs: as many calls of one kind as it answers in a time.
 *
 *     nfs_load PORT MOUNTPORT EXPORT LOAD CONNECTIONS CALLS SECONDS
 *
 * The export has the directory "many" with the files 0 to 999, and the file "data" of 64 MiB. Each connection
 * has CALLS calls under way all the time. Prints how many were answered in a second, or for "list", how many
 * entries they had. A call that fails ends it.
 */
#include <nfsc/libnfs.h> /* first: the others need it */

#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILES       1000
#define DATA        (64u << 20)
#define SMALL       4096u
#define LARGE       (1u << 20)
#define CONNECTIONS 64
#define CALLS       64
#define LIST_BYTES  65536
#define PATIENCE    10000 /* milliseconds without an answer */

struct handle {
	char bytes[NFS3_FHSIZE];
	u_int size;
};

/* One call after another. */
struct slot {
	struct connection *connection;
	unsigned number, turn;
	char name[32];
};

struct connection {
	struct rpc_context *rpc;
	struct slot slots[CALLS];
	unsigned random;
};

typedef int start_call(struct slot *s);

static const struct load {
	const char *name;
	start_call *start;
} loads[];

static const struct load *load;
static struct handle root, many, data;
static struct connection connections[CONNECTIONS];
static unsigned connection_count, call_count;
static uint64_t counted, under_way;
static bool stopping, wait_done;
static char payload[LARGE];

_Noreturn static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "nfs_load: %s: %s\n", what, why ? why : "no reason");
	exit(1);
}

static nfs_fh3 nfs_handle(struct handle *h)
{
	return (nfs_fh3){.data = {.data_len = h->size, .data_val = h->bytes}};
}

static void keep_handle(struct handle *h, u_int size, const char *bytes)
{
	if (size > sizeof h->bytes)
		give_up("a handle", "too long");
	h->size = size;
	memcpy(h->bytes, bytes, size);
}

/* ---- one call after another --------------------------------------------------------------------------- */

static void next_call(struct slot *s)
{
	if (stopping)
		return;
	under_way++;
	if (load->start(s) != 0)
		give_up(load->name, rpc_get_error(s->connection->rpc));
}

static void answered(int status, uint32_t nfs, struct slot *s, uint64_t count)
{
	if (status != RPC_STATUS_SUCCESS || nfs != NFS3_OK) {
		fprintf(stderr, "nfs_load: %s: RPC status %d, NFS status %u\n", load->name, status, nfs);
		exit(1);
	}
	under_way--;
	if (!stopping)
		counted += count;
	s->turn++;
	next_call(s);
}

/* Every result of NFSv3 begins with its status. */
static void on_answer(struct rpc_context *rpc, int status, void *result, void *slot)
{
	(void)rpc;
	answered(status, status == RPC_STATUS_SUCCESS ? (uint32_t) * (nfsstat3 *)result : 0, slot, 1);
}

static unsigned random_below(struct slot *s, unsigned most)
{
	s->connection->random = s->connection->random * 1103515245u + 12345u;
	return (s->connection->random >> 8) % most;
}

static int start_getattr(struct slot *s)
{
	GETATTR3args a = {.object = nfs_handle(&data)};

	return rpc_nfs3_getattr_async(s->connection->rpc, on_answer, &a, s);
}

static int start_lookup(struct slot *s)
{
	LOOKUP3args a = {.what = {nfs_handle(&many), s->name}};

	snprintf(s->name, sizeof s->name, "%u", random_below(s, FILES));
	return rpc_nfs3_lookup_async(s->connection->rpc, on_answer, &a, s);
}

/* Makes a file and, the next time, removes it. */
static int start_create(struct slot *s)
{
	CREATE3args c = {.where = {nfs_handle(&many), s->name},
		.how = {.mode = GUARDED,
			.createhow3_u.g_obj_attributes.mode = {.set_it = 1, .set_mode3_u.mode = 0644}}};
	REMOVE3args r = {.object = {nfs_handle(&many), s->name}};

	if (s->turn % 2)
		return rpc_nfs3_remove_async(s->connection->rpc, on_answer, &r, s);
	snprintf(s->name, sizeof s->name, "new-%u-%u-%u", (unsigned)(s->connection - connections), s->number,
		s->turn);
	return rpc_nfs3_create_async(s->connection->rpc, on_answer, &c, s);
}

static int start_read(struct slot *s, unsigned size)
{
	READ3args a = {.file = nfs_handle(&data),
		.offset = (offset3)random_below(s, DATA / size) * size,
		.count = size};

	return rpc_nfs3_read_async(s->connection->rpc, on_answer, &a, s);
}

static int start_write(struct slot *s, unsigned size)
{
	WRITE3args a = {.file = nfs_handle(&data),
		.offset = (offset3)random_below(s, DATA / size) * size,
		.count = size,
		.stable = UNSTABLE,
		.data = {.data_len = size, .data_val = payload}};

	return rpc_nfs3_write_async(s->connection->rpc, on_answer, &a, s);
}

static int start_small_read(struct slot *s)
{
	return start_read(s, SMALL);
}

static int start_large_read(struct slot *s)
{
	return start_read(s, LARGE);
}

static int start_small_write(struct slot *s)
{
	return start_write(s, SMALL);
}

static int start_large_write(struct slot *s)
{
	return start_write(s, LARGE);
}

static void on_entries(struct rpc_context *rpc, int status, void *result, void *slot)
{
	READDIRPLUS3res *r = result;
	uint64_t count = 0;
	entryplus3 *e;

	(void)rpc;
	if (status == RPC_STATUS_SUCCESS && r->status == NFS3_OK)
		for (e = r->READDIRPLUS3res_u.resok.reply.entries; e; e = e->nextentry)
			count++;
	answered(status, status == RPC_STATUS_SUCCESS ? (uint32_t)r->status : 0, slot, count);
}

static int start_list(struct slot *s)
{
	READDIRPLUS3args a = {.dir = nfs_handle(&many), .dircount = LIST_BYTES, .maxcount = LIST_BYTES};

	return rpc_nfs3_readdirplus_async(s->connection->rpc, on_entries, &a, s);
}

static const struct load loads[] = {{"getattr", start_getattr}, {"lookup", start_lookup},
	{"create", start_create}, {"read4k", start_small_read}, {"write4k", start_small_write},
	{"read1m", start_large_read}, {"write1m", start_large_write}, {"list", start_list}, {NULL, NULL}};

/* ---- connections ----------------------------------------------------------------------------------------
 */

static void turn(unsigned count)
{
	struct pollfd p[CONNECTIONS];
	int ready;

	for (unsigned i = 0; i < count; i++)
		p[i] = (struct pollfd){.fd = rpc_get_fd(connections[i].rpc),
			.events = (short)rpc_which_events(connections[i].rpc)};
	ready = poll(p, count, PATIENCE);
	if (ready == 0)
		give_up("wait for answers", "none came");
	for (unsigned i = 0; ready > 0 && i < count; i++)
		if (p[i].revents && rpc_service(connections[i].rpc, p[i].revents) < 0)
			give_up("a connection", rpc_get_error(connections[i].rpc));
}

static void on_connected(struct rpc_context *rpc, int status, void *result, void *context)
{
	(void)rpc;
	(void)context;
	if (status != RPC_STATUS_SUCCESS)
		give_up("connect", result);
	wait_done = true;
}

/* The connection is number 0. */
static void wait_for(int started, const char *what)
{
	if (started != 0)
		give_up(what, rpc_get_error(connections[0].rpc));
	for (wait_done = false; !wait_done;)
		turn(1);
}

static struct rpc_context *connect_to(int port, int program)
{
	struct rpc_context *rpc = rpc_init_context(), *first = connections[0].rpc;

	if (!rpc)
		give_up("connect", "out of memory");
	connections[0].rpc = rpc;
	wait_for(rpc_connect_port_async(rpc, "127.0.0.1", port, program, 3, on_connected, NULL), "connect");
	connections[0].rpc = first;
	return rpc;
}

static void on_mounted(struct rpc_context *rpc, int status, void *result, void *context)
{
	mountres3 *r = result;

	(void)rpc;
	(void)context;
	if (status != RPC_STATUS_SUCCESS || r->fhs_status != MNT3_OK)
		give_up("mount", "refused");
	keep_handle(&root, r->mountres3_u.mountinfo.fhandle.fhandle3_len,
		r->mountres3_u.mountinfo.fhandle.fhandle3_val);
	wait_done = true;
}

static void on_found(struct rpc_context *rpc, int status, void *result, void *handle)
{
	LOOKUP3res *r = result;

	(void)rpc;
	if (status != RPC_STATUS_SUCCESS || r->status != NFS3_OK)
		give_up("look up what is there", "not found");
	keep_handle(handle, r->LOOKUP3res_u.resok.object.data.data_len,
		r->LOOKUP3res_u.resok.object.data.data_val);
	wait_done = true;
}

static void find(char *name, struct handle *handle)
{
	LOOKUP3args a = {.what = {nfs_handle(&root), name}};

	wait_for(rpc_nfs3_lookup_async(connections[0].rpc, on_found, &a, handle), name);
}

static void set_up(int port, int mount_port, char *export)
{
	connections[0].rpc = connect_to(mount_port, MOUNT_PROGRAM);
	wait_for(rpc_mount3_mnt_async(connections[0].rpc, on_mounted, export, NULL), "mount");
	rpc_destroy_context(connections[0].rpc);
	connections[0].rpc = NULL;
	for (unsigned i = connection_count; i-- > 0;)
		connections[i].rpc = connect_to(port, NFS_PROGRAM);
	find((char[]){"many"}, &many);
	find((char[]){"data"}, &data);
}

/* ---- measuring --------------------------------------------------------------------------------------------
 */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double measure(double seconds)
{
	double begun = now(), took;

	for (unsigned i = 0; i < connection_count; i++) {
		connections[i].random = i + 1;
		for (unsigned n = 0; n < call_count; n++) {
			connections[i].slots[n] = (struct slot){.connection = &connections[i], .number = n};
			next_call(&connections[i].slots[n]);
		}
	}
	while ((took = now() - begun) < seconds)
		turn(connection_count);
	stopping = true;
	took = now() - begun;
	while (under_way)
		turn(connection_count);
	return (double)counted / took;
}

/* Files that were made and not yet removed go. */
static void clean_up(void)
{
	stopping = false;
	if (load->start != start_create)
		return;
	for (unsigned i = 0; i < connection_count; i++)
		for (unsigned n = 0; n < call_count; n++)
			if (connections[i].slots[n].turn % 2) {
				stopping = false;
				next_call(&connections[i].slots[n]);
				stopping = true;
			}
	stopping = true;
	while (under_way)
		turn(connection_count);
}

int main(int argc, char **argv)
{
	if (argc != 8)
		give_up("usage", "PORT MOUNTPORT EXPORT LOAD CONNECTIONS CALLS SECONDS");
	for (load = loads; load->name && strcmp(load->name, argv[4]) != 0; load++)
		;
	connection_count = (unsigned)strtoul(argv[5], NULL, 10);
	call_count = (unsigned)strtoul(argv[6], NULL, 10);
	if (!load->name || connection_count < 1 || connection_count > CONNECTIONS || call_count < 1 ||
		call_count > CALLS)
		give_up("usage", "no such load, or too much of it");
	memset(payload, 'w', sizeof payload);
	set_up((int)strtol(argv[1], NULL, 10), (int)strtol(argv[2], NULL, 10), argv[3]);
	printf("%.1f\n", measure(strtod(argv[7], NULL)));
	clean_up();
	return 0;
}
