/* Input devices over virtio: keyboard, mouse, tablet. VIRTIO 1.2, chapter 5.8; the event types and
 * codes are Linux's (input-event-codes.h), as the specification says.
 *
 * Queue 0 takes events to the driver, a group of them ended by a synchronization event; groups wait
 * here while the driver has no buffers, and are dropped whole when too many do. Queue 1 brings LED
 * states, which nobody looks at. Left out: key repetition (the driver's), multi-touch, legacy
 * interface (the device type never had one). */
#include "hw/input/input.h"
#include "hw/virtio/virtio.h"
#include "host/le.h"

#include <string.h>

enum { EV_SYN = 0, EV_KEY = 1, EV_REL = 2, EV_ABS = 3, EV_LED = 0x11, EV_REP = 0x14 };
enum { REL_X = 0, REL_Y = 1, REL_HWHEEL = 6, REL_WHEEL = 8, ABS_X = 0, ABS_Y = 1 };
enum {
    BTN_LEFT = 0x110,
    BTN_RIGHT = 0x111,
    BTN_MIDDLE = 0x112,
    BTN_SIDE = 0x113,
    BTN_EXTRA = 0x114
};
enum { CFG_UNSET, CFG_NAME, CFG_SERIAL, CFG_IDS, CFG_PROPS = 0x10, CFG_EVENTS, CFG_ABS };
enum { C_SELECT, C_SUBSEL, C_SIZE, C_DATA = 8, CONFIG_BYTES = 136, DATA_BYTES = 128 };
enum { Q_EVENTS, Q_STATUS, QUEUE_SIZE = 64, MAX_PENDING = 256, MAX_GROUP = 12, EVENT_BYTES = 8 };
enum { KEY_CODES = 256 };

struct event {
    uint16_t type, code;
    int32_t value;
};

struct virtio_input {
    struct virtio virtio;
    unsigned kind; /* enum input_kind */
    uint8_t select, subsel;
    uint32_t buttons; /* that the driver was told of */
    struct event pending[MAX_PENDING];
    unsigned npending;
    char *serial;
};

static const struct property input_props[] = {
    VIRTIO_PROPS(struct virtio_input, virtio),
    PROP_STRING(struct virtio_input, serial, "serial number shown to the guest"),
    PROP_END,
};

static const struct state_field input_fields[] = {
    STATE_VIRTIO(struct virtio_input, virtio),
    STATE_U8(struct virtio_input, select),
    STATE_U8(struct virtio_input, subsel),
    STATE_U32(struct virtio_input, buttons),
    STATE_END,
};

static void input_loaded(void *obj)
{
    struct virtio_input *in = obj;

    in->npending = 0;
    virtio_loaded(&in->virtio);
}

static const struct state_table input_state = {1, input_fields, input_loaded};

/* ---- keys ---- */

static const struct {
    uint16_t code, key;
} extended[] = {
    {0xe01c, 96},  {0xe01d, 97},  {0xe035, 98},  {0xe037, 99},  {0xe038, 100}, {0xe047, 102},
    {0xe048, 103}, {0xe049, 104}, {0xe04b, 105}, {0xe04d, 106}, {0xe04f, 107}, {0xe050, 108},
    {0xe051, 109}, {0xe052, 110}, {0xe053, 111}, {0xe020, 113}, {0xe02e, 114}, {0xe030, 115},
    {0xe05e, 116}, {0x59, 117},   {0xe11d, 119}, {0x7e, 121},   {0x7d, 124},   {0xe05b, 125},
    {0xe05c, 126}, {0xe05d, 127}, {0xe05f, 142}, {0xe063, 143}, {0x73, 89},    {0x70, 93},
    {0x79, 92},    {0x7b, 94},    {0x54, 99},
};
enum { NEXTENDED = sizeof(extended) / sizeof(extended[0]), LAST_PLAIN = 0x58 };

/* Linux's key codes are those of set 1 up to F12. */
static uint16_t linux_key(uint16_t code)
{
    for (unsigned i = 0; i < NEXTENDED; i++) {
        if (extended[i].code == code) {
            return extended[i].key;
        }
    }
    return code <= LAST_PLAIN ? code : 0;
}

/* ---- events ---- */

static void send_pending(struct virtio_input *in)
{
    struct virtqueue *q = &in->virtio.queue[Q_EVENTS];
    unsigned sent = 0;

    while (sent < in->npending) {
        struct virtq_chain *c = virtqueue_pop(q);
        uint8_t bytes[EVENT_BYTES];
        if (!c) {
            break;
        }
        const struct event *e = &in->pending[sent++];
        le_put16(bytes, e->type);
        le_put16(bytes + 2, e->code);
        le_put32(bytes + 4, (uint32_t)e->value);
        virtqueue_push(c, (uint32_t)virtq_write(c, 0, bytes, sizeof(bytes)));
    }
    in->npending -= sent;
    memmove(in->pending, in->pending + sent, in->npending * sizeof(in->pending[0]));
    virtqueue_notify(q);
}

