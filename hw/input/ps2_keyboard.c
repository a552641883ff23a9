/* A PS/2 keyboard with 102 keys: scan code sets 2 and 1. IBM PS/2 hardware interface technical
 * reference, keyboard section. Set 3 is refused; keys do not repeat by themselves (the host's
 * keyboard does that). */
#include "hw/input/ps2.h"

#include <string.h>

enum { ACK = 0xfa, RESEND = 0xfe, SELF_TEST_OK = 0xaa, ECHO = 0xee };
enum {
    KBD_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SCAN_SET = 0xf0,
    KBD_ID = 0xf2,
    KBD_RATE = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DISABLE = 0xf5,
    KBD_DEFAULTS = 0xf6,
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff,
};
enum { KEY_PAUSE = 0xe11d };

const struct state_field ps2_queue_fields[] = {
    STATE_BYTES(struct ps2_queue, data),
    STATE_U8(struct ps2_queue, head),
    STATE_U8(struct ps2_queue, count),
    STATE_END,
};

const struct state_field ps2_keyboard_fields[] = {
    STATE_STRUCT(struct ps2_keyboard, queue, 1, ps2_queue_fields),
    STATE_U8(struct ps2_keyboard, command),
    STATE_U8(struct ps2_keyboard, scan_set),
    STATE_U8(struct ps2_keyboard, leds),
    STATE_U8(struct ps2_keyboard, last),
    STATE_BOOL(struct ps2_keyboard, scanning),
    STATE_END,
};

/* ---- queue ---- */

void ps2_clear(struct ps2_queue *q)
{
    q->head = q->count = 0;
}

bool ps2_put(struct ps2_queue *q, const uint8_t *bytes, unsigned n)
{
    if (q->count + n > PS2_QUEUE) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        q->data[(q->head + q->count++) % PS2_QUEUE] = bytes[i];
    }
    return true;
}

uint8_t ps2_get(struct ps2_queue *q)
{
    uint8_t byte = q->data[q->head % PS2_QUEUE]; /* % also bounds what a snapshot says */

    if (!q->count) {
        return 0;
    }
    q->head = (uint8_t)((q->head + 1) % PS2_QUEUE);
    q->count--;
    return byte;
}

/* ---- scan codes ---- */

/* Set 2 to set 1, as the controller translates. */
static const uint8_t to_set1[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

uint8_t ps2_translate(uint8_t set2)
{
    if (set2 < 0x80) {
        return to_set1[set2];
    }
    return set2 == 0x83 ? 0x41 : set2 == 0x84 ? 0x54 : set2;
}

static uint8_t to_set2(uint8_t set1)
{
    if (set1 == 0x41 || set1 == 0x54) { /* F7 and SysRq lie beyond the table */
        return set1 == 0x41 ? 0x83 : 0x84;
    }
    for (unsigned i = 0; i < 128; i++) {
        if (to_set1[i] == set1) {
            return (uint8_t)i;
        }
    }
    return 0;
}

void ps2_keyboard_key(struct ps2_keyboard *k, uint16_t code, bool down)
{
    static const uint8_t pause2[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    static const uint8_t pause1[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
    uint8_t seq[4], key = code & 0x7f;
    unsigned n = 0;

    if (!k->scanning || (!key && code != KEY_PAUSE)) {
        return;
    }
    if (code == KEY_PAUSE) { /* sent at once, nothing at the release */
        if (down) {
            ps2_put(&k->queue, k->scan_set == 1 ? pause1 : pause2,
                    k->scan_set == 1 ? sizeof(pause1) : sizeof(pause2));
        }
        return;
    }
    if (code >> 8) {
        seq[n++] = (uint8_t)(code >> 8);
    }
    if (k->scan_set == 1) {
        seq[n++] = key | (down ? 0 : 0x80);
    } else {
        if (!down) {
            seq[n++] = 0xf0;
        }
        seq[n++] = to_set2(key);
    }
    ps2_put(&k->queue, seq, n);
}

/* ---- commands ---- */

static void defaults(struct ps2_keyboard *k)
{
    k->command = 0;
    k->scan_set = 2;
    ps2_clear(&k->queue);
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    memset(k, 0, sizeof(*k));
    defaults(k);
    k->scanning = true;
}

static void reply(struct ps2_keyboard *k, uint8_t byte)
{
    k->last = byte;
    ps2_put(&k->queue, &byte, 1);
}

static void parameter(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;

    k->command = 0;
    switch (command) {
    case KBD_LEDS:
        k->leds = byte & 7;
        reply(k, ACK);
        break;
    case KBD_SCAN_SET:
        if (byte > 2) {
            reply(k, RESEND);
        } else {
            reply(k, ACK);
            if (byte) {
                k->scan_set = byte;
            } else {
                reply(k, k->scan_set);
            }
        }
        break;
    default: /* typematic rate */
        reply(k, ACK);
        break;
    }
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    if (k->command && byte < 0x80) {
        parameter(k, byte);
        return;
    }
    k->command = 0;
    switch (byte) {
    case KBD_LEDS:
    case KBD_SCAN_SET:
    case KBD_RATE:
        k->command = byte;
        reply(k, ACK);
        break;
    case KBD_ECHO:
        reply(k, ECHO);
        break;
    case KBD_ID:
        reply(k, ACK);
        reply(k, 0xab);
        reply(k, 0x83);
        break;
    case KBD_ENABLE:
        ps2_clear(&k->queue);
        k->scanning = true;
        reply(k, ACK);
        break;
    case KBD_DISABLE:
    case KBD_DEFAULTS:
        defaults(k);
        k->scanning = byte == KBD_DEFAULTS;
        reply(k, ACK);
        break;
    case KBD_RESEND:
        ps2_put(&k->queue, &k->last, 1);
        break;
    case KBD_RESET:
        ps2_keyboard_reset(k);
        reply(k, ACK);
        reply(k, SELF_TEST_OK);
        break;
    default:
        reply(k, RESEND);
        break;
    }
}
