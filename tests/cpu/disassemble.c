/* See disassemble.h; apart because Capstone's header has names of ours. */
#include "tests/cpu/disassemble.h"

#include <stdio.h>

#include "config.h"

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#endif

void disassemble(unsigned bits, const uint8_t *bytes, unsigned len, uint64_t address, char *text,
                 size_t size)
{
    text[0] = '\0';
#ifdef HAVE_CAPSTONE
    csh handle;
    cs_insn *insn;

    if (cs_open(CS_ARCH_X86,
                bits == 64   ? CS_MODE_64
                : bits == 32 ? CS_MODE_32
                             : CS_MODE_16,
                &handle) != CS_ERR_OK) {
        return;
    }
    if (cs_disasm(handle, bytes, len, address, 1, &insn)) {
        snprintf(text, size, "%s %s", insn->mnemonic, insn->op_str);
        cs_free(insn, 1);
    }
    cs_close(&handle);
#else
    (void)bits;
    (void)bytes;
    (void)len;
    (void)address;
    (void)size;
#endif
}
