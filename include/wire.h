/*
 * Big-endian fields and bounded cursors for everything that comes from or goes to a wire or a file.
 *
 * A reader remembers its first error: a decoder is one straight line of wire_get_*() and one test of `bad` at the end.
 * Reading beyond the end gives zeroes and sets `bad`; writing beyond the end writes nothing and sets `bad`.
 */
#ifndef LUNETTE_WIRE_H
#define LUNETTE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t get_be24(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}
static inline uint32_t get_be32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}
static inline uint64_t get_be64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}
static inline void put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static inline void put_be24(void *p, uint32_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 16);
	b[1] = (uint8_t)(v >> 8);
	b[2] = (uint8_t)v;
}
static inline void put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}
static inline void put_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "wire.h assumes a little-endian host"
#endif

struct wire_reader {
	const uint8_t *at, *end;
	bool bad; /* something was read beyond the end */
};

static inline struct wire_reader wire_reader(const void *bytes, size_t len_bytes)
{
	return (struct wire_reader){ bytes, (const uint8_t *)bytes + len_bytes, false };
}
static inline size_t wire_left(const struct wire_reader *r)
{
	return (size_t)(r->end - r->at);
}
/* The next len_bytes bytes, inside the reader's buffer; NULL and `bad` when there are fewer. */
static inline const uint8_t *wire_get_bytes(struct wire_reader *r, size_t len_bytes)
{
	const uint8_t *p = r->at;

	if (r->bad || wire_left(r) < len_bytes) {
		r->bad = true;
		return NULL;
	}
	r->at += len_bytes;
	return p;
}
#define WIRE_GETTER(name, type, bytes, load)                                                                   \
	static inline type name(struct wire_reader *r)                                                         \
	{                                                                                                      \
		const uint8_t *p = wire_get_bytes(r, bytes);                                                   \
		return p ? load : 0;                                                                           \
	}
WIRE_GETTER(wire_get_u8, uint8_t, 1, p[0])
WIRE_GETTER(wire_get_u16, uint16_t, 2, get_be16(p))
WIRE_GETTER(wire_get_u32, uint32_t, 4, get_be32(p))
WIRE_GETTER(wire_get_u64, uint64_t, 8, get_be64(p))
#undef WIRE_GETTER

struct wire_writer {
	uint8_t *start, *at, *end;
	bool bad; /* something did not fit */
};

static inline struct wire_writer wire_writer(void *bytes, size_t len_bytes)
{
	return (struct wire_writer){ bytes, bytes, (uint8_t *)bytes + len_bytes, false };
}
static inline size_t wire_written(const struct wire_writer *w)
{
	return (size_t)(w->at - w->start);
}
/* Room for len_bytes bytes, to be filled by the caller; NULL and `bad` when there is none. */
static inline uint8_t *wire_put_room(struct wire_writer *w, size_t len_bytes)
{
	uint8_t *p = w->at;

	if (w->bad || (size_t)(w->end - w->at) < len_bytes) {
		w->bad = true;
		return NULL;
	}
	w->at += len_bytes;
	return p;
}
static inline void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len_bytes)
{
	uint8_t *p = wire_put_room(w, len_bytes);

	if (p && len_bytes)
		memcpy(p, bytes, len_bytes);
}
static inline void wire_put_zeroes(struct wire_writer *w, size_t len_bytes)
{
	uint8_t *p = wire_put_room(w, len_bytes);

	if (p)
		memset(p, 0, len_bytes);
}
#define WIRE_PUTTER(name, type, bytes, store)                                                                  \
	static inline void name(struct wire_writer *w, type v)                                                 \
	{                                                                                                      \
		uint8_t *p = wire_put_room(w, bytes);                                                          \
		if (p)                                                                                         \
			store;                                                                                 \
	}
WIRE_PUTTER(wire_put_u8, uint8_t, 1, p[0] = v)
WIRE_PUTTER(wire_put_u16, uint16_t, 2, put_be16(p, v))
WIRE_PUTTER(wire_put_u32, uint32_t, 4, put_be32(p, v))
WIRE_PUTTER(wire_put_u64, uint64_t, 8, put_be64(p, v))
#undef WIRE_PUTTER

#endif
