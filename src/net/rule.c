/* SPDX-License-Identifier: Apache-2.0 */
/* The text of reach and rules. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "net/policy.h"
#include "net/special.h"

#define HOST_NAME "host.internal"

static const char *const reach_words[] = {
#define X(name, text, alias, meaning) text,
	REACHES(X)
#undef X
		NULL,
};
static const char *const reach_aliases[] = {
#define X(name, text, alias, meaning) alias,
	REACHES(X)
#undef X
		NULL,
};

const char *reach_name(enum reach reach)
{
	return reach_words[reach];
}

int reach_parse(const char *text, enum reach *reach, struct error *err)
{
	const char *near = text_nearest(text, reach_words);

	for (size_t i = 0; reach_words[i]; i++)
		if (!strcmp(text, reach_words[i]) || !strcmp(text, reach_aliases[i])) {
			*reach = (enum reach)i;
			return 0;
		}
	if (near)
		return error_set(err, ERROR_INVALID, "reach '%s': did you mean '%s'?", text, near);
	return error_set(
		err, ERROR_INVALID, "reach '%s': one of none, local, public and any is expected", text);
}

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}};

/* What is being read: its text without the parts that are done with, and how errors begin. */
struct reading {
	char text[RULE_TEXT_MAX];
	const char *whole;
	bool bracketed;
	struct rule *rule;
	struct error *err;
};