/* A group: all of it or nothing. Returns false when it was dropped. */
static bool send_group(struct virtio_input *in, const struct event *events, unsigned n)
{
    if (!n || !virtio_running(&in->virtio) || in->npending + n + 1 > MAX_PENDING) {
        return false;
    }
    memcpy(in->pending + in->npending, events, n * sizeof(*events));
    in->npending += n;
    in->pending[in->npending++] = (struct event){EV_SYN, 0, 0};
    send_pending(in);
    return true;
}

static void on_key(void *opaque, uint16_t code, bool down)
{
    struct event e = {EV_KEY, linux_key(code), down};

    if (e.code) {
        send_group(opaque, &e, 1);
    }
}

static void on_pointer(void *opaque, const struct input_pointer *p)
{
    static const struct {
        unsigned bit;
        uint16_t code;
    } buttons[] = {{INPUT_LEFT, BTN_LEFT},
                   {INPUT_RIGHT, BTN_RIGHT},
                   {INPUT_MIDDLE, BTN_MIDDLE},
                   {INPUT_SIDE, BTN_SIDE},
                   {INPUT_EXTRA, BTN_EXTRA}};
    struct virtio_input *in = opaque;
    struct event e[MAX_GROUP];
    unsigned n = 0;

    if (in->kind == INPUT_ABSOLUTE) {
        e[n++] = (struct event){EV_ABS, ABS_X, p->x};
        e[n++] = (struct event){EV_ABS, ABS_Y, p->y};
    } else if (p->x || p->y) {
        e[n++] = (struct event){EV_REL, REL_X, p->x};
        e[n++] = (struct event){EV_REL, REL_Y, p->y};
    }
    for (unsigned i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++) {
        if ((p->buttons ^ in->buttons) & buttons[i].bit) {
            e[n++] = (struct event){EV_KEY, buttons[i].code, (p->buttons & buttons[i].bit) != 0};
        }
    }
    if (p->wheel) {
        e[n++] = (struct event){EV_REL, REL_WHEEL, -p->wheel};
    }
    if (p->pan) {
        e[n++] = (struct event){EV_REL, REL_HWHEEL, p->pan};
    }
    if (send_group(in, e, n)) {
        in->buttons = p->buttons;
    }
}

static bool listens(void *opaque)
{
    return virtio_running(&((struct virtio_input *)opaque)->virtio);
}

static void input_kick(struct virtio *v, struct virtqueue *q)
{
    struct virtio_input *in = container_of(v, struct virtio_input, virtio);
    struct virtq_chain *c;

    if (q->index == Q_EVENTS) {
        send_pending(in);
        return;
    }
    while ((c = virtqueue_pop(q)) != NULL) {
        virtqueue_push(c, 0);
    }
    virtqueue_notify(q);
}

/* ---- configuration ---- */

static void set_bit(uint8_t *data, unsigned n, unsigned *size)
{
    data[n / 8] |= (uint8_t)(1 << n % 8);
    *size = n / 8 + 1 > *size ? n / 8 + 1 : *size;
}

static unsigned event_bits(const struct virtio_input *in, unsigned type, uint8_t *data)
{
    unsigned size = 0;
    bool keyboard = in->kind == INPUT_KEYBOARD;

    if (type == EV_KEY && keyboard) {
        for (unsigned i = 1; i <= LAST_PLAIN; i++) {
            set_bit(data, i, &size);
        }
        for (unsigned i = 0; i < NEXTENDED; i++) {
            set_bit(data, extended[i].key, &size);
        }
    } else if (type == EV_KEY) {
        for (unsigned b = BTN_LEFT; b <= BTN_EXTRA; b++) {
            set_bit(data, b, &size);
        }
    } else if (type == EV_REL && !keyboard) {
        if (in->kind == INPUT_RELATIVE) {
            set_bit(data, REL_X, &size);
            set_bit(data, REL_Y, &size);
        }
        set_bit(data, REL_WHEEL, &size);
        set_bit(data, REL_HWHEEL, &size);
    } else if (type == EV_ABS && in->kind == INPUT_ABSOLUTE) {
        set_bit(data, ABS_X, &size);
        set_bit(data, ABS_Y, &size);
    } else if (type == EV_LED && keyboard) {
        for (unsigned i = 0; i < 3; i++) { /* num, caps, scroll lock */
            set_bit(data, i, &size);
        }
    } else if (type == EV_REP && keyboard) {
        size = 1; /* the driver repeats keys */
    }
    return size;
}

static unsigned text(uint8_t *data, const char *s)
{
    size_t n = strlen(s);

    n = n < DATA_BYTES ? n : DATA_BYTES;
    memcpy(data, s, n);
    return (unsigned)n;
}

