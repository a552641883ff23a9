/* 8042 keyboard controller (ports 60, 64) with its PS/2 keyboard and mouse. IBM PS/2 hardware
 * interface technical reference; 8042 data sheet.
 *
 * Its output port switches A20 and resets the machine. Bytes of the devices come one at a time with
 * a pause after each, as on the wire, so that handlers which read port 60 twice see the same byte;
 * the controller's own answers come at once. Not modelled: password, the test port's clock lines,
 * multiplexing of mice. */
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "hw/input/ps2.h"
#include "hw/isa/isa.h"

#include <string.h>

enum { ST_OBF = 1, ST_SYS = 4, ST_CMD = 8, ST_UNLOCKED = 0x10, ST_AUX = 0x20 };
enum {
    CFG_KBD_INT = 1,
    CFG_AUX_INT = 2,
    CFG_SYS = 4,
    CFG_NO_KBD = 0x10,
    CFG_NO_AUX = 0x20,
    CFG_XLATE = 0x40
};
enum { OUT_RESET = 1, OUT_A20 = 2, OUT_AUX_IRQ = 0x20, OUT_KBD_IRQ = 0x10 };
enum {
    CMD_READ_RAM = 0x20,
    CMD_WRITE_RAM = 0x60,
    CMD_NO_AUX = 0xa7,
    CMD_AUX = 0xa8,
    CMD_TEST_AUX = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_TEST_KBD = 0xab,
    CMD_NO_KBD = 0xad,
    CMD_KBD = 0xae,
    CMD_READ_IN = 0xc0,
    CMD_READ_OUT = 0xd0,
    CMD_WRITE_OUT = 0xd1,
    CMD_FAKE_KBD = 0xd2,
    CMD_FAKE_AUX = 0xd3,
    CMD_TO_AUX = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_READ_TEST = 0xe0,
    CMD_PULSE = 0xf0,
};
enum { KBD_IRQ = 1, AUX_IRQ = 12, BYTE_GAP_NS = 200000 };

struct i8042 {
    struct device dev; /* must be first */
    uint8_t ram[32];   /* byte 0: configuration */
    uint8_t status;    /* ST_CMD and ST_SYS; the rest is computed */
    uint8_t command;   /* waiting for its data byte; 0: none */
    uint8_t outport;
    uint8_t out; /* output buffer */
    bool full, full_aux;
    uint8_t reply; /* the controller's own next byte */
    bool have_reply, reply_aux;
    bool released;     /* translation: F0 was seen */
    int64_t next_byte; /* when a device may send again */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    struct timer timer;
    struct irq a20;
};

static const struct state_field i8042_fields[] = {
    STATE_BYTES(struct i8042, ram),
    STATE_U8(struct i8042, status),
    STATE_U8(struct i8042, command),
    STATE_U8(struct i8042, outport),
    STATE_U8(struct i8042, out),
    STATE_BOOL(struct i8042, full),
    STATE_BOOL(struct i8042, full_aux),
    STATE_U8(struct i8042, reply),
    STATE_BOOL(struct i8042, have_reply),
    STATE_BOOL(struct i8042, reply_aux),
    STATE_BOOL(struct i8042, released),
    STATE_I64(struct i8042, next_byte),
    STATE_STRUCT(struct i8042, keyboard, 1, ps2_keyboard_fields),
    STATE_STRUCT(struct i8042, mouse, 1, ps2_mouse_fields),
    STATE_TIMER(struct i8042, timer),
    STATE_END,
};

/* ---- output buffer ---- */

static void update_irq(struct i8042 *s)
{
    struct machine *m = s->dev.machine;
    bool kbd = s->full && !s->full_aux && (s->ram[0] & CFG_KBD_INT);
    bool aux = s->full && s->full_aux && (s->ram[0] & CFG_AUX_INT);

    irq_set(isa_irq(m, KBD_IRQ), kbd);
    irq_set(isa_irq(m, AUX_IRQ), aux);
}

static void put(struct i8042 *s, uint8_t byte, bool aux)
{
    s->out = byte;
    s->full = true;
    s->full_aux = aux;
}

/* Next byte of the keyboard, translated; false: none comes out (a release prefix is swallowed). */
static bool keyboard_byte(struct i8042 *s, uint8_t *byte)
{
    while (s->keyboard.queue.count) {
        *byte = ps2_get(&s->keyboard.queue);
        if (!(s->ram[0] & CFG_XLATE)) {
            return true;
        }
        if (*byte == 0xf0) {
            s->released = true;
            continue;
        }
        *byte = ps2_translate(*byte);
        if (s->released) {
            s->released = false;
            *byte |= 0x80;
        }
        return true;
    }
    return false;
}

