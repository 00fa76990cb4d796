/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/volume_mux.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/volume.h"

#define PORT_SPACE  (256u * 1024)               /* room for the guest's bytes */
#define OUTPUT_FULL (2 * VOLUME_PAYLOAD_MAX)    /* bytes for the port that are made ahead */
#define CREDIT_SAY  (VOLUME_WINDOW / 8)         /* bytes of credit that are not kept back */
#define REPLY_SPACE (VOLUME_MESSAGE_MAX + 4096) /* room for a server's bytes */
#define TRIES_MAX   3                           /* servers that may die over a request */

_Static_assert(sizeof(struct fuse_in_header) == VOLUME_REQUEST_MIN, "as docs/formats/volume.md has it");
_Static_assert(sizeof(struct fuse_out_header) == VOLUME_REPLY_MIN, "as docs/formats/volume.md has it");

struct request {
	struct request *next;
	uint64_t unique;
	uint32_t size, have; /* have: bytes that have come */
	unsigned tries;
	bool silent; /* there is no answer to it */
	uint8_t bytes[];
};

struct volume {
	bool over, end_due; /* end_due: the guest is to be told */

	/* requests */
	uint8_t head[VOLUME_REQUEST_MIN]; /* of the one that comes, until it is whole */
	uint32_t head_size;
	struct request *coming;
	struct request *first, **last; /* whole and unanswered, in their order */
	struct request *sending;       /* the one that the server gets next; NULL: it has them all */
	uint32_t sent;                 /* bytes of it, or of the replay */
	uint32_t received;             /* bytes of DATA that no credit was given for */
	uint32_t credit_due;           /* those for which it is to be given */

	struct request *init; /* a copy of the first request */
	bool replaying;       /* the server gets the copy first */
	bool init_hidden;     /* ... and its reply is dropped */

	/* of a stream: one connection after the other. Each ends with a RESET of either side */
	bool stream;
	struct buffer up; /* for the server, from up_at on */
	size_t up_at;
	bool reset_due; /* ours is to be sent */
	bool awaiting;  /* the guest's has not come: what comes is still the last connection's */
	bool stale;     /* the guest's came first: the server is the last connection's */

	/* replies */
	struct buffer in; /* from the server: `whole` bytes of judged messages, and what comes behind */
	size_t whole;
	struct buffer down; /* for the guest, from down_at on */
	size_t down_at;
	uint32_t under_way; /* bytes sent that the guest has given no credit for */
};

struct volume_mux {
	uint32_t count, turn; /* turn: whose frames come next */
	struct buffer port;   /* from the guest */
	struct buffer out;    /* for the guest, from out_at on */
	size_t out_at;
	struct volume volumes[VOLUMES_MAX];
};

int volume_mux_new(uint32_t count, struct volume_mux **mux, struct error *err)
{
	struct volume_mux *m = count <= VOLUMES_MAX ? calloc(1, sizeof *m) : NULL;

	if (!m || !buffer_reserve(&m->port, PORT_SPACE)) {
		free(m);
		return error_no_memory(err, "serve volumes");
	}
	m->count = count;
	for (uint32_t i = 0; i < count; i++)
		m->volumes[i].last = &m->volumes[i].first;
	*mux = m;
	return 0;
}

static void drop_requests(struct volume *v)
{
	while (v->first) {
		struct request *next = v->first->next;

		free(v->first);
		v->first = next;
	}
	v->last = &v->first;
	v->sending = NULL;
	free(TAKE_PTR(v->coming));
	v->head_size = 0;
}

static void finish(struct volume *v)
{
	v->over = true;
	drop_requests(v);
	free(TAKE_PTR(v->init));
	v->replaying = false;
	v->reset_due = v->stale = false;
	v->whole = v->down_at = v->up_at = 0;
	buffer_free(&v->up);
	buffer_free(&v->in);
	buffer_free(&v->down);
}

