/* Virtio over PCI: the transitional device, that is both the interface of VIRTIO 1.1 (chapter 4.1)
 * in BAR 4 and the legacy one in the ports of BAR 0, with MSI-X in BAR 1.
 *
 * disable-legacy leaves the first and gives the device its own PCI id (0x1040 and up),
 * disable-modern leaves the second. Left out: packed rings, queue reset, notification data, shared
 * memory. */
#include "hw/virtio/virtio.h"

#include "host/le.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4 };
enum { /* regions of BAR_MODERN */
       COMMON_AT = 0x0000,
       ISR_AT = 0x1000,
       DEVICE_AT = 0x2000,
       NOTIFY_AT = 0x3000,
       REGION = 0x1000,
       MODERN_BYTES = 0x4000,
       NOTIFY_STEP = 4,
};
enum { CAP_VENDOR = 9, CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_WINDOW };
enum { COMMON_BYTES = 56 };
enum { /* registers of the legacy interface */
       OLD_FEATURES = 0,
       OLD_DRIVER_FEATURES = 4,
       OLD_QUEUE_PAGE = 8,
       OLD_QUEUE_SIZE = 12,
       OLD_QUEUE_SELECT = 14,
       OLD_NOTIFY = 16,
       OLD_STATUS = 18,
       OLD_ISR = 19,
       OLD_CONFIG_VECTOR = 20,
       OLD_QUEUE_VECTOR = 22,
       OLD_PAGE = 4096,
};
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };
enum {
    PCI_COMMAND = 4,
    COMMAND_MASTER = 4,
    PCI_DEVICE_ID = 2,
    PCI_REVISION = 8,
    PCI_SUBSYSTEM = 0x2e
};

const struct state_field virtio_fields[] = {
    STATE_PCI(struct virtio, pci),
    STATE_MSIX(struct virtio, msix),
    STATE_U64(struct virtio, features),
    STATE_U32(struct virtio, feature_select),
    STATE_U32(struct virtio, driver_feature_select),
    STATE_U8(struct virtio, status),
    STATE_U8(struct virtio, isr),
    STATE_U8(struct virtio, generation),
    STATE_U16(struct virtio, config_vector),
    STATE_U16(struct virtio, queue_select),
    STATE_STRUCT(struct virtio, queue, VIRTIO_MAX_QUEUES, virtqueue_fields),
    STATE_END,
};

bool virtio_running(const struct virtio *v)
{
    bool master = pci_get16(&v->pci, PCI_COMMAND) & COMMAND_MASTER;

    /* Old drivers forget to switch bus mastering on. */
    return (v->status & VIRTIO_DRIVER_OK) && !(v->status & VIRTIO_NEEDS_RESET) &&
           (master || !virtio_has(v, VIRTIO_F_VERSION_1));
}

/* ---- interrupts ---- */

static void interrupt(struct virtio *v, uint16_t vector, uint8_t why)
{
    if (msix_enabled(&v->msix)) {
        msix_notify(&v->msix, vector);
        return;
    }
    v->isr |= why;
    pci_set_intx(&v->pci, 1);
}

void virtio_interrupt(struct virtio *v, uint16_t vector)
{
    interrupt(v, vector, ISR_QUEUE);
}

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    if (v->status & VIRTIO_DRIVER_OK) {
        interrupt(v, v->config_vector, ISR_CONFIG);
    }
}

void virtio_error(struct virtio *v, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_at(v->pci.dev.machine->log, LOG_GUEST_ERROR, "%s: %s\n", v->pci.dev.type->name, text);
    if (v->status & VIRTIO_NEEDS_RESET) {
        return;
    }
    v->status |= VIRTIO_NEEDS_RESET;
    virtio_config_changed(v);
}

static uint8_t isr_take(struct virtio *v)
{
    uint8_t isr = v->isr;

    v->isr = 0;
    pci_set_intx(&v->pci, 0);
    return isr;
}

/* ---- negotiation ---- */

