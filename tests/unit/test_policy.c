/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts: tables of cases, every boundary of the special-purpose table, and properties of random policies.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "net/policy.h"
#include "net/special.h"
#include "policy_make.h"
#include "test.h"

struct judged {
	const char *policy, *flow, *verdict;
};

static void check_rows(const struct judged *rows, size_t n, const char *names)
{
	struct learnt *l = learnt_of(names);
	char words[64];

	for (size_t i = 0; i < n; i++) {
		struct policy p = policy_of(rows[i].policy);
		struct flow_key k = flow_of(rows[i].flow);
		struct verdict v = policy_judge(&p, &policy_surroundings, l, &k, SECONDS);

		if (strcmp(verdict_words(&v, words), rows[i].verdict))
			test_fail(__FILE__, __LINE__, "'%s': %s is '%s', expected '%s'", rows[i].policy,
				rows[i].flow, words, rows[i].verdict);
		policy_free(&p);
	}
	learnt_free(l);
}

#define CHECK_ROWS(rows, names) check_rows(rows, sizeof(rows) / sizeof *(rows), names)

TEST(reach_alone_opens_what_its_name_says)
{
	static const struct judged rows[] = {
		{"none", "tcp 10.7.0.5:80", "deny off"},
		{"none", "udp 10.7.0.1:53", "deny off"},
		{"none; allow *", "tcp 1.1.1.1:80", "deny off"},
		{"none; allow host.internal", "tcp 10.7.0.2:80", "deny off"},
		{"local", "tcp 10.7.0.5:80", "allow group"},
		{"local", "icmp 10.7.0.5", "allow group"},
		{"local", "132 10.7.0.5", "allow group"},
		{"local", "tcp 1.1.1.1:443", "deny reach"},
		{"local", "icmp 1.1.1.1", "deny reach"},
		{"local", "tcp 10.8.0.5:80", "deny reach"},
		{"public", "tcp 10.7.0.5:80", "allow group"},
		{"public", "tcp 1.1.1.1:443", "allow reach"},
		{"public", "udp 1.1.1.1:443", "allow reach"},
		{"public", "udp 8.8.8.8:53", "allow reach"},
		{"public", "icmp 1.1.1.1", "allow reach"},
		{"public", "47 1.1.1.1", "deny protocol"},
		{"public", "tcp 10.8.0.5:80", "deny not-public"},
		{"public", "tcp 169.254.169.254:80", "deny not-public"},
		{"public", "tcp [2606:4700::1111]:443", "allow reach"},
		{"public", "tcp [fd00::1]:443", "deny not-public"},
		{"any", "tcp 10.8.0.5:80", "allow reach"},
		{"any", "tcp 169.254.169.254:80", "allow reach"},
		{"any", "tcp [fd00::1]:443", "allow reach"},
		{"any", "tcp 240.0.0.1:80", "allow reach"},
		{"any", "udp 224.0.0.251:5353", "deny not-unicast"},
		{"any", "udp 255.255.255.255:67", "deny not-unicast"},
		{"any", "udp [ff02::1]:5353", "deny not-unicast"},
		{"any; allow *", "udp 224.0.0.251:5353", "deny not-unicast"},
	};

	CHECK_ROWS(rows, "");
}

TEST(the_gateway_offers_its_services_and_nothing_else)
{
	static const struct judged rows[] = {
		{"local", "udp 10.7.0.1:53", "allow service"},
		{"local", "tcp 10.7.0.1:53", "allow service"},
		{"local; deny *", "udp 10.7.0.1:53", "allow service"},
		{"local; allow example.com", "udp 10.7.0.1:53", "allow service"},
		{"public", "icmp 10.7.0.1", "allow service"},
		{"any", "tcp 10.7.0.1:853", "deny gateway"},
		{"any", "tcp 10.7.0.1:80", "deny gateway"},
		{"any; allow 10.7.0.1", "tcp 10.7.0.1:22", "deny gateway"},
	};

	CHECK_ROWS(rows, "");
}

