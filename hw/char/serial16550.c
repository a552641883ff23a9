/* 16550A UART, after the National Semiconductor PC16550D data sheet.
 *
 * The line itself is not modelled: characters leave as soon as they are written, and arrive as fast
 * as the guest empties the FIFO, whatever the divisor says. THRE is raised again a moment after a
 * write, by a timer of one character time capped at 50 us, so that drivers which wait for the
 * interrupt see one. Modem lines are those of a connected null modem. The devices around it are
 * isa-serial and pci-serial. */
#include "hw/char/serial16550.h"

#include "host/chardev.h"
#include "host/log.h"
#include "softmmu/machine.h"

#include <string.h>

enum { FIFO = UART_FIFO };

enum { IER_RDA = 1, IER_THRE = 2, IER_RLS = 4, IER_MS = 8 };
enum {
    IIR_NONE = 1,
    IIR_MS = 0,
    IIR_THRE = 2,
    IIR_RDA = 4,
    IIR_RLS = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFO = 0xc0
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4 };
enum { LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_PE = 4, LSR_FE = 8, LSR_BI = 16, LSR_THRE = 32, LSR_TEMT = 64 };
enum { MSR_CTS = 16, MSR_DSR = 32, MSR_RI = 64, MSR_DCD = 128 };

const struct state_field uart_fields[] = {
    STATE_U8(struct uart, ier),
    STATE_U8(struct uart, fcr),
    STATE_U8(struct uart, lcr),
    STATE_U8(struct uart, mcr),
    STATE_U8(struct uart, lsr),
    STATE_U8(struct uart, msr),
    STATE_U8(struct uart, scr),
    STATE_U16(struct uart, divisor),
    STATE_BYTES(struct uart, rx),
    STATE_U8(struct uart, rx_head),
    STATE_U8(struct uart, rx_count),
    STATE_BOOL(struct uart, thre_pending),
    STATE_BOOL(struct uart, timeout_pending),
    STATE_TIMER(struct uart, tx_done),
    STATE_TIMER(struct uart, rx_timeout),
    STATE_END,
};

static unsigned rx_trigger(const struct uart *s)
{
    static const uint8_t level[4] = {1, 4, 8, 14};
    return s->fcr & FCR_ENABLE ? level[s->fcr >> 6] : 1;
}

static uint8_t interrupt_id(const struct uart *s)
{
    if ((s->ier & IER_RLS) && (s->lsr & (LSR_OE | LSR_PE | LSR_FE | LSR_BI))) {
        return IIR_RLS;
    }
    if ((s->ier & IER_RDA) && s->rx_count >= rx_trigger(s)) {
        return IIR_RDA;
    }
    if ((s->ier & IER_RDA) && s->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((s->ier & IER_THRE) && s->thre_pending) {
        return IIR_THRE;
    }
    if ((s->ier & IER_MS) && (s->msr & 0x0f)) {
        return IIR_MS;
    }
    return IIR_NONE;
}

static void update_irq(struct uart *s)
{
    bool on = interrupt_id(s) != IIR_NONE && (s->mcr & MCR_OUT2) && !(s->mcr & MCR_LOOP);
    s->set_irq(s->opaque, on);
}

void uart_loaded(struct uart *s)
{
    s->rx_head %= FIFO; /* a damaged snapshot must not reach outside of the FIFO */
    s->rx_count = s->rx_count > FIFO ? 0 : s->rx_count;
    update_irq(s);
}

/* One character of 10 bits at 115200/divisor. */
static int64_t char_time(const struct uart *s)
{
    int64_t ns = (int64_t)(s->divisor ? s->divisor : 1) * 10 * 1000000000 / 115200;
    return ns < 50000 ? ns : 50000;
}

static void rx_push(struct uart *s, uint8_t byte)
{
    unsigned room = s->fcr & FCR_ENABLE ? FIFO : 1;

    if (s->rx_count >= room) {
        s->lsr |= LSR_OE;
        return;
    }
    s->rx[(s->rx_head + s->rx_count) % FIFO] = byte;
    s->rx_count++;
    s->lsr |= LSR_DR;
    timer_set(&s->rx_timeout, clock_now(s->machine->clock) + 4 * char_time(s));
}

static size_t serial_can_receive(void *opaque)
{
    struct uart *s = opaque;
    unsigned room = s->fcr & FCR_ENABLE ? FIFO : 1;

    return s->mcr & MCR_LOOP ? 0 : room - (s->rx_count < room ? s->rx_count : room);
}

static void serial_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct uart *s = opaque;

    for (size_t i = 0; i < len; i++) {
        rx_push(s, buf[i]);
    }
    update_irq(s);
}

static void serial_event(void *opaque, enum chardev_event ev)
{
    struct uart *s = opaque;

    if (ev == CHARDEV_BREAK) {
        rx_push(s, 0);
        s->lsr |= LSR_BI;
        update_irq(s);
    }
}

static void rx_timeout_expired(void *opaque)
{
    struct uart *s = opaque;

    if (s->rx_count) {
        s->timeout_pending = true;
        update_irq(s);
    }
}

static void tx_done_expired(void *opaque)
{
    struct uart *s = opaque;

    s->lsr |= LSR_THRE | LSR_TEMT;
    s->thre_pending = true;
    update_irq(s);
}

