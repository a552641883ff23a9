/* The monitor's `info registers`: everything a processor has, flags and descriptors in words. */
#include "control/monitor_internal.h"
#include "cpu/segment.h"
#include "cpu/system.h"

#include <inttypes.h>
#include <string.h>

struct bit_name {
    unsigned bit;
    const char *name;
};

static void print_bits(FILE *out, uint64_t value, const struct bit_name *names, size_t n)
{
    fputs(" [", out);
    for (size_t i = 0; i < n; i++) {
        if (value >> names[i].bit & 1) {
            fprintf(out, " %s", names[i].name);
        }
    }
    fputs(" ]", out);
}

#define PRINT_BITS(out, value, names)                                                              \
    print_bits(out, value, names, sizeof(names) / sizeof((names)[0]))

static const struct bit_name flag_bits[] = {{21, "ID"}, {20, "VIP"}, {19, "VIF"}, {18, "AC"},
                                            {17, "VM"}, {16, "RF"},  {14, "NT"},  {11, "OF"},
                                            {10, "DF"}, {9, "IF"},   {8, "TF"},   {7, "SF"},
                                            {6, "ZF"},  {4, "AF"},   {2, "PF"},   {0, "CF"}};
static const struct bit_name cr0_bits[] = {{31, "PG"}, {30, "CD"}, {29, "NW"}, {18, "AM"},
                                           {16, "WP"}, {5, "NE"},  {4, "ET"},  {3, "TS"},
                                           {2, "EM"},  {1, "MP"},  {0, "PE"}};
static const struct bit_name cr4_bits[] = {
    {22, "PKE"},      {21, "SMAP"}, {20, "SMEP"}, {18, "OSXSAVE"}, {17, "PCIDE"},
    {16, "FSGSBASE"}, {12, "LA57"}, {11, "UMIP"}, {10, "OSXMM"},   {9, "OSFXSR"},
    {8, "PCE"},       {7, "PGE"},   {6, "MCE"},   {5, "PAE"},      {4, "PSE"},
    {3, "DE"},        {2, "TSD"},   {1, "PVI"},   {0, "VME"}};
static const struct bit_name efer_bits[] = {{11, "NXE"}, {10, "LMA"}, {8, "LME"}, {0, "SCE"}};

/* What a descriptor's attributes mean: "CS64 DPL=0 r", "TSS64 busy", ... */
static const char *segment_text(uint16_t attr, char *buf, size_t size)
{
    if (!(attr & SEGA_P)) {
        return "absent";
    }
    if (!(attr & SEGA_S)) {
        static const char *const types[16] = {[1] = "TSS16",
                                              [2] = "LDT",
                                              [3] = "TSS16 busy",
                                              [9] = "TSS32/64",
                                              [11] = "TSS32/64 busy"};
        const char *name = types[attr & SEGA_TYPE];
        return name ? name : "system";
    }
    if (attr & SEGA_CODE) {
        snprintf(buf, size, "CS%u DPL=%u %s%s",
                 attr & SEGA_L    ? 64
                 : attr & SEGA_DB ? 32
                                  : 16,
                 x86_attr_dpl(attr), attr & SEGA_CE ? "conforming " : "",
                 attr & SEGA_RW ? "readable" : "execute only");
    } else {
        snprintf(buf, size, "DS%u DPL=%u %s%s", attr & SEGA_DB ? 32 : 16, x86_attr_dpl(attr),
                 attr & SEGA_CE ? "expand down " : "", attr & SEGA_RW ? "writable" : "read only");
    }
    return buf;
}

static void print_segment(FILE *out, const char *name, uint16_t sel, uint64_t base, uint32_t limit,
                          uint16_t attr)
{
    char text[48];

    fprintf(out, "%-4s=%04x %016" PRIx64 " %08x %04x %s\n", name, sel, base, limit, attr,
            segment_text(attr, text, sizeof(text)));
}

