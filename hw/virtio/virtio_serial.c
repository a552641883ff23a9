/* Console device with several ports. VIRTIO 1.1, chapter 5.3. The controller is virtio-serial-pci;
 * its ports are devices of their own (virtio_serial_port.c) that are made after it.
 *
 * Port n has a queue to the guest and one from it; the control queues tell the guest which ports
 * there are, what they are called and whether anybody is at the other end. A guest without that (no
 * MULTIPORT) has port 0 alone. Left out: size of the console, emergency write, ports coming and
 * going. */
#include "hw/virtio/virtio_serial.h"

#include "host/le.h"
#include "hw/virtio/virtio.h"

#include <stdlib.h>
#include <string.h>

enum { F_MULTIPORT = 1, C_MAX_PORTS = 4, CONFIG_BYTES = 12 };
enum { Q_CONTROL_IN = 2, Q_CONTROL_OUT = 3, MAX_PORTS = 31, QUEUE_SIZE = 128, CHUNK = 4096 };
enum control_event {
    DEVICE_READY,
    PORT_ADD,
    PORT_REMOVE,
    PORT_READY,
    CONSOLE_PORT,
    RESIZE,
    PORT_OPEN,
    PORT_NAME,
};
enum { CONTROL_BYTES = 8, MAX_PENDING = 4 * MAX_PORTS, MAX_NAME = 64 };

struct message { /* for the guest, until its control queue has room */
    uint8_t bytes[CONTROL_BYTES + MAX_NAME];
    unsigned len;
};

struct virtio_serial {
    struct virtio virtio;
    uint32_t max_ports; /* property */
    struct serial_port *port[MAX_PORTS];
    struct message pending[MAX_PENDING];
    unsigned npending;
    bool driver_ready;
};

static const struct property serial_props[] = {
    VIRTIO_PROPS(struct virtio_serial, virtio),
    PROP_U32(struct virtio_serial, max_ports, MAX_PORTS, "ports that may be added, 1 to 31"),
    PROP_END,
};

static const struct state_field serial_fields[] = {
    STATE_VIRTIO(struct virtio_serial, virtio),
    STATE_BOOL(struct virtio_serial, driver_ready),
    STATE_END,
};

static void serial_loaded(void *obj)
{
    virtio_loaded(obj);
}

static const struct state_table serial_state = {1, serial_fields, serial_loaded};

static struct virtqueue *in_queue(const struct serial_port *p)
{
    return &p->controller->virtio.queue[p->nr ? 2 + 2 * p->nr : 0];
}

/* The port of a queue, NULL: a control queue, or nobody's. */
static struct serial_port *port_of(const struct virtio_serial *s, const struct virtqueue *q)
{
    if (q->index == Q_CONTROL_IN || q->index == Q_CONTROL_OUT) {
        return NULL;
    }
    return s->port[q->index < 2 ? 0 : q->index / 2 - 1];
}

/* ---- control messages ---- */

static void send_pending(struct virtio_serial *s)
{
    struct virtqueue *q = &s->virtio.queue[Q_CONTROL_IN];
    unsigned sent = 0;

    while (sent < s->npending) {
        struct virtq_chain *c = virtqueue_pop(q);
        if (!c) {
            break;
        }
        const struct message *m = &s->pending[sent++];
        virtqueue_push(c, (uint32_t)virtq_write(c, 0, m->bytes, m->len));
    }
    s->npending -= sent;
    memmove(s->pending, s->pending + sent, s->npending * sizeof(s->pending[0]));
    virtqueue_notify(q);
}

static void tell(struct virtio_serial *s, uint32_t id, enum control_event event, uint16_t value,
                 const char *text)
{
    size_t n = text ? strnlen(text, MAX_NAME) : 0;

    if (!virtio_has(&s->virtio, F_MULTIPORT) || s->npending == MAX_PENDING) {
        return;
    }
    struct message *m = &s->pending[s->npending++];
    le_put32(m->bytes, id);
    le_put16(m->bytes + 4, (uint16_t)event);
    le_put16(m->bytes + 6, value);
    memcpy(m->bytes + CONTROL_BYTES, text ? text : "", n);
    m->len = CONTROL_BYTES + (unsigned)n;
    send_pending(s);
}

