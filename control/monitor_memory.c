/* The monitor looks at memory: expressions (with names of the kernel's symbols), dumps,
 * disassembly. Nothing here changes the guest's state; device registers are not read
 * by virtual address. */
#include "control/disas.h"
#include "control/monitor_internal.h"
#include "cpu/system.h"
#include "host/log.h"
#include "host/symbols.h"
#include "softmmu/tlb.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- expressions ---- */

struct reader {
    struct monitor_call *call;
    const char *p;
    struct error *err;
    unsigned depth;
};

static bool register_value(struct x86_cpu *c, const char *name, uint64_t *value)
{
    static const char *const general[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                            "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static const char *const segs[6] = {"es", "cs", "ss", "ds", "fs", "gs"};
    struct {
        const char *name;
        uint64_t value;
    } others[] = {
        {"rip", c->v.reg[X86_RIP]},
        {"eip", (uint32_t)c->v.reg[X86_RIP]},
        {"pc", c->v.ops->linear_pc(&c->v)},
        {"eflags", x86_get_eflags(c)},
        {"rflags", x86_get_eflags(c)},
        {"cr0", c->cr0},
        {"cr2", c->cr2},
        {"cr3", c->cr3},
        {"cr4", c->cr4},
        {"efer", c->efer},
        {"gdtr", c->gdtr.base},
        {"idtr", c->idtr.base},
        {"tr", c->tr.base},
        {"ldtr", c->ldtr.base},
        {"kernel_gs_base", c->kernel_gs_base},
    };

    for (unsigned i = 0; i < 16; i++) {
        if (!strcmp(name, general[i])) {
            *value = c->v.reg[i];
            return true;
        }
        if (i < 8 && name[0] == 'e' && !strcmp(name + 1, general[i] + 1)) {
            *value = (uint32_t)c->v.reg[i];
            return true;
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        if (!strncmp(name, segs[i], 2) && (!name[2] || !strcmp(name + 2, "_base"))) {
            *value = name[2] ? c->v.reg[X86_ES_BASE + i] : c->seg[i].sel;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (!strcmp(name, others[i].name)) {
            *value = others[i].value;
            return true;
        }
    }
    return false;
}

static void blanks(struct reader *r)
{
    r->p += strspn(r->p, " \t");
}

/* A name of the guest's kernel is its address. */
static bool symbol(struct reader *r, uint64_t *v)
{
    const struct log *log = monitor_symbols(r->call);
    char name[256];
    size_t n = 0;

    while (n < sizeof(name) - 1 &&
           (isalnum((unsigned char)r->p[n]) || r->p[n] == '_' || r->p[n] == '.')) {
        name[n] = r->p[n];
        n++;
    }
    name[n] = 0;
    r->p += n;
    return (log && log->symbols && symbols_address(log->symbols, name, v)) ||
           error_set(r->err, "there is no symbol '%.100s'%s", name,
                     log && log->symbols ? "" : ": -symbols FILE names them");
}

static bool sum(struct reader *r, uint64_t *v);

static bool term(struct reader *r, uint64_t *v)
{
    char name[32];
    char *end;

    blanks(r);
    if (++r->depth > 100) {
        return error_set(r->err, "the expression is nested too deeply");
    }
    if (*r->p == '(') {
        r->p++;
        if (!sum(r, v)) {
            return false;
        }
        blanks(r);
        if (*r->p++ != ')') {
            r->p--;
            return error_set(r->err, "')' is missing");
        }
    } else if (*r->p == '-' || *r->p == '~' || *r->p == '+') {
        char op = *r->p++;
        if (!term(r, v)) {
            return false;
        }
        *v = op == '-' ? -*v : op == '~' ? ~*v : *v;
    } else if (*r->p == '$') {
        size_t n = strspn(++r->p, "abcdefghijklmnopqrstuvwxyz0123456789_");
        struct x86_cpu *cpu = monitor_cpu(r->call);
        snprintf(name, sizeof(name), "%.*s", (int)n, r->p);
        r->p += n;
        if (!cpu || !register_value(cpu, name, v)) {
            return error_set(r->err, "there is no register '$%s'", name);
        }
    } else if (isdigit((unsigned char)*r->p)) {
        *v = strtoull(r->p, &end, 0);
        r->p = end;
    } else if (isalpha((unsigned char)*r->p) || *r->p == '_') {
        if (!symbol(r, v)) {
            return false;
        }
    } else {
        return error_set(
            r->err,
            *r->p ? "a number or $register is expected at '%.40s'" : "a number is missing%s", r->p);
    }
    r->depth--;
    return true;
}

/* Products bind tighter than sums; & | ^ are of the sums' rank. */
static bool product(struct reader *r, uint64_t *v)
{
    if (!term(r, v)) {
        return false;
    }
    for (;;) {
        uint64_t b;
        blanks(r);
        char op = *r->p;
        if (op != '*' && op != '/' && op != '%') {
            return true;
        }
        r->p++;
        if (!term(r, &b)) {
            return false;
        }
        if (op != '*' && !b) {
            return error_set(r->err, "division by zero");
        }
        *v = op == '*' ? *v * b : op == '/' ? *v / b : *v % b;
    }
}

static bool sum(struct reader *r, uint64_t *v)
{
    if (!product(r, v)) {
        return false;
    }
    for (;;) {
        uint64_t b;
        blanks(r);
        char op = *r->p;
        if (!op || !strchr("+-&|^", op)) {
            return true;
        }
        r->p++;
        if (!product(r, &b)) {
            return false;
        }
        *v = op == '+'   ? *v + b
             : op == '-' ? *v - b
             : op == '&' ? *v & b
             : op == '|' ? *v | b
                         : *v ^ b;
    }
}

bool monitor_eval(struct monitor_call *c, const char **text, uint64_t *value, struct error *err)
{
    struct reader r = {c, *text, err, 0};
    bool ok = sum(&r, value);

    *text = r.p;
    return ok;
}

/* The whole argument is one expression. */
static bool one_value(struct monitor_call *c, uint64_t *v)
{
    struct error err = {0};
    const char *p = c->arg;

    if (!monitor_eval(c, &p, v, &err)) {
        fprintf(c->out, "%s\n", err.msg);
        return false;
    }
    p += strspn(p, " \t");
    if (*p) {
        fprintf(c->out, "'%s' is left over\n", p);
    }
    return !*p;
}

/* ---- formats: /COUNT, one of x d u o c i s, one of b h w g ---- */

struct format {
    uint64_t count;
    char kind;
    unsigned size;
};

static bool parse_format(struct monitor_call *c, struct format *f)
{
    const char *p = c->fmt;
    char *end;

    *f = (struct format){1, 'x', 4};
    if (isdigit((unsigned char)*p)) {
        f->count = strtoull(p, &end, 10);
        p = end;
    }
    for (; *p; p++) {
        if (strchr("xduocis", *p)) {
            f->kind = *p;
        } else if (strchr("bhwg", *p)) {
            f->size = *p == 'b' ? 1 : *p == 'h' ? 2 : *p == 'w' ? 4 : 8;
        } else {
            fprintf(c->out, "/%s: a count, one of x d u o c i s and one of b h w g are known\n",
                    c->fmt);
            return false;
        }
    }
    f->size = f->kind == 'c' || f->kind == 's' ? 1 : f->size;
    if (f->count < 1 || f->count > 65536) {
        fprintf(c->out, "/%s: the count must be from 1 to 65536\n", c->fmt);
        return false;
    }
    return true;
}

static void put_value(FILE *out, const struct format *f, uint64_t v)
{
    unsigned bits = 8 * f->size;

    switch (f->kind) {
    case 'd':
        fprintf(out, "%" PRId64,
                bits == 64 ? (int64_t)v : (int64_t)(v << (64 - bits)) >> (64 - bits));
        break;
    case 'u':
        fprintf(out, "%" PRIu64, v);
        break;
    case 'o':
        fprintf(out, "%#" PRIo64, v);
        break;
    case 'c':
    case 's':
        fprintf(out, v >= 32 && v < 127 && v != '\'' ? "'%c'" : "'\\x%02x'", (int)(v & 255));
        break;
    default:
        fprintf(out, "0x%0*" PRIx64, (int)(2 * f->size), v);
        break;
    }
}

struct memory_view {
    struct monitor_call *call;
    bool physical;
};

static bool fetch(const struct memory_view *m, uint64_t addr, void *buf, uint64_t len)
{
    struct x86_cpu *cpu = monitor_cpu(m->call);

    if (m->physical) {
        return memory_read(m->call->machine->memory, addr, buf, len);
    }
    return cpu && vcpu_read_virtual(&cpu->v, addr, buf, len);
}

static void dump(const struct memory_view *m, uint64_t addr, const struct format *f)
{
    FILE *out = m->call->out;
    unsigned per_line = f->kind == 'c' ? 8 : 16 / f->size;

    per_line = f->kind == 'o' || f->kind == 'd' || f->kind == 'u' ? 4 : per_line;
    for (uint64_t i = 0; i < f->count; i++, addr += f->size) {
        uint8_t b[8];
        uint64_t v = 0;
        if (i % per_line == 0) {
            fprintf(out, "%s%016" PRIx64 ":", i ? "\n" : "", addr);
        }
        if (!fetch(m, addr, b, f->size)) {
            fprintf(out, " Cannot access memory");
            break;
        }
        for (unsigned k = 0; k < f->size; k++) {
            v |= (uint64_t)b[k] << 8 * k;
        }
        fputs(" ", out);
        put_value(out, f, v);
    }
    fputs("\n", out);
}

static void dump_text(const struct memory_view *m, uint64_t addr, const struct format *f)
{
    FILE *out = m->call->out;
    enum { LONGEST = 4096 };

    for (uint64_t i = 0; i < f->count; i++) {
        uint8_t b = 1;
        unsigned n = 0;
        fprintf(out, "%016" PRIx64 ": \"", addr);
        while (n++ < LONGEST && fetch(m, addr++, &b, 1) && b) {
            fprintf(out, b >= 32 && b < 127 && b != '"' && b != '\\' ? "%c" : "\\x%02x", b);
        }
        fputs("\"\n", out);
        if (b) {
            return; /* cut, or memory ended */
        }
    }
}

static void disassemble(const struct memory_view *m, uint64_t addr, uint64_t count)
{
    struct x86_cpu *cpu = monitor_cpu(m->call);
    unsigned bits = cpu && cpu->v.ops->code_bits ? cpu->v.ops->code_bits(cpu->v.tb_flags) : 16;
    const struct log *log = monitor_symbols(m->call);
    FILE *out = m->call->out;
    char name[128];

    while (count--) {
        uint8_t code[15];
        unsigned have = 0;
        char text[128];
        while (have < sizeof(code) && fetch(m, addr + have, code + have, 1)) {
            have++;
        }
        log_symbol(m->physical ? NULL : log, addr, name, sizeof(name));
        fprintf(out, "0x%08" PRIx64 "%s:  ", addr, name);
        if (!have) {
            fputs("Cannot access memory\n", out);
            break;
        }
        unsigned n = disas_insn(bits, addr, code, have, text, sizeof(text));
        for (unsigned i = 0; i < (n ? n : 1); i++) {
            fprintf(out, "%02x", code[i]);
        }
        fprintf(out, "%*s%s\n", n < 11 ? (int)(22 - 2 * (n ? n : 1)) : 1, "", text);
        addr += n ? n : 1;
    }
}

static void examine(struct monitor_call *c, bool physical)
{
    struct memory_view m = {c, physical};
    struct format f;
    uint64_t addr;

    if (!parse_format(c, &f) || !one_value(c, &addr)) {
        return;
    }
    if (f.kind == 'i') {
        disassemble(&m, addr, f.count);
    } else if (f.kind == 's') {
        dump_text(&m, addr, &f);
    } else {
        dump(&m, addr, &f);
    }
}

void monitor_place(struct monitor_call *c)
{
    struct memory_view m = {c, false};
    struct x86_cpu *cpu = monitor_cpu(c);

    disassemble(&m, cpu->v.ops->linear_pc(&cpu->v), 1);
}

void monitor_x(struct monitor_call *c)
{
    examine(c, false);
}

void monitor_xp(struct monitor_call *c)
{
    examine(c, true);
}

void monitor_print(struct monitor_call *c)
{
    struct format f;
    uint64_t v;

    if (parse_format(c, &f) && one_value(c, &v)) {
        f.size = 8;
        if (f.kind == 'x') {
            fprintf(c->out, "%#" PRIx64, v);
        } else {
            put_value(c->out, &f, f.kind == 'c' ? v & 255 : v);
        }
        fputs("\n", c->out);
    }
}

void monitor_gva2gpa(struct monitor_call *c)
{
    struct x86_cpu *cpu = monitor_cpu(c);
    struct walk w;
    uint64_t va;

    if (cpu && one_value(c, &va)) {
        if (x86_walk(&cpu->v, va, ACCESS_READ, 0, true, &w)) {
            fprintf(c->out, "gpa: %#" PRIx64 "\n", w.phys | (va & 4095));
        } else {
            fputs("Unmapped\n", c->out);
        }
    }
}
