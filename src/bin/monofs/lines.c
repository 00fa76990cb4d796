/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/map.h"

#define CONTEXT   3u
#define COST_MOST 1024 /* edits that are looked for at once */

void lines_free(struct lines_compared *c)
{
	free(c->before.list);
	free(c->after.list);
	*c = (struct lines_compared){0};
}

/* ---- lines, and numbers for equal ones -------------------------------------------------------------- */

static int split(const char *text, size_t size, struct lines *out, struct error *err)
{
	const char *end = text + size;
	size_t count = 0;

	for (const char *p = text; p < end; count++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		p = newline ? newline + 1 : end;
	}
	if (count >= INT32_MAX)
		return error_set(err, ERROR_LIMIT, "a text of more than 2^31 lines");
	out->list = calloc(count + 1, sizeof *out->list);
	if (!out->list)
		return error_no_memory(err, "compare texts");
	for (const char *p = text; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *next = newline ? newline + 1 : end;

		out->list[out->count++] = (struct line){.text = p, .size = (size_t)(next - p)};
		p = next;
	}
	return 0;
}

/* The map's values are numbers, not pointers. */
static int number(struct map *numbers, struct lines *l, struct error *err)
{
	for (size_t i = 0; i < l->count; i++) {
		struct line *line = &l->list[i];
		uintptr_t known = (uintptr_t)map_get(numbers, line->text, line->size);
		int r;

		if (!known) {
			known = numbers->size + 1;
			r = map_set(numbers, line->text, line->size, (void *)known, NULL, err); /* NOLINT */
			if (r < 0)
				return r;
		}
		line->number = (uint32_t)known;
	}
	return 0;
}

/* ---- the comparison --------------------------------------------------------------------------------- */

/* Lines that both texts have: their numbers, and which ones they are. */
struct side {
	uint32_t *numbers;
	struct line **lines;
	int32_t count;
};

/* A part of both texts, and a point in it where it can be parted: x lines into the first, y into the second.
 */
struct box {
	int32_t x, x_end, y, y_end;
};
struct point {
	int32_t x, y;
};

/* How far paths have come: x on each diagonal (x - y) from low to high, every other one of them. */
struct front {
	int32_t *x;
	int32_t low, high;
};

struct work {
	struct side a, b;
	struct front forward, backward;
};

static void mark(const struct side *s, int32_t from, int32_t to)
{
	for (int32_t i = from; i < to; i++)
		s->lines[i]->changed = true;
}

/* One diagonal more at each end, as long as there are any; `outside` is worse than all that a path can reach.
 */
static void widen(struct front *f, const struct box *box, int32_t outside)
{
	if (f->low > box->x - box->y_end)
		f->x[--f->low - 1] = outside;
	else
		f->low++;
	if (f->high < box->x_end - box->y)
		f->x[++f->high + 1] = outside;
	else
		f->high--;
}

static bool has(const struct front *f, int32_t diagonal)
{
	return f->low <= diagonal && diagonal <= f->high;
}

/* One edit further from the start. True: a path meets one of those from the end, at *p. */
static bool go_forward(struct work *w, const struct box *box, bool odd, struct point *p)
{
	struct front *f = &w->forward;

	widen(f, box, -1);
	for (int32_t k = f->high; k >= f->low; k -= 2) {
		int32_t x = f->x[k - 1] >= f->x[k + 1] ? f->x[k - 1] + 1 : f->x[k + 1];
		int32_t y = x - k;

		while (x < box->x_end && y < box->y_end && w->a.numbers[x] == w->b.numbers[y]) {
			x++;
			y++;
		}
		f->x[k] = x;
		if (odd && has(&w->backward, k) && w->backward.x[k] <= x) {
			*p = (struct point){x, y};
			return true;
		}
	}
	return false;
}

static bool go_backward(struct work *w, const struct box *box, bool odd, struct point *p)
{
	struct front *f = &w->backward;

	widen(f, box, INT32_MAX);
	for (int32_t k = f->high; k >= f->low; k -= 2) {
		int32_t x = f->x[k - 1] < f->x[k + 1] ? f->x[k - 1] : f->x[k + 1] - 1;
		int32_t y = x - k;

		while (x > box->x && y > box->y && w->a.numbers[x - 1] == w->b.numbers[y - 1]) {
			x--;
			y--;
		}
		f->x[k] = x;
		if (!odd && has(&w->forward, k) && x <= w->forward.x[k]) {
			*p = (struct point){x, y};
			return true;
		}
	}
	return false;
}

