/* State tables: what a snapshot holds, described once beside each state struct (devices and
 * processors). hw/state.c saves, loads and prints by them. */
#ifndef SOFTMMU_STATE_H
#define SOFTMMU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum state_type {
    ST_END,
    ST_BOOL,
    ST_U8,
    ST_U16,
    ST_U32,
    ST_U64,
    ST_I64,
    ST_BYTES,
    ST_TIMER,
    ST_STRUCT
};
struct state_field {
    const char *name;
    enum state_type type;
    size_t offset;
    uint32_t count;                   /* elements; ST_BYTES: length */
    uint16_t version;                 /* table version that brought the field */
    uint32_t elem_size;               /* ST_STRUCT: size of one element */
    const struct state_field *fields; /* ST_STRUCT */
};
#define SF_SIZE(st, f) sizeof(((st *)0)->f)
#define STATE_BOOL(st, f)                                                                          \
    {                                                                                              \
#f, ST_BOOL, offsetof(st, f), SF_SIZE(st, f) / sizeof(bool), 1, 0, NULL                    \
    }
#define STATE_U8(st, f)                                                                            \
    {                                                                                              \
#f, ST_U8, offsetof(st, f), SF_SIZE(st, f), 1, 0, NULL                                     \
    }
#define STATE_U16(st, f)                                                                           \
    {                                                                                              \
#f, ST_U16, offsetof(st, f), SF_SIZE(st, f) / 2, 1, 0, NULL                                \
    }
#define STATE_U32(st, f)                                                                           \
    {                                                                                              \
#f, ST_U32, offsetof(st, f), SF_SIZE(st, f) / 4, 1, 0, NULL                                \
    }
#define STATE_U64(st, f)                                                                           \
    {                                                                                              \
#f, ST_U64, offsetof(st, f), SF_SIZE(st, f) / 8, 1, 0, NULL                                \
    }
#define STATE_I64(st, f)                                                                           \
    {                                                                                              \
#f, ST_I64, offsetof(st, f), SF_SIZE(st, f) / 8, 1, 0, NULL                                \
    }
#define STATE_BYTES(st, f)                                                                         \
    {                                                                                              \
#f, ST_BYTES, offsetof(st, f), SF_SIZE(st, f), 1, 0, NULL                                  \
    }
#define STATE_TIMER(st, f)                                                                         \
    {                                                                                              \
#f, ST_TIMER, offsetof(st, f), 1, 1, 0, NULL                                               \
    }
#define STATE_STRUCT(st, f, n, sub)                                                                \
    {                                                                                              \
#f, ST_STRUCT, offsetof(st, f), n, 1, SF_SIZE(st, f) / (n), sub                            \
    }
#define STATE_END                                                                                  \
    {                                                                                              \
        NULL, ST_END, 0, 0, 0, 0, NULL                                                             \
    }

struct state_table {
    uint16_t version;
    const struct state_field *fields;
    void (*loaded)(void *obj); /* after a load: re-derive lines and mappings; may be NULL */
};

#endif
