/* SPDX-License-Identifier: Apache-2.0 */
#include "project/edit_text.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#include "project/scalar.h"

/* ---- scalars ---------------------------------------------------------------------------------------- */

/* The next character of UTF-8 (RFC 3629), and its bytes; 0: it is none. */
static uint32_t decode(const char *text, size_t *length)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	uint32_t c = n == 1 ? s[0] : n ? s[0] & (0xffu >> (n + 1)) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	*length = n;
	if (n == 0 || s[0] > 0xf4 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return c;
}

/* YAML's printable characters without those that end a line (YAML 1.2.2, §5.1; NEL, LS and PS did in 1.1). */
static bool is_printable(uint32_t c)
{
	if (c < 0xa0)
		return c >= 0x20 && c < 0x7f;
	return c != 0x2028 && c != 0x2029 && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

static int check_text(const char *text, bool *printable, struct error *err)
{
	size_t n = 0;

	*printable = true;
	for (; *text; text += n) {
		uint32_t c = decode(text, &n);

		if (c == 0)
			return error_set(err, ERROR_INVALID, "'%s' is no UTF-8 text", text);
		*printable &= is_printable(c);
	}
	return 0;
}

/* Words that other readers take for something else, as YAML 1.1 had them: 12:30 is 750 there. */
static bool is_ambiguous(const char *text)
{
	static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "<<", "="};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return scalar_kind(text) != SCALAR_TEXT || strspn(text, "0123456789.:_+-eE") == strlen(text) ||
	       !strncmp(text, "---", 3) || !strncmp(text, "...", 3);
}

static bool can_be_plain(const char *text, bool flow)
{
	size_t n = strlen(text);

	if (n == 0 || is_ambiguous(text) || strchr(" -?:,[]{}#&*!|>'\"%@`", text[0]) || text[n - 1] == ' ' ||
		text[n - 1] == ':')
		return false;
	return !strstr(text, ": ") && !strstr(text, " #") && !(flow && strpbrk(text, ",[]{}"));
}

static void put_escaped(struct buffer *out, const char *text)
{
	size_t n = 0;

	buffer_u8(out, '"');
	for (; *text; text += n) {
		uint32_t c = decode(text, &n);

		if (c == '"' || c == '\\')
			buffer_format(out, "\\%c", (int)c);
		else if (c == '\n')
			buffer_append_text(out, "\\n");
		else if (c == '\t')
			buffer_append_text(out, "\\t");
		else if (is_printable(c))
			buffer_append(out, text, n);
		else
			buffer_format(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
	}
	buffer_u8(out, '"');
}

int edit_put_scalar(
	struct buffer *out, const char *text, bool flow, bool quoted, bool number, struct error *err)
{
	bool printable;
	int r = check_text(text, &printable, err);

	if (r < 0)
		return r;
	if (number && scalar_kind(text) == SCALAR_NUMBER && (!quoted || strspn(text, "0123456789")))
		buffer_append_text(out, text);
	else if (printable && !quoted && can_be_plain(text, flow))
		buffer_append_text(out, text);
	else
		put_escaped(out, text);
	return 0;
}

/* ---- components ------------------------------------------------------------------------------------- */

static void put_indent(struct buffer *out, size_t n)
{
	while (n-- && buffer_u8(out, ' '))
		;
}

static bool is_first(const struct edit_setting *settings, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!strcmp(settings[i].key, settings[at].key))
			return false;
	return true;
}

static int put_pair(
	struct buffer *out, const struct edit_setting *s, bool flow, bool quoted, struct error *err)
{
	int r = s->name ? edit_put_scalar(out, s->name, flow, quoted, false, err) : 0;

	if (r == 0 && s->name)
		buffer_append_text(out, ": ");
	if (r == 0 && s->value)
		return edit_put_scalar(out, s->value, flow, quoted, s->number, err);
	if (r == 0)
		buffer_append_text(out, "{}");
	return r;
}

static int put_block_children(struct buffer *out, const struct edit_style *style,
	const struct edit_setting *settings, size_t count, size_t at, struct error *err)
{
	int r = 0;

	for (size_t i = at; r == 0 && i < count; i++) {
		if (strcmp(settings[i].key, settings[at].key) != 0)
			continue;
		put_indent(out, style->indent + 2 * style->step);
		if (settings[i].list)
			buffer_append_text(out, "- ");
		r = put_pair(out, &settings[i], false, false, err);
		buffer_append_text(out, style->newline);
	}
	return r;
}

int edit_put_block(struct buffer *out, const struct edit_style *style, const char *name,
	const struct edit_setting *settings, size_t count, struct error *err)
{
	int r;

	put_indent(out, style->indent);
	r = edit_put_scalar(out, name, false, false, false, err);
	buffer_append_text(out, count ? ":" : ": {}");
	buffer_append_text(out, style->newline);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (!is_first(settings, i))
			continue;
		put_indent(out, style->indent + style->step);
		buffer_format(out, "%s:", settings[i].key);
		if (settings[i].list || settings[i].name) {
			buffer_append_text(out, style->newline);
			r = put_block_children(out, style, settings, count, i, err);
			continue;
		}
		buffer_u8(out, ' ');
		r = put_pair(out, &settings[i], false, false, err);
		buffer_append_text(out, style->newline);
	}
	return r;
}

static int put_flow_children(struct buffer *out, const struct edit_style *style,
	const struct edit_setting *settings, size_t count, size_t at, struct error *err)
{
	bool list = settings[at].list;
	int r = 0;

	buffer_u8(out, list ? '[' : '{');
	for (size_t i = at; r == 0 && i < count; i++) {
		if (strcmp(settings[i].key, settings[at].key) != 0)
			continue;
		if (i > at)
			buffer_append_text(out, ", ");
		r = put_pair(out, &settings[i], true, style->quoted, err);
	}
	buffer_u8(out, list ? ']' : '}');
	return r;
}

int edit_put_flow(struct buffer *out, const struct edit_style *style, const char *name,
	const struct edit_setting *settings, size_t count, struct error *err)
{
	int r = edit_put_scalar(out, name, true, style->quoted, false, err);

	buffer_append_text(out, ": {");
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (!is_first(settings, i))
			continue;
		if (i)
			buffer_append_text(out, ", ");
		r = edit_put_scalar(out, settings[i].key, true, style->quoted, false, err);
		buffer_append_text(out, ": ");
		if (r == 0 && (settings[i].list || settings[i].name))
			r = put_flow_children(out, style, settings, count, i, err);
		else if (r == 0)
			r = put_pair(out, &settings[i], true, style->quoted, err);
	}
	buffer_u8(out, '}');
	return r;
}