TEST(the_host_needs_a_rule_that_names_it)
{
	static const struct judged rows[] = {
		{"any", "tcp 10.7.0.2:5432", "deny host.internal"},
		{"local", "tcp 10.7.0.2:5432", "deny host.internal"},
		{"any; allow *", "tcp 10.7.0.2:5432", "deny host.internal"},
		{"any; allow 10.0.0.0/8", "tcp 10.7.0.2:5432", "deny host.internal"},
		{"any; allow 10.7.0.2", "tcp 10.7.0.2:5432", "allow rule 0"},
		{"local; allow host.internal:5432", "tcp 10.7.0.2:5432", "allow rule 0"},
		{"local; allow host.internal:5432", "tcp 10.7.0.2:5433", "deny host.internal"},
		{"local; allow host.internal:5432", "icmp 10.7.0.2", "deny host.internal"},
		{"local; allow host.internal", "icmp 10.7.0.2", "allow rule 0"},
		{"local; allow host.internal:53/udp", "tcp 10.7.0.2:53", "deny host.internal"},
		{"any; deny host.internal:22; allow host.internal", "tcp 10.7.0.2:22", "deny rule 0"},
		{"any; allow host.internal; deny host.internal:22", "tcp 10.7.0.2:22", "deny rule 1"},
		{"any; allow host.internal; deny *:22", "tcp 10.7.0.2:22", "deny rule 1"},
		/* its addresses */
		{"any", "tcp 192.168.1.5:22", "deny host"},
		{"public", "tcp 203.0.114.5:22", "deny host"},
		{"any", "tcp 10.20.0.1:22", "deny host"},
		{"public", "tcp [2a01:4f8::5]:22", "deny host"},
		{"public", "tcp [2a01:4f8::6]:22", "allow reach"},
		{"any; allow host.internal", "tcp 192.168.1.5:22", "deny host"},
		{"any; allow 192.168.1.0/24", "tcp 192.168.1.5:22", "deny host"},
		{"any; allow 192.168.1.4/31", "tcp 192.168.1.5:22", "deny host"},
		{"any; allow *:22/tcp", "tcp 192.168.1.5:22", "deny host"},
		{"any; allow 192.168.1.5:22", "tcp 192.168.1.5:22", "allow rule 0"},
		{"local; allow [2a01:4f8::5]:22", "tcp [2a01:4f8::5]:22", "allow rule 0"},
		{"any; deny host.internal; allow 192.168.1.5", "tcp 192.168.1.5:22", "deny rule 0"},
		/* loopback, and what Linux takes for it */
		{"any", "tcp 127.0.0.1:22", "deny host"},
		{"any; allow *; allow host.internal; allow 0.0.0.0/0", "tcp 127.1.2.3:22", "deny host"},
		{"any", "tcp 0.0.0.0:22", "deny host"},
		{"any", "tcp 0.1.2.3:22", "deny host"},
		{"any", "tcp [::1]:22", "deny host"},
		{"any", "tcp [::]:22", "deny host"},
		{"any; deny host.internal", "tcp 127.0.0.1:22", "deny rule 0"},
	};

	CHECK_ROWS(rows, "");
}

TEST(no_other_form_of_an_address_goes_past_a_verdict)
{
	static const struct judged rows[] = {
		{"any", "tcp [::ffff:127.0.0.1]:22", "deny host"},
		{"any", "tcp [::ffff:192.168.1.5]:22", "deny host"},
		{"any", "tcp [::127.0.0.1]:22", "deny host"},
		{"any", "tcp [::192.168.1.5]:22", "deny host"},
		{"any", "tcp [2002:c0a8:0105::1]:22", "deny host"},
		{"any", "tcp [2002:7f00:1::1]:22", "deny host"},
		{"any", "tcp [64:ff9b::192.168.1.5]:22", "deny host"},
		{"any", "tcp [64:ff9b::127.0.0.1]:22", "deny host"},
		{"any", "tcp [64:ff9b:1::192.168.1.5]:22", "deny host"},
		{"any", "tcp [64:ff9b:1:c0a8:1:500::]:22", "deny host"},
		{"any", "tcp [2001:0:101:101::3f57:fefa]:22", "deny host"},
		{"any; allow 192.168.1.5", "tcp [64:ff9b::192.168.1.5]:22", "allow rule 0"},
		{"any; allow 64:ff9b::/96", "tcp [64:ff9b::192.168.1.5]:22", "deny host"},
		{"any; allow 64:ff9b::c0a8:105", "tcp [64:ff9b::192.168.1.5]:22", "allow rule 0"},
		/* public is what they lead to */
		{"public", "tcp [64:ff9b::1.1.1.1]:80", "allow reach"},
		{"public", "tcp [64:ff9b::10.1.2.3]:80", "deny not-public"},
		{"public", "tcp [2002:101:101::]:80", "allow reach"},
		{"public", "tcp [2002:a01:203::]:80", "deny not-public"},
		{"public", "tcp [2002:a9fe:a9fe::]:80", "deny not-public"},
		{"public", "tcp [::1.1.1.1]:80", "allow reach"},
		{"public", "tcp [::10.1.2.3]:80", "deny not-public"},
		{"public", "tcp [64:ff9b:1::1.1.1.1]:80", "deny not-public"},
		{"public", "tcp [2001:0:101:101::f5fe:fdfc]:80", "deny not-public"},
		{"public", "tcp [2001:0:101:101::fefe:fefe]:80", "allow reach"},
		{"any", "udp [64:ff9b::224.0.0.251]:5353", "deny not-unicast"},
		/* deny rules hold for every form, allow rules for what is meant */
		{"any; deny 10.0.0.0/8", "tcp [64:ff9b::10.1.2.3]:80", "deny rule 0"},
		{"any; deny 10.0.0.0/8", "tcp [2002:a01:203::]:80", "deny rule 0"},
		{"any; deny 10.0.0.0/8", "tcp [2001:0:101:101::f5fe:fdfc]:80", "deny rule 0"},
		{"any; deny 64:ff9b::/96", "tcp [64:ff9b::1.1.1.1]:80", "deny rule 0"},
		{"any; deny ::/0", "tcp [64:ff9b::1.1.1.1]:80", "deny rule 0"},
		{"any; deny ::/0", "tcp 1.1.1.1:80", "allow reach"},
		{"local; allow 10.0.0.0/8", "tcp [64:ff9b::10.1.2.3]:80", "allow rule 0"},
		{"local; allow 2000::/3", "tcp [2606:4700::1]:80", "allow rule 0"},
		{"local; allow 2000::/3", "tcp [2002:a01:203::]:80", "deny reach"},
		{"local; allow 2002::/16", "tcp [2002:a01:203::]:80", "allow rule 0"},
		{"local; allow 1.1.1.1", "tcp [2001:0:101:101::f5fe:fdfc]:80", "deny reach"},
		{"local; allow ::/0", "tcp 1.1.1.1:80", "deny reach"},
		{"local; allow 0.0.0.0/0", "tcp [2606:4700::1]:80", "deny reach"},
	};

	CHECK_ROWS(rows, "");
}