static void fill(struct i8042 *s)
{
    int64_t now = clock_now(s->dev.machine->clock);
    uint8_t byte;

    if (!s->full && s->have_reply) {
        s->have_reply = false;
        put(s, s->reply, s->reply_aux);
    }
    ps2_mouse_poll(&s->mouse);
    bool kbd = s->keyboard.queue.count && !(s->ram[0] & CFG_NO_KBD);
    bool aux = s->mouse.queue.count && !(s->ram[0] & CFG_NO_AUX);
    if (!s->full && (kbd || aux)) {
        if (now < s->next_byte) {
            timer_set(&s->timer, s->next_byte);
        } else if (kbd && keyboard_byte(s, &byte)) {
            put(s, byte, false);
        } else if (aux) {
            put(s, ps2_get(&s->mouse.queue), true);
        }
    }
    update_irq(s);
}

static void gap_over(void *opaque)
{
    fill(opaque);
}

static void answer(struct i8042 *s, uint8_t byte, bool aux)
{
    s->reply = byte;
    s->reply_aux = aux;
    s->have_reply = true;
}

/* ---- ports ---- */

static void write_outport(struct i8042 *s, uint8_t v)
{
    s->outport = v;
    irq_set(&s->a20, v & OUT_A20 ? 1 : 0);
    if (!(v & OUT_RESET)) {
        machine_request(s->dev.machine, REQUEST_RESET, "keyboard controller output port");
    }
}

static void write_ram(struct i8042 *s, unsigned n, uint8_t v)
{
    s->ram[n] = v;
    if (n == 0) {
        s->status = (uint8_t)((s->status & ~ST_SYS) | (v & CFG_SYS ? ST_SYS : 0));
    }
}

static void controller_command(struct i8042 *s, uint8_t v)
{
    log_trace(s->dev.machine->log, i8042_command, "%02x", v);
    s->command = 0;
    if ((v & 0xe0) == CMD_READ_RAM) {
        answer(s, s->ram[v & 31], false);
        return;
    }
    if ((v & 0xe0) == CMD_WRITE_RAM) {
        s->command = v;
        return;
    }
    if (v >= CMD_PULSE) { /* bits that are 0 are pulsed low; bit 0 is the processors' reset */
        if (!(v & OUT_RESET)) {
            machine_request(s->dev.machine, REQUEST_RESET, "keyboard controller (command 0x%x)", v);
        }
        return;
    }
    switch (v) {
    case CMD_NO_AUX:
        s->ram[0] |= CFG_NO_AUX;
        break;
    case CMD_AUX:
        s->ram[0] &= (uint8_t)~CFG_NO_AUX;
        break;
    case CMD_TEST_AUX:
    case CMD_TEST_KBD:
        answer(s, 0, false); /* the lines are all right */
        break;
    case CMD_SELF_TEST:
        write_ram(s, 0, s->ram[0] | CFG_SYS);
        answer(s, 0x55, false);
        break;
    case CMD_NO_KBD:
        s->ram[0] |= CFG_NO_KBD;
        break;
    case CMD_KBD:
        s->ram[0] &= (uint8_t)~CFG_NO_KBD;
        break;
    case CMD_READ_IN:
        answer(s, 0x80, false); /* not locked */
        break;
    case CMD_READ_OUT:
        answer(s,
               (uint8_t)((s->outport & ~(OUT_KBD_IRQ | OUT_AUX_IRQ)) |
                         (s->full ? s->full_aux ? OUT_AUX_IRQ : OUT_KBD_IRQ : 0)),
               false);
        break;
    case CMD_A20_OFF:
        write_outport(s, s->outport & (uint8_t)~OUT_A20);
        break;
    case CMD_A20_ON:
        write_outport(s, s->outport | OUT_A20);
        break;
    case CMD_READ_TEST:
        answer(s, 0, false);
        break;
    case CMD_WRITE_OUT:
    case CMD_FAKE_KBD:
    case CMD_FAKE_AUX:
    case CMD_TO_AUX:
        s->command = v;
        break;
    default:
        log_at(s->dev.machine->log, LOG_GUEST_ERROR, "i8042: unknown command 0x%x\n", v);
        break;
    }
}

