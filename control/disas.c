/* One x86 instruction as text. In a file of its own because Capstone's header has names of ours. */
#include "control/disas.h"
#include "config.h"

#include <stdio.h>
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#endif

unsigned disas_insn(unsigned bits, uint64_t pc, const uint8_t *code, size_t len, char *text,
                    size_t size)
{
#ifdef HAVE_CAPSTONE
    csh cs;
    cs_insn *insn;
    unsigned n = 0;

    snprintf(text, size, "(bad)");
    if (cs_open(CS_ARCH_X86,
                bits == 64   ? CS_MODE_64
                : bits == 32 ? CS_MODE_32
                             : CS_MODE_16,
                &cs) != CS_ERR_OK) {
        return 0;
    }
    if (cs_disasm(cs, code, len, pc, 1, &insn) == 1) {
        snprintf(text, size, "%s%s%s", insn->mnemonic, *insn->op_str ? " " : "", insn->op_str);
        n = insn->size;
        cs_free(insn, 1);
    }
    cs_close(&cs);
    return n;
#else
    (void)bits;
    (void)pc;
    (void)code;
    (void)len;
    snprintf(text, size, "(this build has no disassembler: Capstone)");
    return 0;
#endif
}