static void update_modem(struct uart *s)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD;

    if (s->mcr & MCR_LOOP) {
        lines = (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    uint8_t changed = (s->msr ^ lines) & 0xf0;
    uint8_t delta = (uint8_t)(changed >> 4 & 0x0b);
    if ((changed & MSR_RI) && !(lines & MSR_RI)) {
        delta |= 4; /* TERI: trailing edge */
    }
    s->msr = (uint8_t)(lines | (s->msr & 0x0f) | delta);
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned size)
{
    struct uart *s = opaque;
    uint8_t v = 0;

    (void)size;
    switch (offset) {
    case 0:
        if (s->lcr & LCR_DLAB) {
            return s->divisor & 0xff;
        }
        if (s->rx_count) {
            v = s->rx[s->rx_head];
            s->rx_head = (uint8_t)((s->rx_head + 1) % FIFO);
            s->rx_count--;
        }
        s->timeout_pending = false;
        if (!s->rx_count) {
            s->lsr &= (uint8_t) ~(LSR_DR | LSR_BI);
            timer_cancel(&s->rx_timeout);
        } else {
            timer_set(&s->rx_timeout, clock_now(s->machine->clock) + 4 * char_time(s));
        }
        update_irq(s);
        if (s->chardev) {
            chardev_accept_input(s->chardev);
        }
        return v;
    case 1:
        return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
    case 2:
        v = interrupt_id(s);
        if (v == IIR_THRE) {
            s->thre_pending = false;
            update_irq(s);
        }
        return v | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
    case 3:
        return s->lcr;
    case 4:
        return s->mcr;
    case 5:
        v = s->lsr;
        s->lsr &= (uint8_t) ~(LSR_OE | LSR_PE | LSR_FE | LSR_BI);
        update_irq(s);
        return v;
    case 6:
        v = s->msr;
        s->msr &= 0xf0;
        update_irq(s);
        return v;
    default:
        return s->scr;
    }
}

static void transmit(struct uart *s, uint8_t byte)
{
    s->thre_pending = false;
    if (s->mcr & MCR_LOOP) {
        rx_push(s, byte);
    } else if (s->chardev) {
        chardev_write(s->chardev, &byte, 1);
    }
    if (!(s->ier & IER_THRE)) {
        return; /* a polling driver: the shift register is empty again at once */
    }
    s->lsr &= (uint8_t) ~(LSR_THRE | LSR_TEMT);
    if (s->fcr & FCR_ENABLE) {
        s->lsr |= LSR_THRE;
        s->thre_pending = false;
    }
    if (!timer_armed(&s->tx_done)) {
        timer_set(&s->tx_done, clock_now(s->machine->clock) + char_time(s));
    }
}

static void write_fcr(struct uart *s, uint8_t v)
{
    if (((v ^ s->fcr) & FCR_ENABLE) || (v & FCR_CLEAR_RX)) {
        s->rx_count = 0;
        s->lsr &= (uint8_t)~LSR_DR;
        s->timeout_pending = false;
    }
    s->fcr = v & (0xc0 | 8 | FCR_ENABLE);
    if (!(v & FCR_ENABLE)) {
        s->fcr = 0;
    }
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct uart *s = opaque;
    uint8_t v = (uint8_t)value;

    log_trace(s->machine->log, serial_write, "register %u <- %02x", (unsigned)offset, v);
    (void)size;
    switch (offset) {
    case 0:
        if (s->lcr & LCR_DLAB) {
            s->divisor = (uint16_t)((s->divisor & 0xff00) | v);
        } else {
            transmit(s, v);
        }
        break;
    case 1:
        if (s->lcr & LCR_DLAB) {
            s->divisor = (uint16_t)((s->divisor & 0xff) | v << 8);
        } else {
            bool thre_on = (v & IER_THRE) && !(s->ier & IER_THRE);
            s->ier = v & 0x0f;
            if (thre_on && (s->lsr & LSR_THRE)) {
                s->thre_pending = true;
            }
        }
        break;
    case 2:
        write_fcr(s, v);
        if (s->chardev) {
            chardev_accept_input(s->chardev);
        }
        break;
    case 3:
        s->lcr = v;
        break;
    case 4:
        s->mcr = v & 0x1f;
        update_modem(s);
        if (s->chardev) {
            chardev_accept_input(s->chardev);
        }
        break;
    case 7:
        s->scr = v;
        break;
    default:
        break; /* LSR and MSR are read only */
    }
    update_irq(s);
}

const struct mmio_ops uart_ops = {serial_read, serial_write, 1, 1};

void uart_reset(struct uart *s)
{
    s->ier = s->fcr = s->lcr = s->scr = 0;
    s->mcr = MCR_OUT2;
    s->lsr = LSR_THRE | LSR_TEMT;
    s->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    s->divisor = 12;
    s->rx_head = s->rx_count = 0;
    s->thre_pending = s->timeout_pending = false;
    timer_cancel(&s->tx_done);
    timer_cancel(&s->rx_timeout);
    s->set_irq(s->opaque, 0);
}

bool uart_init(struct uart *s, struct machine *m, struct chardev *c,
               void (*set_irq)(void *opaque, int level), void *opaque, struct error *err)
{
    const struct chardev_frontend fe = {s, serial_can_receive, serial_receive, serial_event};

    s->machine = m;
    s->chardev = c;
    s->set_irq = set_irq;
    s->opaque = opaque;
    timer_init(&s->tx_done, m->clock, tx_done_expired, s);
    timer_init(&s->rx_timeout, m->clock, rx_timeout_expired, s);
    return !c || chardev_connect(c, &fe, err);
}
