/* Parallel port, IEEE 1284 in its compatibility (SPP) and EPP modes: LPT1 to LPT3. Registers as in
 * the SMC FDC37C665 data sheet: data, status, control, EPP address, EPP data (four ports).
 *
 * The device at the other end is a printer that takes each byte at its strobe: it goes to the
 * chardev. An EPP write is taken the same way; nobody answers an EPP read, which ends in a
 * time-out. Left out: ECP, and input by the status lines. */
#include "host/chardev.h"
#include "hw/char/isa_port.h"

enum { R_DATA, R_STATUS, R_CONTROL, R_EPP_ADDRESS, R_EPP_DATA, REGS = 8 };
enum { S_TIMEOUT = 1, S_ERROR = 8, S_SELECT = 0x10, S_PAPER = 0x20, S_ACK = 0x40, S_BUSY = 0x80 };
enum { C_STROBE = 1, C_AUTOFEED = 2, C_INIT = 4, C_SELECT = 8, C_IRQ = 0x10, C_INPUT = 0x20 };

struct parallel {
    struct isa_port port; /* must be first */
    struct chardev *chardev;

    uint8_t data, control;
    bool timeout;
};

static const struct state_field parallel_fields[] = {
    STATE_U8(struct parallel, data),
    STATE_U8(struct parallel, control),
    STATE_BOOL(struct parallel, timeout),
    STATE_END,
};
static const struct state_table parallel_state = {1, parallel_fields, NULL};

static void print(struct parallel *p, uint8_t byte)
{
    if (p->chardev) {
        chardev_write(p->chardev, &byte, 1);
    }
}

/* Bits that the connector inverts read as they are on the wire: idle, selected, no error. */
static uint8_t status(const struct parallel *p)
{
    uint8_t lines = p->chardev ? S_ERROR | S_SELECT | S_ACK | S_BUSY : S_ERROR | S_ACK | S_PAPER;

    return lines | (p->timeout ? S_TIMEOUT : 0);
}

static uint64_t parallel_read(void *opaque, uint64_t offset, unsigned size)
{
    struct parallel *p = opaque;

    (void)size;
    switch (offset) {
    case R_DATA:
        return p->control & C_INPUT ? 0xff : p->data; /* nobody drives the lines */
    case R_STATUS:
        return status(p);
    case R_CONTROL:
        return p->control | 0xc0;
    default:
        p->timeout = true;
        return 0xff;
    }
}

static void write_control(struct parallel *p, uint8_t v)
{
    bool strobe = (v & C_STROBE) && !(p->control & C_STROBE);

    p->control = v & 0x3f;
    if (strobe && (v & C_INIT)) {
        print(p, p->data);
        if (v & C_IRQ) {
            irq_pulse(isa_irq(p->port.dev.machine, p->port.irq)); /* nAck */
        }
    }
}

static void parallel_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct parallel *p = opaque;
    uint8_t v = (uint8_t)value;

    (void)size;
    log_trace(p->port.dev.machine->log, parallel_write, "register %u <- %02x", (unsigned)offset, v);
    switch (offset) {
    case R_DATA:
        p->data = v;
        break;
    case R_STATUS:
        p->timeout = p->timeout && !(v & S_TIMEOUT);
        break;
    case R_CONTROL:
        write_control(p, v);
        break;
    case R_EPP_ADDRESS:
        p->timeout |= !p->chardev; /* no device, no handshake; ours has one address */
        break;
    default:
        if (p->chardev) {
            print(p, v);
        } else {
            p->timeout = true;
        }
        break;
    }
}

static const struct mmio_ops parallel_ops = {parallel_read, parallel_write, 1, 1};

static void parallel_reset(struct device *d)
{
    struct parallel *p = (struct parallel *)d;

    p->data = 0;
    p->control = C_INIT | C_SELECT;
    p->timeout = false;
}

static size_t no_input(void *opaque)
{
    (void)opaque;
    return 0;
}

static void drop_input(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    (void)buf;
    (void)len;
}

static bool parallel_realize(struct device *d, struct error *err)
{
    static const struct isa_port_kind lpt = {3, {0x378, 0x278, 0x3bc}, {7, 5, 7}, ""};
    struct parallel *p = (struct parallel *)d;
    const struct chardev_frontend fe = {p, no_input, drop_input, NULL};

    if (!isa_port_place(&p->port, &lpt, err)) {
        return false;
    }
    /* 3bc leaves no room for the EPP registers: the display adapter's begin at 3c0. */
    unsigned count = p->port.iobase & 7 ? R_EPP_ADDRESS : REGS;
    return (!p->chardev || chardev_connect(p->chardev, &fe, err)) &&
           isa_claim_ports(d, p->port.iobase, count, &parallel_ops, p, err);
}

static const struct property parallel_props[] = {
    ISA_PORT_PROPS("which LPT port: 0 to 2 (default: the first that is free)"),
    PROP_CHARDEV(struct parallel, chardev, "where what is printed goes"),
    PROP_END,
};

const struct device_type parallel_type = {
    .name = "isa-parallel",
    .summary = "parallel port",
    .bus = BUS_ISA,
    .size = sizeof(struct parallel),
    .props = parallel_props,
    .state = &parallel_state,
    .realize = parallel_realize,
    .reset = parallel_reset,
    .user_creatable = true,
    .category = "Input",
};
