/* Names of keys (those of QEMU's monitors), their make codes of scan code set 1, their keysyms on a
 * US keyboard and what they type there. Windows and VNC viewers that say which key was pressed need
 * no layout; only viewers that send keysyms alone, and pasted text, are understood as US. */
#include "ui/keymap.h"

#include "hw/input/input.h"

#include <string.h>

/* clang-format off */
const struct key keymap[] = {
    /* name, code, X11 keysym, what it types, with shift */
    {"esc", 0x01, 0xff1b, 0, 0},
    {"1", 0x02, 0x31, '1', '!'},
    {"2", 0x03, 0x32, '2', '@'},
    {"3", 0x04, 0x33, '3', '#'},
    {"4", 0x05, 0x34, '4', '$'},
    {"5", 0x06, 0x35, '5', '%'},
    {"6", 0x07, 0x36, '6', '^'},
    {"7", 0x08, 0x37, '7', '&'},
    {"8", 0x09, 0x38, '8', '*'},
    {"9", 0x0a, 0x39, '9', '('},
    {"0", 0x0b, 0x30, '0', ')'},
    {"minus", 0x0c, 0x2d, '-', '_'},
    {"equal", 0x0d, 0x3d, '=', '+'},
    {"backspace", 0x0e, 0xff08, '\b', 0},
    {"tab", 0x0f, 0xff09, '\t', 0},
    {"q", 0x10, 0x71, 'q', 'Q'},
    {"w", 0x11, 0x77, 'w', 'W'},
    {"e", 0x12, 0x65, 'e', 'E'},
    {"r", 0x13, 0x72, 'r', 'R'},
    {"t", 0x14, 0x74, 't', 'T'},
    {"y", 0x15, 0x79, 'y', 'Y'},
    {"u", 0x16, 0x75, 'u', 'U'},
    {"i", 0x17, 0x69, 'i', 'I'},
    {"o", 0x18, 0x6f, 'o', 'O'},
    {"p", 0x19, 0x70, 'p', 'P'},
    {"bracket_left", 0x1a, 0x5b, '[', '{'},
    {"bracket_right", 0x1b, 0x5d, ']', '}'},
    {"ret", 0x1c, 0xff0d, '\n', 0},
    {"ctrl", 0x1d, 0xffe3, 0, 0},
    {"a", 0x1e, 0x61, 'a', 'A'},
    {"s", 0x1f, 0x73, 's', 'S'},
    {"d", 0x20, 0x64, 'd', 'D'},
    {"f", 0x21, 0x66, 'f', 'F'},
    {"g", 0x22, 0x67, 'g', 'G'},
    {"h", 0x23, 0x68, 'h', 'H'},
    {"j", 0x24, 0x6a, 'j', 'J'},
    {"k", 0x25, 0x6b, 'k', 'K'},
    {"l", 0x26, 0x6c, 'l', 'L'},
    {"semicolon", 0x27, 0x3b, ';', ':'},
    {"apostrophe", 0x28, 0x27, '\'', '"'},
    {"grave_accent", 0x29, 0x60, '`', '~'},
    {"shift", 0x2a, 0xffe1, 0, 0},
    {"backslash", 0x2b, 0x5c, '\\', '|'},
    {"z", 0x2c, 0x7a, 'z', 'Z'},
    {"x", 0x2d, 0x78, 'x', 'X'},
    {"c", 0x2e, 0x63, 'c', 'C'},
    {"v", 0x2f, 0x76, 'v', 'V'},
    {"b", 0x30, 0x62, 'b', 'B'},
    {"n", 0x31, 0x6e, 'n', 'N'},
    {"m", 0x32, 0x6d, 'm', 'M'},
    {"comma", 0x33, 0x2c, ',', '<'},
    {"dot", 0x34, 0x2e, '.', '>'},
    {"slash", 0x35, 0x2f, '/', '?'},
    {"shift_r", 0x36, 0xffe2, 0, 0},
    {"kp_multiply", 0x37, 0xffaa, 0, 0},
    {"asterisk", 0x37, 0x00, 0, 0},
    {"alt", 0x38, 0xffe9, 0, 0},
    {"spc", 0x39, 0x20, ' ', 0},
    {"caps_lock", 0x3a, 0xffe5, 0, 0},
    {"f1", 0x3b, 0xffbe, 0, 0},
    {"f2", 0x3c, 0xffbf, 0, 0},
    {"f3", 0x3d, 0xffc0, 0, 0},
    {"f4", 0x3e, 0xffc1, 0, 0},
    {"f5", 0x3f, 0xffc2, 0, 0},
    {"f6", 0x40, 0xffc3, 0, 0},
    {"f7", 0x41, 0xffc4, 0, 0},
    {"f8", 0x42, 0xffc5, 0, 0},
    {"f9", 0x43, 0xffc6, 0, 0},
    {"f10", 0x44, 0xffc7, 0, 0},
    {"num_lock", 0x45, 0xff7f, 0, 0},
    {"scroll_lock", 0x46, 0xff14, 0, 0},
    {"kp_7", 0x47, 0xffb7, 0, 0},
    {"kp_8", 0x48, 0xffb8, 0, 0},
    {"kp_9", 0x49, 0xffb9, 0, 0},
    {"kp_subtract", 0x4a, 0xffad, 0, 0},
    {"kp_4", 0x4b, 0xffb4, 0, 0},
    {"kp_5", 0x4c, 0xffb5, 0, 0},
    {"kp_6", 0x4d, 0xffb6, 0, 0},
    {"kp_add", 0x4e, 0xffab, 0, 0},
    {"kp_1", 0x4f, 0xffb1, 0, 0},
    {"kp_2", 0x50, 0xffb2, 0, 0},
    {"kp_3", 0x51, 0xffb3, 0, 0},
    {"kp_0", 0x52, 0xffb0, 0, 0},
    {"kp_decimal", 0x53, 0xffae, 0, 0},
    {"sysrq", 0x54, 0xff15, 0, 0},
    {"less", 0x56, 0x00, 0, 0},
    {"f11", 0x57, 0xffc8, 0, 0},
    {"f12", 0x58, 0xffc9, 0, 0},
    {"kp_equals", 0x59, 0xffbd, 0, 0},
    {"katakanahiragana", 0x70, 0xff27, 0, 0},
    {"ro", 0x73, 0x00, 0, 0},
    {"henkan", 0x79, 0xff23, 0, 0},
    {"muhenkan", 0x7b, 0xff22, 0, 0},
    {"yen", 0x7d, 0xa5, 0, 0},
    {"kp_comma", 0x7e, 0xffac, 0, 0},
    {"kp_enter", 0xe01c, 0xff8d, 0, 0},
    {"ctrl_r", 0xe01d, 0xffe4, 0, 0},
    {"audiomute", 0xe020, 0x1008ff12, 0, 0},
    {"volumedown", 0xe02e, 0x1008ff11, 0, 0},
    {"volumeup", 0xe030, 0x1008ff13, 0, 0},
    {"kp_divide", 0xe035, 0xffaf, 0, 0},
    {"print", 0xe037, 0xff61, 0, 0},
    {"alt_r", 0xe038, 0xffea, 0, 0},
    {"home", 0xe047, 0xff50, 0, 0},
    {"up", 0xe048, 0xff52, 0, 0},
    {"pgup", 0xe049, 0xff55, 0, 0},
    {"left", 0xe04b, 0xff51, 0, 0},
    {"right", 0xe04d, 0xff53, 0, 0},
    {"end", 0xe04f, 0xff57, 0, 0},
    {"down", 0xe050, 0xff54, 0, 0},
    {"pgdn", 0xe051, 0xff56, 0, 0},
    {"insert", 0xe052, 0xff63, 0, 0},
    {"delete", 0xe053, 0xffff, 0, 0},
    {"meta_l", 0xe05b, 0xffeb, 0, 0},
    {"meta_r", 0xe05c, 0xffec, 0, 0},
    {"compose", 0xe05d, 0xff67, 0, 0},
    {"menu", 0xe05d, 0x00, 0, 0},
    {"power", 0xe05e, 0x1008ff2a, 0, 0},
    {"sleep", 0xe05f, 0x1008ff2f, 0, 0},
    {"wake", 0xe063, 0x1008ff2b, 0, 0},
    {"pause", 0xe11d, 0xff13, 0, 0},
    {0},
};
/* clang-format on */

