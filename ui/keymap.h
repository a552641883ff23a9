/* Keys by name, number, keysym and character. */
#ifndef UI_KEYMAP_H
#define UI_KEYMAP_H

#include <stdbool.h>
#include <stdint.h>

struct machine;

struct key {
    const char *name;
    uint16_t code;       /* make code of scan code set 1; extended ones 0xe0xx, Pause 0xe11d */
    uint32_t keysym;     /* X11's, 0: none of its own */
    char plain, shifted; /* what a US keyboard types, 0: nothing */
};
extern const struct key
    keymap[]; /* ended by a NULL name; of several names the first is the usual one */
unsigned keymap_count(void);

const struct key *keymap_by_name(const char *name); /* NULL: unknown */
/* From the one-byte numbers of VNC's extended key events and QMP: bit 7 stands for the prefix E0.
 * 0: there is no such key. */
uint16_t keymap_from_number(uint32_t number);
/* From an X11 keysym; *shift: on a US keyboard it takes the shift key. 0: unknown. */
uint16_t keymap_from_keysym(uint32_t keysym, bool *shift);
/* Types text as on a US keyboard, delay_ms between events; characters that are not there are left
 * out. Returns how many were taken: the queue of keys is finite. Lock held. */
unsigned keymap_type_text(struct machine *m, const char *text, unsigned delay_ms);

#endif
