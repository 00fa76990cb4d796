/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/tree_print.h"

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/images.h"
#include "bin/monocore/output.h"
#include "codec/printable.h"

#define DEPTH_MAX   80
#define MADE_BY_MAX 100

struct tree_node *tree_node_add(struct tree_node *parent, const char *kind, const char *name)
{
	struct tree_node **more = reallocarray(parent->children, parent->count + 1, sizeof *more);
	struct tree_node *node = calloc(1, sizeof *node);

	if (more)
		parent->children = more;
	if (node)
		node->name = strdup(name);
	if (!more || !node || !node->name) {
		free(node);
		return NULL;
	}
	node->kind = kind;
	parent->children[parent->count++] = node;
	return node;
}

void tree_node_free(struct tree_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++)
		tree_node_free(node->children[i]);
	free(node->children);
	free(node->name);
	free(node->made_by);
	free(node);
}

static void print_line(const struct tree_node *n)
{
	char text[MADE_BY_MAX], size[32], digest[SHORT_DIGEST_SIZE];

	if (!strcmp(n->kind, "layer"))
		printf("layer %s", short_digest(n->name, digest));
	else
		printf("%s %s", n->kind, n->name);
	if (n->sized)
		printf("  %s", text_human_size(n->size, size, sizeof size));
	if (n->shared)
		printf("  (shared)");
	if (n->made_by && *n->made_by) {
		printable_line(n->made_by, strlen(n->made_by), text, sizeof text);
		printf("  %s", text);
	}
	printf("%s\n", n->above ? "  (as above)" : "");
}

/* last: of each node above, whether it was its parent's last. */
static void print_below(const struct tree_node *n, bool *last, size_t depth, bool utf8)
{
	for (size_t i = 0; i < n->count; i++) {
		last[depth] = i + 1 == n->count;
		for (size_t d = 1; d < depth; d++)
			printf("%s", last[d] ? "    " : utf8 ? "│   " : "|   ");
		if (depth)
			printf("%s", last[depth] ? (utf8 ? "└── " : "`-- ") : utf8 ? "├── " : "|-- ");
		print_line(n->children[i]);
		if (depth + 1 < DEPTH_MAX)
			print_below(n->children[i], last, depth + 1, utf8);
	}
}

int tree_print(const struct tree_node *root)
{
	bool last[DEPTH_MAX] = {0};

	print_below(root, last, 0, !strcmp(nl_langinfo(CODESET), "UTF-8"));
	return output_finish();
}

static void put_below(struct buffer *b, const struct tree_node *n)
{
	json_put_open(b, '[');
	for (size_t i = 0; i < n->count; i++) {
		const struct tree_node *c = n->children[i];

		json_put_open(b, '{');
		json_put_key(b, "kind");
		json_put_string(b, c->kind);
		json_put_key(b, "name");
		json_put_string(b, c->name);
		if (c->sized) {
			json_put_key(b, "size");
			json_put_number(b, (int64_t)c->size);
		}
		if (!strcmp(c->kind, "layer")) {
			json_put_key(b, "created_by");
			json_put_string(b, c->made_by);
			json_put_key(b, "shared");
			json_put_bool(b, c->shared);
		}
		json_put_key(b, "parts");
		put_below(b, c);
		json_put_close(b, '}');
	}
	json_put_close(b, ']');
}

int tree_print_json(struct cli *cli, const struct tree_node *root)
{
	_cleanup_buffer_ struct buffer b = {0};

	put_below(&b, root);
	return output_json(cli, &b);
}
