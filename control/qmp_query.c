/* QMP commands that ask: each makes the object or array of its row's type. */
#include "config.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "host/block.h"
#include "host/chardev.h"
#include "host/net.h"
#include "hw/pci/pci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MACHINE_CPU_MAX = 255 };
/* The QMP version that is spoken: management tools judge by it. */
enum { SPOKEN_MAJOR = 10, SPOKEN_MINOR = 0, SPOKEN_MICRO = 2 };

static void set_str(json_t *o, const char *key, const char *value)
{
    json_t *s = json_string(value);

    json_object_set_new(o, key, s ? s : json_string("(not UTF-8)"));
}

static void set_int(json_t *o, const char *key, uint64_t value)
{
    json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void set_bool(json_t *o, const char *key, bool value)
{
    json_object_set_new(o, key, json_boolean(value));
}

json_t *qmp_version(void)
{
    json_t *v = json_object(), *q = json_object();

    set_int(q, "micro", SPOKEN_MICRO);
    set_int(q, "minor", SPOKEN_MINOR);
    set_int(q, "major", SPOKEN_MAJOR);
    json_object_set_new(v, "qemu", q);
    set_str(v, "package", "dragoman-" DRAGOMAN_VERSION);
    return v;
}

bool qmp_query_version(struct qmp_call *c)
{
    c->ret = qmp_version();
    return true;
}

bool qmp_query_status(struct qmp_call *c)
{
    static const char *const names[] = {"paused", "running", "shutdown", "guest-panicked",
                                        "watchdog"};
    enum run_state s = c->machine->state;

    c->ret = json_object();
    set_str(c->ret, "status",
            s == RUN_PAUSED && clock_now(c->machine->clock) == 0 ? "prelaunch" : names[s]);
    set_bool(c->ret, "running", s == RUN_RUNNING);
    return true;
}

static json_t *cpu_place(struct x86_cpu *cpu)
{
    json_t *o = json_object();
    unsigned threads = cpu->smp_threads ? cpu->smp_threads : 1,
             cores = cpu->smp_cores ? cpu->smp_cores : 1;
    unsigned n = cpu->v.index;

    set_int(o, "socket-id", n / threads / cores);
    set_int(o, "core-id", n / threads % cores);
    set_int(o, "thread-id", n % threads);
    return o;
}

static void set_cpu_path(json_t *o, unsigned n)
{
    char path[64];

    snprintf(path, sizeof(path), "/machine/unattached/device[%u]", n);
    set_str(o, "qom-path", path);
}

bool qmp_query_cpus_fast(struct qmp_call *c)
{
    c->ret = json_array();
    for (unsigned i = 0; i < c->machine->nvcpus; i++) {
        json_t *o = json_object();
        set_int(o, "cpu-index", i);
        set_cpu_path(o, i);
        set_int(o, "thread-id", (unsigned)vcpu_thread_id(c->machine->vcpus[i]));
        set_str(o, "target", "x86_64");
        json_object_set_new(o, "props", cpu_place(x86_cpu(c->machine->vcpus[i])));
        json_array_append_new(c->ret, o);
    }
    return true;
}

bool qmp_query_hotpluggable_cpus(struct qmp_call *c)
{
    char type[80];

    c->ret = json_array();
    for (unsigned i = c->machine->nvcpus; i--;) {
        struct x86_cpu *cpu = x86_cpu(c->machine->vcpus[i]);
        json_t *o = json_object();
        snprintf(type, sizeof(type), "%s-x86_64-cpu", cpu->model->name);
        set_str(o, "type", type);
        set_int(o, "vcpus-count", 1);
        set_cpu_path(o, i);
        json_object_set_new(o, "props", cpu_place(cpu));
        json_array_append_new(c->ret, o);
    }
    return true;
}

bool qmp_query_name(struct qmp_call *c)
{
    c->ret = json_object();
    if (c->program && c->program->opt.name) {
        set_str(c->ret, "name", c->machine->name);
    }
    return true;
}

bool qmp_query_uuid(struct qmp_call *c)
{
    c->ret = json_object(); /* there is no -uuid in this version */
    set_str(c->ret, "UUID", "00000000-0000-0000-0000-000000000000");
    return true;
}

bool qmp_query_kvm(struct qmp_call *c)
{
    c->ret = json_object();
    set_bool(c->ret, "enabled", false);
    set_bool(c->ret, "present", false);
    return true;
}

bool qmp_query_chardev(struct qmp_call *c)
{
    c->ret = json_array();
    for (unsigned i = 0; c->program && i < c->program->nchardevs; i++) {
        json_t *o = json_object();
        set_str(o, "label", chardev_id(c->program->chardevs[i]));
        set_str(o, "filename", chardev_describe(c->program->chardevs[i]));
        set_bool(o, "frontend-open", true);
        json_array_append_new(c->ret, o);
    }
    return true;
}

static json_t *pci_regions(const struct pci_device *p)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < 7; i++) {
        const struct pci_bar *b = &p->bar[i];
        if (!b->size) {
            continue;
        }
        json_t *o = json_object();
        set_int(o, "bar", i);
        set_str(o, "type", b->io ? "io" : "memory");
        json_object_set_new(o, "address", json_integer(b->map ? (json_int_t)b->addr : -1));
        set_int(o, "size", b->size);
        if (!b->io) {
            set_bool(o, "prefetch", b->prefetch);
            set_bool(o, "mem_type_64", b->is64);
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *pci_info(const struct pci_device *p)
{
    json_t *o = json_object(), *class = json_object(), *id = json_object();

    set_int(o, "bus", 0);
    set_int(o, "slot", p->devfn >> 3);
    set_int(o, "function", p->devfn & 7);
    set_int(class, "class", pci_get16(p, 0x0a));
    set_str(class, "desc", p->dev.type->summary);
    json_object_set_new(o, "class_info", class);
    set_int(id, "vendor", pci_get16(p, 0));
    set_int(id, "device", pci_get16(p, 2));
    set_int(id, "subsystem-vendor", pci_get16(p, 0x2c));
    set_int(id, "subsystem", pci_get16(p, 0x2e));
    json_object_set_new(o, "id", id);
    set_int(o, "irq_pin", p->config[0x3d]);
    if (p->config[0x3d]) {
        set_int(o, "irq", p->config[0x3c]);
    }
    set_str(o, "qdev_id", p->dev.id ? p->dev.id : "");
    json_object_set_new(o, "regions", pci_regions(p));
    return o;
}

bool qmp_query_pci(struct qmp_call *c)
{
    struct pci_bus *root = c->machine->devices ? pci_root(c->machine) : NULL;

    c->ret = json_array();
    if (root) {
        json_t *bus = json_object(), *devices = json_array();
        for (unsigned i = 0; i < 256; i++) {
            struct pci_device *p = pci_find(root, (uint8_t)i);
            if (p) {
                json_array_append_new(devices, pci_info(p));
            }
        }
        set_int(bus, "bus", 0);
        json_object_set_new(bus, "devices", devices);
        json_array_append_new(c->ret, bus);
    }
    return true;
}

bool qmp_query_machines(struct qmp_call *c)
{
    c->ret = json_array();
    for (const struct machine_type *const *t = machine_types; *t; t++) {
        json_t *o = json_object();
        set_str(o, "name", (*t)->name);
        set_bool(o, "is-default", *t == &machine_pc);
        set_int(o, "cpu-max", MACHINE_CPU_MAX);
        set_bool(o, "hotpluggable-cpus", false);
        set_bool(o, "numa-mem-supported", false);
        set_bool(o, "deprecated", false);
        set_str(o, "default-cpu-type", "max-x86_64-cpu");
        set_bool(o, "acpi", true);
        json_array_append_new(c->ret, o);
    }
    return true;
}

bool qmp_query_cpu_definitions(struct qmp_call *c)
{
    char type[80];

    c->ret = json_array();
    for (unsigned i = 0; x86_model_name(i); i++) {
        json_t *o = json_object();
        set_str(o, "name", x86_model_name(i));
        snprintf(type, sizeof(type), "%s-x86_64-cpu", x86_model_name(i));
        set_str(o, "typename", type);
        json_object_set_new(o, "unavailable-features", json_array());
        set_bool(o, "static", false);
        set_bool(o, "deprecated", false);
        json_array_append_new(c->ret, o);
    }
    return true;
}

bool qmp_query_memory_size_summary(struct qmp_call *c)
{
    c->ret = json_object();
    set_int(c->ret, "base-memory", c->machine->ram_size);
    set_int(c->ret, "plugged-memory", 0);
    return true;
}

/* ---- the tree of objects: processors and devices ---- */

enum place { PLACE_NONE, PLACE_ROOT, PLACE_PERIPHERAL, PLACE_UNATTACHED, PLACE_CPU, PLACE_DEVICE };

struct found {
    enum place place;
    struct device *device;
    struct x86_cpu *cpu;
    /* while looking */
    const char *id;
    unsigned number, at;
    json_t *list;
};

static void visit(struct device *d, void *opaque)
{
    struct found *f = opaque;
    bool hit = f->id ? d->id && !strcmp(d->id, f->id) : !d->id && f->at++ == f->number;

    if (hit) {
        f->device = d;
        f->place = PLACE_DEVICE;
    }
}

static void find_path(struct machine *m, const char *path, struct found *f)
{
    static const struct {
        const char *path;
        enum place place;
    } fixed[] = {{"/machine", PLACE_ROOT},
                 {"/machine/peripheral", PLACE_PERIPHERAL},
                 {"/machine/unattached", PLACE_UNATTACHED}};
    unsigned n;
    int end = 0;

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (!strcmp(path, fixed[i].path)) {
            f->place = fixed[i].place;
            return;
        }
    }
    if (!strncmp(path, "/machine/peripheral/", 20)) {
        f->id = path + 20;
        device_foreach(m, visit, f);
    } else if (sscanf(path, "/machine/unattached/device[%9u]%n", &n, &end) == 1 && end &&
               !path[end]) {
        if (n < m->nvcpus) {
            f->cpu = x86_cpu(m->vcpus[n]);
            f->place = PLACE_CPU;
        } else {
            f->number = n - m->nvcpus;
            device_foreach(m, visit, f);
        }
    }
}

static void add_entry(json_t *list, const char *name, const char *type)
{
    json_t *o = json_object();

    set_str(o, "name", name);
    set_str(o, "type", type);
    json_array_append_new(list, o);
}

static void list_child(struct device *d, void *opaque)
{
    struct found *f = opaque;
    char name[32], type[80];

    if ((d->id != NULL) != (f->place == PLACE_PERIPHERAL)) {
        return;
    }
    snprintf(name, sizeof(name), "device[%u]", f->at++);
    snprintf(type, sizeof(type), "child<%s>", d->type->name);
    add_entry(f->list, d->id ? d->id : name, type);
}

static const char *prop_type_name(enum prop_type t)
{
    static const char *const names[] = {"",       "bool", "uint8", "uint16", "uint32",
                                        "uint64", "size", "str",   "str",    "str"};

    return t < sizeof(names) / sizeof(names[0]) ? names[t] : "str";
}

bool qmp_qom_list(struct qmp_call *c)
{
    const char *path = json_string_value(json_object_get(c->args, "path"));
    struct found f = {0};
    char name[32], type[80];

    find_path(c->machine, path, &f);
    if (f.place == PLACE_NONE) {
        return qmp_fail(c, QMP_NO_DEVICE, "Device '%.200s' not found", path);
    }
    f.list = c->ret = json_array();
    add_entry(f.list, "type", "string");
    if (f.place == PLACE_ROOT) {
        add_entry(f.list, "peripheral", "child<container>");
        add_entry(f.list, "unattached", "child<container>");
    } else if (f.place == PLACE_PERIPHERAL || f.place == PLACE_UNATTACHED) {
        for (unsigned i = 0; f.place == PLACE_UNATTACHED && i < c->machine->nvcpus; i++) {
            snprintf(name, sizeof(name), "device[%u]", i);
            snprintf(type, sizeof(type), "child<%s-x86_64-cpu>",
                     x86_cpu(c->machine->vcpus[i])->model->name);
            add_entry(f.list, name, type);
        }
        f.at = c->machine->nvcpus;
        device_foreach(c->machine, list_child, &f);
    } else if (f.place == PLACE_CPU) {
        add_entry(f.list, "feature-words", "X86CPUFeatureWordInfo");
        add_entry(f.list, "filtered-features", "X86CPUFeatureWordInfo");
    } else {
        for (const struct property *p = f.device->type->props; p && p->name; p++) {
            add_entry(f.list, p->name, prop_type_name(p->type));
        }
    }
    return true;
}

static json_t *device_value(struct device *d, const struct property *p)
{
    const void *at = (const char *)d + p->offset;

    switch (p->type) {
    case PT_BOOL:
        return json_boolean(*(const bool *)at);
    case PT_U8:
        return json_integer(*(const uint8_t *)at);
    case PT_U16:
        return json_integer(*(const uint16_t *)at);
    case PT_U32:
        return json_integer(*(const uint32_t *)at);
    case PT_U64:
    case PT_SIZE:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case PT_STRING:
        return json_string(*(char *const *)at ? *(char *const *)at : "");
    case PT_CHARDEV:
        return json_string(*(struct chardev *const *)at ? chardev_id(*(struct chardev *const *)at)
                                                        : "");
    case PT_DRIVE:
        return json_string(*(struct block *const *)at ? block_id(*(struct block *const *)at) : "");
    case PT_NETDEV:
        return json_string(*(struct netdev *const *)at ? netdev_id(*(struct netdev *const *)at)
                                                       : "");
    default:
        return NULL;
    }
}

/* The bits of CPUID's feature registers, each with where it stands; filtered: none is withheld. */
static json_t *feature_words(struct x86_cpu *cpu)
{
    static const uint32_t leaves[][3] = {{1, 0, 3},          {1, 0, 2},  {7, 0, 1},
                                         {7, 0, 2},          {7, 0, 3},  {0x80000001, 0, 3},
                                         {0x80000001, 0, 2}, {0xd, 1, 0}};
    static const char *const regs[] = {"EAX", "EBX", "ECX", "EDX"};
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        uint32_t out[4];
        json_t *o = json_object();
        x86_cpuid(cpu, leaves[i][0], leaves[i][1], out);
        set_str(o, "cpuid-register", regs[leaves[i][2]]);
        set_int(o, "cpuid-input-eax", leaves[i][0]);
        if (leaves[i][0] == 7 || leaves[i][0] == 0xd) {
            set_int(o, "cpuid-input-ecx", leaves[i][1]);
        }
        set_int(o, "features", out[leaves[i][2]]);
        json_array_append_new(list, o);
    }
    return list;
}

