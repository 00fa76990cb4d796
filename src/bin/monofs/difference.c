/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/difference.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monofs/words.h"

void difference_list_free(struct difference_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->list[i].path);
		free(l->list[i].old_path);
	}
	free(l->list);
	*l = (struct difference_list){0};
}

bool difference_is_time(const struct tree_difference *d)
{
	return d->change == TREE_CHANGED && d->what == TREE_TIME;
}

static int keep(struct difference_list *l, const struct tree_difference *d, struct error *err)
{
	const struct entry *e = d->after ? d->after : d->before;
	struct difference *to;

	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct difference *grown = reallocarray(l->list, room, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "list differences");
		l->list = grown;
		l->room = room;
	}
	to = &l->list[l->count];
	*to = (struct difference){.change = d->change, .what = d->what, .kind = e ? e->kind : 0};
	to->path = text_copy(d->path, err);
	if (to->path && d->old_path && d->change == TREE_RENAMED)
		to->old_path = text_copy(d->old_path, err);
	l->count++;
	return to->path && (!d->old_path || d->change != TREE_RENAMED || to->old_path) ? 0 : -ERROR_NO_MEMORY;
}

int difference_collect(void *context, const struct tree_difference *d, struct error *err)
{
	struct difference_list *l = context;

	if (difference_is_time(d) && !l->times)
		return 0;
	if (d->change == TREE_ADDED)
		l->added++;
	else if (d->change == TREE_REMOVED)
		l->removed++;
	else
		l->changed++;
	if (l->count < l->keep)
		return keep(l, d, err);
	l->left_out += l->keep != 0;
	return 0;
}

static void print_letters(FILE *out, const struct difference *d)
{
	char letters[4] = "";
	size_t n = 0;

	if (d->change == TREE_RENAMED)
		letters[n++] = 'R';
	if (d->change == TREE_ADDED)
		letters[n++] = 'A';
	else if (d->change == TREE_REMOVED)
		letters[n++] = 'D';
	else if (d->what & TREE_CONTENT)
		letters[n++] = 'M';
	else if (d->what & TREE_META)
		letters[n++] = 'P';
	else if (d->what & TREE_TIME && d->change != TREE_RENAMED)
		letters[n++] = 'T';
	fprintf(out, "%-2s ", letters);
}

void difference_print_list(FILE *out, const struct difference_list *l, const char *indent)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct difference *d = &l->list[i];

		fputs(indent, out);
		print_letters(out, d);
		if (d->old_path) {
			words_name(out, d->old_path, strlen(d->old_path));
			fputs(" -> ", out);
		}
		words_name(out, d->path, strlen(d->path));
		fputs(d->kind == ENTRY_DIRECTORY ? "/\n" : "\n", out);
	}
	if (l->left_out)
		fprintf(out, "%sand %llu more\n", indent, (unsigned long long)l->left_out);
}

void difference_put_json(struct buffer *b, const struct difference_list *l)
{
	static const char *const names[] = {[TREE_ADDED] = "added",
		[TREE_REMOVED] = "removed",
		[TREE_CHANGED] = "changed",
		[TREE_RENAMED] = "renamed"};

	json_put_open(b, '[');
	for (size_t i = 0; i < l->count; i++) {
		const struct difference *d = &l->list[i];

		json_put_open(b, '{');
		json_put_member(b, "change", names[d->change]);
		json_put_member(b, "kind", words_kind(d->kind));
		json_put_member(b, "path", d->path);
		if (d->old_path)
			json_put_member(b, "old_path", d->old_path);
		if (d->change == TREE_CHANGED || d->change == TREE_RENAMED) {
			json_put_key(b, "content");
			json_put_bool(b, d->what & TREE_CONTENT);
			json_put_key(b, "meta");
			json_put_bool(b, d->what & TREE_META);
			json_put_key(b, "time");
			json_put_bool(b, d->what & TREE_TIME);
		}
		json_put_close(b, '}');
	}
	json_put_close(b, ']');
}
