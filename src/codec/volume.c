/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/volume.h"

void volume_u32_encode(uint32_t v, uint8_t out[4])
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

uint32_t volume_u32_decode(const uint8_t in[4])
{
	return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

void volume_frame_encode(const struct volume_frame *f, uint8_t out[VOLUME_HEADER_SIZE])
{
	volume_u32_encode(f->length, out);
	volume_u32_encode(f->volume | (uint32_t)f->type << 16, out + 4);
}

int volume_frame_decode(const uint8_t in[VOLUME_HEADER_SIZE], struct volume_frame *f, struct error *err)
{
	uint32_t second = volume_u32_decode(in + 4);

	*f = (struct volume_frame){volume_u32_decode(in), (uint16_t)second, (uint16_t)(second >> 16)};
	if (f->type < VOLUME_DATA || f->type > VOLUME_RESET)
		return error_set(err, ERROR_INVALID, "volume frame: there is no type %u", f->type);
	if (f->length > VOLUME_PAYLOAD_MAX || (f->type == VOLUME_DATA && f->length == 0) ||
		(f->type == VOLUME_CREDIT && f->length != 4) || (f->type >= VOLUME_END && f->length != 0))
		return error_set(
			err, ERROR_INVALID, "volume frame: type %u with %u bytes", f->type, f->length);
	if (f->volume >= VOLUMES_MAX)
		return error_set(err, ERROR_INVALID, "volume frame: there is no volume %u", f->volume);
	return 0;
}