TEST(rules_hold_for_their_protocol_and_ports)
{
	static const struct judged rows[] = {
		{"local; allow 10.1.0.0/16:5432/tcp", "tcp 10.1.2.3:5432", "allow rule 0"},
		{"local; allow 10.1.0.0/16:5432/tcp", "udp 10.1.2.3:5432", "deny reach"},
		{"local; allow 10.1.0.0/16:5432/tcp", "tcp 10.1.2.3:5433", "deny reach"},
		{"local; allow 10.1.0.0/16:5432/tcp", "icmp 10.1.2.3", "deny reach"},
		{"local; allow 10.1.0.0/16:5432/tcp", "tcp 10.2.2.3:5432", "deny reach"},
		{"local; allow 10.1.0.0/16:5432", "udp 10.1.2.3:5432", "allow rule 0"},
		{"local; allow 10.1.0.0/16:5432", "icmp 10.1.2.3", "deny reach"},
		{"local; allow 10.1.0.0/16:80-90", "tcp 10.1.2.3:80", "allow rule 0"},
		{"local; allow 10.1.0.0/16:80-90", "tcp 10.1.2.3:90", "allow rule 0"},
		{"local; allow 10.1.0.0/16:80-90", "tcp 10.1.2.3:79", "deny reach"},
		{"local; allow 10.1.0.0/16:80-90", "tcp 10.1.2.3:91", "deny reach"},
		{"local; allow 10.1.0.0/16/icmp", "icmp 10.1.2.3", "allow rule 0"},
		{"local; allow 10.1.0.0/16/icmp", "tcp 10.1.2.3:80", "deny reach"},
		{"local; allow 10.1.0.0/16", "icmp 10.1.2.3", "allow rule 0"},
		{"local; allow 10.1.0.0/16", "47 10.1.2.3", "deny protocol"},
		{"local; allow *:443", "udp 1.1.1.1:443", "allow rule 0"},
		{"local; allow *", "tcp 10.1.2.3:1", "allow rule 0"},
		{"public; allow 10.1.0.0/16", "tcp 10.1.2.3:80", "allow rule 0"},
		{"public; deny 1.1.1.0/24:80", "tcp 1.1.1.1:80", "deny rule 0"},
		{"public; deny 1.1.1.0/24:80", "tcp 1.1.1.1:81", "allow reach"},
		{"public; deny */udp", "udp 1.1.1.1:80", "deny rule 0"},
		{"public; deny */udp", "tcp 1.1.1.1:80", "allow reach"},
		{"public; deny */icmp", "icmp 1.1.1.1", "deny rule 0"},
		{"public; deny *", "icmp 1.1.1.1", "deny rule 0"},
		{"any; deny 10.0.0.0/8", "tcp 10.7.0.5:80", "deny rule 0"},
		{"local; deny 10.7.0.5:22", "tcp 10.7.0.5:22", "deny rule 0"},
		{"local; deny 10.7.0.5:22", "tcp 10.7.0.6:22", "allow group"},
		{"local; deny 10.0.0.0/8; allow 10.7.0.5", "tcp 10.7.0.5:22", "deny rule 0"},
		{"local; allow 10.1.2.3; deny 10.0.0.0/8", "tcp 10.1.2.3:22", "deny rule 1"},
		{"local; deny 10.9.0.0/16; deny 10.0.0.0/8", "tcp 10.1.2.3:22", "deny rule 1"},
		{"local; allow 10.9.0.0/16; allow 10.0.0.0/8", "tcp 10.1.2.3:22", "allow rule 1"},
	};

	CHECK_ROWS(rows, "");
}

#define NAMES \
	"www.example.com=9.9.9.1 example.com=9.9.9.2 other.org=9.9.9.1 evil.test=9.9.9.3 good.test=9.9.9.3 " \
	"inside.example.com=10.1.2.3 meta.example.com=169.254.169.254 self.example.com=192.168.1.5 " \
	"loop.example.com=127.0.0.1 six.example.com=2606:4700::1 evil.test=10.7.0.5"

