/* A writer for ACPI Machine Language; see aml.h. */
#include "hw/acpi/aml.h"

#include <stdlib.h>
#include <string.h>

void aml_free(struct aml *a)
{
    free(a->data);
    *a = (struct aml){0};
}

void aml_bytes(struct aml *a, const void *data, size_t len)
{
    if (a->len + len > a->cap) {
        a->cap = (a->len + len) * 2 + 256;
        a->data = realloc(a->data, a->cap);
        if (!a->data) {
            abort();
        }
    }
    memcpy(a->data + a->len, data, len);
    a->len += len;
}

static void little(struct aml *a, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t b = (uint8_t)(v >> 8 * i);
        aml_bytes(a, &b, 1);
    }
}

void aml_u8(struct aml *a, uint8_t v)
{
    little(a, v, 1);
}

void aml_u16(struct aml *a, uint16_t v)
{
    little(a, v, 2);
}

void aml_u32(struct aml *a, uint32_t v)
{
    little(a, v, 4);
}

void aml_u64(struct aml *a, uint64_t v)
{
    little(a, v, 8);
}

void aml_path(struct aml *a, const char *path)
{
    if (*path == '\\') {
        aml_u8(a, '\\');
        path++;
    }
    unsigned segments = *path ? (unsigned)(strlen(path) + 1) / 5 : 0;
    if (segments == 0) {
        aml_u8(a, 0);
    } else if (segments == 2) {
        aml_u8(a, 0x2e);
    } else if (segments > 2) {
        aml_u8(a, 0x2f);
        aml_u8(a, (uint8_t)segments);
    }
    for (unsigned i = 0; i < segments; i++) {
        aml_bytes(a, path + 5 * i, 4);
    }
}

void aml_int(struct aml *a, uint64_t v)
{
    if (v <= 1) {
        aml_u8(a, (uint8_t)v);
    } else if (v <= 0xff) {
        aml_u8(a, 0x0a);
        aml_u8(a, (uint8_t)v);
    } else if (v <= 0xffff) {
        aml_u8(a, 0x0b);
        aml_u16(a, (uint16_t)v);
    } else if (v <= 0xffffffff) {
        aml_u8(a, 0x0c);
        aml_u32(a, (uint32_t)v);
    } else {
        aml_u8(a, 0x0e);
        aml_u64(a, v);
    }
}

void aml_string(struct aml *a, const char *s)
{
    aml_u8(a, 0x0d);
    aml_bytes(a, s, strlen(s) + 1);
}

/* Starts a block whose length is not known yet: the mark is where the package length goes. */
static size_t block(struct aml *a, const char *opcode, size_t n)
{
    aml_bytes(a, opcode, n);
    return a->len;
}

size_t aml_scope(struct aml *a, const char *path)
{
    size_t mark = block(a, "\x10", 1);
    aml_path(a, path);
    return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
    size_t mark = block(a, "\x5b\x82", 2);
    aml_path(a, name);
    return mark;
}

size_t aml_method(struct aml *a, const char *name, unsigned nargs)
{
    size_t mark = block(a, "\x14", 1);
    aml_path(a, name);
    aml_u8(a, (uint8_t)nargs);
    return mark;
}

size_t aml_package(struct aml *a, unsigned elements)
{
    size_t mark = block(a, "\x12", 1);
    aml_u8(a, (uint8_t)elements);
    return mark;
}

size_t aml_if(struct aml *a)
{
    return block(a, "\xa0", 1);
}

size_t aml_else(struct aml *a)
{
    return block(a, "\xa1", 1);
}

size_t aml_field(struct aml *a, const char *region, uint8_t flags)
{
    size_t mark = block(a, "\x5b\x81", 2);
    aml_path(a, region);
    aml_u8(a, flags);
    return mark;
}

/* Package length encoding (20.2.4): the length counts itself. */
void aml_end(struct aml *a, size_t mark)
{
    size_t body = a->len - mark;
    unsigned n = body + 1 <= 0x3f ? 1 : body + 2 <= 0xfff ? 2 : body + 3 <= 0xfffff ? 3 : 4;
    size_t total = body + n;
    uint8_t enc[4];

    if (n == 1) {
        enc[0] = (uint8_t)total;
    } else {
        enc[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
        for (unsigned i = 1; i < n; i++) {
            enc[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
        }
    }
    aml_bytes(a, enc, n); /* make room */
    memmove(a->data + mark + n, a->data + mark, body);
    memcpy(a->data + mark, enc, n);
}

void aml_name(struct aml *a, const char *name)
{
    aml_u8(a, 0x08);
    aml_path(a, name);
}

void aml_name_int(struct aml *a, const char *name, uint64_t v)
{
    aml_name(a, name);
    aml_int(a, v);
}

void aml_name_string(struct aml *a, const char *name, const char *s)
{
    aml_name(a, name);
    aml_string(a, s);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    unsigned letters =
        (unsigned)(id[0] - 0x40) << 10 | (unsigned)(id[1] - 0x40) << 5 | (unsigned)(id[2] - 0x40);

    aml_name(a, name);
    aml_u8(a, 0x0c);
    aml_u8(a, (uint8_t)(letters >> 8));
    aml_u8(a, (uint8_t)letters);
    aml_u8(a, (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4])));
    aml_u8(a, (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6])));
}