static uint64_t offered(struct virtio *v, bool modern)
{
    uint64_t f = v->class->features(v);

    f |= v->indirect ? UINT64_C(1) << VIRTIO_RING_F_INDIRECT : 0;
    f |= v->event_idx ? UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX : 0;
    if (modern) {
        return f | UINT64_C(1) << VIRTIO_F_VERSION_1;
    }
    return (f | 1u << VIRTIO_F_NOTIFY_ON_EMPTY | 1u << VIRTIO_F_ANY_LAYOUT) & UINT32_MAX;
}

static void choose_features(struct virtio *v, uint64_t features, bool modern)
{
    v->features = features & offered(v, modern);
    if (v->class->features_set) {
        v->class->features_set(v);
    }
}

static void soft_reset(struct virtio *v)
{
    if (v->class->reset) {
        v->class->reset(v);
    }
    v->features = 0;
    v->feature_select = v->driver_feature_select = 0;
    v->status = 0;
    v->queue_select = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        virtqueue_reset(&v->queue[i]);
    }
    isr_take(v);
}

static void kick(struct virtio *v, unsigned n)
{
    if (n < VIRTIO_MAX_QUEUES && v->queue[n].ready && virtio_running(v)) {
        v->class->kick(v, &v->queue[n]);
    }
}

static void kick_all(struct virtio *v)
{
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        kick(v, i);
    }
}

static void set_status(struct virtio *v, uint8_t status, bool modern)
{
    uint8_t old = v->status;

    if (!status) {
        soft_reset(v);
        return;
    }
    if (modern && (status & VIRTIO_FEATURES_OK) && !virtio_has(v, VIRTIO_F_VERSION_1)) {
        status &= (uint8_t)~VIRTIO_FEATURES_OK;
    }
    v->status = (uint8_t)(status | (old & VIRTIO_NEEDS_RESET));
    if ((status & VIRTIO_DRIVER_OK) && !(old & VIRTIO_DRIVER_OK)) {
        kick_all(v); /* what was made available before */
    }
}

/* ---- queues ---- */

static struct virtqueue *selected(struct virtio *v)
{
    struct virtqueue *q = v->queue_select < VIRTIO_MAX_QUEUES ? &v->queue[v->queue_select] : NULL;

    return q && q->num_max ? q : NULL;
}

static uint16_t known_vector(const struct virtio *v, uint64_t vector)
{
    return vector < v->msix.n ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

static void set_queue_size(struct virtio *v, struct virtqueue *q, uint64_t num)
{
    if (q->ready || !num || num > q->num_max || (num & (num - 1))) {
        log_at(v->pci.dev.machine->log, LOG_GUEST_ERROR, "%s: queue %u cannot have %llu entries\n",
               v->pci.dev.type->name, q->index, (unsigned long long)num);
        return;
    }
    q->num = (uint16_t)num;
}

/* ---- device configuration ---- */

static uint64_t config_read(struct virtio *v, uint64_t offset, unsigned size)
{
    uint8_t config[VIRTIO_MAX_CONFIG] = {0};
    uint64_t value = 0;

    v->class->config_read(v, config);
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = offset + i < v->class->config_size ? config[offset + i] : 0;
        value |= (uint64_t)byte << 8 * i;
    }
    return value;
}

static void config_write(struct virtio *v, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t config[VIRTIO_MAX_CONFIG] = {0};

    if (!v->class->config_write || offset + size > v->class->config_size) {
        return;
    }
    v->class->config_read(v, config);
    for (unsigned i = 0; i < size; i++) {
        config[offset + i] = (uint8_t)(value >> 8 * i);
    }
    v->class->config_write(v, config, (unsigned)offset, size);
}

/* ---- the modern interface ---- */

/* A register of the common configuration: where, how wide, and what it does. */
struct reg {
    uint8_t offset, size;
    uint64_t (*read)(struct virtio *v, struct virtqueue *q);
    void (*write)(struct virtio *v, struct virtqueue *q, uint64_t value); /* NULL: read only */
    bool of_queue; /* needs a queue to be selected: reads 0 without one */
};