TEST(a_domain_is_open_where_the_resolver_gave_its_address)
{
	static const struct judged rows[] = {
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "inspect name 0"},
		{"local; allow *.example.com", "tcp 9.9.9.1:80", "inspect name 0"},
		{"local; allow *.example.com", "tcp 9.9.9.1:22", "allow rule 0"},
		{"local; allow *.example.com", "udp 9.9.9.1:1234", "allow rule 0"},
		{"local; allow *.example.com", "icmp 9.9.9.1", "allow rule 0"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:80", "deny reach"},
		{"local; allow *.example.com/tcp", "tcp [2606:4700::1]:443", "inspect name 0"},
		{"local; allow *.example.com", "tcp 9.9.9.2:22", "deny name-unknown"},
		{"local; allow example.com", "tcp 9.9.9.2:22", "allow rule 0"},
		{"local; allow example.com", "tcp 9.9.9.1:22", "deny name-unknown"},
		{"local; allow *.com", "tcp 9.9.9.2:22", "allow rule 0"},
		{"local; allow xexample.com", "tcp 9.9.9.2:22", "deny name-unknown"},
		{"local; allow ample.com", "tcp 9.9.9.2:22", "deny name-unknown"},
		{"local; allow *.ample.com", "tcp 9.9.9.2:22", "deny name-unknown"},
		{"local; allow a.test; allow other.org", "tcp 9.9.9.1:22", "allow rule 1"},
		{"local; allow *.example.com", "tcp 8.8.8.8:443", "deny name-unknown"},
		{"local; allow *.example.com; allow 8.8.8.8", "tcp 8.8.8.8:443", "allow rule 1"},
		{"local; allow *.example.com; allow *", "tcp 8.8.8.8:443", "allow rule 1"},
	};

	CHECK_ROWS(rows, NAMES);
}

TEST(a_name_opens_no_address_that_is_not_public)
{
	static const struct judged rows[] = {
		{"local; allow *.example.com", "tcp 10.1.2.3:22", "deny name-not-public 0"},
		{"public; allow *.example.com", "tcp 10.1.2.3:22", "deny name-not-public 0"},
		{"local; allow *.example.com", "tcp 169.254.169.254:80", "deny name-not-public 0"},
		{"any; allow *.example.com", "tcp 192.168.1.5:80", "deny host"},
		{"any; allow *.example.com", "tcp 127.0.0.1:80", "deny host"},
		{"local; allow *.example.com; allow 10.1.2.3:22", "tcp 10.1.2.3:22", "allow rule 1"},
		{"local; allow *.example.com; deny 9.9.9.0/24", "tcp 9.9.9.1:443", "deny rule 1"},
		{"local; allow a.test; allow *.example.com", "tcp 10.1.2.3:22", "deny name-not-public 1"},
		{"local; allow *.example.com; allow a.test", "tcp 10.1.2.3:22", "deny name-not-public 0"},
		{"local; allow *.other.test", "tcp 10.1.2.3:22", "deny reach"},
		{"public; allow *.other.test", "tcp 10.1.2.3:22", "deny not-public"},
	};

	CHECK_ROWS(rows, NAMES);
}

TEST(a_denied_domain_is_looked_for_in_the_first_flight_or_in_what_was_learnt)
{
	static const struct judged rows[] = {
		{"public; deny evil.test", "tcp 9.9.9.3:443", "inspect name"},
		{"public; deny evil.test", "tcp 8.8.8.8:443", "inspect name"},
		{"public; deny evil.test", "tcp 8.8.8.8:80", "inspect name"},
		{"public; deny evil.test", "tcp 8.8.8.8:22", "allow reach"},
		{"public; deny evil.test", "tcp 9.9.9.3:22", "deny rule 0"},
		{"public; deny evil.test", "icmp 9.9.9.3", "deny rule 0"},
		{"public; deny evil.test:22", "tcp 9.9.9.3:443", "allow reach"},
		{"public; deny evil.test:22", "tcp 9.9.9.3:22", "deny rule 0"},
		{"public; deny evil.test:80", "tcp 9.9.9.3:443", "allow reach"},
		{"public; deny evil.test", "tcp 10.1.2.3:443", "deny not-public"},
		{"public; deny evil.test; allow 9.9.9.3:443", "tcp 9.9.9.3:443", "inspect name 1"},
		{"public; deny evil.test; allow 9.9.9.3:22", "tcp 9.9.9.3:22", "deny rule 0"},
		{"local; deny evil.test; allow *", "tcp 9.9.9.3:443", "inspect name 1"},
		{"local; deny evil.test", "tcp 10.7.0.5:22", "deny rule 0"},
		{"local; deny evil.test", "tcp 10.7.0.5:443", "allow group"},
		{"local; deny evil.test; allow good.test", "tcp 9.9.9.3:443", "inspect name 1"},
		{"local; deny evil.test; allow good.test", "tcp 9.9.9.3:22", "deny rule 0"},
	};

	CHECK_ROWS(rows, NAMES);
}

