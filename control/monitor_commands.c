/* The monitor's commands: one row each. */
#include "config.h"
#include "control/monitor.h"
#include "cpu/x86.h"
#include "host/nearest.h"
#include "hw/device.h"
#include "hw/pci/pci.h"
#include "softmmu/machine.h"
#include "tcg/tcg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name, *args, *help;
    void (*run)(struct machine *m, const char *arg, FILE *out);
};

static void cmd_stop(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    (void)out;
    machine_request(m, REQUEST_STOP, "stop from the monitor");
}

static void cmd_cont(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    (void)out;
    machine_request(m, REQUEST_CONT, "cont from the monitor");
}

static void cmd_quit(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    (void)out;
    machine_request(m, REQUEST_EXIT, "quit from the monitor");
}

static void cmd_reset(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    (void)out;
    machine_request(m, REQUEST_RESET, "system_reset from the monitor");
}

static void cmd_powerdown(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    (void)out;
    machine_request(m, REQUEST_POWERDOWN, "system_powerdown from the monitor");
}

static void cmd_nmi(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    (void)out;
    for (unsigned i = 0; i < m->nvcpus; i++) {
        vcpu_request(m->vcpus[i], X86_REQ_NMI);
    }
}

/* ---- info ---- */

static void info_status(struct machine *m, const char *arg, FILE *out)
{
    static const char *const text[] = {"paused", "running", "paused (shutdown)"};

    (void)arg;
    fprintf(out, "VM status: %s\n", text[m->state]);
}

static void info_version(struct machine *m, const char *arg, FILE *out)
{
    (void)m;
    (void)arg;
    fprintf(out, "dragoman %s\n", DRAGOMAN_VERSION);
}

static void print_text(char *text, FILE *out)
{
    fputs(text, out);
    free(text);
}

static void info_mtree(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    print_text(memory_describe(m->memory), out);
}

static void info_pci(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    if (pci_root(m)) {
        print_text(pci_describe(pci_root(m)), out);
    }
}

static void info_jit(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    print_text(tcg_describe(m->tcg), out);
}

static void info_cpus(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    for (unsigned i = 0; i < m->nvcpus; i++) {
        struct x86_cpu *c = x86_cpu(m->vcpus[i]);
        fprintf(out, "CPU #%u: %s\n", i, c->halted ? "halted" : "running");
    }
}

static void print_device(struct device *d, void *opaque)
{
    fprintf(opaque, "%s%s%s: %s\n", d->type->name, d->id ? " " : "", d->id ? d->id : "", d->type->summary);
}

static void info_qtree(struct machine *m, const char *arg, FILE *out)
{
    (void)arg;
    device_foreach(m, print_device, out);
}

static void print_seg(FILE *out, const char *name, uint16_t sel, uint64_t base, uint32_t limit,
                      uint16_t attr)
{
    fprintf(out, "%-4s=%04x %016llx %08x %04x\n", name, sel, (unsigned long long)base, limit, attr);
}

static void info_registers(struct machine *m, const char *arg, FILE *out)
{
    static const char *const names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                          "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    static const char *const segs[6] = {"ES", "CS", "SS", "DS", "FS", "GS"};

    (void)arg;
    for (unsigned n = 0; n < m->nvcpus; n++) {
        struct x86_cpu *c = x86_cpu(m->vcpus[n]);
        fprintf(out, "CPU #%u\n", n);
        for (unsigned i = 0; i < 16; i++) {
            fprintf(out, "%s=%016llx%c", names[i], (unsigned long long)c->v.reg[i], i % 4 == 3 ? '\n' : ' ');
        }
        fprintf(out, "RIP=%016llx RFL=%08x CPL=%u HLT=%d SMM=%d\n", (unsigned long long)c->v.reg[X86_RIP],
                x86_get_eflags(c), c->cpl, c->halted, c->in_smm);
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

static const struct command info_rows[] = {
    {"registers", "", "registers of the processors", info_registers},
    {"status", "", "running or paused", info_status},
    {"version", "", "version of the program", info_version},
    {"mtree", "", "map of memory and I/O ports", info_mtree},
    {"pci", "", "PCI devices", info_pci},
    {"qtree", "", "all devices", info_qtree},
    {"jit", "", "statistics of the translator", info_jit},
    {"cpus", "", "processors and their states", info_cpus},
};
enum { NINFO = sizeof(info_rows) / sizeof(info_rows[0]) };

static void print_rows(const struct command *rows, size_t n, const char *prefix, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s%s", prefix, rows[i].name, *rows[i].args ? " " : "",
                 rows[i].args);
        fprintf(out, "%-28s %s\n", left, rows[i].help);
    }
}

static void run_in(const struct command *rows, size_t n, struct machine *m, const char *line,
                   const char *what, FILE *out)
{
    char word[64];
    size_t len = strcspn(line, " \t");

    snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), line);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(rows[i].name, word)) {
            rows[i].run(m, line + len + strspn(line + len, " \t"), out);
            return;
        }
    }
    const char *near = nearest_name(word, &rows[0].name, n, sizeof(rows[0]));
    fprintf(out, "unknown %s '%s'", what, word);
    fprintf(out, near ? " (did you mean '%s'?)\n" : "\n", near);
}

static void cmd_info(struct machine *m, const char *arg, FILE *out)
{
    if (!*arg) {
        print_rows(info_rows, NINFO, "info ", out);
        return;
    }
    run_in(info_rows, NINFO, m, arg, "info", out);
}

static void cmd_help(struct machine *m, const char *arg, FILE *out);

static const struct command rows[] = {
    {"help", "", "this list", cmd_help},
    {"info", "[WHAT]", "show something; without WHAT: the list", cmd_info},
    {"stop", "", "pause the processors", cmd_stop},
    {"cont", "", "let them run", cmd_cont},
    {"c", "", "the same", cmd_cont},
    {"nmi", "", "send a non-maskable interrupt", cmd_nmi},
    {"system_reset", "", "reset the machine", cmd_reset},
    {"system_powerdown", "", "press the power button", cmd_powerdown},
    {"quit", "", "end the emulator", cmd_quit},
    {"q", "", "the same", cmd_quit},
};
enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

static void cmd_help(struct machine *m, const char *arg, FILE *out)
{
    (void)m;
    (void)arg;
    print_rows(rows, NROWS, "", out);
}

char *monitor_execute(struct machine *m, const char *line)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    line += strspn(line, " \t");
    if (*line) {
        run_in(rows, NROWS, m, line, "command", out);
    }
    fclose(out);
    return text;
}

char *monitor_run(struct monitor_context *ctx, const char *line)
{
    return monitor_execute(ctx->machine, line);
}