/* Where the path is that has come furthest. */
static struct point furthest(const struct work *w, const struct box *box)
{
	const struct front *f = &w->forward;
	struct point best = {box->x, box->y};

	for (int32_t k = f->low; k <= f->high; k += 2) {
		int32_t x = f->x[k] < box->x_end ? f->x[k] : box->x_end, y = x - k;

		if (y > box->y_end) {
			y = box->y_end;
			x = y + k;
		}
		if (x >= box->x && y >= box->y && x + y > best.x + best.y)
			best = (struct point){x, y};
	}
	return best;
}

/* A point of a shortest path through the box, neither end of which has lines in common. */
static struct point find_middle(struct work *w, const struct box *box)
{
	int32_t start = box->x - box->y, end = box->x_end - box->y_end;
	bool odd = (start - end) % 2 != 0;
	struct point p;

	w->forward.low = w->forward.high = start;
	w->forward.x[start] = box->x;
	w->backward.low = w->backward.high = end;
	w->backward.x[end] = box->x_end;
	for (int i = 0; i < COST_MOST; i++)
		if (go_forward(w, box, odd, &p) || go_backward(w, box, odd, &p))
			return p;
	return furthest(w, box);
}

static void compare(struct work *w, struct box box)
{
	for (;;) {
		struct point p;

		while (box.x < box.x_end && box.y < box.y_end && w->a.numbers[box.x] == w->b.numbers[box.y]) {
			box.x++;
			box.y++;
		}
		while (box.x < box.x_end && box.y < box.y_end &&
			w->a.numbers[box.x_end - 1] == w->b.numbers[box.y_end - 1]) {
			box.x_end--;
			box.y_end--;
		}
		if (box.x == box.x_end || box.y == box.y_end) {
			mark(&w->a, box.x, box.x_end);
			mark(&w->b, box.y, box.y_end);
			return;
		}
		p = find_middle(w, &box);
		compare(w, (struct box){box.x, p.x, box.y, p.y});
		box.x = p.x;
		box.y = p.y;
	}
}

/* ---- what is compared ------------------------------------------------------------------------------- */

/* Lines that the other text has nowhere are changed in any case. */
static int take_common(const struct lines *l, const uint8_t *common, struct side *s, struct error *err)
{
	s->numbers = calloc(l->count + 1, sizeof *s->numbers);
	s->lines = calloc(l->count + 1, sizeof(struct line *));
	if (!s->numbers || !s->lines)
		return error_no_memory(err, "compare texts");
	for (size_t i = 0; i < l->count; i++) {
		if (common[l->list[i].number] != 3) {
			l->list[i].changed = true;
			continue;
		}
		s->numbers[s->count] = l->list[i].number;
		s->lines[s->count++] = &l->list[i];
	}
	return 0;
}

static void side_free(struct side *s)
{
	free(s->numbers);
	free(s->lines);
}

static int compare_common(struct lines_compared *c, size_t numbers, struct error *err)
{
	_cleanup_free_ uint8_t *common = calloc(numbers + 1, 1);
	_cleanup_free_ int32_t *forward = NULL, *backward = NULL;
	struct work w = {0};
	int r = common ? 0 : error_no_memory(err, "compare texts");

	for (size_t i = 0; r == 0 && i < c->before.count; i++)
		common[c->before.list[i].number] |= 1;
	for (size_t i = 0; r == 0 && i < c->after.count; i++)
		common[c->after.list[i].number] |= 2;
	if (r == 0)
		r = take_common(&c->before, common, &w.a, err);
	if (r == 0)
		r = take_common(&c->after, common, &w.b, err);
	if (r == 0) {
		size_t diagonals = (size_t)w.a.count + (size_t)w.b.count + 3;

		forward = calloc(diagonals, sizeof *forward);
		backward = calloc(diagonals, sizeof *backward);
		if (!forward || !backward)
			r = error_no_memory(err, "compare texts");
	}
	if (r == 0) {
		w.forward.x = forward + w.b.count + 1;
		w.backward.x = backward + w.b.count + 1;
		compare(&w, (struct box){0, w.a.count, 0, w.b.count});
	}
	side_free(&w.a);
	side_free(&w.b);
	return r;
}

