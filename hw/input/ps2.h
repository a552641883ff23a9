/* The two PS/2 devices behind the keyboard controller: what they send waits in their queues. */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H

#include "hw/device.h"

enum { PS2_QUEUE = 64 };

struct ps2_queue {
    uint8_t data[PS2_QUEUE];
    uint8_t head, count;
};
extern const struct state_field ps2_queue_fields[];

void ps2_clear(struct ps2_queue *q);
/* All bytes or none: a half sent sequence would confuse the driver. */
bool ps2_put(struct ps2_queue *q, const uint8_t *bytes, unsigned n);
uint8_t ps2_get(struct ps2_queue *q); /* 0 when empty */

struct ps2_keyboard {
    struct ps2_queue queue;
    uint8_t command;  /* waiting for its parameter; 0: none */
    uint8_t scan_set; /* 1 or 2 */
    uint8_t leds, last;
    bool scanning;
};
extern const struct state_field ps2_keyboard_fields[];

void ps2_keyboard_reset(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte);
void ps2_keyboard_key(struct ps2_keyboard *k, uint16_t code, bool down); /* see i8042_key */
uint8_t ps2_translate(uint8_t set2); /* set 2 make code to set 1 */

struct ps2_mouse {
    struct ps2_queue queue;
    uint8_t command;
    uint8_t id; /* 0 standard, 3 with wheel, 4 with side buttons */
    uint8_t rate, resolution, last;
    uint8_t knock[3]; /* the last sample rates set: the way to ask for a wheel */
    bool reporting, remote, wrap, scale2;
    uint8_t buttons, sent_buttons;
    int64_t dx, dy, dz; /* movement not sent yet */
};
extern const struct state_field ps2_mouse_fields[];

void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte);
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons);
void ps2_mouse_poll(struct ps2_mouse *m); /* room in the queue: send movement that has added up */

#endif