static void print_system(FILE *out, struct x86_cpu *c)
{
    fprintf(out, "GDT = %016" PRIx64 " %04x\nIDT = %016" PRIx64 " %04x\n", c->gdtr.base,
            c->gdtr.limit, c->idtr.base, c->idtr.limit);
    fprintf(out, "CR0=%08" PRIx64, c->cr0);
    PRINT_BITS(out, c->cr0, cr0_bits);
    fprintf(out, " CR2=%016" PRIx64 " CR3=%016" PRIx64 "\nCR4=%08" PRIx64, c->cr2, c->cr3, c->cr4);
    PRINT_BITS(out, c->cr4, cr4_bits);
    fprintf(out, " EFER=%016" PRIx64, c->efer);
    PRINT_BITS(out, c->efer, efer_bits);
    fputs("\n", out);
    for (unsigned i = 0; i < 4; i++) {
        fprintf(out, "DR%u=%016" PRIx64 " ", i, c->dr[i]);
    }
    fprintf(out, "DR6=%08" PRIx64 " DR7=%08" PRIx64 "\n", c->dr[6], c->dr[7]);
}

static void print_fpu(FILE *out, struct x86_cpu *c)
{
    fprintf(out, "FCW=%04x FSW=%04x FTW=%04x MXCSR=%08x XCR0=%08" PRIx64 "\n", c->fp_cw,
            x86_get_fpsw(c), x86_get_fptw(c), x86_get_mxcsr(c), c->xcr0);
    for (unsigned i = 0; i < 8; i++) {
        const struct x86_fpreg *r = &c->fpr[(c->fp_top + i) & 7];
        bool empty = c->fp_tag_empty >> ((c->fp_top + i) & 7) & 1;
        fprintf(out, "ST%u=%04x %016" PRIx64 "%s%s", i, r->se, r->mant, empty ? " empty" : "",
                i % 2 ? "\n" : "  ");
    }
}

static void print_vectors(FILE *out, struct x86_cpu *c)
{
    unsigned bytes = c->xcr0 & 4 ? 32 : 16, n = c->efer & EFER_LMA ? 16 : 8;

    for (unsigned i = 0; i < n; i++) {
        fprintf(out, "%cMM%02u=", bytes == 32 ? 'Y' : 'X', i);
        for (unsigned k = bytes; k--;) {
            fprintf(out, "%02x", c->v.vec[i].b[k]);
        }
        fputs(bytes == 16 && !(i % 2) ? " " : "\n", out);
    }
}

static void print_cpu(FILE *out, struct x86_cpu *c)
{
    static const char *const names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                          "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    static const char *const segs[6] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    uint32_t flags = x86_get_eflags(c);

    for (unsigned i = 0; i < 16; i++) {
        fprintf(out, "%s=%016" PRIx64 "%c", names[i], c->v.reg[i], i % 4 == 3 ? '\n' : ' ');
    }
    fprintf(out, "RIP=%016" PRIx64 " RFL=%08x", c->v.reg[X86_RIP], flags);
    PRINT_BITS(out, flags, flag_bits);
    fprintf(out, " IOPL=%u CPL=%u HLT=%d SMM=%d\n", flags >> 12 & 3, c->cpl, c->halted, c->in_smm);
    for (unsigned i = 0; i < 6; i++) {
        print_segment(out, segs[i], c->seg[i].sel, c->v.reg[X86_ES_BASE + i], c->seg[i].limit,
                      c->seg[i].attr);
    }
    print_segment(out, "LDT", c->ldtr.sel, c->ldtr.base, c->ldtr.limit, c->ldtr.attr);
    print_segment(out, "TR", c->tr.sel, c->tr.base, c->tr.limit, c->tr.attr);
    print_system(out, c);
    print_fpu(out, c);
    print_vectors(out, c);
}

void monitor_info_registers(struct monitor_call *call)
{
    bool all = !strcmp(call->arg, "-a");

    if (*call->arg && !all) {
        fputs("info registers: -a or nothing\n", call->out);
        return;
    }
    for (unsigned n = 0; n < call->machine->nvcpus; n++) {
        if (all || n == call->ctx->cpu) {
            fprintf(call->out, "CPU #%u\n", n);
            print_cpu(call->out, x86_cpu(call->machine->vcpus[n]));
        }
    }
}
