/* Debug registers: access, and the four breakpoints on instructions, data and I/O ports.
 *
 * From the SDM, Vol. 3 chapter 18.2 "Debug Registers" (17 in older editions) and 18.3.1.
 * Instruction breakpoints are checked by blocks whose key says that there are any (KEY_BP); data
 * breakpoints are watchpoints of the software MMU. Left out: restricted transactional memory,
 * bus-lock traps. */
#include "cpu/system.h"
#include "softmmu/debug.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

enum {
    DR6_BD = 1 << 13,
    DR7_GD = 1 << 13,
    DR6_WRITABLE = 0xe00f,
    DR7_ONE = 0x400,
};
#define DR6_ONES     UINT64_C(0xffff0ff0)
#define DR7_WRITABLE UINT64_C(0xffff23ff)

/* Bytes covered by breakpoint n; its address is aligned to that. */
static unsigned length_of(const struct x86_cpu *c, unsigned n)
{
    static const uint8_t bytes[] = {1, 2, 8, 4};

    return bytes[c->dr[7] >> (18 + 4 * n) & 3];
}

void x86_update_watches(struct x86_cpu *c)
{
    for (unsigned n = 0; n < 4; n++) {
        unsigned len = length_of(c, n), kind = x86_dr7_kind(c->dr[7], n);
        unsigned mask = 1u << ACCESS_WRITE;

        softmmu_watch_remove(&c->v, &c->dr[n]);
        if (!x86_dr7_enabled(c->dr[7], n) || (kind != DR7_WRITE && kind != DR7_ACCESS)) {
            continue;
        }
        if (kind == DR7_ACCESS) {
            mask |= 1u << ACCESS_READ;
        }
        softmmu_watch_add(&c->v, c->dr[n] & ~(uint64_t)(len - 1), len, mask, &c->dr[n]);
    }
}

/* A trap for the instruction that runs: taken by x86_poll() when it is done. */
static void trap_later(struct x86_cpu *c, unsigned n)
{
    c->pending_dr6 |= 1u << n;
    atomic_store(&c->v.exit_request, 1);
}

void x86_watch_hit(struct vcpu *v, uint64_t va, unsigned size, enum access acc, void *tag)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t *reg = tag;

    if (reg < c->dr || reg >= c->dr + 4) {
        debug_watch_hit(v, va, size, acc, tag); /* not the guest's */
        return;
    }
    if (v->in_tcg) {
        tcg_retry_single(v);
    }
    trap_later(c, (unsigned)(reg - c->dr));
}

void x86_check_insn_breakpoint(struct x86_cpu *c, uint64_t linear)
{
    uint64_t hits = 0;

    if (c->eflags & FL_RF) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (x86_dr7_enabled(c->dr[7], n) && x86_dr7_kind(c->dr[7], n) == DR7_EXEC &&
            c->dr[n] == linear) {
            hits |= 1u << n;
        }
    }
    if (hits) {
        x86_raise_db(c, hits);
    }
}

void x86_check_io_breakpoint(struct x86_cpu *c, uint16_t port, unsigned size)
{
    if (!(c->cr4 & CR4_DE)) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        uint64_t len = length_of(c, n), first = c->dr[n] & ~(len - 1);
        if (x86_dr7_enabled(c->dr[7], n) && x86_dr7_kind(c->dr[7], n) == DR7_IO &&
            port < first + len && first < (uint64_t)port + size) {
            if (c->v.in_tcg) {
                tcg_retry_single(&c->v);
            }
            trap_later(c, n);
        }
    }
}

/* ---- access ---- */

/* DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE takes them away. */
static unsigned check_access(struct x86_cpu *c, unsigned n)
{
    if (n == 4 || n == 5) {
        if (c->cr4 & CR4_DE) {
            x86_raise(c, EXC_UD);
        }
        n += 2;
    }
    if (n > 7) {
        x86_raise(c, EXC_UD);
    }
    if (c->cpl) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (c->dr[7] & DR7_GD) {
        x86_raise_db(c, DR6_BD);
    }
    return n;
}

uint64_t x86_read_dr(struct x86_cpu *c, unsigned n)
{
    return c->dr[check_access(c, n)];
}

void x86_write_dr(struct x86_cpu *c, unsigned n, uint64_t val, unsigned size)
{
    n = check_access(c, n);
    if (size < 8) {
        val = (uint32_t)val;
    }
    if (n >= 6 && val >> 32) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (n == 6) {
        val = (val & DR6_WRITABLE) | DR6_ONES;
    } else if (n == 7) {
        val = (val & DR7_WRITABLE) | DR7_ONE;
    }
    c->dr[n] = val;
    if (n != 6) {
        x86_update_watches(c);
        x86_update_key(c);
    }
}
