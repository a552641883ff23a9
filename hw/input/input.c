/* The one way of keys and pointer events to devices; see the header. */
#include "hw/input/input.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEVICES = 16, QUEUE = 4096, NKEYS = 512 };

struct member {
    struct device *device;
    const struct input_ops *ops;
    void *opaque;
};

struct typed { /* an event that waits */
    uint16_t code;
    bool down;
    uint32_t delay_ms;
};

struct input {
    struct machine *machine;
    struct member member[MAX_DEVICES];
    unsigned n;
    unsigned buttons;
    unsigned x, y; /* the last absolute place */
    uint8_t held[NKEYS / 8];
    struct typed queue[QUEUE];
    unsigned head, count;
    struct timer timer;
};

static void input_destroy(void *opaque)
{
    struct input *in = opaque;

    timer_cancel(&in->timer);
    free(in);
}

static void next_typed(void *opaque);

static struct input *input_of(struct machine *m)
{
    struct input *in = device_slot(m, SLOT_INPUT);

    if (!in) {
        in = calloc(1, sizeof(*in));
        if (!in) {
            abort();
        }
        in->machine = m;
        timer_init(&in->timer, m->clock, next_typed, in);
        device_slot_set(m, SLOT_INPUT, in, input_destroy);
    }
    return in;
}

void input_add(struct machine *m, struct device *d, const struct input_ops *ops, void *opaque)
{
    struct input *in = input_of(m);

    if (in->n < MAX_DEVICES) {
        in->member[in->n++] = (struct member){d, ops, opaque};
    }
}

void input_remove(struct machine *m, void *opaque)
{
    struct input *in = input_of(m);
    unsigned kept = 0;

    for (unsigned i = 0; i < in->n; i++) {
        if (in->member[i].opaque != opaque) {
            in->member[kept++] = in->member[i];
        }
    }
    in->n = kept;
}

/* The device for events of these kinds: the last that listens, else the first of the kind. */
static const struct member *find(struct input *in, unsigned kinds, bool listening)
{
    for (unsigned i = in->n; i--;) {
        const struct input_ops *ops = in->member[i].ops;
        if ((ops->kinds & kinds) && (!ops->listens || ops->listens(in->member[i].opaque))) {
            return &in->member[i];
        }
    }
    for (unsigned i = 0; !listening && i < in->n; i++) {
        if (in->member[i].ops->kinds & kinds) {
            return &in->member[i];
        }
    }
    return NULL;
}

static const struct member *pointer(struct input *in)
{
    const struct member *p = find(in, INPUT_ABSOLUTE, true);

    return p ? p : find(in, INPUT_RELATIVE, false);
}

unsigned input_pointer_kind(struct machine *m)
{
    const struct member *p = pointer(input_of(m));

    return p ? p->ops->kinds & (INPUT_ABSOLUTE | INPUT_RELATIVE) : 0;
}

bool input_has_keyboard(struct machine *m)
{
    return find(input_of(m), INPUT_KEYBOARD, false) != NULL;
}

struct device *input_pointer_device(struct machine *m, unsigned n, bool *absolute, bool *current)
{
    struct input *in = input_of(m);

    for (unsigned i = 0; i < in->n; i++) {
        if ((in->member[i].ops->kinds & (INPUT_ABSOLUTE | INPUT_RELATIVE)) && !n--) {
            *absolute = in->member[i].ops->kinds & INPUT_ABSOLUTE;
            *current = pointer(in) == &in->member[i];
            return in->member[i].device;
        }
    }
    return NULL;
}

/* ---- keys ---- */

static unsigned held_index(uint16_t code)
{
    return (code & 0x7f) | (code >> 8 == 0xe0 ? 0x80 : code >> 8 ? 0x100 : 0);
}

static void send_key(struct input *in, uint16_t code, bool down)
{
    const struct member *k = find(in, INPUT_KEYBOARD, false);
    unsigned n = held_index(code);

    in->held[n / 8] =
        (uint8_t)(down ? in->held[n / 8] | 1 << n % 8 : in->held[n / 8] & ~(1 << n % 8));
    if (k) {
        k->ops->key(k->opaque, code, down);
    }
}

static void next_typed(void *opaque)
{
    struct input *in = opaque;

    while (in->count) {
        struct typed t = in->queue[in->head];
        in->head = (in->head + 1) % QUEUE;
        in->count--;
        send_key(in, t.code, t.down);
        if (in->count && in->queue[in->head].delay_ms) {
            timer_set(&in->timer, clock_now(in->machine->clock) +
                                      in->queue[in->head].delay_ms * INT64_C(1000000));
            return;
        }
    }
}

bool input_type(struct machine *m, uint16_t code, bool down, unsigned delay_ms)
{
    struct input *in = input_of(m);

    if (!in->count && !timer_armed(&in->timer) && !delay_ms) {
        send_key(in, code, down);
        return true;
    }
    if (in->count == QUEUE) {
        return false;
    }
    in->queue[(in->head + in->count++) % QUEUE] = (struct typed){code, down, delay_ms};
    if (!timer_armed(&in->timer)) {
        timer_set(&in->timer, clock_now(m->clock) + delay_ms * INT64_C(1000000));
    }
    return true;
}

unsigned input_type_room(struct machine *m)
{
    return QUEUE - input_of(m)->count;
}

void input_key(struct machine *m, uint16_t code, bool down)
{
    input_type(m, code, down, 0);
}

void input_release_all(struct machine *m)
{
    struct input *in = input_of(m);

    for (unsigned n = 0; n < NKEYS; n++) {
        if (in->held[n / 8] >> n % 8 & 1) {
            input_key(m,
                      (uint16_t)((n & 0x7f) | (n & 0x80    ? 0xe000
                                               : n & 0x100 ? 0xe100
                                                           : 0)),
                      false);
        }
    }
    input_buttons(m, 0);
}

/* ---- pointers ---- */

static void send_pointer(struct input *in, int x, int y, int wheel, int pan)
{
    const struct member *p = pointer(in);

    if (p) {
        struct input_pointer ev = {x, y, wheel, pan, in->buttons};
        if (p->ops->kinds & INPUT_ABSOLUTE) {
            ev.x = (int)in->x;
            ev.y = (int)in->y;
        }
        p->ops->pointer(p->opaque, &ev);
    }
}

void input_move(struct machine *m, int dx, int dy)
{
    struct input *in = input_of(m);

    if (input_pointer_kind(m) == INPUT_RELATIVE) {
        send_pointer(in, dx, dy, 0, 0);
    }
}

void input_place(struct machine *m, unsigned x, unsigned y)
{
    struct input *in = input_of(m);

    in->x = x < INPUT_ABS_MAX ? x : INPUT_ABS_MAX;
    in->y = y < INPUT_ABS_MAX ? y : INPUT_ABS_MAX;
    if (input_pointer_kind(m) == INPUT_ABSOLUTE) {
        send_pointer(in, 0, 0, 0, 0);
    }
}

void input_buttons(struct machine *m, unsigned held)
{
    struct input *in = input_of(m);

    if (in->buttons != held) {
        in->buttons = held;
        send_pointer(in, 0, 0, 0, 0);
    }
}

void input_wheel(struct machine *m, int steps, int pan)
{
    send_pointer(input_of(m), 0, 0, steps, pan);
}

unsigned input_held_buttons(struct machine *m)
{
    return input_of(m)->buttons;
}

void input_last_place(struct machine *m, int *x, int *y)
{
    *x = (int)input_of(m)->x;
    *y = (int)input_of(m)->y;
}
