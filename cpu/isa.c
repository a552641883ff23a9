/* Joins the emitters of all instruction families into one dispatch array. */
#include "cpu/isa.h"
#include "cpu/emit_vector.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

const struct x86_isa *x86_isa_create(void)
{
    static const struct x86_emitter *const families[] = {
        x86_emit_data,    x86_emit_arith,  x86_emit_shift, x86_emit_string, x86_emit_control,
        x86_emit_segment, x86_emit_system, x86_emit_x87,   x86_emit_mmx,    x86_emit_sse,
        x86_emit_bmi,     x86_emit_avx,    x86_emit_fma,   x86_emit_sse4a,
    };
    struct x86_isa *isa = calloc(1, sizeof *isa);

    if (!isa) {
        abort();
    }
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (const struct x86_emitter *e = families[f]; e->emit; e++) {
            assert(e->mnemonic < MN_COUNT);
            assert(!isa->emit[e->mnemonic]); /* two families claim one mnemonic */
            isa->emit[e->mnemonic] = e->emit;
        }
    }
    for (unsigned m = 0; m < MN_COUNT; m++) {
        if (!isa->emit[m] && vector_row_exists(m)) {
            isa->emit[m] = emit_vector;
        } else if (!isa->emit[m] && avx_row_exists(m)) {
            isa->emit[m] = emit_avx;
        }
    }
    return isa;
}

void x86_isa_free(const struct x86_isa *isa)
{
    free((void *)isa);
}

bool x86_isa_has(const struct x86_isa *isa, enum x86_mnemonic m)
{
    return m < MN_COUNT && isa->emit[m];
}

void x86_log_state(struct vcpu *v, FILE *out)
{
    static const char *const segments[6] = {"es", "cs", "ss", "ds", "fs", "gs"};
    struct x86_cpu *c = x86_cpu(v);

    for (unsigned i = 0; i < 16; i++) {
        fprintf(out, "%s=%016" PRIx64 "%c", x86_reg_name(i), v->reg[i], i % 4 == 3 ? '\n' : ' ');
    }
    fprintf(out, "rip=%016" PRIx64 " rflags=%08x cpl=%u\n", v->reg[X86_RIP], x86_get_eflags(c),
            c->cpl);
    for (unsigned i = 0; i < 6; i++) {
        fprintf(out, "%s=%04x:%08" PRIx64 "%c", segments[i], c->seg[i].sel, v->reg[X86_ES_BASE + i],
                i == 5 ? '\n' : ' ');
    }
    fprintf(out, "cr0=%08" PRIx64 " cr2=%016" PRIx64 " cr3=%016" PRIx64 " cr4=%08" PRIx64 "\n\n",
            c->cr0, c->cr2, c->cr3, c->cr4);
}

const char *x86_reg_name(unsigned n)
{
    static const char *const names[] = {
        "rax",     "rcx",     "rdx",     "rbx",     "rsp",     "rbp",     "rsi",
        "rdi",     "r8",      "r9",      "r10",     "r11",     "r12",     "r13",
        "r14",     "r15",     "rip",     "cc_op",   "cc_a",    "cc_b",    "cc_c",
        "es_base", "cs_base", "ss_base", "ds_base", "fs_base", "gs_base", "df",
    };
    return n < sizeof names / sizeof names[0] ? names[n] : "?";
}
