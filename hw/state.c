/* State tables at work: a text dump, and a byte-exact save and load.
 *
 * The saved form, all numbers little endian:
 *     u16 version, fields, u8 0
 * a field:  u8 length of the name, name, u8 type, u32 count, u32 bytes that follow, bytes
 * An array is its elements in order; a struct is "fields, u8 0" for each element; a timer is its
 * i64 expiry in clock ns or -1. Loading looks fields up by name; a saved field that is not known is
 * an error, one that is missing is an error unless the table says that it is newer than what was
 * saved. */
#include "hw/device.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t elem_bytes[] = {
    [ST_BOOL] = 1, [ST_U8] = 1,  [ST_U16] = 2,   [ST_U32] = 4,
    [ST_U64] = 8,  [ST_I64] = 8, [ST_BYTES] = 1, [ST_TIMER] = 8,
};

static uint64_t elem_get(const struct state_field *f, const char *obj, uint32_t i)
{
    const char *p = obj + f->offset;

    switch (f->type) {
    case ST_BOOL:
        return ((const bool *)p)[i];
    case ST_U8:
    case ST_BYTES:
        return ((const uint8_t *)p)[i];
    case ST_U16:
        return ((const uint16_t *)p)[i];
    case ST_U32:
        return ((const uint32_t *)p)[i];
    case ST_TIMER:
        return (uint64_t)((const struct timer *)p)->expire;
    default:
        return ((const uint64_t *)p)[i];
    }
}

static void elem_set(const struct state_field *f, char *obj, uint32_t i, uint64_t v)
{
    char *p = obj + f->offset;

    switch (f->type) {
    case ST_BOOL:
        ((bool *)p)[i] = v != 0;
        break;
    case ST_U8:
    case ST_BYTES:
        ((uint8_t *)p)[i] = (uint8_t)v;
        break;
    case ST_U16:
        ((uint16_t *)p)[i] = (uint16_t)v;
        break;
    case ST_U32:
        ((uint32_t *)p)[i] = (uint32_t)v;
        break;
    case ST_TIMER:
        if ((int64_t)v < 0) {
            timer_cancel((struct timer *)p);
        } else {
            timer_set((struct timer *)p, (int64_t)v);
        }
        break;
    default:
        ((uint64_t *)p)[i] = v;
        break;
    }
}

/* ---- text ---- */

static void describe(FILE *out, const char *prefix, const struct state_field *f, const char *obj)
{
    for (; f->type != ST_END; f++) {
        if (f->type == ST_STRUCT) {
            for (uint32_t i = 0; i < f->count; i++) {
                char sub[256];
                if (f->count > 1) {
                    snprintf(sub, sizeof(sub), "%s%s[%u].", prefix, f->name, i);
                } else {
                    snprintf(sub, sizeof(sub), "%s%s.", prefix, f->name);
                }
                describe(out, sub, f->fields, obj + f->offset + (size_t)i * f->elem_size);
            }
            continue;
        }
        fprintf(out, "%s%s", prefix, f->name);
        for (uint32_t i = 0; i < f->count; i++) {
            uint64_t v = elem_get(f, obj, i);
            if (f->type == ST_BYTES) {
                fprintf(out, "%s%02x", i ? "" : " ", (unsigned)v);
            } else if (f->type == ST_TIMER && (int64_t)v < 0) {
                fputs(" off", out);
            } else if (f->type == ST_BOOL || f->type == ST_TIMER || f->type == ST_I64) {
                fprintf(out, " %" PRId64, (int64_t)v);
            } else {
                fprintf(out, " 0x%" PRIx64, v);
            }
        }
        fputc('\n', out);
    }
}

char *state_describe(const struct state_table *t, const void *obj)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    describe(out, "", t->fields, obj);
    fclose(out);
    return text;
}

/* ---- save ---- */

static void put(FILE *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        fputc((int)(v >> (8 * i) & 0xff), out);
    }
}

static void save_fields(FILE *out, const struct state_field *f, const char *obj)
{
    for (; f->type != ST_END; f++) {
        size_t len = strlen(f->name);

        put(out, len, 1);
        fwrite(f->name, 1, len, out);
        put(out, f->type, 1);
        put(out, f->count, 4);
        if (f->type == ST_STRUCT) {
            char *sub = NULL;
            size_t sublen;
            FILE *s = open_memstream(&sub, &sublen);
            for (uint32_t i = 0; i < f->count; i++) {
                save_fields(s, f->fields, obj + f->offset + (size_t)i * f->elem_size);
            }
            fclose(s);
            put(out, sublen, 4);
            fwrite(sub, 1, sublen, out);
            free(sub);
        } else {
            put(out, (uint64_t)f->count * elem_bytes[f->type], 4);
            for (uint32_t i = 0; i < f->count; i++) {
                put(out, elem_get(f, obj, i), elem_bytes[f->type]);
            }
        }
    }
    put(out, 0, 1);
}

