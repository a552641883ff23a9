/* MSI-X capability, table and pending bits. PCI Local Bus Specification 3.0, chapter 6.8.2.
 *
 * A message is a 32-bit memory write by the function: to the local APICs' window it is an
 * interrupt, elsewhere it is what it says. */
#include "hw/pci/msix.h"

#include "host/le.h"
#include "hw/intc/apic.h"

#include <string.h>

enum { CAP_MSIX = 0x11, CONTROL = 2, CONTROL_ENABLE = 0x8000, CONTROL_MASK = 0x4000 };
enum { ENTRY = 16, ENTRY_DATA = 8, ENTRY_CONTROL = 12, MASKED = 1 };
enum { PBA = 0x800, BAR_BYTES = 4096, PCI_COMMAND = 4, COMMAND_MASTER = 4 };

const struct state_field msix_fields[] = {
    STATE_BYTES(struct msix, table),
    STATE_BYTES(struct msix, pending),
    STATE_END,
};

static uint16_t control(const struct msix *x)
{
    return pci_get16(x->pci, x->cap + CONTROL);
}

bool msix_enabled(const struct msix *x)
{
    return x->n && (control(x) & CONTROL_ENABLE);
}

static bool masked(const struct msix *x, unsigned n)
{
    return (control(x) & CONTROL_MASK) || (x->table[n * ENTRY + ENTRY_CONTROL] & MASKED);
}

void pci_send_message(struct pci_device *p, uint64_t addr, uint32_t data)
{
    struct machine *m = p->dev.machine;
    uint64_t there;

    if (!(pci_get16(p, PCI_COMMAND) & COMMAND_MASTER)) {
        return;
    }
    if (addr >> 20 == 0xfee) {
        apic_send_msi(m, addr, data);
    } else if (memory_ram_pointer(m->memory, addr, 4, true, &there) && there == 4) {
        memory_write32(m->memory, addr, data); /* never to registers: our own */
    }
}

static void send(struct msix *x, unsigned n)
{
    const uint8_t *e = &x->table[n * ENTRY];

    pci_send_message(x->pci, le_get64(e), le_get32(e + ENTRY_DATA));
}

void msix_notify(struct msix *x, unsigned n)
{
    if (n >= x->n || !msix_enabled(x)) {
        return;
    }
    if (masked(x, n)) {
        x->pending[n / 8] |= (uint8_t)(1u << n % 8);
    } else {
        send(x, n);
    }
}

static void send_pending(struct msix *x)
{
    for (unsigned n = 0; n < x->n && msix_enabled(x); n++) {
        if ((x->pending[n / 8] >> n % 8 & 1) && !masked(x, n)) {
            x->pending[n / 8] &= (uint8_t) ~(1u << n % 8);
            send(x, n);
        }
    }
}

void msix_config_written(struct msix *x, unsigned offset, unsigned size)
{
    if (x->n && offset < x->cap + CONTROL + 2 && offset + size > x->cap + CONTROL) {
        send_pending(x);
    }
}

/* ---- the BAR ---- */

static uint8_t *byte_at(struct msix *x, uint64_t offset)
{
    if (offset < x->n * ENTRY) {
        return &x->table[offset];
    }
    return offset >= PBA && offset < PBA + (x->n + 7) / 8 ? &x->pending[offset - PBA] : NULL;
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++) {
        const uint8_t *p = byte_at(opaque, offset + i);
        v |= (uint64_t)(p ? *p : 0) << 8 * i;
    }
    return v;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct msix *x = opaque;

    for (unsigned i = 0; i < size; i++) {
        if (offset + i < x->n * ENTRY) {
            x->table[offset + i] = (uint8_t)(value >> 8 * i);
        }
    }
    send_pending(x);
}

static const struct mmio_ops bar_ops = {bar_read, bar_write, 1, 8};

/* ---- life ---- */

bool msix_init(struct msix *x, struct pci_device *p, unsigned bar, unsigned n, struct error *err)
{
    if (n > MSIX_MAX) {
        return error_set(err, "%s: vectors=%u: at most %d are possible", p->dev.type->name, n,
                         MSIX_MAX);
    }
    x->pci = p;
    x->n = n;
    if (!n) {
        return true;
    }
    x->cap = pci_add_capability(p, CAP_MSIX, 12);
    if (!x->cap) {
        return error_set(err, "%s: no room for the MSI-X capability", p->dev.type->name);
    }
    pci_set16(p, x->cap + CONTROL, (uint16_t)(n - 1));
    pci_set32(p, x->cap + 4, bar);
    pci_set32(p, x->cap + 8, PBA | bar);
    p->wmask[x->cap + CONTROL + 1] = (CONTROL_ENABLE | CONTROL_MASK) >> 8;
    pci_set_bar_mmio(p, bar, BAR_BYTES, false, &bar_ops, x);
    msix_reset(x);
    return true;
}

void msix_reset(struct msix *x)
{
    if (!x->n) {
        return;
    }
    memset(x->table, 0, sizeof(x->table));
    memset(x->pending, 0, sizeof(x->pending));
    for (unsigned n = 0; n < x->n; n++) {
        x->table[n * ENTRY + ENTRY_CONTROL] = MASKED;
    }
    pci_set16(x->pci, x->cap + CONTROL, control(x) & (uint16_t) ~(CONTROL_ENABLE | CONTROL_MASK));
}
