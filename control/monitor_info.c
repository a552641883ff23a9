/* The monitor's `info`: one row each. What devices know is printed by their state tables. */
#include "config.h"
#include "control/control.h"
#include "control/monitor_internal.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/net.h"
#include "hw/pci/pci.h"
#include "hw/virtio/virtio_balloon.h"
#include "tcg/tcg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void info_status(struct monitor_call *c)
{
    static const char *const text[] = {"paused", "running", "paused (shutdown)"};

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
    for (unsigned i = 0; i < c->machine->nvcpus; i++) {
        struct x86_cpu *cpu = x86_cpu(c->machine->vcpus[i]);
        fprintf(c->out, "%c CPU #%u: %s thread_id=%d\n", i == c->ctx->cpu ? '*' : ' ', i,
                cpu->shutdown ? "shut down"
                : cpu->halted ? "halted"
                              : "running",
                vcpu_thread_id(c->machine->vcpus[i]));
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

static void info_block(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);

    for (unsigned i = 0; p && i < p->nblocks; i++) {
        struct block *b = p->blocks[i];
        fprintf(c->out, "%s: %" PRIu64 " bytes%s\n", block_id(b), block_size(b),
                block_readonly(b) ? ", read only" : "");
    }
    if (!p || !p->nblocks) {
        fputs("no disk images\n", c->out);
    }
}

static void info_blockstats(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);

    for (unsigned i = 0; p && i < p->nblocks; i++) {
        struct block_stats s = block_get_stats(p->blocks[i]);
        fprintf(c->out,
                "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64
                " wr_operations=%" PRIu64 " flush_operations=%" PRIu64 " other_operations=%" PRIu64
                " failed_operations=%" PRIu64 "\n",
                block_id(p->blocks[i]), s.bytes[BLOCK_READ], s.bytes[BLOCK_WRITE],
                s.operations[BLOCK_READ], s.operations[BLOCK_WRITE], s.operations[BLOCK_FLUSH],
                s.operations[BLOCK_DISCARD] + s.operations[BLOCK_WRITE_ZEROES], s.failed);
    }
}

static void info_network(struct monitor_call *c)
{
    struct pci_bus *root = c->machine->devices ? pci_root(c->machine) : NULL;
    struct program *prog = control_program(c->machine);
    unsigned n = 0;

    for (unsigned i = 0; prog && i < prog->nnetdevs; i++) {
        char *text = netdev_describe(prog->netdevs[i]);
        fprintf(c->out, "%s:\n%s", netdev_id(prog->netdevs[i]), text ? text : "");
        free(text);
        n++;
    }
    for (unsigned i = 0; root && i < 256; i++) {
        struct pci_device *p = pci_find(root, (uint8_t)i);
        if (p && p->config[0x0b] == 2) {
            fprintf(c->out, "%s%s%s\n", p->dev.type->name, p->dev.id ? " " : "",
                    p->dev.id ? p->dev.id : "");
            n++;
        }
    }
    if (!n) {
        fputs("no network devices\n", c->out);
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

static void print_seg(FILE *out, const char *name, uint16_t sel, uint64_t base, uint32_t limit,
                      uint16_t attr)
{
    fprintf(out, "%-4s=%04x %016llx %08x %04x\n", name, sel, (unsigned long long)base, limit, attr);
}

static void info_registers(struct monitor_call *call)
{
    struct machine *m = call->machine;
    FILE *out = call->out;
    bool all = !strcmp(call->arg, "-a");
    static const char *const names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                          "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    static const char *const segs[6] = {"ES", "CS", "SS", "DS", "FS", "GS"};

    for (unsigned n = 0; n < m->nvcpus; n++) {
        struct x86_cpu *c = x86_cpu(m->vcpus[n]);
        if (!all && n != call->ctx->cpu) {
            continue;
        }
        fprintf(out, "CPU #%u\n", n);
        for (unsigned i = 0; i < 16; i++) {
            fprintf(out, "%s=%016llx%c", names[i], (unsigned long long)c->v.reg[i],
                    i % 4 == 3 ? '\n' : ' ');
        }
        fprintf(out, "RIP=%016llx RFL=%08x CPL=%u HLT=%d SMM=%d\n",
                (unsigned long long)c->v.reg[X86_RIP], x86_get_eflags(c), c->cpl, c->halted,
                c->in_smm);
        for (unsigned i = 0; i < 6; i++) {
            print_seg(out, segs[i], c->seg[i].sel, c->v.reg[X86_ES_BASE + i], c->seg[i].limit,
                      c->seg[i].attr);
        }
        print_seg(out, "LDT", c->ldtr.sel, c->ldtr.base, c->ldtr.limit, c->ldtr.attr);
        print_seg(out, "TR", c->tr.sel, c->tr.base, c->tr.limit, c->tr.attr);
        fprintf(out, "GDT = %016llx %04x\nIDT = %016llx %04x\n", (unsigned long long)c->gdtr.base,
                c->gdtr.limit, (unsigned long long)c->idtr.base, c->idtr.limit);
        fprintf(out, "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx EFER=%016llx\n",
                (unsigned long long)c->cr0, (unsigned long long)c->cr2, (unsigned long long)c->cr3,
                (unsigned long long)c->cr4, (unsigned long long)c->efer);
    }
}

/* clang-format off */
const struct monitor_row monitor_info_rows[] = {
    {"registers", "[-a]", "registers of the processor (-a: of all)", info_registers, true},
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
    {"block", "", "disk images", info_block, false},
    {"blockstats", "", "what was read and written", info_blockstats, false},
    {"network", "", "network devices", info_network, false},
    {"balloon", "", "memory the guest keeps", info_balloon, false},
    {"jit", "", "statistics of the translator", info_jit, false},
    {"cpus", "", "processors and their states", info_cpus, false},
    {"status", "", "running or paused", info_status, false},
    {"version", "", "version of the program", info_version, false},
    {"roms", "", "read-only memory", info_roms, false},
    {NULL, NULL, NULL, NULL, false},
};
/* clang-format on */