void volume_mux_free(struct volume_mux *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->count; i++)
		finish(&m->volumes[i]);
	buffer_free(&m->port);
	buffer_free(&m->out);
	free(m);
}

void volume_mux_end(struct volume_mux *m, uint32_t volume)
{
	struct volume *v = &m->volumes[volume];

	v->end_due |= !v->over;
	finish(v);
}

bool volume_mux_is_over(const struct volume_mux *m, uint32_t volume)
{
	return m->volumes[volume].over;
}

/* ---- streams ------------------------------------------------------------------------------------------ */

void volume_mux_set_stream(struct volume_mux *m, uint32_t volume)
{
	m->volumes[volume].stream = true;
}

bool volume_mux_is_stale(const struct volume_mux *m, uint32_t volume)
{
	return m->volumes[volume].stale;
}

/* Nobody gets what is under way. */
static void end_connection(struct volume *v)
{
	v->credit_due += (uint32_t)(v->up.size - v->up_at);
	v->up_at = v->down_at = 0;
	buffer_clear(&v->up);
	buffer_clear(&v->down);
	v->reset_due = true;
}

static int take_reset(struct volume *v, struct error *err)
{
	if (v->over)
		return 0;
	if (!v->stream || (v->reset_due && !v->awaiting))
		return error_set(err, ERROR_INVALID, "the end of a connection that there is not");
	if (!v->awaiting) {
		end_connection(v);
		v->stale = true;
	}
	v->awaiting = false;
	return 0;
}

/* The server of a connection that the guest holds to be open has died. */
static void restart_stream(struct volume *v)
{
	if (!v->stale && !v->awaiting) {
		end_connection(v);
		v->awaiting = true;
	}
	v->stale = false;
}

static int take_bytes(struct volume *v, const uint8_t *bytes, size_t n, struct error *err)
{
	if (v->awaiting)
		v->credit_due += (uint32_t)n;
	else if (!buffer_append(&v->up, bytes, n))
		return error_no_memory(err, "take a volume's data");
	return 0;
}

static void sent_bytes(struct volume *v, size_t n)
{
	v->up_at += n;
	v->credit_due += (uint32_t)n;
	if (v->up_at == v->up.size || v->up_at > VOLUME_WINDOW / 2) {
		buffer_consume(&v->up, v->up_at);
		v->up_at = 0;
	}
}