static uint64_t read_features(struct virtio *v, struct virtqueue *q)
{
    (void)q;
    return v->feature_select < 2 ? (uint32_t)(offered(v, true) >> 32 * v->feature_select) : 0;
}
static uint64_t read_driver_features(struct virtio *v, struct virtqueue *q)
{
    (void)q;
    return v->driver_feature_select < 2 ? (uint32_t)(v->features >> 32 * v->driver_feature_select)
                                        : 0;
}
static void write_driver_features(struct virtio *v, struct virtqueue *q, uint64_t value)
{
    unsigned shift = 32 * v->driver_feature_select;

    (void)q;
    if (v->driver_feature_select < 2 && !(v->status & VIRTIO_FEATURES_OK)) {
        uint64_t others = v->features & ~(UINT64_C(0xffffffff) << shift);
        choose_features(v, others | (value & UINT32_MAX) << shift, true);
    }
}
static uint64_t read_num_queues(struct virtio *v, struct virtqueue *q)
{
    unsigned n = 0;

    (void)q;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        n = v->queue[i].num_max ? i + 1 : n;
    }
    return n;
}
static void write_status(struct virtio *v, struct virtqueue *q, uint64_t value)
{
    (void)q;
    set_status(v, (uint8_t)value, true);
}
static void write_config_vector(struct virtio *v, struct virtqueue *q, uint64_t value)
{
    (void)q;
    v->config_vector = known_vector(v, value);
}
static void write_queue_size(struct virtio *v, struct virtqueue *q, uint64_t value)
{
    set_queue_size(v, q, value);
}
static void write_queue_vector(struct virtio *v, struct virtqueue *q, uint64_t value)
{
    q->vector = known_vector(v, value);
}
static void write_queue_enable(struct virtio *v, struct virtqueue *q, uint64_t value)
{
    if (value != 1) {
        return;
    }
    if ((q->desc & 15) || (q->avail & 1) || (q->used & 3)) {
        virtio_error(v, "queue %u: rings are not aligned", q->index);
        return;
    }
    q->ready = true;
}

#define SIMPLE(name, field)                                                                        \
    static uint64_t read_##name(struct virtio *v, struct virtqueue *q)                             \
    {                                                                                              \
        (void)v;                                                                                   \
        (void)q;                                                                                   \
        return field;                                                                              \
    }
#define ASSIGN(name, field, type)                                                                  \
    SIMPLE(name, field)                                                                            \
    static void write_##name(struct virtio *v, struct virtqueue *q, uint64_t value)                \
    {                                                                                              \
        (void)v;                                                                                   \
        (void)q;                                                                                   \
        field = (type)value;                                                                       \
    }