static void input_config(struct virtio *v, uint8_t *config)
{
    struct virtio_input *in = container_of(v, struct virtio_input, virtio);
    uint8_t *data = config + C_DATA;
    unsigned size = 0;

    memset(config, 0, CONFIG_BYTES);
    config[C_SELECT] = in->select;
    config[C_SUBSEL] = in->subsel;
    switch (in->select) {
    case CFG_NAME:
        size = text(data, in->kind == INPUT_KEYBOARD   ? "Dragoman virtio keyboard"
                          : in->kind == INPUT_RELATIVE ? "Dragoman virtio mouse"
                                                       : "Dragoman virtio tablet");
        break;
    case CFG_SERIAL:
        size = in->serial ? text(data, in->serial) : 0;
        break;
    case CFG_IDS: /* bus virtual, vendor, product, version */
        le_put16(data, 6);
        le_put16(data + 2, 0x0627);
        le_put16(data + 4, (uint16_t)(in->kind == INPUT_KEYBOARD   ? 1
                                      : in->kind == INPUT_RELATIVE ? 2
                                                                   : 3));
        le_put16(data + 6, 1);
        size = 8;
        break;
    case CFG_EVENTS:
        size = event_bits(in, in->subsel, data);
        break;
    case CFG_ABS:
        if (in->kind == INPUT_ABSOLUTE && in->subsel <= ABS_Y) {
            le_put32(data + 4, INPUT_ABS_MAX); /* from 0; no fuzz, no flat, no resolution */
            size = 20;
        }
        break;
    default:
        break;
    }
    config[C_SIZE] = (uint8_t)size;
}

static void input_config_write(struct virtio *v, const uint8_t *config, unsigned offset,
                               unsigned size)
{
    struct virtio_input *in = container_of(v, struct virtio_input, virtio);

    (void)offset;
    (void)size;
    in->select = config[C_SELECT];
    in->subsel = config[C_SUBSEL];
}

static uint64_t input_features(struct virtio *v)
{
    (void)v;
    return 0;
}

static void input_soft_reset(struct virtio *v)
{
    struct virtio_input *in = container_of(v, struct virtio_input, virtio);

    in->npending = 0;
    in->select = in->subsel = 0;
    in->buttons = 0;
}

static const struct virtio_class input_class = {
    .id = 18,
    .config_size = CONFIG_BYTES,
    .features = input_features,
    .config_read = input_config,
    .config_write = input_config_write,
    .kick = input_kick,
    .reset = input_soft_reset,
};

/* ---- life ---- */

static void input_reset(struct device *d)
{
    virtio_reset((struct virtio *)d);
}

static bool realize(struct device *d, const struct input_ops *ops, struct error *err)
{
    struct virtio_input *in = (struct virtio_input *)d;

    in->kind = ops->kinds;
    in->virtio.disable_legacy = true;
    virtio_add_queue(&in->virtio, Q_EVENTS, QUEUE_SIZE);
    virtio_add_queue(&in->virtio, Q_STATUS, QUEUE_SIZE);
    if (!virtio_init(&in->virtio, &input_class, err)) {
        return false;
    }
    input_add(d->machine, d, ops, in);
    return true;
}

static void input_destroy(struct device *d)
{
    input_remove(d->machine, d);
}

static const struct input_ops keyboard_ops = {INPUT_KEYBOARD, listens, on_key, NULL};
static const struct input_ops mouse_ops = {INPUT_RELATIVE, listens, NULL, on_pointer};
static const struct input_ops tablet_ops = {INPUT_ABSOLUTE, listens, NULL, on_pointer};

static bool keyboard_realize(struct device *d, struct error *err)
{
    return realize(d, &keyboard_ops, err);
}
static bool mouse_realize(struct device *d, struct error *err)
{
    return realize(d, &mouse_ops, err);
}
static bool tablet_realize(struct device *d, struct error *err)
{
    return realize(d, &tablet_ops, err);
}

static const struct pci_info keyboard_info = VIRTIO_PCI_INFO(0x1052, 18, 0x09, 0x00);
static const struct pci_info mouse_info = VIRTIO_PCI_INFO(0x1052, 18, 0x09, 0x02);
static const struct pci_info tablet_info = VIRTIO_PCI_INFO(0x1052, 18, 0x09, 0x80);

#define INPUT_TYPE(variable, text, what)                                                           \
    const struct device_type virtio_##variable##_type = {                                          \
        .name = text,                                                                              \
        .summary = what,                                                                           \
        .bus = BUS_PCI,                                                                            \
        .size = sizeof(struct virtio_input),                                                       \
        .props = input_props,                                                                      \
        .state = &input_state,                                                                     \
        .realize = variable##_realize,                                                             \
        .reset = input_reset,                                                                      \
        .destroy = input_destroy,                                                                  \
        .user_creatable = true,                                                                    \
        .bus_info = &variable##_info,                                                              \
    }
INPUT_TYPE(keyboard, "virtio-keyboard-pci", "virtio keyboard");
INPUT_TYPE(mouse, "virtio-mouse-pci", "virtio mouse (relative pointer)");
INPUT_TYPE(tablet, "virtio-tablet-pci", "virtio tablet (absolute pointer)");