/* Straight into what is for the guest, as far as its window goes. */
static uint8_t *stream_space(struct volume *v, size_t *room)
{
	size_t taken = v->down.size - v->down_at + v->under_way;

	if (v->stale || taken >= VOLUME_WINDOW || !buffer_reserve(&v->down, VOLUME_WINDOW - taken))
		return NULL;
	*room = VOLUME_WINDOW - taken;
	return v->down.data + v->down.size;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static bool is_silent(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ||
	       opcode == FUSE_NOTIFY_REPLY;
}

static struct request *request_copy(const struct request *q)
{
	struct request *copy = malloc(sizeof *copy + q->size);

	if (copy)
		memcpy(copy, q, sizeof *copy + q->size);
	return copy;
}

/* The whole header of a request is there: judges it and makes room for the rest. */
static int begin_request(struct volume *v, struct error *err)
{
	struct fuse_in_header h;
	struct request *q;

	memcpy(&h, v->head, sizeof h);
	if (h.len < VOLUME_REQUEST_MIN || h.len > VOLUME_MESSAGE_MAX)
		return error_set(err, ERROR_INVALID, "a request of %u bytes", h.len);
	q = malloc(sizeof *q + h.len);
	if (!q)
		return error_no_memory(err, "take a volume's request");
	*q = (struct request){.unique = h.unique & ~VOLUME_AGAIN,
		.size = h.len,
		.have = VOLUME_REQUEST_MIN,
		.silent = is_silent(h.opcode)};
	memcpy(q->bytes, v->head, sizeof h);
	v->coming = q;
	v->head_size = 0;
	return 0;
}

static int end_request(struct volume *v, struct error *err)
{
	struct request *q = v->coming;
	struct fuse_in_header h;

	memcpy(&h, q->bytes, sizeof h);
	if (!v->init && h.opcode == FUSE_INIT && !(v->init = request_copy(q)))
		return error_no_memory(err, "keep a volume's first request");
	v->coming = NULL;
	*v->last = q;
	v->last = &q->next;
	if (!v->sending && !v->replaying)
		v->sent = 0;
	if (!v->sending)
		v->sending = q;
	return 0;
}

static size_t take_part(uint8_t *to, uint32_t *have, uint32_t size, const uint8_t *bytes, size_t n)
{
	size_t part = size - *have < n ? size - *have : n;

	memcpy(to + *have, bytes, part);
	*have += (uint32_t)part;
	return part;
}

static int take_data(struct volume *v, const uint8_t *bytes, size_t n, struct error *err)
{
	int r = 0;

	if (v->over)
		return 0;
	if (n > VOLUME_WINDOW - v->received)
		return error_set(err, ERROR_INVALID, "more data than its window has room for");
	v->received += (uint32_t)n;
	if (v->stream)
		return take_bytes(v, bytes, n, err);
	while (r == 0 && n) {
		size_t part;

		if (v->coming) {
			part = take_part(v->coming->bytes, &v->coming->have, v->coming->size, bytes, n);
		} else {
			part = take_part(v->head, &v->head_size, VOLUME_REQUEST_MIN, bytes, n);
			if (v->head_size == VOLUME_REQUEST_MIN)
				r = begin_request(v, err);
		}
		if (r == 0 && v->coming && v->coming->have == v->coming->size)
			r = end_request(v, err);
		bytes += part;
		n -= part;
	}
	return r;
}

static int take_credit(struct volume *v, uint32_t more, struct error *err)
{
	if (v->over)
		return 0;
	if (more > v->under_way)
		return error_set(err, ERROR_INVALID, "credit for more than was sent");
	v->under_way -= more;
	return 0;
}

static void move_replies(struct volume *v);

static int take_frame(
	struct volume_mux *m, const struct volume_frame *f, const uint8_t *payload, struct error *err)
{
	struct volume *v = &m->volumes[f->volume];
	int r = 0;

	if (f->volume >= m->count)
		return error_set(err, ERROR_INVALID, "there is no volume %u", f->volume);
	if (f->type == VOLUME_DATA)
		r = take_data(v, payload, f->length, err);
	else if (f->type == VOLUME_CREDIT)
		r = take_credit(v, volume_u32_decode(payload), err);
	else if (f->type == VOLUME_RESET)
		r = take_reset(v, err);
	else
		finish(v);
	if (f->type == VOLUME_CREDIT && r == 0)
		move_replies(v);
	return r < 0 ? error_prefix(err, "volume %u", f->volume) : 0;
}

uint8_t *volume_mux_space(struct volume_mux *m, size_t *room)
{
	*room = PORT_SPACE - m->port.size;
	return m->port.data + m->port.size;
}

int volume_mux_filled(struct volume_mux *m, size_t n, struct error *err)
{
	struct volume_frame f;
	size_t at = 0;
	int r = 0;

	m->port.size += n;
	while (r == 0 && m->port.size - at >= VOLUME_HEADER_SIZE) {
		r = volume_frame_decode(m->port.data + at, &f, err);
		if (r < 0 || m->port.size - at < VOLUME_HEADER_SIZE + f.length)
			break;
		r = take_frame(m, &f, m->port.data + at + VOLUME_HEADER_SIZE, err);
		at += VOLUME_HEADER_SIZE + f.length;
	}
	buffer_consume(&m->port, at);
	return r == 0 && m->out.failed ? error_no_memory(err, "serve volumes") : r;
}

const uint8_t *volume_mux_request(struct volume_mux *m, uint32_t volume, size_t *n)
{
	const struct volume *v = &m->volumes[volume];
	const struct request *q = v->replaying ? v->init : v->sending;

	if (v->stream) {
		*n = v->stale ? 0 : v->up.size - v->up_at;
		return *n ? v->up.data + v->up_at : NULL;
	}
	*n = q ? q->size - v->sent : 0;
	return q ? q->bytes + v->sent : NULL;
}

/* Takes a request that is over out of the list, and gives its bytes back. */
static void strike(struct volume *v, struct request **link)
{
	struct request *q = *link;

	*link = q->next;
	if (v->last == &q->next)
		v->last = link;
	v->credit_due += q->size;
	free(q);
}

static void strike_silent(struct volume *v, const struct request *q)
{
	for (struct request **link = &v->first; *link; link = &(*link)->next)
		if (*link == q) {
			strike(v, link);
			return;
		}
}

void volume_mux_requested(struct volume_mux *m, uint32_t volume, size_t n)
{
	struct volume *v = &m->volumes[volume];
	struct request *q = v->replaying ? v->init : v->sending;

	if (v->stream) {
		sent_bytes(v, n);
		return;
	}
	v->sent += (uint32_t)n;
	if (v->sent < q->size)
		return;
	v->sent = 0;
	if (v->replaying) {
		v->replaying = false;
		return;
	}
	v->sending = q->next;
	if (q->silent)
		strike_silent(v, q);
}

/* ---- replies ------------------------------------------------------------------------------------------- */

/* To the guest's queue, as far as the window goes. */
static void move_replies(struct volume *v)
{
	size_t at = 0;

	while (at < v->whole) {
		uint32_t size = volume_u32_decode(v->in.data + at);

		if (v->down.size - v->down_at + v->under_way + size > VOLUME_WINDOW ||
			!buffer_append(&v->down, v->in.data + at, size))
			break;
		at += size;
	}
	v->whole -= at;
	buffer_consume(&v->in, at);
}

/* An answered request, found from the front: answers come in the order of the requests as a rule. One that
 * is not there has been answered before, or is a message that the server began with. */
static void strike_answered(struct volume *v, uint64_t unique)
{
	for (struct request **link = &v->first; *link && *link != v->sending; link = &(*link)->next)
		if ((*link)->unique == unique) {
			strike(v, link);
			return;
		}
}

static void drop_bytes(struct buffer *b, size_t at, size_t n)
{
	memmove(b->data + at, b->data + at + n, b->size - at - n);
	b->size -= n;
}

static bool is_hidden(struct volume *v, const struct fuse_out_header *h)
{
	struct fuse_in_header init;

	if (!v->init_hidden)
		return false;
	memcpy(&init, v->init->bytes, sizeof init);
	v->init_hidden = h->unique != init.unique;
	return !v->init_hidden;
}

static int judge_replies(struct volume *v, struct error *err)
{
	struct fuse_out_header h;

	while (v->in.size - v->whole >= sizeof h) {
		memcpy(&h, v->in.data + v->whole, sizeof h);
		if (h.len < VOLUME_REPLY_MIN || h.len > VOLUME_MESSAGE_MAX)
			return error_set(err, ERROR_INVALID, "a reply of %u bytes", h.len);
		if (v->in.size - v->whole < h.len)
			break;
		h.unique &= ~VOLUME_AGAIN;
		memcpy(v->in.data + v->whole, &h, sizeof h);
		if (is_hidden(v, &h)) {
			drop_bytes(&v->in, v->whole, h.len);
			continue;
		}
		strike_answered(v, h.unique);
		v->whole += h.len;
	}
	return 0;
}

uint8_t *volume_mux_reply_space(struct volume_mux *m, uint32_t volume, size_t *room)
{
	struct volume *v = &m->volumes[volume];

	*room = 0;
	if (v->stream && !v->over)
		return stream_space(v, room);
	/* Whole messages that the guest has no room for are enough to keep. */
	if (v->over || v->whole || !buffer_reserve(&v->in, REPLY_SPACE - v->in.size))
		return NULL;
	*room = REPLY_SPACE - v->in.size;
	return v->in.data + v->in.size;
}

int volume_mux_replied(struct volume_mux *m, uint32_t volume, size_t n, struct error *err)
{
	struct volume *v = &m->volumes[volume];
	int r;

	if (v->stream) {
		v->down.size += n;
		return 0;
	}
	v->in.size += n;
	r = judge_replies(v, err);
	move_replies(v);
	if (v->in.failed || v->down.failed)
		return error_no_memory(err, "take a volume's replies");
	return r < 0 ? error_prefix(err, "the server of volume %u", volume) : 0;
}

/* The one that the dead server was at, since it takes them one after the other. Too many servers have died
 * over it: it is answered for them. */
static int answer_in_place(struct volume *v, struct error *err)
{
	const struct fuse_out_header h = {.len = sizeof h, .error = -EIO, .unique = v->first->unique};

	if (!v->first->silent && !buffer_append(&v->in, &h, sizeof h))
		return error_no_memory(err, "go on with a volume");
	v->whole = v->in.size;
	strike(v, &v->first);
	return 0;
}

/* What the dead server had as a whole it may have carried out. */
static void mark_sent(struct volume *v)
{
	for (struct request *q = v->first; q && q != v->sending; q = q->next) {
		struct fuse_in_header h;

		memcpy(&h, q->bytes, sizeof h);
		h.unique |= VOLUME_AGAIN;
		memcpy(q->bytes, &h, sizeof h);
	}
}

int volume_mux_resume(struct volume_mux *m, uint32_t volume, struct error *err)
{
	struct volume *v = &m->volumes[volume];
	int r = 0;

	if (v->over)
		return 0;
	if (v->stream) {
		restart_stream(v);
		return 0;
	}
	v->in.size = v->whole;
	if (v->first && (v->first != v->sending || v->sent) && ++v->first->tries == TRIES_MAX)
		r = answer_in_place(v, err);
	mark_sent(v);
	v->sending = v->first;
	v->sent = 0;
	/* It is not in the list any more where it was answered. */
	v->init_hidden = v->init && !(v->first && v->first->unique == v->init->unique);
	v->replaying = v->init_hidden;
	move_replies(v);
	return r;
}

/* ---- frames for the guest ------------------------------------------------------------------------------ */

static void put_frame(struct volume_mux *m, uint32_t volume, enum volume_frame_type type,
	const uint8_t *payload, uint32_t n)
{
	uint8_t header[VOLUME_HEADER_SIZE];

	volume_frame_encode(&(struct volume_frame){n, (uint16_t)volume, (uint16_t)type}, header);
	buffer_append(&m->out, header, sizeof header);
	buffer_append(&m->out, payload, n);
}

static void put_credit(struct volume_mux *m, uint32_t volume)
{
	struct volume *v = &m->volumes[volume];
	uint8_t bytes[4];

	/* As long as the guest has half its window left, it can wait for a frame that goes anyway. */
	if (v->over || v->credit_due < CREDIT_SAY)
		return;
	volume_u32_encode(v->credit_due, bytes);
	put_frame(m, volume, VOLUME_CREDIT, bytes, sizeof bytes);
	v->received -= v->credit_due;
	v->credit_due = 0;
}

static void put_data(struct volume_mux *m, uint32_t volume)
{
	struct volume *v = &m->volumes[volume];
	size_t left = v->down.size - v->down_at;
	uint32_t n = left < VOLUME_PAYLOAD_MAX ? (uint32_t)left : VOLUME_PAYLOAD_MAX;

	if (!n)
		return;
	put_frame(m, volume, VOLUME_DATA, v->down.data + v->down_at, n);
	v->down_at += n;
	v->under_way += n;
	if (v->down_at == v->down.size || v->down_at > VOLUME_WINDOW / 2) {
		buffer_consume(&v->down, v->down_at);
		v->down_at = 0;
	}
}

/* One frame of data of each volume in turn, until there is enough. */
static void make_output(struct volume_mux *m)
{
	size_t before;

	do {
		before = m->out.size;
		for (uint32_t i = 0; i < m->count && m->out.size < OUTPUT_FULL; i++) {
			uint32_t volume = (m->turn + i) % m->count;

			if (m->volumes[volume].end_due) {
				m->volumes[volume].end_due = false;
				put_frame(m, volume, VOLUME_END, NULL, 0);
			}
			if (m->volumes[volume].reset_due) {
				m->volumes[volume].reset_due = false;
				put_frame(m, volume, VOLUME_RESET, NULL, 0);
			}
			put_credit(m, volume);
			put_data(m, volume);
		}
		m->turn = m->count ? (m->turn + 1) % m->count : 0;
	} while (m->out.size > before && m->out.size < OUTPUT_FULL);
}

const uint8_t *volume_mux_output(struct volume_mux *m, size_t *n)
{
	if (m->out_at == m->out.size) {
		buffer_clear(&m->out);
		m->out_at = 0;
		make_output(m);
	}
	*n = m->out.size - m->out_at;
	return *n ? m->out.data + m->out_at : NULL;
}

void volume_mux_written(struct volume_mux *m, size_t n)
{
	m->out_at += n;
}

/* ---- copies of the guest ------------------------------------------------------------------------------- */

static bool is_idle(const struct volume *v)
{
	return v->over ? !v->end_due
		       : !v->first && !v->coming && !v->head_size && !v->replaying && !v->init_hidden &&
				 !v->in.size && v->down_at == v->down.size;
}

bool volume_mux_is_idle(const struct volume_mux *m)
{
	bool idle = !m->port.size && m->out_at == m->out.size;

	for (uint32_t i = 0; idle && i < m->count; i++)
		idle = is_idle(&m->volumes[i]);
	return idle;
}

void volume_mux_save(const struct volume_mux *m, struct buffer *out)
{
	buffer_u32(out, m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct volume *v = &m->volumes[i];

		buffer_u8(out, v->over);
		buffer_u32(out, v->received);
		buffer_u32(out, v->credit_due);
		buffer_u32(out, v->under_way);
		buffer_bytes(out, v->init ? v->init->bytes : NULL, v->init ? v->init->size : 0);
	}
}

static int load_init(struct volume *v, const uint8_t *bytes, size_t n, struct error *err)
{
	struct fuse_in_header h;

	if (!n)
		return 0;
	if (n < sizeof h || n > VOLUME_MESSAGE_MAX)
		return error_set(err, ERROR_CORRUPT, "the saved volumes: a malformed request");
	memcpy(&h, bytes, sizeof h);
	v->init = malloc(sizeof *v->init + n);
	if (!v->init)
		return error_no_memory(err, "go on with volumes");
	*v->init = (struct request){.unique = h.unique, .size = (uint32_t)n, .have = (uint32_t)n};
	memcpy(v->init->bytes, bytes, n);
	return 0;
}

int volume_mux_load(struct volume_mux *m, struct cursor *in, struct error *err)
{
	int r = cursor_u32(in) == m->count ? 0
					   : error_set(err, ERROR_CORRUPT, "the saved volumes: their number");

	for (uint32_t i = 0; r == 0 && i < m->count; i++) {
		struct volume *v = &m->volumes[i];
		bool over = cursor_u8(in);
		const uint8_t *init;
		size_t n;

		v->received = cursor_u32(in);
		v->credit_due = cursor_u32(in);
		v->under_way = cursor_u32(in);
		init = cursor_bytes(in, &n);
		if (in->failed || v->received > VOLUME_WINDOW || v->credit_due > v->received ||
			v->under_way > VOLUME_WINDOW)
			return error_set(err, ERROR_CORRUPT, "the saved volumes: a malformed window");
		r = load_init(v, init, n, err);
		if (r == 0 && over)
			finish(v);
	}
	return r;
}
