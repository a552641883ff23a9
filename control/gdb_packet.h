/* Packets of GDB's remote protocol: framing, escapes, checksums, run lengths. */
#ifndef CONTROL_GDB_PACKET_H
#define CONTROL_GDB_PACKET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest packet taken, between $ and #. */
#define GDB_PACKET_MAX 0x20000u

/* Bytes that grow. After memory ran out nothing is added and failed is set. */
struct gdb_buf {
    uint8_t *data;
    size_t len, cap;
    bool failed;
};
void gdb_buf_free(struct gdb_buf *b);
void gdb_put(struct gdb_buf *b, const void *data, size_t len);
void gdb_printf(struct gdb_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gdb_put_hex(struct gdb_buf *b, const uint8_t *data, size_t len);

enum gdb_event {
    GDB_NOTHING,
    GDB_PACKET,    /* p->in is a packet with a good checksum (or none is wanted) */
    GDB_INTERRUPT, /* byte 03 outside of a packet */
    GDB_ACK,       /* + */
    GDB_NAK,       /* - */
    GDB_BAD,       /* a packet with a bad checksum, or too long: to be asked for again */
};

enum gdb_parse_state { GDB_IDLE, GDB_DATA, GDB_ESCAPED, GDB_SUM1, GDB_SUM2 };

struct gdb_parser {
    struct gdb_buf in; /* the packet, escapes undone; a NUL follows */
    enum gdb_parse_state state;
    uint8_t sum, sum_high;
    bool too_long, sum_bad;
    bool no_ack; /* checksums are not looked at */
};

enum gdb_event gdb_parse(struct gdb_parser *p, uint8_t byte);

/* Appends `start` ('$', or '%' for a notification), data with escapes and run lengths, '#',
 * checksum. */
void gdb_frame(struct gdb_buf *out, char start, const uint8_t *data, size_t len);

/* Reading what is in a packet: each advances *p on success. */
bool gdb_hex_number(const char **p, const char *end, uint64_t *value);
bool gdb_skip(const char **p, const char *end, char c);
bool gdb_skip_text(const char **p, const char *end, const char *text);
/* Hex digits to bytes, 2 * len of them. */
bool gdb_hex_bytes(const char **p, const char *end, uint8_t *out, size_t len);

#endif