TEST(other_resolvers_and_quic_are_refused_where_names_have_a_say)
{
	static const struct judged rows[] = {
		{"public; deny evil.test", "udp 8.8.8.8:53", "deny dns"},
		{"public; deny evil.test", "tcp 8.8.8.8:53", "deny dns"},
		{"public; deny evil.test", "udp 8.8.8.8:853", "deny dns"},
		{"public; deny evil.test", "tcp 8.8.8.8:853", "deny dns"},
		{"any; deny evil.test", "udp 10.1.2.3:53", "deny dns"},
		{"public; deny evil.test", "udp 8.8.8.8:443", "deny quic"},
		{"public; deny evil.test", "udp 8.8.8.8:80", "allow reach"},
		{"public; deny evil.test; allow 8.8.8.8", "udp 8.8.8.8:53", "allow rule 1"},
		{"public; deny evil.test; allow 8.8.8.8", "udp 8.8.8.8:443", "allow rule 1"},
		{"public; deny evil.test; allow *", "udp 8.8.8.8:443", "deny quic"},
		{"public; deny evil.test; allow *:443", "udp 8.8.8.8:443", "deny quic"},
		{"public; deny evil.test; allow *:443/udp", "udp 8.8.8.8:443", "allow rule 1"},
		{"public; deny evil.test; allow *:53/udp", "udp 8.8.8.8:53", "allow rule 1"},
		{"public; deny evil.test; allow *:53/udp", "tcp 8.8.8.8:53", "deny dns"},
		{"local; allow *.example.com", "udp 8.8.8.8:53", "deny dns"},
		{"local; allow *.example.com", "udp 9.9.9.1:443", "deny quic 0"},
		{"local; allow *.example.com", "udp 8.8.8.8:443", "deny name-unknown"},
		{"local; allow *.example.com", "udp 9.9.9.1:53", "deny dns 0"},
		{"local; allow *.example.com:53/udp", "udp 9.9.9.1:53", "allow rule 0"},
		{"local; allow *.example.com:400-500/udp", "udp 9.9.9.1:443", "deny quic 0"},
		{"local", "udp 8.8.8.8:53", "deny reach"},
		/* names that add nothing take nothing away */
		{"public; allow *.example.com", "udp 8.8.8.8:53", "allow reach"},
		{"public; allow *.example.com", "udp 8.8.8.8:443", "allow reach"},
		{"public; allow *.example.com", "tcp 9.9.9.1:443", "allow reach"},
		{"local; allow *.example.com; allow *", "udp 8.8.8.8:443", "allow rule 1"},
		/* of the group, they are nobody's business */
		{"local; allow *.example.com", "udp 10.7.0.5:53", "allow group"},
		{"local; allow *.example.com", "udp 10.7.0.5:443", "allow group"},
	};

	CHECK_ROWS(rows, NAMES);
}

TEST(the_name_in_the_first_flight_decides)
{
	static const struct {
		const char *policy, *flow, *name, *verdict; /* name NULL: none; "?": encrypted */
	} rows[] = {
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "www.example.com", "allow rule 0"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "WWW.Example.Com", "allow rule 0"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "api.example.com", "allow rule 0"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "example.com", "deny name-other"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "other.org", "deny name-other"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "www.example.com.evil.test",
			"deny name-other"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "", "deny name-other"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", NULL, "deny name-none 0"},
		{"local; allow *.example.com:443", "tcp 9.9.9.1:443", "?", "deny name-encrypted 0"},
		{"local; allow *.example.com; allow other.org", "tcp 9.9.9.1:80", "other.org",
			"allow rule 1"},
		{"local; allow *.example.com; allow other.org:443", "tcp 9.9.9.1:80", "other.org",
			"deny name-other"},
		/* an allowed name, but not one that was learnt for this address */
		{"local; allow *.example.com; allow good.test", "tcp 9.9.9.1:443", "good.test",
			"deny name-other"},
		{"local; deny evil.test; allow good.test", "tcp 9.9.9.3:443", "good.test", "allow rule 1"},
		{"local; deny evil.test; allow good.test", "tcp 9.9.9.3:443", "evil.test", "deny rule 0"},
		{"local; deny a.good.test; allow *.test", "tcp 9.9.9.3:443", "a.good.test", "deny rule 0"},
		{"public; deny *.evil.test", "tcp 8.8.8.8:443", "a.evil.test", "deny rule 0"},
		{"public; deny *.evil.test", "tcp 8.8.8.8:443", "evil.test", "allow reach"},
		{"public; deny *.evil.test", "tcp 8.8.8.8:443", NULL, "deny name-none"},
		{"public; deny *.evil.test", "tcp 8.8.8.8:443", "?", "deny name-encrypted"},
		{"public; deny evil.test; allow *:443", "tcp 8.8.8.8:443", "a.test", "allow rule 1"},
		{"public; allow *:443; deny evil.test", "tcp 8.8.8.8:443", "a.test", "allow rule 0"},
		{"public; deny evil.test; allow 8.8.8.8", "tcp 8.8.8.8:443", "evil.test", "deny rule 0"},
		{"public; deny evil.test; allow 8.8.8.8", "tcp 8.8.8.8:443", "a.test", "allow rule 1"},
		{"public; deny evil.test; allow 8.8.8.8", "tcp 8.8.8.8:443", NULL, "allow rule 1"},
		{"public; deny evil.test; allow 8.8.8.8", "tcp 8.8.8.8:443", "?", "allow rule 1"},
		/* nothing to inspect: the verdict is what it was */
		{"public", "tcp 8.8.8.8:443", NULL, "allow reach"},
		{"local; allow *.example.com", "tcp 8.8.8.8:443", "www.example.com", "deny name-unknown"},
	};
	struct learnt *l = learnt_of(NAMES);
	char words[64];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = policy_of(rows[i].policy);
		struct flow_key k = flow_of(rows[i].flow);
		bool encrypted = rows[i].name && !strcmp(rows[i].name, "?");
		struct verdict v = policy_judge_name(
			&p, &policy_surroundings, l, &k, encrypted ? NULL : rows[i].name, encrypted, SECONDS);

		if (strcmp(verdict_words(&v, words), rows[i].verdict))
			test_fail(__FILE__, __LINE__, "'%s': %s at %s is '%s', expected '%s'", rows[i].policy,
				rows[i].name, rows[i].flow, words, rows[i].verdict);
		policy_free(&p);
	}
	learnt_free(l);
}

