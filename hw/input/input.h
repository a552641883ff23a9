/* Keys and pointers on their way from the person (windows, VNC, monitors) to the guest's devices.
 *
 * Devices that take input add themselves; an event goes to the device of its kind that was added
 * last among those the guest listens to. All with the machine lock held. */
#ifndef HW_INPUT_INPUT_H
#define HW_INPUT_INPUT_H

#include "hw/device.h"

enum input_kind { INPUT_KEYBOARD = 1, INPUT_RELATIVE = 2, INPUT_ABSOLUTE = 4 };
enum { INPUT_LEFT = 1, INPUT_RIGHT = 2, INPUT_MIDDLE = 4, INPUT_SIDE = 8, INPUT_EXTRA = 16 };
enum { INPUT_ABS_MAX = 0x7fff };

struct input_pointer {
    int x, y;       /* INPUT_RELATIVE: movement, y downwards; INPUT_ABSOLUTE: 0 to INPUT_ABS_MAX */
    int wheel, pan; /* steps: positive towards the user, to the right */
    unsigned buttons; /* held: INPUT_LEFT ... */
};

struct input_ops {
    unsigned kinds;                /* enum input_kind */
    bool (*listens)(void *opaque); /* a driver wants events; NULL: always */
    /* code: make code of scan code set 1, extended keys 0xe0xx, Pause 0xe11d. */
    void (*key)(void *opaque, uint16_t code, bool down);
    void (*pointer)(void *opaque, const struct input_pointer *p);
};

void input_add(struct machine *m, struct device *d, const struct input_ops *ops, void *opaque);
void input_remove(struct machine *m, void *opaque);

/* What kind of pointer the guest has now: INPUT_ABSOLUTE, INPUT_RELATIVE or 0. */
unsigned input_pointer_kind(struct machine *m);
bool input_has_keyboard(struct machine *m);
/* For `info mice`: the nth device that takes pointers; NULL: no more. */
struct device *input_pointer_device(struct machine *m, unsigned n, bool *absolute, bool *current);

/* A key goes down or up now. Keys wait behind what input_type has queued. */
void input_key(struct machine *m, uint16_t code, bool down);
/* Queues a key event that is sent delay_ms of the machine's time after the one before it. False:
 * the queue is full. */
bool input_type(struct machine *m, uint16_t code, bool down, unsigned delay_ms);
/* Room in that queue, in events. */
unsigned input_type_room(struct machine *m);
/* Lets go of all keys that are held: the person looks elsewhere now. */
void input_release_all(struct machine *m);

unsigned input_held_buttons(struct machine *m);
void input_last_place(struct machine *m, int *x, int *y);

void input_move(struct machine *m, int dx, int dy); /* for relative pointers */
void input_place(struct machine *m, unsigned x,
                 unsigned y); /* 0 to INPUT_ABS_MAX: for absolute ones */
void input_buttons(struct machine *m, unsigned held);
void input_wheel(struct machine *m, int steps, int pan);

#endif