enum { SHIFT = 0x2a, KEYSYM_UNICODE = 0x1000000 };

const struct key *keymap_by_name(const char *name)
{
    for (const struct key *k = keymap; k->name; k++) {
        if (!strcasecmp(k->name, name)) {
            return k;
        }
    }
    return NULL;
}

unsigned keymap_count(void)
{
    unsigned n = 0;

    while (keymap[n].name) {
        n++;
    }
    return n;
}

uint16_t keymap_from_number(uint32_t number)
{
    if (!number || number > 0xff) {
        return 0;
    }
    if (number == 0xc6) {
        return 0xe11d; /* Pause */
    }
    if (number == 0x54) {
        return 0xe037; /* Print; with Alt the keyboard itself makes SysRq of it */
    }
    return number & 0x80 ? (uint16_t)(0xe000 | (number & 0x7f)) : (uint16_t)number;
}

static uint16_t from_char(uint32_t c, bool *shift)
{
    for (const struct key *k = keymap; k->name && c; k++) {
        if ((unsigned char)k->plain == c || (unsigned char)k->shifted == c) {
            *shift = (unsigned char)k->plain != c;
            return k->code;
        }
    }
    return 0;
}

uint16_t keymap_from_keysym(uint32_t keysym, bool *shift)
{
    static const struct {
        uint32_t keysym;
        uint16_t code;
    } more[] = {/* the number pad without Num Lock, and other names of keys */
                {0xff95, 0x47},   {0xff97, 0x48},   {0xff9a, 0x49},   {0xff96, 0x4b},
                {0xff9d, 0x4c},   {0xff98, 0x4d},   {0xff9c, 0x4f},   {0xff99, 0x50},
                {0xff9b, 0x51},   {0xff9e, 0x52},   {0xff9f, 0x53},   {0xffe7, 0xe05b},
                {0xffe8, 0xe05c}, {0xfe03, 0xe038}, {0xff7e, 0xe038}, {0xfe20, 0x0f},
                {0xff0a, 0x1c}};

    *shift = false;
    if (keysym > KEYSYM_UNICODE && keysym < KEYSYM_UNICODE + 0x100) {
        keysym -= KEYSYM_UNICODE;
    }
    if (keysym >= 0x20 && keysym < 0x7f) {
        return from_char(keysym, shift);
    }
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        if (more[i].keysym == keysym) {
            return more[i].code;
        }
    }
    for (const struct key *k = keymap; k->name && keysym; k++) {
        if (k->keysym == keysym) {
            return k->code;
        }
    }
    return 0;
}

unsigned keymap_type_text(struct machine *m, const char *text, unsigned delay_ms)
{
    unsigned typed = 0;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool shift;
        uint16_t code = c == '\r' ? 0 : from_char(c, &shift);
        if (!code) {
            continue;
        }
        if (input_type_room(m) < 4) {
            break;
        }
        if (shift) {
            input_type(m, SHIFT, true, delay_ms);
        }
        input_type(m, code, true, delay_ms);
        input_type(m, code, false, delay_ms);
        if (shift) {
            input_type(m, SHIFT, false, delay_ms);
        }
        typed++;
    }
    return typed;
}