static int wrong(const struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int wrong(const struct reading *r, const char *format, ...)
{
	char why[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return error_set(r->err, ERROR_INVALID, "rule '%s': %s", r->whole, why);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes "/tcp" off the end: a slash before a letter, so that no network's bits are meant. */
static int read_protocol(struct reading *r)
{
	static const char *const names[] = {"tcp", "udp", "icmp", NULL};
	char *slash = strrchr(r->text, '/');
	const char *near;

	if (!slash || (slash[1] && !is_letter(slash[1])))
		return 0;
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (!strcmp(slash + 1, protocols[i].name)) {
			r->rule->protocol = protocols[i].number;
			*slash = 0;
			return 0;
		}
	near = text_nearest(slash + 1, names);
	if (near)
		return wrong(r, "'%s' is no protocol: did you mean '%s'?", slash + 1, near);
	return wrong(r, "'%s' is no protocol: tcp, udp or icmp is expected after the last '/'", slash + 1);
}

/* One port off the front of *text; 0: there is none. */
static unsigned take_port(const char **text)
{
	unsigned n = 0;

	for (; is_digit(**text); ++*text)
		if ((n = n * 10 + (unsigned)(**text - '0')) > 65535)
			return 0;
	return n;
}

static int read_ports(struct reading *r, const char *text)
{
	const char *at = text;
	unsigned first = take_port(&at), last = first;

	if (first && *at == '-') {
		at++;
		last = take_port(&at);
	}
	if (!first || !last || *at)
		return wrong(r,
			"'%s' is no port: a number from 1 to 65535 is expected after ':', or two with '-' "
			"between",
			text);
	if (last < first)
		return wrong(r, "the range of ports '%s' ends before it begins", text);
	if (r->rule->protocol == IPPROTO_ICMP)
		return wrong(r, "icmp has no ports: leave ':%s' or '/icmp' away", text);
	r->rule->port_first = (uint16_t)first;
	r->rule->port_last = (uint16_t)last;
	return 0;
}

/* Takes ":PORTS" off the end. What has more colons and no brackets is an address of IPv6. */
static int split_ports(struct reading *r)
{
	char *end = r->text, *colon;

	if (*r->text == '[') {
		end = strchr(r->text, ']');
		if (!end)
			return wrong(r, "']' is missing after the address");
		*end++ = 0;
		r->bracketed = true;
		memmove(r->text, r->text + 1, (size_t)(end - r->text) - 1);
		if (*end == '/')
			return wrong(
				r, "the network's bits stand within the brackets: '[%s%s]'", r->text, end);
		if (*end && *end != ':')
			return wrong(r, "':' and a port are expected after ']', not '%s'", end);
		return *end ? read_ports(r, end + 1) : 0;
	}
	colon = strchr(r->text, ':');
	if (!colon || strchr(colon + 1, ':'))
		return 0;
	*colon = 0;
	return read_ports(r, colon + 1);
}

static int read_prefix(struct reading *r)
{
	struct error why;

	if (prefix_parse(r->text, &r->rule->prefix, &why) < 0)
		return wrong(r, "%s", why.text);
	r->rule->target = RULE_PREFIX;
	return 0;
}

/* Letters, digits, '-' inside, and '_', which names of services have. */
static bool is_label(const char *label, size_t n)
{
	if (!n || n > 63 || label[0] == '-' || label[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_letter(label[i]) && !is_digit(label[i]) && label[i] != '-' && label[i] != '_')
			return false;
	return true;
}

static int check_labels(struct reading *r, const char *domain)
{
	size_t labels = 0, n;

	for (const char *at = domain; *at; at += n + (at[n] == '.'), labels++) {
		n = strcspn(at, ".");
		if (memchr(at, '*', n))
			return wrong(r, "'*' stands only before the first dot: '*.example.com'");
		for (size_t i = 0; i < n; i++)
			if (at[i] & 0x80)
				return wrong(
					r, "write the domain in its ASCII form, which begins with 'xn--'");
		if (!is_label(at, n))
			return wrong(r, "'%.*s' cannot stand in a domain", (int)n, at);
		if (at[n] == '.' && !at[n + 1])
			return wrong(r, "an empty label at the end of the domain");
	}
	if (labels < 2 && !r->rule->subdomains)
		return wrong(r, "'%s' is neither an address nor a domain such as 'example.com'", domain);
	return 0;
}

static int read_domain(struct reading *r)
{
	static const char *const own[] = {HOST_NAME, NULL};
	char *domain = r->text;
	size_t n;
	int e;

	if (!strncmp(domain, "*.", 2)) {
		r->rule->subdomains = true;
		domain += 2;
	}
	n = strlen(domain);
	if (n > 1 && domain[n - 1] == '.')
		domain[--n] = 0;
	if (!n)
		return wrong(r, "a domain is expected after '*.'");
	if (n >= sizeof r->rule->domain)
		return wrong(r, "the domain is longer than %zu characters", sizeof r->rule->domain - 1);
	if (strcmp(domain, "localhost") == 0)
		return wrong(r, "the sandbox has a localhost of its own: the host's is '" HOST_NAME "'");
	if (text_nearest(domain, own) || (text_starts(domain, "host.") && text_ends(domain, ".internal")))
		return wrong(r, "'%s' is no host: did you mean '" HOST_NAME "'?", domain);
	if ((e = check_labels(r, domain)) < 0)
		return e;
	for (size_t i = 0; i <= n; i++)
		r->rule->domain[i] =
			(char)(domain[i] >= 'A' && domain[i] <= 'Z' ? domain[i] + 32 : domain[i]);
	r->rule->domain_size = (uint8_t)n;
	r->rule->target = RULE_DOMAIN;
	return 0;
}

static int read_target(struct reading *r)
{
	const char *text = r->text;

	if (r->bracketed)
		return read_prefix(r);
	if (!*text || !strcmp(text, "*")) {
		r->rule->target = RULE_ANYWHERE;
		return 0;
	}
	if (!strcasecmp(text, HOST_NAME)) {
		r->rule->target = RULE_HOST;
		return 0;
	}
	if (strchr(text, ':') || text[strspn(text, "0123456789./")] == 0)
		return read_prefix(r);
	if (strchr(text, '/'))
		return wrong(r, "'%s' is neither a domain nor a network", text);
	return read_domain(r);
}

/* Rules that could never open anything are mistakes. */
static int check_sense(const struct reading *r)
{
	const struct rule *rule = r->rule;
	const struct special *special;

	if (!rule->allow)
		return 0;
	if (rule->target == RULE_DOMAIN && rule->protocol == IPPROTO_UDP && rule->port_first == 443 &&
		rule->port_last == 443)
		return wrong(r, "the name in QUIC (443/udp) is not read, so that a domain cannot open it");
	if (rule->target != RULE_PREFIX)
		return 0;
	special = &special_table[special_find(&rule->prefix.address)];
	if (rule->prefix.bits < special->prefix.bits)
		return 0;
	if (special->scope == SCOPE_HOST)
		return wrong(r, "a sandbox's loopback is its own: the host's is '" HOST_NAME "'");
	if (special->scope == SCOPE_NOBODY)
		return wrong(r, "this is %s (RFC %u): only single hosts can be reached", special->what,
			special->rfc);
	return 0;
}

int rule_parse(const char *text, bool allow, struct rule *r, struct error *err)
{
	struct reading reading = {.whole = text, .rule = r, .err = err};
	int e;

	*r = (struct rule){.allow = allow, .port_last = 65535};
	if (!*text)
		return error_set(err, ERROR_INVALID, "a rule is empty: '*' means anywhere");
	if (strlen(text) >= sizeof reading.text)
		return error_set(
			err, ERROR_INVALID, "a rule is longer than %zu characters", sizeof reading.text - 1);
	memcpy(reading.text, text, strlen(text) + 1);
	if (strstr(text, "://"))
		return wrong(&reading, "a rule names a host, not a URL: write 'example.com:443'");
	if ((e = read_protocol(&reading)) < 0 || (e = split_ports(&reading)) < 0 ||
		(e = read_target(&reading)) < 0)
		return e;
	return check_sense(&reading);
}

static const char *protocol_suffix(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "/tcp";
	case IPPROTO_UDP:
		return "/udp";
	case IPPROTO_ICMP:
		return "/icmp";
	default:
		return "";
	}
}

static void format_target(const struct rule *r, char out[RULE_TEXT_MAX])
{
	char prefix[PREFIX_TEXT_MAX];

	switch (r->target) {
	case RULE_ANYWHERE:
		snprintf(out, RULE_TEXT_MAX, "*");
		break;
	case RULE_HOST:
		snprintf(out, RULE_TEXT_MAX, HOST_NAME);
		break;
	case RULE_DOMAIN:
		snprintf(out, RULE_TEXT_MAX, "%s%s", r->subdomains ? "*." : "", r->domain);
		break;
	case RULE_PREFIX:
		prefix_format(&r->prefix, prefix);
		snprintf(out, RULE_TEXT_MAX, r->port_first && !prefix_is_ipv4(&r->prefix) ? "[%s]" : "%s",
			prefix);
		break;
	}
}

int rule_parse_line(const char *line, struct rule *r, struct error *err)
{
	if (text_starts(line, "allow "))
		return rule_parse(line + sizeof "allow " - 1, true, r, err);
	if (text_starts(line, "deny "))
		return rule_parse(line + sizeof "deny " - 1, false, r, err);
	return error_set(err, ERROR_INVALID, "rule '%s': it allows or denies", line);
}

const char *rule_format(const struct rule *r, char out[RULE_TEXT_MAX])
{
	size_t n;

	format_target(r, out);
	n = strlen(out);
	if (r->port_first && r->port_first == r->port_last)
		snprintf(out + n, RULE_TEXT_MAX - n, ":%u", r->port_first);
	else if (r->port_first)
		snprintf(out + n, RULE_TEXT_MAX - n, ":%u-%u", r->port_first, r->port_last);
	n = strlen(out);
	snprintf(out + n, RULE_TEXT_MAX - n, "%s", protocol_suffix(r->protocol));
	return out;
}
