/* Memory balloon. VIRTIO 1.1, chapter 5.5: the driver hands us pages that it does without, and
 * takes them back; with reporting also ranges that it merely does not use now. They go back to the
 * host at once. Left out: free page hints (of use in migration only) and page poisoning. */
#include "hw/virtio/virtio_balloon.h"

#include "host/le.h"
#include "hw/virtio/virtio.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { F_MUST_TELL_HOST = 0, F_STATS = 1, F_DEFLATE_ON_OOM = 2, F_REPORTING = 5 };
enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORT, QUEUE_SIZE = 128 };
enum { C_PAGES = 0, C_ACTUAL = 4, CONFIG_BYTES = 8, PAGE = 4096, BATCH = 256 };
enum { STAT_BYTES = 10, NSTATS = 10 };

struct virtio_balloon {
    struct virtio virtio;
    bool deflate_on_oom, free_page_reporting; /* properties */
    uint32_t polling_interval;

    uint32_t wanted, actual; /* pages in the balloon */
    uint64_t stat[NSTATS];
    uint16_t known;            /* bit n: stat[n] has been told */
    struct virtq_chain *stats; /* the driver's buffer, given back when we want news */
    struct timer poll;
    int64_t last_update; /* seconds since 1970; 0: never */
};

static const char *const stat_names[NSTATS] = {
    "swap_in",      "swap_out",         "major_faults", "minor_faults",        "free_memory",
    "total_memory", "available_memory", "disk_caches",  "hugetlb_allocations", "hugetlb_failures",
};

static const struct property balloon_props[] = {
    VIRTIO_PROPS(struct virtio_balloon, virtio),
    {"deflate-on-oom", PT_BOOL, offsetof(struct virtio_balloon, deflate_on_oom), 0,
     "the guest may take pages back when it runs out of memory"},
    {"free-page-reporting", PT_BOOL, offsetof(struct virtio_balloon, free_page_reporting), 0,
     "the guest tells of pages that it does not use"},
    {"guest-stats-polling-interval", PT_U32, offsetof(struct virtio_balloon, polling_interval), 0,
     "seconds between requests for statistics; 0: only once"},
    PROP_END,
};

static const struct state_field balloon_fields[] = {
    STATE_VIRTIO(struct virtio_balloon, virtio),
    STATE_U32(struct virtio_balloon, wanted),
    STATE_U32(struct virtio_balloon, actual),
    STATE_U64(struct virtio_balloon, stat),
    STATE_U16(struct virtio_balloon, known),
    STATE_TIMER(struct virtio_balloon, poll),
    STATE_END,
};

static void balloon_loaded(void *obj)
{
    virtio_loaded(obj);
}

static const struct state_table balloon_state = {1, balloon_fields, balloon_loaded};

/* ---- queues ---- */

/* Page numbers, 32 bits each. */
static void take_pages(struct virtio_balloon *b, const struct virtq_chain *c)
{
    struct memory *mem = b->virtio.pci.dev.machine->memory;
    uint8_t list[BATCH * 4];
    uint64_t at = 0, n;

    while ((n = virtq_read(c, at, list, sizeof(list)) & ~UINT64_C(3)) != 0) {
        for (unsigned i = 0; i < n; i += 4) {
            memory_discard(mem, (uint64_t)le_get32(list + i) * PAGE, PAGE);
        }
        at += n;
    }
}

static void take_stats(struct virtio_balloon *b, struct virtq_chain *c)
{
    uint8_t entry[STAT_BYTES];

    for (uint64_t at = 0; virtq_read(c, at, entry, STAT_BYTES) == STAT_BYTES; at += STAT_BYTES) {
        unsigned tag = le_get16(entry);
        if (tag < NSTATS) {
            b->stat[tag] = le_get64(entry + 2);
            b->known |= (uint16_t)(1u << tag);
        }
    }
    free(b->stats);
    b->stats = c;
    int64_t nsec;
    clock_wall(b->virtio.pci.dev.machine->clock, &b->last_update, &nsec);
    if (b->polling_interval) {
        int64_t now = clock_now(b->virtio.pci.dev.machine->clock);
        timer_set(&b->poll, now + b->polling_interval * INT64_C(1000000000));
    }
}

static void report(struct virtio_balloon *b, const struct virtq_chain *c)
{
    for (unsigned i = c->nout; i < c->nout + c->nin; i++) {
        memory_discard(b->virtio.pci.dev.machine->memory, c->segment[i].addr, c->segment[i].len);
    }
}

static void balloon_kick(struct virtio *v, struct virtqueue *q)
{
    struct virtio_balloon *b = container_of(v, struct virtio_balloon, virtio);
    struct virtq_chain *c;

    while ((c = virtqueue_pop(q)) != NULL) {
        if (q->index == Q_STATS) {
            take_stats(b, c);
            continue;
        }
        if (q->index == Q_INFLATE) {
            take_pages(b, c);
        } else if (q->index == Q_REPORT) {
            report(b, c);
        }
        virtqueue_push(c, 0);
    }
    virtqueue_notify(q);
}

/* Gives the statistics buffer back: the driver fills it anew. */
static void poll_stats(void *opaque)
{
    struct virtio_balloon *b = opaque;
    struct virtq_chain *c = b->stats;

    b->stats = NULL;
    if (c) {
        virtqueue_push(c, 0);
        virtqueue_notify(&b->virtio.queue[Q_STATS]);
    }
}

static void balloon_soft_reset(struct virtio *v)
{
    struct virtio_balloon *b = container_of(v, struct virtio_balloon, virtio);

    free(b->stats);
    b->stats = NULL;
    b->known = 0;
    timer_cancel(&b->poll);
}

