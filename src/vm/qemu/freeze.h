/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a machine becomes a template, and what a template belongs to. A template is booted with its memory in
 * a file; once the agent has said HELLO the machine is stopped and the state of its devices is saved, without
 * memory, which stays where it is. (QEMU's command for it was made for Xen, whose hypervisor keeps the
 * memory, and is there without Xen as well.) A clone loads that state as it starts, and runs on by itself.
 */
#pragma once

#include "base/error.h"
#include "vm/accelerator.h"
#include "vm/qemu/boot_files.h"
#include "vm/qemu/machine.h"
#include "vm/qemu/process.h"
#include "vm/qemu/template.h"
#include "vm/vm.h"

/* All that decides what a machine of this configuration is. */
struct recipe {
	const struct vm_config *config;
	char *qemu; /* path */
	struct accelerator accelerator;
	struct boot_files boot;
	struct machine machine; /* its role is for the user to set */
};

/* UNAVAILABLE, NOT_FOUND: something is not installed. */
int recipe_make(const struct vm_config *config, struct recipe *p, struct error *err);
void recipe_free(struct recipe *p);

/* The key of the template: a digest of everything that a saved machine depends on. */
int recipe_key(const struct recipe *p, char key[SHA256_HEX_SIZE], struct error *err);

/* The same without what a machine boots from: what one that runs must find to go on. */
int recipe_machine(const struct recipe *p, char key[SHA256_HEX_SIZE], struct error *err);

/* Boots a machine until its agent has said HELLO (the payload is the caller's), with private memory or, where
 * a draft is given, as that template; one that hangs is killed and booted again. */
int boot_machine(const struct recipe *p, struct template_draft *draft, struct qemu *q, uint8_t **hello,
	size_t *hello_size, struct error *err);

/* Opens the template, making it where there is none or where it is damaged. */
int template_take(const struct recipe *p, struct template *t, struct error *err);