static void guest_opened(struct serial_port *p, bool open)
{
    p->guest_open = open;
    if (open && p->chardev) {
        chardev_accept_input(p->chardev);
    }
}

static void port_ready(struct virtio_serial *s, struct serial_port *p)
{
    p->ready = true;
    if (p->console) {
        tell(s, p->nr, CONSOLE_PORT, 1, NULL);
    }
    if (p->name) {
        tell(s, p->nr, PORT_NAME, 1, p->name);
    }
    if (p->host_open) {
        tell(s, p->nr, PORT_OPEN, 1, NULL);
    }
}

static void control(struct virtio_serial *s, const uint8_t *m)
{
    uint32_t id = le_get32(m);
    uint16_t event = le_get16(m + 4), value = le_get16(m + 6);
    struct serial_port *p = id < MAX_PORTS ? s->port[id] : NULL;

    if (event == DEVICE_READY) {
        s->driver_ready = value == 1;
        for (unsigned i = 0; i < MAX_PORTS && value == 1; i++) {
            if (s->port[i]) {
                tell(s, i, PORT_ADD, 1, NULL);
            }
        }
    } else if (p && event == PORT_READY && value == 1) {
        port_ready(s, p);
    } else if (p && event == PORT_OPEN) {
        guest_opened(p, value == 1);
    } else {
        log_at(s->virtio.pci.dev.machine->log, LOG_GUEST_ERROR,
               "virtio-serial-pci: event %u for port %u\n", event, id);
    }
}

/* ---- data ---- */

size_t virtio_serial_room(struct serial_port *p)
{
    struct virtqueue *q = in_queue(p);
    struct virtq_chain *c;
    size_t room = 0;

    if (!p->guest_open || (c = virtqueue_pop(q)) == NULL) {
        return 0;
    }
    room = c->in_bytes < CHUNK ? c->in_bytes : CHUNK;
    virtqueue_unpop(c);
    return room;
}

void virtio_serial_send(struct serial_port *p, const uint8_t *buf, size_t len)
{
    struct virtqueue *q = in_queue(p);
    struct virtq_chain *c;

    while (len && (c = virtqueue_pop(q)) != NULL) {
        uint64_t n = virtq_write(c, 0, buf, len);
        virtqueue_push(c, (uint32_t)n);
        if (!n) {
            break;
        }
        buf += n;
        len -= n;
    }
    virtqueue_notify(q);
}

void virtio_serial_host_open(struct serial_port *p, bool open)
{
    if (p->host_open != open) {
        p->host_open = open;
        if (p->ready) {
            tell(p->controller, p->nr, PORT_OPEN, open, NULL);
        }
    }
}

static void take_output(struct serial_port *p, const struct virtq_chain *c)
{
    uint8_t buf[CHUNK];
    uint64_t at = 0, n;

    while (p && p->chardev && (n = virtq_read(c, at, buf, sizeof(buf))) != 0) {
        chardev_write(p->chardev, buf, n);
        at += n;
    }
}

static void serial_kick(struct virtio *v, struct virtqueue *q)
{
    struct virtio_serial *s = container_of(v, struct virtio_serial, virtio);
    struct serial_port *p = port_of(s, q);
    struct virtq_chain *c;

    if (q->index == Q_CONTROL_IN) {
        send_pending(s);
        return;
    }
    if (q->index != Q_CONTROL_OUT && !(q->index & 1)) {
        /* Without control messages there is nobody who says that the port is open. */
        if (p && !virtio_has(v, F_MULTIPORT)) {
            p->guest_open = true;
        }
        if (p && p->chardev) {
            chardev_accept_input(p->chardev);
        }
        return;
    }
    while ((c = virtqueue_pop(q)) != NULL) {
        uint8_t m[CONTROL_BYTES];
        if (q->index != Q_CONTROL_OUT) {
            take_output(p, c);
        } else if (virtq_read(c, 0, m, sizeof(m)) == sizeof(m)) {
            control(s, m);
        }
        virtqueue_push(c, 0);
    }
    virtqueue_notify(q);
}

