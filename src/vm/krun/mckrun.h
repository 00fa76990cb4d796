/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine and its helper program agree on. libkrun takes over the process that enters it, so each
 * machine has one of its own:
 *
 *   mckrun CPUS MEBIBYTES fixed|granted disk|- [MAC...]
 *
 * Standard output is the guest's serial console, standard error takes one line where the start fails. The
 * disks are opened by the names below. `fixed`: root and image are read-only files at these names.
 * `granted`: this user may not open them, every open is answered with a copy of our (read-only) descriptor,
 * and libkrun must believe that it may write. `disk`: there is a third one, which it may. A MAC, as
 * twelve hexadecimal digits, is a network device's, whose stream is the next of the descriptors.
 */
#pragma once

#define MCKRUN_PROGRAM "mckrun"

/* What it loads, and the variable that names another file: for tests. */
#define MCKRUN_LIBRARY     "libkrun.so.1"
#define MCKRUN_LIBRARY_ENV "MONOCORE_LIBKRUN"

enum mckrun_fd {
	MCKRUN_FD_AGENT = 3,
	MCKRUN_FD_ROOT = 4,
	MCKRUN_FD_IMAGE = 5,
	MCKRUN_FD_DISK = 6,
	MCKRUN_FD_VOLUMES = 7, /* where it is open, the port of volumes is connected to it */
	MCKRUN_FD_NICS = 8     /* and those behind it: connected streams */
};

#define MCKRUN_PATH_ROOT  "/proc/self/fd/4"
#define MCKRUN_PATH_IMAGE "/proc/self/fd/5"
#define MCKRUN_PATH_DISK  "/proc/self/fd/6"

/* Its exit status where the library is not there or lacks a call, and where a call failed. */
#define MCKRUN_UNAVAILABLE 69
#define MCKRUN_REFUSED     70

/* The devices in the order in which they are added: the guest's first disk is the agent's. */
#define MCKRUN_DEVICE_ROOT  "/dev/vda"
#define MCKRUN_DEVICE_IMAGE "/dev/vdb"
#define MCKRUN_DEVICE_DISK  "/dev/vdc"
