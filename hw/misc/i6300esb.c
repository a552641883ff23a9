/* Watchdog of the Intel 6300ESB I/O controller hub, PCI 8086:25ab. Intel 6300ESB ICH Datasheet
 * 300641, chapter "Watchdog timer".
 *
 * Two stages: timer 1 counts down, then timer 2, at whose end the machine is acted upon
 * (machine->action.watchdog). Registers of time and reload open for one write after 80h, 86h was
 * written to the reload register. Left out: the interrupt at the end of stage 1 (drivers leave it
 * off), free-running mode's toggling output. */
#include "hw/pci/pci.h"

enum { C_CONFIG = 0x60, C_LOCK = 0x68 }; /* configuration space */
enum {
    CONFIG_FAST = 4,
    CONFIG_NO_OUTPUT = 0x20,
    LOCK_LOCK = 1,
    LOCK_ENABLE = 2,
    LOCK_FREE_RUN = 4
};
enum { R_TIMER1 = 0x00, R_TIMER2 = 0x04, R_STATUS = 0x08, R_RELOAD = 0x0c, REGS = 16 };
enum { RELOAD_NOW = 0x100, RELOAD_TIMEOUT = 0x200, PRELOAD_MAX = 0xfffff };
enum { PCI_CLOCK_NS = 30, SHORTEST_NS = 100000 /* a guest must not keep the main loop busy */ };

struct i6300esb {
    struct pci_device pci; /* must be first */
    char *addr, *bus;

    uint32_t preload[2]; /* ticks of the stages */
    uint8_t stage;       /* 1 or 2 */
    uint8_t unlock;      /* steps of the sequence that were seen: 2 is open */
    bool timed_out;      /* survives the reset it caused */
    struct timer timer;
};

static const struct state_field esb_fields[] = {
    STATE_PCI(struct i6300esb, pci),
    STATE_U32(struct i6300esb, preload),
    STATE_U8(struct i6300esb, stage),
    STATE_U8(struct i6300esb, unlock),
    STATE_BOOL(struct i6300esb, timed_out),
    STATE_TIMER(struct i6300esb, timer),
    STATE_END,
};

static void esb_loaded(void *obj)
{
    struct i6300esb *s = obj;

    s->stage = s->stage == 2 ? 2 : 1;
    s->preload[0] &= PRELOAD_MAX;
    s->preload[1] &= PRELOAD_MAX;
    pci_device_loaded(&s->pci);
}

static const struct state_table esb_state = {1, esb_fields, esb_loaded};

static bool enabled(const struct i6300esb *s)
{
    return s->pci.config[C_LOCK] & LOCK_ENABLE;
}

static void start_stage(struct i6300esb *s, uint8_t stage)
{
    unsigned shift =
        s->pci.config[C_CONFIG] & CONFIG_FAST ? 5 : 15; /* PCI clocks a tick: about 1 us or 1 ms */
    int64_t ns = (int64_t)((uint64_t)s->preload[stage - 1] << shift) * PCI_CLOCK_NS;

    s->stage = stage;
    ns = ns > SHORTEST_NS ? ns : SHORTEST_NS;
    timer_set(&s->timer, clock_now(s->pci.dev.machine->clock) + ns);
}

static void restart(struct i6300esb *s)
{
    if (enabled(s)) {
        start_stage(s, 1);
    } else {
        timer_cancel(&s->timer);
    }
}

static void expired(void *opaque)
{
    struct i6300esb *s = opaque;

    if (!enabled(s)) {
        return;
    }
    if (s->stage == 1 && !(s->pci.config[C_LOCK] & LOCK_FREE_RUN)) {
        start_stage(s, 2);
        return;
    }
    if (!(s->pci.config[C_CONFIG] & CONFIG_NO_OUTPUT)) {
        s->timed_out = true;
        machine_request(s->pci.dev.machine, REQUEST_WATCHDOG, "the watchdog i6300esb expired");
    }
    if (s->pci.config[C_LOCK] & LOCK_FREE_RUN) {
        start_stage(s, 1);
    }
}