#define HALVES(name, field)                                                                        \
    SIMPLE(name##_low, (uint32_t)q->field)                                                         \
    SIMPLE(name##_high, q->field >> 32)                                                            \
    static void write_##name##_low(struct virtio *v, struct virtqueue *q, uint64_t value)          \
    {                                                                                              \
        (void)v;                                                                                   \
        q->field = (q->field & ~UINT64_C(0xffffffff)) | (value & UINT32_MAX);                      \
    }                                                                                              \
    static void write_##name##_high(struct virtio *v, struct virtqueue *q, uint64_t value)         \
    {                                                                                              \
        (void)v;                                                                                   \
        q->field = (uint32_t)q->field | value << 32;                                               \
    }
ASSIGN(feature_select, v->feature_select, uint32_t)
ASSIGN(driver_feature_select, v->driver_feature_select, uint32_t)
ASSIGN(queue_select, v->queue_select, uint16_t)
SIMPLE(config_vector, v->config_vector)
SIMPLE(status, v->status)
SIMPLE(generation, v->generation)
SIMPLE(queue_size, q->num)
SIMPLE(queue_vector, q->vector)
SIMPLE(queue_enable, q->ready)
SIMPLE(queue_notify_off, q->index)
HALVES(desc, desc)
HALVES(avail, avail)
HALVES(used, used)

static const struct reg common_regs[] = {
    {0, 4, read_feature_select, write_feature_select, false},
    {4, 4, read_features, NULL, false},
    {8, 4, read_driver_feature_select, write_driver_feature_select, false},
    {12, 4, read_driver_features, write_driver_features, false},
    {16, 2, read_config_vector, write_config_vector, false},
    {18, 2, read_num_queues, NULL, false},
    {20, 1, read_status, write_status, false},
    {21, 1, read_generation, NULL, false},
    {22, 2, read_queue_select, write_queue_select, false},
    {24, 2, read_queue_size, write_queue_size, true},
    {26, 2, read_queue_vector, write_queue_vector, true},
    {28, 2, read_queue_enable, write_queue_enable, true},
    {30, 2, read_queue_notify_off, NULL, true},
    {32, 4, read_desc_low, write_desc_low, true},
    {36, 4, read_desc_high, write_desc_high, true},
    {40, 4, read_avail_low, write_avail_low, true},
    {44, 4, read_avail_high, write_avail_high, true},
    {48, 4, read_used_low, write_used_low, true},
    {52, 4, read_used_high, write_used_high, true},
};

static const struct reg *common_reg(uint64_t offset)
{
    for (unsigned i = 0; i < sizeof(common_regs) / sizeof(common_regs[0]); i++) {
        if (offset - common_regs[i].offset < common_regs[i].size) {
            return &common_regs[i];
        }
    }
    return NULL;
}

static uint64_t common_read(struct virtio *v, uint64_t offset, unsigned size)
{
    const struct reg *r = common_reg(offset);
    struct virtqueue *q = selected(v);

    (void)size;
    if (!r || (r->of_queue && !q)) {
        return 0;
    }
    return r->read(v, q) >> 8 * (offset - r->offset);
}

static void common_write(struct virtio *v, uint64_t offset, uint64_t value, unsigned size)
{
    const struct reg *r = common_reg(offset);
    struct virtqueue *q = selected(v);

    if (!r || !r->write || (r->of_queue && !q)) {
        return;
    }
    if (r->offset != offset || r->size != size) {
        log_at(v->pci.dev.machine->log, LOG_GUEST_ERROR,
               "%s: write of %u bytes at %#llx of the common configuration\n",
               v->pci.dev.type->name, size, (unsigned long long)offset);
        return;
    }
    if (r->of_queue && q->ready && r->write != write_queue_vector) {
        return; /* what is in use is not moved */
    }
    r->write(v, q, value);
}

static uint64_t modern_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio *v = opaque;

    switch (offset & ~(uint64_t)(REGION - 1)) {
    case COMMON_AT:
        return common_read(v, offset, size);
    case ISR_AT:
        return offset == ISR_AT ? isr_take(v) : 0;
    case DEVICE_AT:
        return config_read(v, offset - DEVICE_AT, size);
    default:
        return 0;
    }
}

static void modern_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct virtio *v = opaque;

    switch (offset & ~(uint64_t)(REGION - 1)) {
    case COMMON_AT:
        common_write(v, offset, value, size);
        break;
    case DEVICE_AT:
        config_write(v, offset - DEVICE_AT, value, size);
        break;
    case NOTIFY_AT:
        kick(v, (unsigned)(offset - NOTIFY_AT) / NOTIFY_STEP);
        break;
    default:
        break;
    }
}

static const struct mmio_ops modern_ops = {modern_read, modern_write, 1, 4};

/* ---- the legacy interface ---- */

static unsigned old_config_at(const struct virtio *v)
{
    return msix_enabled(&v->msix) ? 24 : 20;
}

/* One page-aligned block holds all three rings. */
static void set_queue_page(struct virtio *v, uint32_t page)
{
    struct virtqueue *q = selected(v);

    if (!page) {
        soft_reset(v);
        return;
    }
    if (!q) {
        return;
    }
    q->num = q->num_max;
    q->desc = (uint64_t)page * OLD_PAGE;
    q->avail = q->desc + 16u * q->num;
    q->used = (q->avail + 4 + 2u * q->num + 2 + OLD_PAGE - 1) & ~(uint64_t)(OLD_PAGE - 1);
    q->ready = true;
}