TEST(a_learnt_address_is_open_until_its_time_and_a_minute_are_over)
{
	struct learnt *l = learnt_of(NAMES);
	struct policy p = policy_of("local; allow *.example.com:22");
	struct flow_key k = flow_of("tcp 9.9.9.1:22");
	struct verdict v;

	v = policy_judge(&p, &policy_surroundings, l, &k, 360 * SECONDS);
	CHECK_INT(v.kind, VERDICT_ALLOW);
	v = policy_judge(&p, &policy_surroundings, l, &k, 360 * SECONDS + 1);
	CHECK_INT(v.kind, VERDICT_DENY);
	CHECK_INT(v.reason, REASON_NAME_OLD);
	CHECK_INT(v.rule, 0);
	v = policy_judge(&p, &policy_surroundings, NULL, &k, 0);
	CHECK_INT(v.reason, REASON_NAME_UNKNOWN);
	policy_free(&p);
	learnt_free(l);
}

TEST(an_open_connection_is_judged_again_by_when_it_began_and_whom_it_named)
{
	static const struct {
		const char *policy, *flow, *name, *verdict;
	} rows[] = {
		{"local; allow *.example.com", "tcp 9.9.9.1:443", "www.example.com", "allow rule 0"},
		{"local; allow *.example.com", "tcp 9.9.9.1:22", NULL, "allow rule 0"},
		{"local; allow *.test; allow *.example.com:443", "tcp 9.9.9.1:443", "www.example.com",
			"allow rule 1"},
		{"local; allow other.org", "tcp 9.9.9.1:443", "www.example.com", "deny name-other"},
		{"local; allow *.example.com", "tcp 9.9.9.1:443", NULL, "deny name 0"},
		{"local; allow *.example.com", "tcp 9.9.9.1:443", "unheard.example.com", "deny name 0"},
		{"public; deny *.example.com", "tcp 9.9.9.1:443", "www.example.com", "deny rule 0"},
		{"public; deny *.example.com", "tcp 9.9.9.1:443", "other.org", "allow reach"},
		{"public; deny *.example.com", "tcp 9.9.9.1:443", NULL, "deny name"},
		{"public", "tcp 9.9.9.1:443", NULL, "allow reach"},
		{"local", "tcp 9.9.9.1:443", "www.example.com", "deny reach"},
		{"none", "tcp 9.9.9.1:443", "www.example.com", "deny off"},
	};
	struct learnt *l = learnt_of(NAMES);
	char words[64];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = policy_of(rows[i].policy);
		struct flow_key k = flow_of(rows[i].flow);
		uint64_t fingerprint = rows[i].name ? learnt_fingerprint(l, rows[i].name) : 0;
		struct verdict v =
			policy_judge_again(&p, &policy_surroundings, l, &k, 5 * SECONDS, fingerprint);

		if (strcmp(verdict_words(&v, words), rows[i].verdict))
			test_fail(__FILE__, __LINE__, "'%s': %s at %s is '%s', expected '%s'", rows[i].policy,
				rows[i].name, rows[i].flow, words, rows[i].verdict);
		policy_free(&p);
	}
	learnt_free(l);
}

TEST(names_leave_only_where_reach_or_a_rule_lets_them)
{
	static const struct {
		const char *policy, *name, *verdict;
	} rows[] = {
		{"none", "a.test", "deny off"},
		{"none; allow a.test", "a.test", "deny off"},
		{"public", "a.test", "allow reach"},
		{"any", "a.test", "allow reach"},
		{"local", "a.test", "deny reach"},
		{"local; allow 10.1.2.3", "a.test", "deny reach"},
		{"local; allow *.test", "a.test", "allow rule 0"},
		{"local; allow *.test:22/tcp", "A.TEST", "allow rule 0"},
		{"local; allow *.test", "secret.evil.org", "deny name-other"},
		{"local; allow *.test; allow *:443", "secret.evil.org", "allow rule 1"},
		{"local; allow 0.0.0.0/0:443", "a.test", "allow rule 0"},
		{"public; deny *.test", "a.test", "deny rule 0"},
		{"public; deny *.test", "a.test.", "deny rule 0"},
		{"public; deny a.test", "a.test.", "deny rule 0"},
		{"public; deny a.test", ".", "allow reach"},
		{"public; deny a.test", "", "allow reach"},
		{"public; deny *.test", ".test", "allow reach"},
		{"public; deny *.test", "test", "allow reach"},
		{"public; deny *.test:443", "a.test", "allow reach"},
		{"public; deny *.test/udp", "a.test", "allow reach"},
		{"local; allow *.test; deny a.test", "a.test", "deny rule 1"},
		{"public; allow b.test", "a.test", "allow reach"},
	};
	char words[64];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = policy_of(rows[i].policy);
		struct verdict v = policy_judge_question(&p, rows[i].name);

		if (strcmp(verdict_words(&v, words), rows[i].verdict))
			test_fail(__FILE__, __LINE__, "'%s': %s is '%s', expected '%s'", rows[i].policy,
				rows[i].name, words, rows[i].verdict);
		policy_free(&p);
	}
}

