/* Packets of GDB's remote protocol; "Overview" of appendix E of GDB's manual. Run lengths are made,
 * but not taken: GDB sends none. tests/fuzz/gdb_fuzz.c feeds it. */
#include "control/gdb_packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers ---- */

void gdb_buf_free(struct gdb_buf *b)
{
    free(b->data);
    *b = (struct gdb_buf){0};
}

static bool reserve(struct gdb_buf *b, size_t more)
{
    size_t need = b->len + more + 1, cap = b->cap ? b->cap : 256;

    if (b->failed || need < more) {
        return false;
    }
    while (cap < need) {
        cap *= 2;
    }
    if (cap != b->cap) {
        uint8_t *data = realloc(b->data, cap);
        if (!data) {
            b->failed = true;
            return false;
        }
        b->data = data;
        b->cap = cap;
    }
    return true;
}

void gdb_put(struct gdb_buf *b, const void *data, size_t len)
{
    if (reserve(b, len)) {
        if (len) {
            memcpy(b->data + b->len, data, len);
        }
        b->len += len;
        b->data[b->len] = 0;
    }
}

void gdb_printf(struct gdb_buf *b, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n > 0) {
        gdb_put(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    }
}

void gdb_put_hex(struct gdb_buf *b, const uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    if (!reserve(b, 2 * len)) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        b->data[b->len++] = (uint8_t)digits[data[i] >> 4];
        b->data[b->len++] = (uint8_t)digits[data[i] & 15];
    }
    b->data[b->len] = 0;
}

/* ---- parsing ---- */

static int hex_digit(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void add(struct gdb_parser *p, uint8_t byte)
{
    if (p->in.len >= GDB_PACKET_MAX) {
        p->too_long = true;
        return;
    }
    gdb_put(&p->in, &byte, 1);
}

static enum gdb_event idle(struct gdb_parser *p, uint8_t byte)
{
    switch (byte) {
    case '$':
        p->state = GDB_DATA;
        p->in.len = 0;
        p->in.failed = false;
        p->sum = 0;
        p->too_long = p->sum_bad = false;
        gdb_put(&p->in, "", 0);
        return GDB_NOTHING;
    case '+':
        return GDB_ACK;
    case '-':
        return GDB_NAK;
    case 3:
        return GDB_INTERRUPT;
    default:
        return GDB_NOTHING;
    }
}

enum gdb_event gdb_parse(struct gdb_parser *p, uint8_t byte)
{
    int digit;

    switch (p->state) {
    case GDB_DATA:
        if (byte == '$') { /* the packet before was cut off */
            p->state = GDB_IDLE;
            return idle(p, byte);
        }
        if (byte == '#') {
            p->state = GDB_SUM1;
            return GDB_NOTHING;
        }
        p->sum += byte;
        if (byte == '}') {
            p->state = GDB_ESCAPED;
        } else {
            add(p, byte);
        }
        return GDB_NOTHING;
    case GDB_ESCAPED:
        p->sum += byte;
        add(p, byte ^ 0x20);
        p->state = GDB_DATA;
        return GDB_NOTHING;
    case GDB_SUM1:
    case GDB_SUM2:
        digit = hex_digit(byte);
        p->sum_bad |= digit < 0;
        if (p->state == GDB_SUM1) {
            p->sum_high = (uint8_t)(digit & 15);
            p->state = GDB_SUM2;
            return GDB_NOTHING;
        }
        p->state = GDB_IDLE;
        p->sum_bad |= (p->sum_high << 4 | (digit & 15)) != p->sum;
        return p->too_long || p->in.failed || (p->sum_bad && !p->no_ack) ? GDB_BAD : GDB_PACKET;
    default:
        return idle(p, byte);
    }
}

/* ---- framing ---- */

static bool special(uint8_t byte)
{
    return byte == '#' || byte == '$' || byte == '}' || byte == '*';
}

void gdb_frame(struct gdb_buf *out, char start, const uint8_t *data, size_t len)
{
    uint8_t sum = 0;
    char tail[4];

    gdb_put(out, &start, 1);
    size_t from = out->len;
    for (size_t i = 0; i < len;) {
        uint8_t byte = data[i];
        size_t run = 1;
        if (special(byte)) {
            uint8_t pair[2] = {'}', byte ^ 0x20};
            gdb_put(out, pair, 2);
            i++;
            continue;
        }
        while (i + run < len && run < 98 && data[i + run] == byte) {
            run++;
        }
        /* The count is sent as a printable character, of which # and $ are not to be used. */
        if (run >= 4) {
            if (run == 7 || run == 8) {
                run = 6;
            }
            uint8_t triple[3] = {byte, '*', (uint8_t)(run - 1 + 29)};
            gdb_put(out, triple, 3);
            i += run;
        } else {
            gdb_put(out, &byte, 1);
            i++;
        }
    }
    for (size_t i = from; i < out->len; i++) {
        sum += out->data[i];
    }
    snprintf(tail, sizeof(tail), "#%02x", sum);
    gdb_put(out, tail, 3);
}

/* ---- arguments ---- */

bool gdb_hex_number(const char **p, const char *end, uint64_t *value)
{
    const char *s = *p;

    *value = 0;
    while (s < end && hex_digit((unsigned char)*s) >= 0) {
        if (*value >> 60) {
            return false;
        }
        *value = *value << 4 | (unsigned)hex_digit((unsigned char)*s++);
    }
    if (s == *p) {
        return false;
    }
    *p = s;
    return true;
}

bool gdb_skip(const char **p, const char *end, char c)
{
    if (*p < end && **p == c) {
        ++*p;
        return true;
    }
    return false;
}

bool gdb_skip_text(const char **p, const char *end, const char *text)
{
    size_t n = strlen(text);

    if ((size_t)(end - *p) < n || memcmp(*p, text, n)) {
        return false;
    }
    *p += n;
    return true;
}

bool gdb_hex_bytes(const char **p, const char *end, uint8_t *out, size_t len)
{
    if ((size_t)(end - *p) / 2 < len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit((unsigned char)(*p)[2 * i]);
        int low = hex_digit((unsigned char)(*p)[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    *p += 2 * len;
    return true;
}
