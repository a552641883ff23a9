/* The 16550A UART that isa-serial and pci-serial are made of. */
#ifndef HW_CHAR_SERIAL16550_H
#define HW_CHAR_SERIAL16550_H

#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "softmmu/state.h"

enum { UART_FIFO = 16, UART_REGS = 8 };

struct chardev;

struct uart {
    struct machine *machine;
    struct chardev *chardev; /* NULL: nothing is connected */
    void (*set_irq)(void *opaque, int level);
    void *opaque;

    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    uint8_t rx[UART_FIFO];
    uint8_t rx_head, rx_count;
    bool thre_pending; /* THRE interrupt not yet acknowledged */
    bool timeout_pending;
    struct timer tx_done, rx_timeout;
};

extern const struct state_field uart_fields[];
#define STATE_UART(st, f)                                                                          \
    {                                                                                              \
#f, ST_STRUCT, offsetof(st, f), 1, 1, sizeof(struct uart), uart_fields                     \
    }
extern const struct mmio_ops uart_ops; /* UART_REGS bytes; opaque is the struct uart */

/* Connects to c, which may be NULL. */
bool uart_init(struct uart *u, struct machine *m, struct chardev *c,
               void (*set_irq)(void *opaque, int level), void *opaque, struct error *err);
void uart_reset(struct uart *u);
void uart_loaded(struct uart *u);

#endif