void aml_region(struct aml *a, const char *name, uint8_t space, uint32_t offset, uint32_t len)
{
    aml_bytes(a, "\x5b\x80", 2);
    aml_path(a, name);
    aml_u8(a, space);
    aml_int(a, offset);
    aml_int(a, len);
}

void aml_field_unit(struct aml *a, const char *name, unsigned bits)
{
    aml_bytes(a, name, 4);
    aml_u8(a, (uint8_t)bits); /* all of ours are below 64 bits: one byte of length */
}

/* ---- resources ---- */

struct aml_template aml_template_begin(struct aml *a)
{
    struct aml_template t;

    t.buffer = block(a, "\x11", 1);
    aml_u8(a, 0x0b); /* the buffer's size, patched at the end */
    t.start = a->len;
    aml_u16(a, 0);
    return t;
}

void aml_template_end(struct aml *a, struct aml_template t)
{
    aml_u8(a, 0x79); /* end tag, checksum not used */
    aml_u8(a, 0);
    size_t n = a->len - t.start - 2;
    a->data[t.start] = (uint8_t)n;
    a->data[t.start + 1] = (uint8_t)(n >> 8);
    aml_end(a, t.buffer);
}

void aml_io(struct aml *a, uint16_t base, uint8_t len)
{
    aml_u8(a, 0x47);
    aml_u8(a, 1); /* decodes 16 bits */
    aml_u16(a, base);
    aml_u16(a, base);
    aml_u8(a, 1);
    aml_u8(a, len);
}

void aml_irq(struct aml *a, unsigned irq)
{
    aml_u8(a, 0x22);
    aml_u16(a, (uint16_t)(1u << irq));
}

void aml_interrupt(struct aml *a, const uint32_t *irqs, unsigned n)
{
    aml_u8(a, 0x89);
    aml_u16(a, (uint16_t)(2 + 4 * n));
    aml_u8(a, 0x09); /* consumer, level, active high, shared */
    aml_u8(a, (uint8_t)n);
    for (unsigned i = 0; i < n; i++) {
        aml_u32(a, irqs[i]);
    }
}

void aml_memory32_fixed(struct aml *a, uint32_t base, uint32_t len, bool write)
{
    aml_u8(a, 0x86);
    aml_u16(a, 9);
    aml_u8(a, write);
    aml_u32(a, base);
    aml_u32(a, len);
}

/* Address space descriptors: producer, positive decode, both ends fixed. */
static void address_head(struct aml *a, uint8_t tag, unsigned bytes, uint8_t type, uint8_t specific)
{
    aml_u8(a, tag);
    aml_u16(a, (uint16_t)(3 + 5 * bytes));
    aml_u8(a, type);
    aml_u8(a, 0x0c);
    aml_u8(a, specific);
}

void aml_word_range(struct aml *a, uint8_t type, uint8_t specific, uint16_t min, uint16_t max)
{
    address_head(a, 0x88, 2, type, specific);
    aml_u16(a, 0);
    aml_u16(a, min);
    aml_u16(a, max);
    aml_u16(a, 0);
    aml_u16(a, (uint16_t)(max - min + 1));
}

void aml_dword_memory(struct aml *a, uint32_t min, uint32_t max, bool cacheable)
{
    address_head(a, 0x87, 4, 0, cacheable ? 3 : 1);
    aml_u32(a, 0);
    aml_u32(a, min);
    aml_u32(a, max);
    aml_u32(a, 0);
    aml_u32(a, max - min + 1);
}

void aml_qword_memory(struct aml *a, uint64_t min, uint64_t max)
{
    address_head(a, 0x8a, 8, 0, 3);
    aml_u64(a, 0);
    aml_u64(a, min);
    aml_u64(a, max);
    aml_u64(a, 0);
    aml_u64(a, max - min + 1);
}