static uint64_t old_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio *v = opaque;
    struct virtqueue *q = selected(v);

    if (offset >= old_config_at(v)) {
        return config_read(v, offset - old_config_at(v), size);
    }
    switch (offset) {
    case OLD_FEATURES:
        return offered(v, false);
    case OLD_DRIVER_FEATURES:
        return (uint32_t)v->features;
    case OLD_QUEUE_PAGE:
        return q && q->ready ? q->desc / OLD_PAGE : 0;
    case OLD_QUEUE_SIZE:
        return q ? q->num_max : 0;
    case OLD_QUEUE_SELECT:
        return v->queue_select;
    case OLD_STATUS:
        return v->status;
    case OLD_ISR:
        return isr_take(v);
    case OLD_CONFIG_VECTOR:
        return v->config_vector;
    case OLD_QUEUE_VECTOR:
        return q ? q->vector : VIRTIO_NO_VECTOR;
    default:
        return 0;
    }
}

static void old_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct virtio *v = opaque;
    struct virtqueue *q = selected(v);

    if (offset >= old_config_at(v)) {
        config_write(v, offset - old_config_at(v), value, size);
        return;
    }
    switch (offset) {
    case OLD_DRIVER_FEATURES:
        choose_features(v, (uint32_t)value, false);
        break;
    case OLD_QUEUE_PAGE:
        set_queue_page(v, (uint32_t)value);
        break;
    case OLD_QUEUE_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    case OLD_NOTIFY:
        kick(v, (unsigned)value & 0xffff);
        break;
    case OLD_STATUS:
        set_status(v, (uint8_t)value, false);
        break;
    case OLD_CONFIG_VECTOR:
        v->config_vector = known_vector(v, value);
        break;
    case OLD_QUEUE_VECTOR:
        if (q) {
            q->vector = known_vector(v, value);
        }
        break;
    default:
        break;
    }
}

static const struct mmio_ops old_ops = {old_read, old_write, 1, 4};

/* ---- the window in the configuration space ---- */

enum { WINDOW_BAR = 4, WINDOW_OFFSET = 8, WINDOW_LENGTH = 12, WINDOW_DATA = 16 };

/* Which access the window asks for; false: none that is allowed. */
static bool window_access(const struct virtio *v, uint32_t *offset, uint32_t *size)
{
    *offset = pci_get32(&v->pci, v->pci_cfg + WINDOW_OFFSET);
    *size = pci_get32(&v->pci, v->pci_cfg + WINDOW_LENGTH);
    return v->pci.config[v->pci_cfg + WINDOW_BAR] == BAR_MODERN &&
           (*size == 1 || *size == 2 || *size == 4) && !(*offset & (*size - 1)) &&
           *offset < MODERN_BYTES;
}

static bool touches_window(const struct virtio *v, unsigned offset, unsigned size)
{
    unsigned data = v->pci_cfg + WINDOW_DATA;

    return v->pci_cfg && offset < data + 4 && offset + size > data;
}

static void config_reading(struct pci_device *p, unsigned offset, unsigned size)
{
    struct virtio *v = container_of(p, struct virtio, pci);
    uint32_t at, n;

    if (touches_window(v, offset, size) && window_access(v, &at, &n)) {
        pci_set32(p, v->pci_cfg + WINDOW_DATA, (uint32_t)modern_read(v, at, n));
    }
}

static void config_written(struct pci_device *p, unsigned offset, unsigned size)
{
    struct virtio *v = container_of(p, struct virtio, pci);
    uint32_t at, n;

    msix_config_written(&v->msix, offset, size);
    if (touches_window(v, offset, size) && window_access(v, &at, &n)) {
        uint32_t value = pci_get32(p, v->pci_cfg + WINDOW_DATA);
        modern_write(v, at, n == 4 ? value : value & ((1u << 8 * n) - 1), n);
    }
}

/* ---- life ---- */

