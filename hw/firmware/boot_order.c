/* fw_cfg's file "bootorder": the Open Firmware paths of the devices that have bootindex=, lowest
 * first, one a line. SeaBIOS tries them before all others. */
#include "hw/firmware/boot_order.h"
#include "hw/device.h"
#include "hw/firmware/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

enum { MAX = 32 };

struct entry {
    uint32_t index;
    struct device *device;
};

struct list {
    struct entry entry[MAX];
    unsigned n;
};

static void collect(struct device *d, void *opaque)
{
    const struct property *p = d->type->props ? device_type_prop(d->type, "bootindex") : NULL;
    struct list *l = opaque;

    if (p && d->type->boot_path && device_prop_given(d, "bootindex") && l->n < MAX) {
        l->entry[l->n++] = (struct entry){*(uint32_t *)((char *)d + p->offset), d};
    }
}

static int by_index(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

void boot_order_setup(struct machine *m)
{
    struct fw_cfg *fw = fw_cfg_find(m);
    struct list l = {.n = 0};
    char text[4096];
    size_t at = 0;

    device_foreach(m, collect, &l);
    if (!fw || !l.n) {
        return;
    }
    qsort(l.entry, l.n, sizeof(l.entry[0]), by_index);
    for (unsigned i = 0; i < l.n; i++) {
        char *path = l.entry[i].device->type->boot_path(l.entry[i].device);
        size_t n = strlen(path);
        if (at + n + 2 < sizeof(text)) {
            memcpy(text + at, path, n);
            at += n;
            text[at++] = '\n';
        }
        free(path);
    }
    text[at - 1] = 0;
    fw_cfg_add_file(fw, "bootorder", text, at);
}
