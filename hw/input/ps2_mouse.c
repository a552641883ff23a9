/* A PS/2 mouse: the standard one of the IBM PS/2 hardware interface technical reference, with
 * Microsoft's IntelliMouse extensions (wheel: rates 200, 100, 80; two more buttons: rates 200, 200,
 * 80). */
#include "hw/input/ps2.h"

#include <string.h>

enum { ACK = 0xfa, RESEND = 0xfe, SELF_TEST_OK = 0xaa };
enum {
    MOUSE_SCALE1 = 0xe6,
    MOUSE_SCALE2 = 0xe7,
    MOUSE_RESOLUTION = 0xe8,
    MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea,
    MOUSE_READ = 0xeb,
    MOUSE_UNWRAP = 0xec,
    MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0,
    MOUSE_ID = 0xf2,
    MOUSE_RATE = 0xf3,
    MOUSE_ENABLE = 0xf4,
    MOUSE_DISABLE = 0xf5,
    MOUSE_DEFAULTS = 0xf6,
    MOUSE_RESEND = 0xfe,
    MOUSE_RESET = 0xff,
};

const struct state_field ps2_mouse_fields[] = {
    STATE_STRUCT(struct ps2_mouse, queue, 1, ps2_queue_fields),
    STATE_U8(struct ps2_mouse, command),
    STATE_U8(struct ps2_mouse, id),
    STATE_U8(struct ps2_mouse, rate),
    STATE_U8(struct ps2_mouse, resolution),
    STATE_U8(struct ps2_mouse, last),
    STATE_BYTES(struct ps2_mouse, knock),
    STATE_BOOL(struct ps2_mouse, reporting),
    STATE_BOOL(struct ps2_mouse, remote),
    STATE_BOOL(struct ps2_mouse, wrap),
    STATE_BOOL(struct ps2_mouse, scale2),
    STATE_U8(struct ps2_mouse, buttons),
    STATE_U8(struct ps2_mouse, sent_buttons),
    STATE_I64(struct ps2_mouse, dx),
    STATE_I64(struct ps2_mouse, dy),
    STATE_I64(struct ps2_mouse, dz),
    STATE_END,
};

/* ---- movement ---- */

static int take(int64_t *sum, int64_t min, int64_t max)
{
    int64_t v = *sum < min ? min : *sum > max ? max : *sum;

    *sum -= v;
    return (int)v;
}

static bool send_packet(struct ps2_mouse *m)
{
    unsigned n = m->id ? 4 : 3;
    uint8_t p[4] = {0};

    if (m->queue.count + n > PS2_QUEUE) {
        return false;
    }
    int x = take(&m->dx, -256, 255), y = -take(&m->dy, -255, 256); /* the mouse's y grows upwards */
    p[0] = (uint8_t)(8 | (m->buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0));
    p[1] = (uint8_t)x;
    p[2] = (uint8_t)y;
    if (m->id) {
        int z = take(&m->dz, -8, 7);
        p[3] = (uint8_t)(m->id == 3 ? z : (z & 15) | (m->buttons & 0x18) << 1);
    } else {
        m->dz = 0;
    }
    m->sent_buttons = m->buttons;
    return ps2_put(&m->queue, p, n);
}

void ps2_mouse_poll(struct ps2_mouse *m)
{
    /* One packet at a time: more movement adds up meanwhile, so a slow driver is not late. */
    while (m->reporting && !m->remote && !m->queue.count &&
           (m->dx || m->dy || m->dz || m->buttons != m->sent_buttons)) {
        if (!send_packet(m)) {
            return;
        }
    }
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons)
{
    if (!m->reporting) {
        return;
    }
    m->dx += dx;
    m->dy += dy;
    m->dz += dz;
    if ((buttons & 0x1f) != m->buttons) { /* a press and its release must both be seen */
        m->buttons = buttons & 0x1f;
        send_packet(m);
    }
    ps2_mouse_poll(m);
}

/* ---- commands ---- */

static void defaults(struct ps2_mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->scale2 = m->reporting = m->remote = m->wrap = false;
    m->dx = m->dy = m->dz = 0;
    m->command = 0;
    ps2_clear(&m->queue);
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    memset(m, 0, sizeof(*m));
    defaults(m);
}

static void reply(struct ps2_mouse *m, uint8_t byte)
{
    m->last = byte;
    ps2_put(&m->queue, &byte, 1);
}

static void set_rate(struct ps2_mouse *m, uint8_t rate)
{
    static const uint8_t wheel[3] = {200, 100, 80}, side[3] = {200, 200, 80};

    m->rate = rate;
    m->knock[0] = m->knock[1];
    m->knock[1] = m->knock[2];
    m->knock[2] = rate;
    if (!memcmp(m->knock, wheel, 3)) {
        m->id = 3;
    } else if (!memcmp(m->knock, side, 3)) {
        m->id = 4;
    }
}

static void status(struct ps2_mouse *m)
{
    unsigned b = m->buttons;

    reply(m, ACK);
    reply(m, (uint8_t)(m->remote << 6 | m->reporting << 5 | m->scale2 << 4 | (b & 1) << 2 |
                       (b & 4) >> 1 | (b & 2) >> 1));
    reply(m, m->resolution);
    reply(m, m->rate);
}

static void command(struct ps2_mouse *m, uint8_t byte)
{
    switch (byte) {
    case MOUSE_SCALE1:
    case MOUSE_SCALE2:
        m->scale2 = byte == MOUSE_SCALE2; /* only reported: the host has its own acceleration */
        reply(m, ACK);
        break;
    case MOUSE_RESOLUTION:
    case MOUSE_RATE:
        m->command = byte;
        reply(m, ACK);
        break;
    case MOUSE_STATUS:
        status(m);
        break;
    case MOUSE_STREAM:
    case MOUSE_REMOTE:
        m->remote = byte == MOUSE_REMOTE;
        reply(m, ACK);
        break;
    case MOUSE_READ:
        reply(m, ACK);
        send_packet(m);
        break;
    case MOUSE_UNWRAP:
    case MOUSE_WRAP:
        m->wrap = byte == MOUSE_WRAP;
        reply(m, ACK);
        break;
    case MOUSE_ID:
        reply(m, ACK);
        reply(m, m->id);
        break;
    case MOUSE_ENABLE:
        m->reporting = true;
        reply(m, ACK);
        break;
    case MOUSE_DISABLE:
        m->reporting = false;
        ps2_clear(&m->queue);
        reply(m, ACK);
        break;
    case MOUSE_DEFAULTS:
        defaults(m);
        reply(m, ACK);
        break;
    case MOUSE_RESEND:
        ps2_put(&m->queue, &m->last, 1);
        break;
    case MOUSE_RESET:
        ps2_mouse_reset(m);
        reply(m, ACK);
        reply(m, SELF_TEST_OK);
        reply(m, m->id);
        break;
    default:
        reply(m, RESEND);
        break;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
    uint8_t waiting = m->command;

    if (m->wrap && byte != MOUSE_UNWRAP && byte != MOUSE_RESET) {
        reply(m, byte);
        return;
    }
    m->command = 0;
    if (waiting == MOUSE_RATE) {
        set_rate(m, byte);
        reply(m, ACK);
    } else if (waiting == MOUSE_RESOLUTION) {
        m->resolution = byte & 3;
        reply(m, ACK);
    } else {
        command(m, byte);
    }
}