/* ---- configuration and life ---- */

static uint64_t serial_features(struct virtio *v)
{
    (void)v;
    return 1u << F_MULTIPORT;
}

static void serial_config(struct virtio *v, uint8_t *config)
{
    le_put32(config + C_MAX_PORTS, container_of(v, struct virtio_serial, virtio)->max_ports);
}

static void serial_soft_reset(struct virtio *v)
{
    struct virtio_serial *s = container_of(v, struct virtio_serial, virtio);

    s->npending = 0;
    s->driver_ready = false;
    for (unsigned i = 0; i < MAX_PORTS; i++) {
        if (s->port[i]) {
            s->port[i]->guest_open = s->port[i]->ready = false;
        }
    }
}

static const struct virtio_class serial_class = {
    .id = 3,
    .config_size = CONFIG_BYTES,
    .features = serial_features,
    .config_read = serial_config,
    .kick = serial_kick,
    .reset = serial_soft_reset,
};

static void serial_reset(struct device *d)
{
    virtio_reset((struct virtio *)d);
}

static bool serial_realize(struct device *d, struct error *err)
{
    struct virtio_serial *s = (struct virtio_serial *)d;

    if (!s->max_ports || s->max_ports > MAX_PORTS) {
        return error_set(err, "virtio-serial-pci: max_ports=%u is not from 1 to %d", s->max_ports,
                         MAX_PORTS);
    }
    if (s->virtio.vectors == VIRTIO_VECTORS_AUTO) {
        s->virtio.vectors = 2; /* configuration, and all queues: consoles are not in a hurry */
    }
    for (unsigned i = 0; i < 2 * (s->max_ports + 1); i++) {
        virtio_add_queue(&s->virtio, i, QUEUE_SIZE);
    }
    return virtio_init(&s->virtio, &serial_class, err);
}

static const struct pci_info serial_info = VIRTIO_PCI_INFO(0x1003, 3, 0x07, 0x80);

const struct device_type virtio_serial_type = {
    .name = "virtio-serial-pci",
    .summary = "virtio console controller; its ports are virtconsole and virtserialport",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_serial),
    .props = serial_props,
    .state = &serial_state,
    .realize = serial_realize,
    .reset = serial_reset,
    .user_creatable = true,
    .bus_info = &serial_info,
};

/* The controller of bus=ID or ID.0; without: the first. */
static struct virtio_serial *find_controller(struct serial_port *p, struct error *err)
{
    struct machine *m = p->dev.machine;
    struct device *d;

    if (!p->bus) {
        d = device_find_type(m, &virtio_serial_type);
        if (!d) {
            error_set(err, "%s: there is no virtio-serial-pci before it", p->dev.type->name);
        }
        return (struct virtio_serial *)d;
    }
    size_t n = strlen(p->bus);
    char *id = strndup(p->bus, n > 2 && !strcmp(p->bus + n - 2, ".0") ? n - 2 : n);
    d = device_find(m, id);
    free(id);
    if (!d || d->type != &virtio_serial_type) {
        error_set(err, "%s: bus=%s: there is no virtio-serial-pci with this id before it",
                  p->dev.type->name, p->bus);
        return NULL;
    }
    return (struct virtio_serial *)d;
}

bool virtio_serial_attach(struct serial_port *p, struct error *err)
{
    struct virtio_serial *s = find_controller(p, err);

    if (!s) {
        return false;
    }
    if (p->nr == UINT32_MAX) {
        /* Port 0 is a console for guests that know only one. */
        p->nr = p->console ? 0 : 1;
        while (p->nr < s->max_ports && s->port[p->nr]) {
            p->nr++;
        }
    }
    if (p->nr >= s->max_ports) {
        return error_set(err, "%s: the controller has ports 0 to %u only", p->dev.type->name,
                         s->max_ports - 1);
    }
    if (s->port[p->nr]) {
        return error_set(err, "%s: port nr=%u is taken", p->dev.type->name, p->nr);
    }
    p->controller = s;
    s->port[p->nr] = p;
    return true;
}
