/* SPDX-License-Identifier: Apache-2.0 */
/* SETUP: what makes a clone of a template one sandbox. */
#include "codec/message_parts.h"
#include "codec/volume.h"

#define SETUP_ENTROPY_MIN 32
#define SETUP_FILE_MAX    (256 * 1024)
#define HOSTNAME_MAX      64 /* __NEW_UTS_LEN */

void message_setup_encode(const struct message_setup *m, struct buffer *out)
{
	buffer_bytes(out, m->entropy, m->entropy_size);
	buffer_u64(out, m->realtime);
	buffer_string(out, m->hostname);
	buffer_string(out, m->machine_id);
	buffer_string(out, m->boot_id);
	buffer_string(out, m->root_type);
	buffer_u8(out, m->disk);
	buffer_u8(out, m->read_only);
	buffer_u8(out, m->upper_only);
	buffer_u32(out, m->pids);
	buffer_string(out, m->hosts);
	buffer_string(out, m->resolv_conf);
	message_list_encode(m->volumes, out);
	buffer_u32(out, m->mount_count);
	for (uint32_t i = 0; i < m->mount_count; i++) {
		buffer_string(out, m->mounts[i].path);
		buffer_u32(out, m->mounts[i].flags);
	}
	buffer_u32(out, m->network_count);
	for (uint32_t i = 0; i < m->network_count; i++) {
		const struct message_network *n = &m->networks[i];

		buffer_append(out, n->mac, sizeof n->mac);
		buffer_u32(out, n->address);
		buffer_u8(out, n->bits);
		buffer_u32(out, n->gateway);
		buffer_u16(out, n->mtu);
		buffer_u8(out, n->up);
	}
}

static void decode_mounts(struct cursor *in, struct message_setup *m)
{
	uint32_t n = cursor_u32(in);

	if (in->failed || n > VOLUMES_MAX + 1 || !(m->mounts = calloc((size_t)n + 1, sizeof *m->mounts))) {
		in->failed = true;
		return;
	}
	m->mount_count = n;
	for (uint32_t i = 0; i < n && !in->failed; i++) {
		m->mounts[i].path = message_string(in, MESSAGE_PATH_MAX);
		m->mounts[i].flags = cursor_u32(in);
	}
}

static void decode_networks(struct cursor *in, struct message_setup *m)
{
	uint32_t n = cursor_u32(in);

	if (in->failed || n > NETWORKS_MAX || !(m->networks = calloc((size_t)n + 1, sizeof *m->networks))) {
		in->failed = true;
		return;
	}
	m->network_count = n;
	for (uint32_t i = 0; i < n && !in->failed; i++) {
		struct message_network *w = &m->networks[i];
		const uint8_t *mac = cursor_take(in, sizeof w->mac);

		if (mac)
			memcpy(w->mac, mac, sizeof w->mac);
		w->address = cursor_u32(in);
		w->bits = cursor_u8(in);
		w->gateway = cursor_u32(in);
		w->mtu = cursor_u16(in);
		w->up = message_bool(in);
	}
}

