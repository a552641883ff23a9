/* VNC: keys and pointers of the viewers. Viewers that know QEMU's extension (pseudo encoding -258,
 * message 255) say which key was pressed; the keysyms of others are understood as those of a US
 * keyboard.
 */
#include "config.h"
#ifdef HAVE_VNC
#include "ui/vnc_internal.h"

#include "host/be.h"
#include "host/host_clock.h"
#include "hw/input/input.h"
#include "ui/keymap.h"

#include <arpa/inet.h>
#include <string.h>

enum { ENC_EXT_KEY = -258, MSG_QEMU = 255, QEMU_KEY = 0, SHIFT = 0x2a, SHIFT_R = 0x36 };
enum { EXT_KEY_BYTES = 11, UPDATE_BYTES = 16 };

int64_t vnc_now_ms(void)
{
    return host_clock_ns() / 1000000;
}

/* ---- keys ---- */

static bool is_held(const struct vnc_client *c, uint16_t code)
{
    for (unsigned i = 0; i < c->nheld; i++) {
        if (c->held[i] == code) {
            return true;
        }
    }
    return false;
}

static void note_held(struct vnc_client *c, uint16_t code, bool down)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < c->nheld; i++) {
        if (c->held[i] != code) {
            c->held[kept++] = c->held[i];
        }
    }
    c->nheld = kept;
    if (down && c->nheld < VNC_HELD) {
        c->held[c->nheld++] = code;
    }
}

static void send_key(struct vnc_server *v, struct vnc_client *c, uint16_t code, bool down)
{
    if (!down && !is_held(c, code)) {
        return;
    }
    note_held(c, code, down);
    machine_lock(v->machine);
    input_type(v->machine, code, down, v->key_delay_ms);
    machine_unlock(v->machine);
}

void vnc_release_keys(struct vnc_server *v, struct vnc_client *c)
{
    while (c->nheld) {
        send_key(v, c, c->held[0], false);
    }
}

static void key_event(rfbBool down, rfbKeySym sym, rfbClientPtr cl)
{
    struct vnc_server *v = cl->screen->screenData;
    struct vnc_client *c = cl->clientData;
    bool shift;
    uint16_t code = keymap_from_keysym(sym, &shift);

    if (!c || !code) {
        return;
    }
    bool have_shift = is_held(c, SHIFT) || is_held(c, SHIFT_R);
    if (down && shift && !have_shift) { /* it sent an upper-case letter and no shift key */
        send_key(v, c, SHIFT, true);
        c->shift_added = true;
    }
    send_key(v, c, code, down);
    if (!down && c->shift_added) {
        send_key(v, c, SHIFT, false);
        c->shift_added = false;
    }
}

/* ---- pointers ---- */

static unsigned buttons_of(int mask)
{
    return (mask & 1 ? INPUT_LEFT : 0) | (mask & 2 ? INPUT_MIDDLE : 0) |
           (mask & 4 ? INPUT_RIGHT : 0) | (mask & 0x80 ? INPUT_SIDE : 0);
}

static unsigned scale(int at, int size)
{
    at = at < 0 ? 0 : at >= size ? size - 1 : at;
    return size > 1 ? (unsigned)((int64_t)at * INPUT_ABS_MAX / (size - 1)) : 0;
}

static void pointer_event(int mask, int x, int y, rfbClientPtr cl)
{
    struct vnc_server *v = cl->screen->screenData;
    struct vnc_client *c = cl->clientData;
    struct machine *m = v->machine;

    if (!c) {
        return;
    }
    int pressed = mask & ~c->last_buttons;
    bool moved = x != c->last_x || y != c->last_y;
    machine_lock(m);
    if (moved && input_pointer_kind(m) == INPUT_ABSOLUTE) {
        input_place(m, scale(x, cl->screen->width), scale(y, cl->screen->height));
    } else if (moved && c->last_x >= 0) {
        input_move(m, x - c->last_x, y - c->last_y);
    }
    input_buttons(m, buttons_of(mask));
    if (pressed & 0x18) {
        input_wheel(m, pressed & 8 ? -1 : 1, 0);
    }
    if (pressed & 0x60) {
        input_wheel(m, 0, pressed & 0x20 ? -1 : 1);
    }
    machine_unlock(m);
    c->last_x = x;
    c->last_y = y;
    c->last_buttons = mask;
    rfbDefaultPtrAddEvent(mask, x, y, cl); /* for viewers that let us draw the cursor */
}

static void cut_text(char *text, int len, rfbClientPtr cl)
{
    (void)text;
    (void)len;
    (void)cl; /* a viewer sends its clipboard whenever it changes: that is no wish to type it */
}

/* ---- the extension ---- */

/* Tells the viewer that the extension is there: an empty rectangle of that encoding. */
static rfbBool enable(rfbClientPtr cl, void **data, int encoding)
{
    uint8_t update[UPDATE_BYTES] = {0, 0, 0, 1};
    uint32_t enc = htonl((uint32_t)encoding);

    *data = cl;
    if (encoding != ENC_EXT_KEY) {
        return FALSE;
    }
    memcpy(update + 12, &enc, 4);
    return rfbWriteExact(cl, (char *)update, sizeof(update)) > 0;
}

static rfbBool handle(rfbClientPtr cl, void *data, const rfbClientToServerMsg *msg)
{
    uint8_t m[EXT_KEY_BYTES];
    struct vnc_client *c = cl->clientData;

    (void)data;
    if (msg->type != MSG_QEMU) {
        return FALSE;
    }
    if (rfbReadExact(cl, (char *)m, sizeof(m)) <= 0 || m[0] != QEMU_KEY) {
        rfbCloseClient(cl);
        return TRUE;
    }
    bool down = m[1] || m[2];
    uint16_t code = keymap_from_number(be_get32(m + 7));
    if (code && c) {
        send_key(cl->screen->screenData, c, code, down);
    } else if (c) {
        key_event(down, be_get32(m + 3), cl);
    }
    return TRUE;
}

static int pseudo_encodings[] = {ENC_EXT_KEY, 0};
static rfbProtocolExtension extension = {
    /* libvncserver links it into its list */
    .pseudoEncodings = pseudo_encodings,
    .enablePseudoEncoding = enable,
    .handleMessage = handle,
};

void vnc_register_extension(void)
{
    rfbRegisterProtocolExtension(&extension);
}

void vnc_input_hooks(struct vnc_server *v)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, vnc_register_extension);
    v->screen->kbdAddEvent = key_event;
    v->screen->ptrAddEvent = pointer_event;
    v->screen->setXCutText = cut_text;
}
#endif
