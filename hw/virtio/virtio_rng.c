/* Entropy device. VIRTIO 1.1, chapter 5.4: one queue of buffers that the device fills with random
 * bytes of the host. max-bytes in each period limit what the guest can draw. */
#include "hw/virtio/virtio.h"

#include <errno.h>
#include <sys/random.h>

enum { QUEUE_SIZE = 8, CHUNK = 256 };

struct virtio_rng {
    struct virtio virtio;
    char *rng; /* properties */
    uint64_t max_bytes;
    uint32_t period;
    uint64_t left; /* of this period */
    struct timer refill;
};

static const struct property rng_props[] = {
    VIRTIO_PROPS(struct virtio_rng, virtio),
    PROP_STRING(struct virtio_rng, rng,
                "id of the -object rng-random (all give the host's random numbers)"),
    {"max-bytes", PT_U64, offsetof(struct virtio_rng, max_bytes), INT64_MAX,
     "bytes the guest gets in each period"},
    {"period", PT_U32, offsetof(struct virtio_rng, period), 65536, "length of a period in ms"},
    PROP_END,
};

static const struct state_field rng_fields[] = {
    STATE_VIRTIO(struct virtio_rng, virtio),
    STATE_U64(struct virtio_rng, left),
    STATE_TIMER(struct virtio_rng, refill),
    STATE_END,
};

static void rng_loaded(void *obj)
{
    virtio_loaded(obj);
}

static const struct state_table rng_state = {1, rng_fields, rng_loaded};

/* Returns how many bytes it wrote to the chain. */
static uint32_t fill(struct virtio_rng *r, const struct virtq_chain *c)
{
    uint8_t bytes[CHUNK];
    uint32_t done = 0;

    while (done < c->in_bytes && r->left && done < UINT32_MAX - CHUNK) {
        uint64_t n = c->in_bytes - done;
        n = n < CHUNK ? n : CHUNK;
        n = n < r->left ? n : r->left;
        ssize_t got = getrandom(bytes, n, GRND_NONBLOCK);
        if (got <= 0 || !virtq_write(c, done, bytes, (uint64_t)got)) {
            break;
        }
        done += (uint32_t)got;
        r->left -= (uint64_t)got;
    }
    return done;
}

static void serve(struct virtio_rng *r)
{
    struct virtqueue *q = &r->virtio.queue[0];
    struct virtq_chain *c;

    while (r->left && (c = virtqueue_pop(q)) != NULL) {
        virtqueue_push(c, fill(r, c));
    }
    virtqueue_notify(q);
    if (!r->left && !timer_armed(&r->refill)) {
        timer_set(&r->refill,
                  clock_now(r->virtio.pci.dev.machine->clock) + r->period * INT64_C(1000000));
    }
}

static void refill(void *opaque)
{
    struct virtio_rng *r = opaque;

    r->left = r->max_bytes;
    serve(r);
}

static void rng_kick(struct virtio *v, struct virtqueue *q)
{
    (void)q;
    serve(container_of(v, struct virtio_rng, virtio));
}

static uint64_t rng_features(struct virtio *v)
{
    (void)v;
    return 0;
}

static void rng_config(struct virtio *v, uint8_t *config)
{
    (void)v;
    (void)config;
}

static const struct virtio_class rng_class = {
    .id = 4,
    .features = rng_features,
    .config_read = rng_config,
    .kick = rng_kick,
};

static void rng_reset(struct device *d)
{
    struct virtio_rng *r = (struct virtio_rng *)d;

    timer_cancel(&r->refill);
    r->left = r->max_bytes;
    virtio_reset(&r->virtio);
}

static bool rng_realize(struct device *d, struct error *err)
{
    struct virtio_rng *r = (struct virtio_rng *)d;

    if (!r->max_bytes || !r->period) {
        return error_set(err, "virtio-rng-pci: %s=0 gives the guest nothing",
                         r->max_bytes ? "period" : "max-bytes");
    }
    timer_init(&r->refill, d->machine->clock, refill, r);
    virtio_add_queue(&r->virtio, 0, QUEUE_SIZE);
    return virtio_init(&r->virtio, &rng_class, err);
}

static const struct pci_info rng_info = VIRTIO_PCI_INFO(0x1005, 4, 0x00, 0xff);

const struct device_type virtio_rng_type = {
    .name = "virtio-rng-pci",
    .summary = "random numbers from the host",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_rng),
    .props = rng_props,
    .state = &rng_state,
    .realize = rng_realize,
    .reset = rng_reset,
    .user_creatable = true,
    .category = "Misc",
    .bus_info = &rng_info,
};