/* `text` is hexadecimal digits, with '-' where `form` has one, and as long as form. */
static bool has_form(const char *text, const char *form)
{
	size_t n = strlen(form);

	if (strlen(text) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (form[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	return true;
}

static bool is_sound_mount(const struct message_mount *m)
{
	const uint32_t known = MOUNT_READ_ONLY | MOUNT_STAGED | MOUNT_VIRTIOFS | MOUNT_NFS | MOUNT_FILE |
			       MOUNT_FILL | MOUNT_ROOT;
	const uint32_t apart = MOUNT_READ_ONLY | MOUNT_STAGED;

	if (m->flags & MOUNT_ROOT)
		return m->flags == (MOUNT_ROOT | MOUNT_VIRTIOFS) && !strcmp(m->path, "/");
	if (m->flags & MOUNT_FILL && m->flags & (apart | MOUNT_FILE))
		return false;
	if (m->flags & MOUNT_FILE && m->flags & (MOUNT_STAGED | MOUNT_VIRTIOFS | MOUNT_NFS))
		return false;
	if (m->flags & MOUNT_NFS && m->flags & (MOUNT_STAGED | MOUNT_VIRTIOFS))
		return false;
	return m->path[0] == '/' && !(m->flags & ~known) && (m->flags & apart) != apart;
}

static bool mounts_are_sound(const struct message_setup *m)
{
	for (uint32_t i = 0; i < m->mount_count; i++) {
		bool root = m->mounts[i].flags & MOUNT_ROOT;

		if (!is_sound_mount(&m->mounts[i]) || (root ? i + 1 != m->mount_count : i == VOLUMES_MAX))
			return false;
	}
	return true;
}

static bool has_root(const struct message_setup *m)
{
	return m->mount_count && m->mounts[m->mount_count - 1].flags & MOUNT_ROOT;
}

static bool networks_are_sound(const struct message_setup *m)
{
	for (uint32_t i = 0; i < m->network_count; i++) {
		const struct message_network *n = &m->networks[i];

		if (n->mac[0] & 1 || n->bits < 8 || n->bits > 30 || n->mtu < 576 || n->mtu > 65520)
			return false;
		if (n->gateway && (n->gateway ^ n->address) >> (32 - n->bits))
			return false;
	}
	return true;
}

static bool is_sound(const struct message_setup *m)
{
	if (m->upper_only && !m->disk && !has_root(m))
		return false;
	if (m->entropy_size < SETUP_ENTROPY_MIN || m->entropy_size > SETUP_ENTROPY_MAX)
		return false;
	if (!*m->hostname || m->realtime > INT64_MAX)
		return false;
	for (const char *p = m->hostname; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '/' || *p == 0x7f)
			return false;
	for (char **v = m->volumes; *v; v++)
		if (**v != '/' || strlen(*v) > MESSAGE_PATH_MAX)
			return false;
	if (!mounts_are_sound(m) || !networks_are_sound(m))
		return false;
	return has_form(m->machine_id, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") &&
	       has_form(m->boot_id, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") &&
	       (!strcmp(m->root_type, "erofs") || !strcmp(m->root_type, "ext4"));
}

int message_setup_decode(struct cursor in, struct message_setup *m, struct error *err)
{
	*m = (struct message_setup){0};
	m->entropy = cursor_bytes(&in, &m->entropy_size);
	m->realtime = cursor_u64(&in);
	m->hostname = message_string(&in, HOSTNAME_MAX);
	m->machine_id = message_string(&in, 32);
	m->boot_id = message_string(&in, 36);
	m->root_type = message_string(&in, 16);
	m->disk = message_bool(&in);
	m->read_only = message_bool(&in);
	m->upper_only = message_bool(&in);
	m->pids = cursor_u32(&in);
	m->hosts = message_string(&in, SETUP_FILE_MAX);
	m->resolv_conf = message_string(&in, SETUP_FILE_MAX);
	m->volumes = message_list(&in);
	decode_mounts(&in, m);
	if (!in.failed)
		decode_networks(&in, m);
	if (!in.failed && !is_sound(m))
		in.failed = true;
	if (message_finish(&in, "SETUP", err) < 0) {
		message_setup_free(m);
		return -ERROR_INVALID;
	}
	return 0;
}

void message_setup_free(struct message_setup *m)
{
	free(m->hostname);
	free(m->machine_id);
	free(m->boot_id);
	free(m->root_type);
	free(m->hosts);
	free(m->resolv_conf);
	message_list_free(m->volumes);
	for (uint32_t i = 0; i < m->mount_count; i++)
		free(m->mounts[i].path);
	free(m->mounts);
	free(m->networks);
	*m = (struct message_setup){0};
}

void message_network_switch_encode(const struct message_network_switch *m, struct buffer *out)
{
	buffer_u8(out, m->number);
	buffer_u8(out, m->up);
}

int message_network_switch_decode(struct cursor in, struct message_network_switch *m, struct error *err)
{
	m->number = cursor_u8(&in);
	m->up = message_bool(&in);
	return message_finish(&in, "NETWORK", err);
}