TEST(a_verdict_in_words_says_what_decided_and_what_would_open)
{
	static const struct {
		const char *policy, *flow, *text;
	} rows[] = {
		{"none", "tcp 1.1.1.1:443", "reach none: the network is off"},
		{"public", "tcp 1.1.1.1:443", "reach public"},
		{"public", "udp 10.7.0.1:53", "a service of the gateway"},
		{"public", "tcp 10.7.0.1:80",
			"10.7.0.1 is the gateway, which offers DNS and answers ping, no more"},
		{"local", "tcp 10.7.0.9:80", "a member of the group"},
		{"local", "tcp 1.1.1.1:443",
			"1.1.1.1 is not in the group (reach local): --allow 1.1.1.1:443/tcp opens it"},
		{"local", "icmp 1.1.1.1",
			"1.1.1.1 is not in the group (reach local): --allow 1.1.1.1/icmp opens it"},
		{"public; deny 10.0.0.0/8:22-23", "tcp 10.1.2.3:22", "rule 'deny 10.0.0.0/8:22-23'"},
		{"local; allow 10.0.0.0/8", "tcp 10.1.2.3:22", "rule 'allow 10.0.0.0/8'"},
		{"any", "tcp 10.7.0.2:5432", "10.7.0.2 is the host: --allow host.internal:5432/tcp opens it"},
		{"any", "tcp 192.168.1.5:22",
			"192.168.1.5 is an address of the host: --allow 192.168.1.5:22/tcp opens it"},
		{"any", "tcp [2a01:4f8::5]:22",
			"2a01:4f8::5 is an address of the host: --allow [2a01:4f8::5]:22/tcp opens it"},
		{"any", "tcp 127.0.0.1:22",
			"127.0.0.1 is loopback (127.0.0.0/8, RFC 1122), so it would be the host itself, "
			"whose loopback is "
			"host.internal"},
		{"public", "tcp 169.254.169.254:80",
			"169.254.169.254 is link-local (169.254.0.0/16, RFC 3927), not public: --allow "
			"169.254.169.254:80/tcp "
			"opens it"},
		{"public", "tcp [64:ff9b::10.1.2.3]:80",
			"64:ff9b::a01:203 leads to 10.1.2.3, which is private (10.0.0.0/8, RFC 1918), not "
			"public: --allow "
			"[64:ff9b::a01:203]:80/tcp opens it"},
		{"any", "udp 224.0.0.251:5353",
			"224.0.0.251 is multicast (224.0.0.0/4, RFC 5771): only single hosts can be reached"},
		{"any", "47 1.1.1.1", "protocol 47 of IP: only TCP, UDP and ICMP leave the group"},
		{"public; deny evil.test", "udp 8.8.8.8:53",
			"rules by domain need names to be asked of the sandbox's own resolver: --allow "
			"8.8.8.8:53/udp opens "
			"this one"},
		{"public; deny evil.test", "udp 8.8.8.8:443",
			"the name in QUIC is not read, which rules by domain need: TCP is open to it, and "
			"--allow "
			"8.8.8.8:443/udp opens QUIC"},
		{"public; deny evil.test", "tcp 8.8.8.8:443", "the name in its first bytes decides"},
		{"local; allow *.example.com", "tcp 10.1.2.3:22",
			"10.1.2.3 is private (10.0.0.0/8, RFC 1918), and names open public addresses only "
			"(rule 'allow "
			"*.example.com'): --allow 10.1.2.3:22/tcp opens it"},
		{"local; allow *.example.com", "tcp 8.8.8.8:22",
			"no name that a rule allows was looked up and has 8.8.8.8: --allow 8.8.8.8:22/tcp "
			"opens it"},
	};
	struct learnt *l = learnt_of(NAMES);
	char text[VERDICT_TEXT_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = policy_of(rows[i].policy);
		struct flow_key k = flow_of(rows[i].flow);
		struct verdict v = policy_judge(&p, &policy_surroundings, l, &k, SECONDS);

		CHECK_TEXT(verdict_format(&p, &k, NULL, &v, text), rows[i].text);
		policy_free(&p);
	}
	learnt_free(l);
}

/* Each of these says a rule that would open the flow. It does. */
TEST(what_a_denial_says_would_open_opens)
{
	static const char *const rows[][2] = {
		{"local", "tcp 1.1.1.1:443"},
		{"local", "udp [2606:4700::1]:443"},
		{"local", "icmp 1.1.1.1"},
		{"any", "tcp 10.7.0.2:5432"},
		{"any", "tcp 192.168.1.5:22"},
		{"public", "tcp [64:ff9b::192.168.1.5]:22"},
		{"public", "tcp 169.254.169.254:80"},
		{"public", "tcp [64:ff9b::10.1.2.3]:80"},
		{"public; deny evil.test", "udp 8.8.8.8:53"},
		{"public; deny evil.test", "udp 8.8.8.8:443"},
		{"local; allow *.example.com", "tcp 10.1.2.3:22"},
		{"local; allow *.example.com", "tcp 8.8.8.8:22"},
	};
	struct learnt *l = learnt_of(NAMES);
	char text[VERDICT_TEXT_MAX], policy[VERDICT_TEXT_MAX * 2];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = policy_of(rows[i][0]);
		struct flow_key k = flow_of(rows[i][1]);
		struct verdict v = policy_judge(&p, &policy_surroundings, l, &k, SECONDS);
		char *opens;

		CHECK_INT(v.kind, VERDICT_DENY);
		opens = strstr(verdict_format(&p, &k, NULL, &v, text), "--allow ");
		CHECK(opens);
		snprintf(policy, sizeof policy, "%s; allow %.*s", rows[i][0], (int)strcspn(opens + 8, " "),
			opens + 8);
		policy_free(&p);
		p = policy_of(policy);
		v = policy_judge(&p, &policy_surroundings, l, &k, SECONDS);
		CHECK_INT(v.kind, VERDICT_ALLOW);
		policy_free(&p);
	}
	learnt_free(l);
}

