/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, flows and names from text, for tests of verdicts. */
#pragma once

#include "net/policy.h"

#define SECONDS 1000000000ULL

/* 10.7.0.0/24 with its gateway and host.internal, and a host with addresses of both families:
 * 192.168.1.5, 203.0.114.5, 10.20.0.1, 2a01:4f8::5 and fe80::5. */
extern const struct surroundings policy_surroundings;

/* "public; deny 10.0.0.0/8; allow *.example.com:443". A mistake ends the test. */
struct policy policy_of(const char *text);

/* "tcp 10.1.2.3:80", "udp [2001:db8::1]:53", "icmp 10.1.2.3", "47 10.1.2.3": a flow of sandbox 0. */
struct flow_key flow_of(const char *text);

/* "name=address name=address": learnt at time 0 for 300 s. Ends the test where it cannot. */
struct learnt *learnt_of(const char *text);

/* "allow rule 0", "deny not-public", "inspect name 1", into out (at least 64 bytes). */
const char *verdict_words(const struct verdict *v, char *out);
