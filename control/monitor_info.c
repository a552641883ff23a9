/* The monitor's `info`: one row each. What devices know is printed by their state tables. */
#include "config.h"
#include "control/control.h"
#include "control/monitor_internal.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/log.h"
#include "host/net.h"
#include "hw/pci/pci.h"
#include "hw/virtio/virtio_balloon.h"
#include "tcg/tcg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void info_status(struct monitor_call *c)
{
    static const char *const text[] = {"paused", "running", "paused (shutdown)",
                                       "paused (guest-panicked)", "paused (watchdog)"};

    fprintf(c->out, "VM status: %s\n", text[c->machine->state]);
}

static void info_version(struct monitor_call *c)
{
    fprintf(c->out, "dragoman %s\n", DRAGOMAN_VERSION);
}

static void print_text(char *text, FILE *out)
{
    fputs(text, out);
    free(text);
}

static void info_mtree(struct monitor_call *c)
{
    print_text(memory_describe(c->machine->memory), c->out);
}

static void info_pci(struct monitor_call *c)
{
    if (c->machine->devices && pci_root(c->machine)) {
        print_text(pci_describe(pci_root(c->machine)), c->out);
    }
}

static void info_balloon(struct monitor_call *c)
{
    char *text = c->machine->devices ? balloon_describe(c->machine) : NULL;

    fputs(text ? text : "there is no memory balloon\n", c->out);
    free(text);
}

static void info_jit(struct monitor_call *c)
{
    print_text(tcg_describe(c->machine->tcg), c->out);
}

static void info_cpus(struct monitor_call *c)
{
    const struct log *log = monitor_symbols(c);

    for (unsigned i = 0; i < c->machine->nvcpus; i++) {
        struct x86_cpu *cpu = x86_cpu(c->machine->vcpus[i]);
        uint64_t pc = cpu->v.ops->linear_pc(&cpu->v);
        char name[128];
        fprintf(c->out, "%c CPU #%u: %s pc=%#" PRIx64 "%s thread_id=%d\n",
                i == c->ctx->cpu ? '*' : ' ', i,
                cpu->shutdown    ? "shut down"
                : cpu->wait_sipi ? "waits to be started"
                : cpu->halted    ? "halted"
                                 : "running",
                pc, log_symbol(log, pc, name, sizeof(name)), vcpu_thread_id(c->machine->vcpus[i]));
    }
}

static void print_device(struct device *d, void *opaque)
{
    FILE *out = opaque;

    fprintf(out, "%s%s%s: %s\n", d->type->name, d->id ? " " : "", d->id ? d->id : "",
            d->type->summary);
    for (const struct property *p = d->type->props; p && p->name; p++) {
        const void *at = (const char *)d + p->offset;
        switch (p->type) {
        case PT_BOOL:
            fprintf(out, "    %s = %s\n", p->name, *(const bool *)at ? "on" : "off");
            break;
        case PT_U8:
            fprintf(out, "    %s = %u\n", p->name, *(const uint8_t *)at);
            break;
        case PT_U16:
            fprintf(out, "    %s = %#x\n", p->name, *(const uint16_t *)at);
            break;
        case PT_U32:
            fprintf(out, "    %s = %#x\n", p->name, *(const uint32_t *)at);
            break;
        case PT_U64:
        case PT_SIZE:
            fprintf(out, "    %s = %#" PRIx64 "\n", p->name, *(const uint64_t *)at);
            break;
        case PT_STRING:
            fprintf(out, "    %s = \"%s\"\n", p->name,
                    *(char *const *)at ? *(char *const *)at : "");
            break;
        default:
            break; /* what it is connected to is in info block and QMP's query-chardev */
        }
    }
}

static void each_device(struct monitor_call *c, void (*fn)(struct device *d, void *opaque),
                        void *opaque)
{
    if (c->machine->devices) {
        device_foreach(c->machine, fn, opaque);
    }
}

static void info_qtree(struct monitor_call *c)
{
    each_device(c, print_device, c->out);
}

struct state_search {
    FILE *out;
    const char *type;
    int number; /* of that type, -1: all */
    int at;
};

static void print_state(struct device *d, void *opaque)
{
    struct state_search *s = opaque;

    if (!strcmp(d->type->name, s->type) && d->type->state &&
        (s->number < 0 || s->at++ == s->number)) {
        fprintf(s->out, "%s\n", d->type->summary);
        print_text(state_describe(d->type->state, d), s->out);
    }
}

static void state_of(struct monitor_call *c, const char *type, int number)
{
    struct state_search s = {c->out, type, number, 0};

    each_device(c, print_state, &s);
}

static void info_pic(struct monitor_call *c)
{
    state_of(c, "ioapic", -1);
    state_of(c, "i8259", -1);
}

static void info_lapic(struct monitor_call *c)
{
    state_of(c, "apic", (int)c->ctx->cpu); /* they are made in the order of the processors */
}

static void info_irq(struct monitor_call *c)
{
    for (unsigned n = 0; n < c->machine->nvcpus; n++) {
        struct x86_cpu *cpu = x86_cpu(c->machine->vcpus[n]);
        fprintf(c->out, "CPU #%u, external interrupts since power-on by vector:\n", n);
        for (unsigned i = 0; i < 256; i++) {
            if (cpu->interrupts[i]) {
                fprintf(c->out, "  %02x: %" PRIu64 "\n", i, cpu->interrupts[i]);
            }
        }
    }
}

static void info_roms(struct monitor_call *c)
{
    char *text = memory_describe(c->machine->memory), *save = NULL;

    /* One line a range; the system management view repeats them. */
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        if (!strncmp(l, "memory in", 9)) {
            break;
        }
        if (strstr(l, " rom ")) {
            fprintf(c->out, "%s\n", l);
        }
    }
    free(text);
}

/* clang-format off */
const struct monitor_row monitor_info_rows[] = {
    {"registers", "[-a]", "registers of the processor (-a: of all)", monitor_info_registers, true},
    {"mem", "", "what the page tables map, by rights", monitor_info_mem, true},
    {"mice", "", "the pointing devices", monitor_info_mice, false},
    {"vnc", "", "the VNC server and its viewers", monitor_info_vnc, false},
    {"tlb", "", "what the page tables map, page by page", monitor_info_tlb, true},
    {"mtree", "", "map of memory and I/O ports", info_mtree, false},
    {"pci", "", "PCI devices", info_pci, false},
    {"qtree", "", "all devices and their properties", info_qtree, false},
    {"pic", "", "interrupt controllers of the board", info_pic, false},
    {"lapic", "", "local APIC of the processor", info_lapic, false},
    {"irq", "", "external interrupts taken", info_irq, false},
    {"block", "", "disk images", monitor_info_block, false},
    {"blockstats", "", "what was read and written", monitor_info_blockstats, false},
    {"network", "", "networks and the cards on them", monitor_info_network, false},
    {"usernet", "", "connections of user networking", monitor_info_usernet, false},
    {"chardev", "", "character devices", monitor_info_chardev, false},
    {"balloon", "", "memory the guest keeps", info_balloon, false},
    {"jit", "", "statistics of the translator", info_jit, false},
    {"cpus", "", "processors and their states", info_cpus, true},
    {"status", "", "running or paused", info_status, false},
    {"version", "", "version of the program", info_version, false},
    {"roms", "", "read-only memory", info_roms, false},
    {NULL, NULL, NULL, NULL, false},
};
/* clang-format on */