TEST(a_verdict_after_inspection_and_on_a_question_is_put_in_words)
{
	struct policy p = policy_of("local; allow *.example.com; deny bad.example.com");
	struct learnt *l = learnt_of(NAMES);
	struct flow_key k = flow_of("tcp 9.9.9.1:443");
	char text[VERDICT_TEXT_MAX];
	struct verdict v;

	v = policy_judge_name(&p, &policy_surroundings, l, &k, "evil.test", false, SECONDS);
	CHECK_TEXT(verdict_format(&p, &k, "evil.test", &v, text),
		"no rule allows the name 'evil.test' at 9.9.9.1");
	v = policy_judge_name(&p, &policy_surroundings, l, &k, NULL, true, SECONDS);
	CHECK(strstr(verdict_format(&p, &k, NULL, &v, text), "is encrypted"));
	v = policy_judge_name(&p, &policy_surroundings, l, &k, NULL, false, SECONDS);
	CHECK(strstr(verdict_format(&p, &k, NULL, &v, text), "name no host"));
	v = policy_judge(&p, &policy_surroundings, l, &k, 1000 * SECONDS);
	CHECK_TEXT(verdict_format(&p, &k, NULL, &v, text),
		"the time of the answer by which 9.9.9.1 belonged to rule 'allow *.example.com' is over: the "
		"name must be "
		"looked up again");
	v = policy_judge_again(&p, &policy_surroundings, l, &k, SECONDS, 0);
	CHECK(strstr(verdict_format(&p, &k, NULL, &v, text), "opened again"));
	v = policy_judge_question(&p, "evil.test");
	CHECK_TEXT(verdict_format_question(&p, "evil.test", &v, text),
		"no rule allows the name 'evil.test', and with reach local no others are looked up: --allow "
		"evil.test opens "
		"it");
	v = policy_judge_question(&p, "bad.example.com");
	CHECK_TEXT(verdict_format_question(&p, "bad.example.com", &v, text), "rule 'deny bad.example.com'");
	v = policy_judge_question(&p, "a.example.com");
	CHECK_TEXT(verdict_format_question(&p, "a.example.com", &v, text), "rule 'allow *.example.com'");
	policy_free(&p);
	learnt_free(l);
}

TEST(a_verdict_by_a_rule_that_is_gone_is_put_in_words)
{
	struct policy p = policy_of("public; deny 1.1.1.1"), q = policy_of("public");
	struct flow_key k = flow_of("tcp 1.1.1.1:443");
	struct verdict v = policy_judge(&p, &policy_surroundings, NULL, &k, 0);
	char text[VERDICT_TEXT_MAX];

	CHECK_TEXT(verdict_format(&q, &k, NULL, &v, text), "a rule that is gone");
	v.rule = -1;
	CHECK_TEXT(verdict_format(&p, &k, NULL, &v, text), "a rule that is gone");
	policy_free(&p);
	policy_free(&q);
}

TEST(a_connection_to_a_published_port_is_put_in_words)
{
	const struct verdict v = {VERDICT_ALLOW, REASON_PUBLISHED, -1, -1};
	struct policy p = policy_of("public");
	struct flow_key k = flow_of("tcp 10.7.0.1:50000");
	char text[VERDICT_TEXT_MAX];

	CHECK_TEXT(verdict_format(&p, &k, NULL, &v, text), "port 40000 is published");
	policy_free(&p);
}

TEST(every_reason_has_its_word)
{
	for (int i = 0; i < REASON_COUNT; i++)
		for (int k = 0; k < i; k++)
			CHECK(strcmp(verdict_reason_name((enum verdict_reason)i),
				verdict_reason_name((enum verdict_reason)k)));
}

TEST(an_author_is_told_of_rules_that_do_nothing)
{
	static const struct {
		const char *policy;
		bool remark;
	} rows[] = {
		{"public", false},
		{"local; allow a.test", false},
		{"public; allow a.test", true},
		{"any; deny b.test; allow a.test", true},
		{"public; deny a.test", false},
		{"none", false},
		{"none; allow a.test", true},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = policy_of(rows[i].policy);

		CHECK_INT(policy_remark(&p) != NULL, rows[i].remark);
		policy_free(&p);
	}
}

TEST(more_rules_than_can_be_kept_are_refused)
{
	static struct rule rules[POLICY_RULES_MAX + 1];
	struct policy p;
	struct error err;

	CHECK_ERROR(policy_make(REACH_ANY, rules, POLICY_RULES_MAX + 1, &p, &err), ERROR_LIMIT);
	policy_free(&p);
	CHECK_OK(policy_make(REACH_ANY, rules, POLICY_RULES_MAX, &p, &err));
	policy_free(&p);
}
