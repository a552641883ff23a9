/* struct x86_isa: mnemonic to emitter, joined from the tables of all families once per machine, and
 * the functions that struct guest_ops takes from the translator. */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include "cpu/translate.h"

struct x86_isa {
    x86_emit_fn emit[MN_COUNT]; /* NULL: not implemented, #UD */
};

const struct x86_isa *x86_isa_create(void); /* aborts when out of memory */
void x86_isa_free(const struct x86_isa *isa);
/* The instruction can be translated (for docs and test generators). */
bool x86_isa_has(const struct x86_isa *isa, enum x86_mnemonic m);

/* guest_ops: translate, restore, reg_name; cc_name is x86_cc_name in cpu/flags.h. */
void x86_translate(struct vcpu *v, const struct translate_request *req, struct ir *ir);
void x86_restore(struct vcpu *v, uint64_t off, uint64_t meta);
const char *x86_reg_name(unsigned n);
void x86_log_state(struct vcpu *v, FILE *out); /* -d cpu */

#endif