static void write_data(struct i8042 *s, uint8_t v)
{
    uint8_t command = s->command;

    s->command = 0;
    if ((command & 0xe0) == CMD_WRITE_RAM) {
        write_ram(s, command & 31, v);
        return;
    }
    switch (command) {
    case CMD_WRITE_OUT:
        write_outport(s, v);
        break;
    case CMD_FAKE_KBD:
        answer(s, v, false);
        break;
    case CMD_FAKE_AUX:
        answer(s, v, true);
        break;
    case CMD_TO_AUX:
        s->ram[0] &= (uint8_t)~CFG_NO_AUX;
        ps2_mouse_write(&s->mouse, v);
        break;
    default: /* sending to the keyboard switches its line on */
        s->ram[0] &= (uint8_t)~CFG_NO_KBD;
        ps2_keyboard_write(&s->keyboard, v);
        break;
    }
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *s = opaque;
    uint8_t v = s->out;

    (void)offset;
    (void)size;
    if (s->full) {
        s->full = false;
        s->next_byte = clock_now(s->dev.machine->clock) + BYTE_GAP_NS;
        update_irq(s);
        fill(s);
    }
    return v;
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    return s->status | ST_UNLOCKED | (s->full ? ST_OBF : 0) | (s->full && s->full_aux ? ST_AUX : 0);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    s->status &= (uint8_t)~ST_CMD;
    write_data(s, (uint8_t)value);
    fill(s);
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    s->status |= ST_CMD;
    controller_command(s, (uint8_t)value);
    fill(s);
}

static const struct mmio_ops data_ops = {data_read, data_write, 1, 1};
static const struct mmio_ops command_ops = {status_read, command_write, 1, 1};

/* ---- from the host ---- */

void i8042_key(struct device *d, uint16_t code, bool down)
{
    struct i8042 *s = (struct i8042 *)d;

    ps2_keyboard_key(&s->keyboard, code, down);
    fill(s);
}

void i8042_mouse(struct device *d, int dx, int dy, int dz, unsigned buttons)
{
    struct i8042 *s = (struct i8042 *)d;

    ps2_mouse_move(&s->mouse, dx, dy, dz, buttons);
    fill(s);
}

bool i8042_mouse_enabled(struct device *d)
{
    return ((struct i8042 *)d)->mouse.reporting;
}

static void from_keyboard(void *opaque, uint16_t code, bool down)
{
    i8042_key(opaque, code, down);
}

static void from_pointer(void *opaque, const struct input_pointer *p)
{
    i8042_mouse(opaque, p->x, p->y, p->wheel, p->buttons);
}

static bool mouse_listens(void *opaque)
{
    return i8042_mouse_enabled(opaque);
}

static const struct input_ops keyboard_input = {INPUT_KEYBOARD, NULL, from_keyboard, NULL};
static const struct input_ops mouse_input = {INPUT_RELATIVE, mouse_listens, NULL, from_pointer};

void i8042_set_a20(struct device *d, struct irq a20)
{
    ((struct i8042 *)d)->a20 = a20;
}

/* ---- life ---- */

static void i8042_loaded(void *obj)
{
    update_irq(obj);
}

static const struct state_table i8042_state = {1, i8042_fields, i8042_loaded};

static void i8042_reset(struct device *d)
{
    struct i8042 *s = (struct i8042 *)d;

    memset(s->ram, 0, sizeof(s->ram));
    s->ram[0] = CFG_KBD_INT | CFG_AUX_INT;
    s->status = ST_CMD;
    s->command = 0;
    s->outport = OUT_RESET | OUT_A20 | 0xcc; /* A20 on, as the processors start */
    s->full = s->full_aux = s->have_reply = s->released = false;
    s->next_byte = 0;
    timer_cancel(&s->timer);
    ps2_keyboard_reset(&s->keyboard);
    ps2_mouse_reset(&s->mouse);
    update_irq(s);
}

static bool i8042_realize(struct device *d, struct error *err)
{
    struct i8042 *s = (struct i8042 *)d;

    timer_init(&s->timer, d->machine->clock, gap_over, s);
    input_add(d->machine, d, &keyboard_input, s);
    input_add(d->machine, d, &mouse_input, s);
    return isa_claim_ports(d, 0x60, 1, &data_ops, s, err) &&
           isa_claim_ports(d, 0x64, 1, &command_ops, s, err);
}

const struct device_type i8042_type = {
    .name = "i8042",
    .summary = "keyboard controller, PS/2 keyboard and mouse",
    .bus = BUS_ISA,
    .size = sizeof(struct i8042),
    .state = &i8042_state,
    .realize = i8042_realize,
    .reset = i8042_reset,
};