uint8_t *state_save(const struct state_table *t, const void *obj, size_t *len)
{
    char *buf = NULL;
    FILE *out = open_memstream(&buf, len);

    put(out, t->version, 2);
    save_fields(out, t->fields, obj);
    fclose(out);
    return (uint8_t *)buf;
}

/* ---- load ---- */

struct reader {
    const uint8_t *p, *end;
    uint16_t version;
    struct error *err;
};

static bool get(struct reader *r, unsigned bytes, uint64_t *v)
{
    *v = 0;
    if ((size_t)(r->end - r->p) < bytes) {
        return error_set(r->err, "saved state is truncated");
    }
    for (unsigned i = 0; i < bytes; i++) {
        *v |= (uint64_t)r->p[i] << (8 * i);
    }
    r->p += bytes;
    return true;
}

static bool load_fields(struct reader *r, const struct state_field *fields, char *obj);

static bool load_field(struct reader *r, const struct state_field *f, char *obj)
{
    uint64_t type, count, bytes, v;

    if (!get(r, 1, &type) || !get(r, 4, &count) || !get(r, 4, &bytes)) {
        return false;
    }
    if (type != f->type || count != f->count) {
        return error_set(r->err, "saved state: field '%s' has another type or count", f->name);
    }
    if (bytes > (size_t)(r->end - r->p)) {
        return error_set(r->err, "saved state is truncated in field '%s'", f->name);
    }
    if (f->type == ST_STRUCT) {
        struct reader sub = *r;
        sub.end = r->p + bytes;
        for (uint32_t i = 0; i < f->count; i++) {
            if (!load_fields(&sub, f->fields, obj + f->offset + (size_t)i * f->elem_size)) {
                return false;
            }
        }
        if (sub.p != sub.end) {
            return error_set(r->err, "saved state: field '%s' has bytes left over", f->name);
        }
        r->p = sub.end;
        return true;
    }
    if (bytes != count * elem_bytes[f->type]) {
        return error_set(r->err, "saved state: field '%s' has a wrong length", f->name);
    }
    for (uint32_t i = 0; i < f->count; i++) {
        if (!get(r, elem_bytes[f->type], &v)) {
            return false;
        }
        elem_set(f, obj, i, v);
    }
    return true;
}

static const struct state_field *find_field(const struct state_field *f, const uint8_t *name,
                                            size_t len)
{
    for (; f->type != ST_END; f++) {
        if (strlen(f->name) == len && !memcmp(f->name, name, len)) {
            return f;
        }
    }
    return NULL;
}

static bool load_fields(struct reader *r, const struct state_field *fields, char *obj)
{
    uint64_t seen = 0; /* by position; tables of more than 64 fields are checked for the first 64 */
    uint64_t len;

    for (;;) {
        if (!get(r, 1, &len)) {
            return false;
        }
        if (!len) {
            break;
        }
        if ((size_t)(r->end - r->p) < len) {
            return error_set(r->err, "saved state is truncated");
        }
        const struct state_field *f = find_field(fields, r->p, len);
        if (!f) {
            return error_set(r->err, "saved state has an unknown field '%.*s'", (int)len,
                             (const char *)r->p);
        }
        r->p += len;
        if (f - fields < 64) {
            seen |= UINT64_C(1) << (f - fields);
        }
        if (!load_field(r, f, obj)) {
            return false;
        }
    }
    for (const struct state_field *f = fields; f->type != ST_END && f - fields < 64; f++) {
        if (!(seen >> (f - fields) & 1) && f->version <= r->version) {
            return error_set(r->err, "saved state lacks field '%s'", f->name);
        }
    }
    return true;
}

bool state_load(const struct state_table *t, void *obj, const uint8_t *buf, size_t len,
                struct error *err)
{
    struct reader r = {buf, buf + len, 0, err};
    uint64_t version;

    if (!get(&r, 2, &version)) {
        return false;
    }
    if (version > t->version) {
        return error_set(err, "saved state is of version %u, this program knows %u",
                         (unsigned)version, t->version);
    }
    r.version = (uint16_t)version;
    if (!load_fields(&r, t->fields, obj)) {
        return false;
    }
    if (r.p != r.end) {
        return error_set(err, "saved state has bytes left over");
    }
    if (t->loaded) {
        t->loaded(obj);
    }
    return true;
}
