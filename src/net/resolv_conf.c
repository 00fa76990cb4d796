/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolv_conf.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT = 5, TIMEOUT_MOST = 30, ATTEMPTS = 2, ATTEMPTS_MOST = 5, WORD_SIZE = 128 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, or false. A word that is too long is no word that we know. */
static bool next_word(const char **at, const char *end, char word[WORD_SIZE])
{
	size_t n = 0;

	while (*at < end && is_space(**at))
		(*at)++;
	if (*at == end)
		return false;
	for (; *at < end && !is_space(**at); (*at)++)
		if (n < WORD_SIZE - 1)
			word[n++] = **at;
	word[n] = 0;
	return true;
}

/* The scope of a link-local address: an interface's name or number. */
static uint32_t scope_of(const char *text)
{
	uint32_t scope = if_nametoindex(text);

	return scope ? scope : (uint32_t)strtoul(text, NULL, 10);
}

static void add_server(struct resolv_conf *conf, char *text, uint16_t port)
{
	struct sockaddr_in *ipv4 = &conf->servers[conf->count].ipv4;
	struct sockaddr_in6 *ipv6 = &conf->servers[conf->count].ipv6;
	char *scope;

	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(port);
		conf->count++;
		return;
	}
	scope = strchr(text, '%');
	if (scope)
		*scope++ = 0;
	if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) != 1)
		return;
	ipv6->sin6_family = AF_INET6;
	ipv6->sin6_port = htons(port);
	ipv6->sin6_scope_id = scope ? scope_of(scope) : 0;
	conf->count++;
}

/* The number of "name:number", within [1, most]; 0: another option. */
static unsigned option_number(const char *word, const char *name, unsigned most)
{
	size_t n = strlen(name);
	unsigned long value;

	if (strncmp(word, name, n) != 0 || word[n] < '0' || word[n] > '9')
		return 0;
	value = strtoul(word + n, NULL, 10);
	if (value == 0)
		return 1;
	return value > most ? most : (unsigned)value;
}

static void read_option(struct resolv_conf *conf, const char *word)
{
	unsigned timeout = option_number(word, "timeout:", TIMEOUT_MOST);
	unsigned attempts = option_number(word, "attempts:", ATTEMPTS_MOST);

	if (timeout)
		conf->timeout = timeout;
	if (attempts)
		conf->attempts = attempts;
	if (strcmp(word, "rotate") == 0)
		conf->rotate = true;
	if (strcmp(word, "use-vc") == 0)
		conf->tcp = true;
}

/* Keywords stand at the beginning of a line. */
static void read_line(struct resolv_conf *conf, const char *at, const char *end, uint16_t port)
{
	char word[WORD_SIZE];

	if (at == end || is_space(*at) || !next_word(&at, end, word))
		return;
	if (strcmp(word, "nameserver") == 0) {
		if (conf->count < RESOLV_CONF_SERVERS_MOST && next_word(&at, end, word))
			add_server(conf, word, port);
	} else if (strcmp(word, "options") == 0) {
		while (next_word(&at, end, word))
			read_option(conf, word);
	}
}

void resolv_conf_parse(const char *text, size_t n, uint16_t port, struct resolv_conf *conf)
{
	char loopback[] = "127.0.0.1";

	*conf = (struct resolv_conf){.timeout = TIMEOUT, .attempts = ATTEMPTS};
	while (n) {
		const char *newline = memchr(text, '\n', n);
		size_t line = newline ? (size_t)(newline - text) : n;

		read_line(conf, text, text + line, port);
		text += line + (newline != NULL);
		n -= line + (newline != NULL);
	}
	if (conf->count == 0)
		add_server(conf, loopback, port);
}