static unsigned add_capability(struct virtio *v, uint8_t type, uint32_t offset, uint32_t bytes,
                               unsigned size)
{
    struct pci_device *p = &v->pci;
    unsigned at = pci_add_capability(p, CAP_VENDOR, size);

    if (at) {
        p->config[at + 2] = (uint8_t)size;
        p->config[at + 3] = type;
        p->config[at + 4] = type == CAP_WINDOW ? 0 : BAR_MODERN;
        pci_set32(p, at + 8, offset);
        pci_set32(p, at + 12, bytes);
    }
    return at;
}

static bool add_modern(struct virtio *v, struct error *err)
{
    struct pci_device *p = &v->pci;
    unsigned notify;

    v->pci_cfg = add_capability(v, CAP_WINDOW, 0, 0, 20);
    notify = add_capability(v, CAP_NOTIFY, NOTIFY_AT, REGION, 20);
    if (!v->pci_cfg || !notify || !add_capability(v, CAP_DEVICE, DEVICE_AT, REGION, 16) ||
        !add_capability(v, CAP_ISR, ISR_AT, REGION, 16) ||
        !add_capability(v, CAP_COMMON, COMMON_AT, REGION, 16)) {
        return error_set(err, "%s: no room for its capabilities", p->dev.type->name);
    }
    pci_set32(p, notify + 16, NOTIFY_STEP);
    p->wmask[v->pci_cfg + WINDOW_BAR] = 0xff;
    memset(p->wmask + v->pci_cfg + WINDOW_OFFSET, 0xff, 12);
    p->bar[BAR_MODERN].is64 = p->bar[BAR_MODERN].prefetch = true;
    pci_set_bar_mmio(p, BAR_MODERN, MODERN_BYTES, false, &modern_ops, v);
    return true;
}

bool virtio_init(struct virtio *v, const struct virtio_class *class, struct error *err)
{
    struct pci_device *p = &v->pci;
    unsigned ports = 32, nqueues;
    int devfn;

    v->class = class;
    nqueues = (unsigned)read_num_queues(v, NULL);
    if (v->vectors == VIRTIO_VECTORS_AUTO) {
        v->vectors = nqueues + 1;
    }
    if (v->disable_legacy && v->disable_modern) {
        return error_set(err, "%s: disable-legacy and disable-modern leave no interface",
                         p->dev.type->name);
    }
    if (!pci_parse_address(v->bus, v->addr, &devfn, err) || !pci_register(p, devfn, err) ||
        !msix_init(&v->msix, p, BAR_MSIX, v->vectors, err) ||
        (!v->disable_modern && !add_modern(v, err))) {
        return false;
    }
    p->config_reading = config_reading;
    p->config_written = config_written;
    if (v->disable_legacy) {
        pci_set16(p, PCI_DEVICE_ID, (uint16_t)(0x1040 + class->id));
        pci_set16(p, PCI_SUBSYSTEM, 0x1100);
        p->config[PCI_REVISION] = 1;
        return true;
    }
    while (ports < 24 + class->config_size) {
        ports *= 2;
    }
    pci_set_bar_mmio(p, BAR_LEGACY, ports, true, &old_ops, v);
    return true;
}

struct virtqueue *virtio_add_queue(struct virtio *v, unsigned index, unsigned size)
{
    struct virtqueue *q = &v->queue[index];

    q->virtio = v;
    q->index = (uint16_t)index;
    q->num_max = (uint16_t)size;
    return q;
}

void virtio_reset(struct virtio *v)
{
    soft_reset(v);
    v->generation = 0;
    msix_reset(&v->msix);
    pci_device_reset(&v->pci);
}

void virtio_loaded(struct virtio *v)
{
    /* A damaged snapshot must not bring rings that no driver could have made. */
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        struct virtqueue *q = &v->queue[i];
        bool sane = q->num && q->num <= q->num_max && !(q->num & (q->num - 1));
        q->ready = q->ready && sane;
        q->num = sane ? q->num : q->num_max;
    }
    pci_device_loaded(&v->pci);
    if (v->class->features_set) {
        v->class->features_set(v);
    }
}