int lines_compare(const void *before, size_t before_size, const void *after, size_t after_size,
	struct lines_compared *out, struct error *err)
{
	struct map numbers = {0};
	int r = split(before, before_size, &out->before, err);

	if (r == 0)
		r = split(after, after_size, &out->after, err);
	if (r == 0)
		r = number(&numbers, &out->before, err);
	if (r == 0)
		r = number(&numbers, &out->after, err);
	if (r == 0)
		r = compare_common(out, numbers.size, err);
	map_free(&numbers);
	if (r < 0) {
		lines_free(out);
		return r;
	}
	for (size_t i = 0; i < out->before.count; i++)
		out->removed += out->before.list[i].changed;
	for (size_t i = 0; i < out->after.count; i++)
		out->added += out->after.list[i].changed;
	return 0;
}

/* ---- hunks ------------------------------------------------------------------------------------------ */

static void write_line(struct buffer *out, char sign, const struct line *l)
{
	buffer_u8(out, (uint8_t)sign);
	buffer_append(out, l->text, l->size);
	if (!l->size || l->text[l->size - 1] != '\n')
		buffer_append_text(out, "\n\\ No newline at end of file\n");
}

static bool changed_at(const struct lines *l, size_t i)
{
	return i < l->count && l->list[i].changed;
}

/* Where a hunk begins in both texts, and where it ends. */
struct hunk {
	size_t a, a_end, b, b_end;
};

static void write_range(struct buffer *out, char sign, size_t from, size_t to)
{
	buffer_format(out, "%c%zu", sign, to > from ? from + 1 : from);
	if (to - from != 1)
		buffer_format(out, ",%zu", to - from);
}

static void write_hunk(const struct lines_compared *c, const struct hunk *h, struct buffer *out)
{
	size_t a = h->a, b = h->b;

	buffer_append_text(out, "@@ ");
	write_range(out, '-', h->a, h->a_end);
	buffer_u8(out, ' ');
	write_range(out, '+', h->b, h->b_end);
	buffer_append_text(out, " @@\n");
	while (a < h->a_end || b < h->b_end) {
		if (a < h->a_end && changed_at(&c->before, a))
			write_line(out, '-', &c->before.list[a++]);
		else if (b < h->b_end && changed_at(&c->after, b))
			write_line(out, '+', &c->after.list[b++]);
		else {
			write_line(out, ' ', &c->before.list[a++]);
			b++;
		}
	}
}

/* Up to the last change that no more than 2 * CONTEXT lines part from the one before. */
static void find_end(const struct lines_compared *c, struct hunk *h)
{
	size_t a = h->a, b = h->b, same = 0;

	while (a < c->before.count || b < c->after.count) {
		if (changed_at(&c->before, a) || changed_at(&c->after, b)) {
			same = 0;
			a += changed_at(&c->before, a);
			b += changed_at(&c->after, b);
			h->a_end = a;
			h->b_end = b;
		} else if (same++ == 2 * CONTEXT) {
			break;
		} else {
			a++;
			b++;
		}
	}
}

void lines_write_hunks(const struct lines_compared *c, struct buffer *out)
{
	size_t a = 0, b = 0;

	while (a < c->before.count || b < c->after.count) {
		struct hunk h;
		size_t before;

		if (!changed_at(&c->before, a) && !changed_at(&c->after, b)) {
			a++;
			b++;
			continue;
		}
		before = a < CONTEXT ? a : CONTEXT;
		h = (struct hunk){.a = a, .a_end = a, .b = b, .b_end = b};
		find_end(c, &h);
		a = h.a_end;
		b = h.b_end;
		h.a -= before;
		h.b -= before;
		for (size_t i = 0; i < CONTEXT && h.a_end < c->before.count; i++) {
			h.a_end++;
			h.b_end++;
		}
		write_hunk(c, &h, out);
	}
}
