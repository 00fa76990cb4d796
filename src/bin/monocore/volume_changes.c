/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of staged volumes, as lines for people and as JSON for programs. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/progress.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

/* ---- lines --------------------------------------------------------------------------------------------- */

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
	case S_IFBLK:
		return "device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "file";
	}
}

static void put_size(struct buffer *b, const struct monocore_volume_facts *f)
{
	char size[24];

	if (S_ISREG(f->mode))
		buffer_append_text(b, text_human_size(f->size, size, sizeof size));
	else
		buffer_append_text(b, type_name(f->mode));
}

static void write_size(struct table *t, const struct monocore_volume_change *c)
{
	_cleanup_buffer_ struct buffer b = {0};

	if (c->before.mode)
		put_size(&b, &c->before);
	if (c->before.mode && c->after.mode && (c->contents || c->kind == 'T')) {
		buffer_append_text(&b, " -> ");
		put_size(&b, &c->after);
	} else if (!c->before.mode)
		put_size(&b, &c->after);
	buffer_u8(&b, 0);
	table_cell(t, 2, b.failed ? "?" : (const char *)b.data, 0, COLOUR_NONE);
}

/* What else has changed, and why one should look. */
static void write_notes(struct table *t, const struct monocore_volume_change *c)
{
	const struct monocore_volume_facts *b = &c->before, *a = &c->after;
	_cleanup_buffer_ struct buffer out = {0};

	if (c->conflict)
		buffer_append_text(&out, "CONFLICT ");
	if (*c->mark)
		buffer_format(&out, "[%s] ", c->mark);
	if (c->kind == 'M' && !S_ISLNK(a->mode) && (a->mode & 07777) != (b->mode & 07777))
		buffer_format(&out, "mode %o -> %o ", b->mode & 07777, a->mode & 07777);
	if (c->kind == 'M' && !S_ISLNK(a->mode) && (a->uid != b->uid || a->gid != b->gid))
		buffer_format(&out, "owner %u:%u -> %u:%u ", b->uid, b->gid, a->uid, a->gid);
	if (out.size)
		out.size--;
	buffer_u8(&out, 0);
	table_cell(
		t, 3, out.failed ? "?" : (const char *)out.data, 0, c->conflict ? COLOUR_RED : COLOUR_YELLOW);
}

static enum colour colour_of(char kind)
{
	return kind == 'A' ? COLOUR_GREEN : kind == 'D' ? COLOUR_RED : COLOUR_YELLOW;
}

static int print_lines(struct cli *cli, const struct monocore_volume_change *list, size_t count)
{
	struct table t = {.columns = 4};

	for (size_t i = 0; i < count; i++) {
		const char kind[] = {list[i].kind, '\0'};

		table_row(&t);
		table_cell(&t, 0, kind, 0, colour_of(list[i].kind));
		table_cell(&t, 1, list[i].path, 0, COLOUR_NONE);
		write_size(&t, &list[i]);
		write_notes(&t, &list[i]);
	}
	return output_table(cli, &t);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static void put_facts(struct buffer *b, const char *key, const struct monocore_volume_facts *f)
{
	char mode[8];

	json_put_key(b, key);
	if (!f->mode) {
		json_put_string(b, NULL);
		return;
	}
	snprintf(mode, sizeof mode, "%04o", f->mode & 07777);
	json_put_open(b, '{');
	json_put_key(b, "type");
	json_put_string(b, type_name(f->mode));
	json_put_key(b, "mode");
	json_put_string(b, mode);
	json_put_key(b, "uid");
	json_put_number(b, f->uid);
	json_put_key(b, "gid");
	json_put_number(b, f->gid);
	json_put_key(b, "size");
	json_put_number(b, (int64_t)f->size);
	json_put_close(b, '}');
}

static void put_change(struct buffer *b, const struct monocore_volume_change *c)
{
	const char kind[] = {c->kind, '\0'};

	json_put_open(b, '{');
	json_put_key(b, "change");
	json_put_string(b, kind);
	json_put_key(b, "path");
	json_put_string(b, c->path);
	json_put_key(b, "contents");
	json_put_bool(b, c->contents);
	json_put_key(b, "conflict");
	json_put_bool(b, c->conflict);
	json_put_key(b, "mark");
	json_put_string(b, *c->mark ? c->mark : NULL);
	put_facts(b, "before", &c->before);
	put_facts(b, "after", &c->after);
	json_put_close(b, '}');
}

static int print_json(struct cli *cli, const struct monocore_volume_change *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++)
		put_change(&b, &list[i]);
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

int volume_print_changes(struct cli *cli, struct monocore_volume_change *list, size_t count, bool json)
{
	int status;

	progress_clear(cli->progress);
	status = json ? print_json(cli, list, count) : print_lines(cli, list, count);
	monocore_volume_changes_free(list, count);
	return status;
}