bool qmp_qom_get(struct qmp_call *c)
{
    const char *path = json_string_value(json_object_get(c->args, "path"));
    const char *name = json_string_value(json_object_get(c->args, "property"));
    struct found f = {0};
    char type[80] = "container";

    find_path(c->machine, path, &f);
    if (f.place == PLACE_NONE) {
        return qmp_fail(c, QMP_NO_DEVICE, "Device '%.200s' not found", path);
    }
    if (f.cpu) {
        snprintf(type, sizeof(type), "%s-x86_64-cpu", f.cpu->model->name);
    } else if (f.device) {
        snprintf(type, sizeof(type), "%s", f.device->type->name);
    }
    if (!strcmp(name, "type")) {
        c->ret = json_string(type);
    } else if (f.cpu && !strcmp(name, "feature-words")) {
        c->ret = feature_words(f.cpu);
    } else if (f.cpu && !strcmp(name, "filtered-features")) {
        c->ret = json_array();
    } else if (f.device) {
        const struct property *p =
            f.device->type->props ? device_type_prop(f.device->type, name) : NULL;
        c->ret = p ? device_value(f.device, p) : qmp_balloon_property(f.device, name);
    }
    return c->ret || qmp_fail(c, NULL, "Property '%s.%.100s' not found", type, name);
}