static uint64_t esb_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i6300esb *s = opaque;

    (void)size;
    return offset == R_RELOAD && s->timed_out ? RELOAD_TIMEOUT
                                              : 0; /* the preloads are write only */
}

static void write_reload(struct i6300esb *s, uint32_t v)
{
    if (v == 0x80) {
        s->unlock = 1;
        return;
    }
    if (v == 0x86 && s->unlock == 1) {
        s->unlock = 2;
        return;
    }
    if (s->unlock == 2 && (v & RELOAD_NOW)) {
        restart(s);
    }
    if (s->unlock == 2 && (v & RELOAD_TIMEOUT)) {
        s->timed_out = false;
    }
    s->unlock = 0;
}

static void esb_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i6300esb *s = opaque;

    (void)size;
    log_trace(s->pci.dev.machine->log, i6300esb_write, "register %02x <- %05x", (unsigned)offset,
              (unsigned)value);
    if (offset == R_RELOAD) {
        write_reload(s, (uint32_t)value & 0xffff);
    } else if (offset == R_TIMER1 || offset == R_TIMER2) {
        if (s->unlock == 2) {
            s->preload[offset / 4] = (uint32_t)value & PRELOAD_MAX;
        }
        s->unlock = 0;
    }
}

static const struct mmio_ops esb_ops = {esb_read, esb_write, 1, 4};

static void config_written(struct pci_device *p, unsigned offset, unsigned size)
{
    struct i6300esb *s = (struct i6300esb *)p;

    if (offset > C_LOCK || offset + size <= C_LOCK) {
        return;
    }
    if (p->config[C_LOCK] & LOCK_LOCK) {
        p->wmask[C_LOCK] = 0; /* until the next reset */
    }
    if (enabled(s) != timer_armed(&s->timer)) {
        restart(s);
    }
}

static void esb_reset(struct device *d)
{
    struct i6300esb *s = (struct i6300esb *)d;

    s->preload[0] = s->preload[1] = PRELOAD_MAX;
    s->stage = 1;
    s->unlock = 0;
    s->pci.config[C_CONFIG] = s->pci.config[C_LOCK] = 0;
    s->pci.wmask[C_LOCK] = LOCK_LOCK | LOCK_ENABLE | LOCK_FREE_RUN;
    timer_cancel(&s->timer);
    pci_device_reset(&s->pci);
}

static bool esb_realize(struct device *d, struct error *err)
{
    struct i6300esb *s = (struct i6300esb *)d;
    int devfn;

    if (!pci_parse_address(s->bus, s->addr, &devfn, err) || !pci_register(&s->pci, devfn, err)) {
        return false;
    }
    timer_init(&s->timer, d->machine->clock, expired, s);
    s->pci.config_written = config_written;
    s->pci.wmask[C_CONFIG] = 0x27;
    pci_set_bar_mmio(&s->pci, 0, REGS, false, &esb_ops, s);
    return true;
}

static const struct property esb_props[] = {
    PROP_STRING(struct i6300esb, addr, "PCI slot, or slot.function, in hex"),
    PROP_STRING(struct i6300esb, bus, "PCI bus: pci.0 is the only one"),
    PROP_END,
};

static const struct pci_info esb_info = {
    .vendor = 0x8086,
    .device = 0x25ab,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class = 8,
    .subclass = 0x80,
};

const struct device_type i6300esb_type = {
    .name = "i6300esb",
    .summary = "Intel 6300ESB watchdog",
    .bus = BUS_PCI,
    .size = sizeof(struct i6300esb),
    .props = esb_props,
    .state = &esb_state,
    .realize = esb_realize,
    .reset = esb_reset,
    .user_creatable = true,
    .bus_info = &esb_info,
};