/* ---- configuration ---- */

static uint64_t balloon_features(struct virtio *v)
{
    struct virtio_balloon *b = container_of(v, struct virtio_balloon, virtio);

    return 1u << F_STATS | (b->deflate_on_oom ? 1u << F_DEFLATE_ON_OOM : 0) |
           (b->free_page_reporting ? 1u << F_REPORTING : 0);
}

static void balloon_config(struct virtio *v, uint8_t *config)
{
    struct virtio_balloon *b = container_of(v, struct virtio_balloon, virtio);

    le_put32(config + C_PAGES, b->wanted);
    le_put32(config + C_ACTUAL, b->actual);
}

static void balloon_config_write(struct virtio *v, const uint8_t *config, unsigned offset,
                                 unsigned size)
{
    struct virtio_balloon *b = container_of(v, struct virtio_balloon, virtio);

    if (offset + size > C_ACTUAL && b->actual != le_get32(config + C_ACTUAL)) {
        b->actual = le_get32(config + C_ACTUAL);
        if (v->pci.dev.machine->balloon_changed) {
            v->pci.dev.machine->balloon_changed(v->pci.dev.machine);
        }
    }
}

static const struct virtio_class balloon_class = {
    .id = 5,
    .config_size = CONFIG_BYTES,
    .features = balloon_features,
    .config_read = balloon_config,
    .config_write = balloon_config_write,
    .kick = balloon_kick,
    .reset = balloon_soft_reset,
};

/* ---- life ---- */

static void balloon_reset(struct device *d)
{
    struct virtio_balloon *b = (struct virtio_balloon *)d;

    virtio_reset(&b->virtio);
    b->actual = 0;
}

static bool balloon_realize(struct device *d, struct error *err)
{
    struct virtio_balloon *b = (struct virtio_balloon *)d;
    unsigned nqueues = b->free_page_reporting ? Q_REPORT + 1 : Q_STATS + 1;

    timer_init(&b->poll, d->machine->clock, poll_stats, b);
    for (unsigned i = 0; i < nqueues; i++) {
        virtio_add_queue(&b->virtio, i, QUEUE_SIZE);
    }
    return virtio_init(&b->virtio, &balloon_class, err);
}

static void balloon_destroy(struct device *d)
{
    free(((struct virtio_balloon *)d)->stats);
}

static const struct pci_info balloon_info = VIRTIO_PCI_INFO(0x1002, 5, 0x00, 0xff);

const struct device_type virtio_balloon_type = {
    .name = "virtio-balloon-pci",
    .summary = "memory balloon",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_balloon),
    .props = balloon_props,
    .state = &balloon_state,
    .realize = balloon_realize,
    .reset = balloon_reset,
    .destroy = balloon_destroy,
    .user_creatable = true,
    .category = "Misc",
    .bus_info = &balloon_info,
};

/* ---- the monitor ---- */

bool balloon_set(struct machine *m, uint64_t bytes, struct error *err)
{
    struct virtio_balloon *b = (struct virtio_balloon *)device_find_type(m, &virtio_balloon_type);

    if (!b) {
        return error_set(err, "there is no memory balloon (-device virtio-balloon-pci)");
    }
    bytes = bytes < m->ram_size ? bytes : m->ram_size;
    b->wanted = (uint32_t)((m->ram_size - bytes) / PAGE);
    virtio_config_changed(&b->virtio);
    return true;
}

bool balloon_actual(struct machine *m, uint64_t *bytes)
{
    struct virtio_balloon *b = (struct virtio_balloon *)device_find_type(m, &virtio_balloon_type);

    *bytes = b ? m->ram_size - (uint64_t)b->actual * PAGE : 0;
    return b != NULL;
}

bool balloon_stat(struct device *d, unsigned i, const char **name, uint64_t *value,
                  int64_t *last_update)
{
    /* In the order of the tags, by the names that management tools know. */
    static const char *const names[NSTATS] = {
        "stat-swap-in",      "stat-swap-out",     "stat-major-faults",     "stat-minor-faults",
        "stat-free-memory",  "stat-total-memory", "stat-available-memory", "stat-disk-caches",
        "stat-htlb-pgalloc", "stat-htlb-pgfail",
    };
    struct virtio_balloon *b = (struct virtio_balloon *)d;

    if (d->type != &virtio_balloon_type || i >= NSTATS) {
        return false;
    }
    *name = names[i];
    *value = b->known >> i & 1 ? b->stat[i] : UINT64_MAX;
    *last_update = b->last_update;
    return true;
}

bool balloon_set_polling(struct device *d, uint32_t seconds)
{
    struct virtio_balloon *b = (struct virtio_balloon *)d;

    if (d->type != &virtio_balloon_type) {
        return false;
    }
    b->polling_interval = seconds;
    timer_cancel(&b->poll);
    if (seconds && b->stats) {
        poll_stats(b);
    }
    return true;
}

char *balloon_describe(struct machine *m)
{
    struct virtio_balloon *b = (struct virtio_balloon *)device_find_type(m, &virtio_balloon_type);
    char *text = NULL;
    size_t len = 0;

    if (!b) {
        return NULL;
    }
    FILE *f = open_memstream(&text, &len);
    fprintf(f, "balloon: actual=%" PRIu64, (m->ram_size - (uint64_t)b->actual * PAGE) >> 20);
    for (unsigned i = 0; i < NSTATS; i++) {
        if (b->known >> i & 1) {
            fprintf(f, " %s=%" PRIu64, stat_names[i], b->stat[i]);
        }
    }
    fputc('\n', f);
    fclose(f);
    return text;
}
