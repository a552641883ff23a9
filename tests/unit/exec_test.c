/* Blocks, links, invalidation and unwinding under each executor, with a guest of a few instructions
 * of its own:
 *     01 r imm8     r += imm8              07 r a       [a] = r (64 bits)
 *     02 r a        r += a                 08           halt
 *     03 rel16      jump                   09 r imm64   r = imm64
 *     04 r rel16    r -= 1, jump if not 0  0a r a       [a] = r (8 bits)
 *     05 r          jump to r              0b r a       r = atomic exchange-add of [a]
 *     06 r a        r = [a] (64 bits)      0c           helper that retries alone
 *     0d r          r = 10 * r, a call     0e r         v[r] = v[r] + ... (vectors)
 *     10 r          push r                 11 r         pop r       (register 14 is the stack)
 *     12 rel16      call                   13           return
 *     14 r          call r
 * pc is relative to register 21. */
#include "tests/unit/fake_guest.h"

#include <inttypes.h>
#include <pthread.h>

#include "tests/unit/tap.h"

static const uint8_t length[] = {1, 3, 3, 3, 4, 2, 3, 3, 1, 10, 3, 3, 1, 2, 3, 1, 2, 2, 3, 1, 2};
enum { SP = 14 };

static struct tcg_options plain; /* with the executor under test */

static uint64_t helper_retry(struct vcpu *v)
{
    tcg_retry_single(v);
    return 0;
}
static const struct ir_helper h_retry = {"retry", (void (*)(void))helper_retry, 0, HELPER_RAISES};
static uint64_t helper_ten(struct vcpu *v, uint64_t x)
{
    (void)v;
    return 10 * x;
}
static uint64_t helper_target(struct vcpu *v, uint64_t target)
{
    fake_cpu(v)->fault_va = target;
    vcpu_unwind(v, true);
}
static const struct ir_helper h_target = {"target", (void (*)(void))helper_target, 1,
                                          HELPER_RAISES};
static const struct ir_helper h_ten = {"ten", (void (*)(void))helper_ten, 1, 0};

static int64_t rel16(const uint8_t *p)
{
    return (int16_t)(p[0] | p[1] << 8);
}

static bool no_link, pc32, checked;

static unsigned stack_op(void)
{
    return pc32 ? MO_32 | MO_A32 : MO_64;
}

static void push(struct ir *ir, ir_reg r)
{
    int64_t size = pc32 ? 4 : 8;

    ir_st(ir, SP, IR_NONE, stack_op(), -size, r);
    ir_bini(ir, IR_SUB, pc32 ? W32 : W64, SP, SP, size);
}

static void translate(struct vcpu *v, const struct translate_request *req, struct ir *ir)
{
    unsigned off = 0, label, wrap = pc32 ? IR_PC32 : 0;
    bool done = false;

    fake_cpu(v)->translations++;
    ir->ctx = 1;
    ir->no_link = no_link;
    while (!done && ir->ninsns < req->max_insns) {
        uint64_t at = req->linear + off;
        uint8_t b[16];
        unsigned len;

        vcpu_fetch_code(v, at, b, 1);
        len = b[0] < sizeof(length) ? length[b[0]] : 1;
        if (off && (at & 0xfff) == 0) {
            break; /* a block starts on one page; an instruction may cross */
        }
        vcpu_fetch_code(v, at, b, len);
        struct ir_op *op = ir_append(ir, IR_INSN);
        op->imm = off;
        op->imm2 = b[0] + 100;
        off += len;
        ir->ninsns++;
        ir_reg t = ir_temp(ir);
        switch (b[0]) {
        case 1:
            ir_bini(ir, IR_ADD, W64, b[1], b[1], (int8_t)b[2]);
            ir_cc(ir, 101, b[1], IR_NONE, IR_NONE);
            break;
        case 2:
            ir_bin(ir, IR_ADD, W64, b[1], b[1], b[2]);
            break;
        case 3:
            ir_exit_tb(ir, 0, off + rel16(b + 1), wrap | (rel16(b + 1) < 0 ? IR_POLL : 0));
            done = true;
            break;
        case 4:
            ir_bini(ir, IR_SUB, W64, t, b[1], 1);
            ir_mov(ir, W64, b[1], t);
            ir_cc(ir, 101, t, IR_NONE, IR_NONE);
            label = ir_label_new(ir);
            ir_brcondi(ir, IR_NE, W64, t, 0, label);
            ir_exit_tb(ir, 0, off, wrap);
            ir_label(ir, label);
            ir_exit_tb(ir, 1, off + rel16(b + 2), wrap | IR_POLL);
            done = true;
            break;
        case 5:
            ir_exit_ind(ir, b[1], IR_IND_JUMP, wrap);
            done = true;
            break;
        case 6:
            ir_ld(ir, W64, b[1], b[2], IR_NONE, MO_64, 0);
            break;
        case 7:
            ir_st(ir, b[2], IR_NONE, MO_64, 0, b[1]);
            break;
        case 8:
            ir_call(ir, &h_halt, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
            ir_exit_loop(ir, off, 0);
            done = true;
            break;
        case 9: {
            uint64_t x = 0;
            for (unsigned i = 0; i < 8; i++) {
                x |= (uint64_t)b[2 + i] << (8 * i);
            }
            ir_movi(ir, b[1], x);
            break;
        }
        case 10:
            ir_st(ir, b[2], IR_NONE, MO_8, 0, b[1]);
            break;
        case 11:
            ir_atomic(ir, IR_AT_ADD, b[1], b[2], MO_64, b[1]);
            break;
        case 12:
            ir_call(ir, &h_retry, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
            break;
        case 0x10:
            push(ir, b[1]);
            break;
        case 0x11:
            ir_ld(ir, W64, t, SP, IR_NONE, stack_op(), 0);
            ir_bini(ir, IR_ADD, pc32 ? W32 : W64, SP, SP, pc32 ? 4 : 8);
            ir_mov(ir, W64, b[1], t);
            break;
        case 0x12:
        case 0x14:
            ir_movpc(ir, t, off);
            push(ir, t);
            if (b[0] == 0x14) {
                ir_exit_ind(ir, b[1], IR_IND_CALL, wrap);
            } else {
                ir_exit_tb(ir, 0, off + rel16(b + 1), wrap);
            }
            done = true;
            break;
        case 0x13:
            ir_ld(ir, W64, t, SP, IR_NONE, stack_op(), 0);
            if (checked) {
                ir_reg top = ir_temp(ir);
                label = ir_label_new(ir);
                ir_bini(ir, IR_SAR, W64, top, t, 47);
                ir_brcondi(ir, IR_EQ, W64, top, 0, label);
                ir_brcondi(ir, IR_EQ, W64, top, -1, label);
                ir_call(ir, &h_target, IR_NONE, t, IR_NONE, IR_NONE, 0);
                ir_label(ir, label);
            }
            ir_bini(ir, IR_ADD, pc32 ? W32 : W64, SP, SP, pc32 ? 4 : 8);
            ir_exit_ind(ir, t, IR_IND_RET, wrap);
            done = true;
            break;
        case 13:
            ir_call(ir, &h_ten, b[1], b[1], IR_NONE, IR_NONE, 0);
            break;
        default:
            break;
        }
    }
    if (!done) {
        ir_exit_tb(ir, 0, off, wrap);
    }
    ir->guest_size = off;
    fake_parts(ir, req, off);
}

/* ---- a small assembler ---- */

struct as {
    uint8_t *p;
};

static void put(struct as *a, unsigned n, const uint8_t *b)
{
    memcpy(a->p, b, n);
    a->p += n;
}
#define PUT(a, ...) put(a, sizeof((uint8_t[]){__VA_ARGS__}), (uint8_t[]){__VA_ARGS__})

static void jump(struct as *a, const uint8_t *ram, unsigned to)
{
    int rel = (int)to - (int)(a->p - ram) - 3;
    PUT(a, 3, (uint8_t)rel, (uint8_t)(rel >> 8));
}
static void djnz(struct as *a, const uint8_t *ram, unsigned r, unsigned to)
{
    int rel = (int)to - (int)(a->p - ram) - 4;
    PUT(a, 4, (uint8_t)r, (uint8_t)rel, (uint8_t)(rel >> 8));
}
static void set(struct as *a, unsigned r, uint64_t x)
{
    PUT(a, 9, (uint8_t)r, (uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16), (uint8_t)(x >> 24),
        (uint8_t)(x >> 32), (uint8_t)(x >> 40), (uint8_t)(x >> 48), (uint8_t)(x >> 56));
}

static struct guest_ops ops = {.translate = translate};

static struct tcg_stats stats(struct fake_cpu *c)
{
    struct tcg_stats s;
    tcg_get_stats(c->v.tcg, &s);
    return s;
}

/* ---- tests ---- */

static void test_loop(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};

    set(&a, 1, 1000000);
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 2, 3);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 3000000 && c->v.reg[1] == 0, "a loop runs a million times");
    tap_ok(c->v.reg[TCG_REG_PC] == (uint64_t)(a.p - c->ram), "and stops behind it");
    tap_ok(c->v.reg[TCG_REG_CC_A] == 0 && c->v.reg[TCG_REG_CC_OP] == 101, "with its flags");
    tap_ok(stats(c).lookups < 10, "linked: %llu look-ups", (unsigned long long)stats(c).lookups);
    fake_destroy(c);
}

static void test_cross_page(bool wide)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};

    /* Two blocks on two pages that jump to each other; the second page is then mapped elsewhere. */
    pc32 = wide;
    set(&a, 1, 1000);
    unsigned top = (unsigned)(a.p - c->ram);
    jump(&a, c->ram, 0x2000);
    a.p = c->ram + 0x2000;
    PUT(&a, 1, 2, 1);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    a.p = c->ram + 0x5000;
    PUT(&a, 1, 2, 100);
    djnz(&a, c->ram, 1, top);
    for (unsigned i = 0; i < 9; i++) {
        c->ram[0x5007 + i] = 8;
    }
    /* the copy at 0x5000 is reached as virtual 0x2000: same distances */
    memcpy(c->ram + 0x5003, c->ram + 0x2003, 4);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 1000, "a loop over two pages");
    tap_ok(stats(c).lookups < 12, "is linked: %llu look-ups", (unsigned long long)stats(c).lookups);
    c->map[2] = 5;
    fake_flush(c);
    c->v.reg[2] = 0;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 100000, "another page mapped there is another code");
    tap_ok(stats(c).lookups < 24, "and links again");
    c->map[2] = 0xff;
    fake_flush(c);
    c->v.reg[2] = 0;
    fake_run(c, 0);
    tap_ok(c->faults == 1 && c->fault_va == 0x2000 && c->fault_pc == 0x2000 && c->v.reg[2] == 0,
           "nothing mapped there is a fault of the fetch");
    fake_destroy(c);
    pc32 = false;
}

static void test_indirect(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};
    uint64_t before;

    set(&a, 1, 5000);
    set(&a, 5, 0x3000);
    set(&a, 6, 0);
    uint8_t *patch = a.p - 8;
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 5, 5);
    a.p = c->ram + 0x3000;
    PUT(&a, 1, 2, 1);
    PUT(&a, 5, 6);
    a.p = c->ram + 0x40;
    patch[0] = 0x40;
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 5000, "indirect jumps");
    tap_ok(stats(c).lookups < 12, "find their targets in the jump cache: %llu look-ups",
           (unsigned long long)stats(c).lookups);
    before = stats(c).lookups;
    fake_flush(c); /* address space change: blocks stay */
    c->v.reg[2] = 0;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 5000 && stats(c).lookups - before < 4 && stats(c).lookup_misses <= 5,
           "a TLB flush needs no new translation");
    fake_destroy(c);
}

static void call(struct as *a, const uint8_t *ram, unsigned to)
{
    int rel = (int)to - (int)(a->p - ram) - 3;
    PUT(a, 0x12, (uint8_t)rel, (uint8_t)(rel >> 8));
}

static void test_calls(bool narrow, bool check)
{
    struct fake_cpu *c;
    struct as a;
    unsigned top;

    pc32 = narrow;
    checked = check;
    c = fake_create(&ops, &plain);
    a.p = c->ram;
    /* Two callers, of which one is reached indirectly, on other pages than the callee. */
    set(&a, 1, 1000);
    set(&a, 5, 0x3000);
    top = (unsigned)(a.p - c->ram);
    call(&a, c->ram, 0x2000);
    PUT(&a, 0x14, 5);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    a.p = c->ram + 0x2000;
    PUT(&a, 1, 2, 1);
    PUT(&a, 0x13);
    a.p = c->ram + 0x3000;
    PUT(&a, 0x10, 2);
    PUT(&a, 1, 2, 100);
    PUT(&a, 0x11, 3);
    call(&a, c->ram, 0x2000);
    PUT(&a, 0x13);
    c->v.reg[SP] = 0x8000;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 102000 && c->v.reg[3] == 102000 - 101 && c->v.reg[SP] == 0x8000,
           "calls and returns, %d bits", narrow ? 32 : 64);
    tap_ok(stats(c).lookups < 20, "are linked: %llu look-ups",
           (unsigned long long)stats(c).lookups);

    /* The callee moves; returns still come back. */
    memcpy(c->ram + 0x9000, c->ram + 0x2000, 4);
    c->ram[0x9002] = 2;
    c->map[2] = 9;
    fake_flush(c);
    c->v.reg[2] = 0;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 104000, "a callee elsewhere");
    /* The caller moves under the callee's feet: not the code that the return stack remembers. */
    tcg_flush(c->v.tcg);
    fake_destroy(c);

    /* Recursion deeper than the return stack. */
    c = fake_create(&ops, &plain);
    a.p = c->ram;
    set(&a, 1, 200);
    call(&a, c->ram, 0x100);
    PUT(&a, 8);
    a.p = c->ram + 0x100;
    PUT(&a, 1, 2, 1);
    djnz(&a, c->ram, 1, 0x110);
    PUT(&a, 0x13);
    a.p = c->ram + 0x110;
    call(&a, c->ram, 0x100);
    PUT(&a, 1, 3, 1);
    PUT(&a, 0x13);
    c->v.reg[SP] = 0x8000;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 200 && c->v.reg[3] == 199 && c->v.reg[SP] == 0x8000,
           "recursion deeper than the return stack");
    fake_destroy(c);

    /* Returns to another place than the call's: a changed return address. */
    c = fake_create(&ops, &plain);
    a.p = c->ram;
    set(&a, 1, 100);
    top = (unsigned)(a.p - c->ram);
    call(&a, c->ram, 0x100);
    PUT(&a, 1, 2, 1); /* skipped */
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    a.p = c->ram + 0x100;
    PUT(&a, 0x11, 7);
    PUT(&a, 1, 7, 3);
    PUT(&a, 0x10, 7);
    PUT(&a, 0x13);
    c->v.reg[SP] = 0x8000;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 0 && c->v.reg[1] == 0 && c->v.reg[SP] == 0x8000,
           "a changed return address");
    /* A stack that is not there. */
    c->v.reg[SP] = 0x200000;
    c->map[0x1ff] = 0xff;
    c->map[0x200] = 0xff;
    c->v.reg[1] = 1;
    fake_run(c, top);
    tap_ok(c->faults == 1 && c->fault_pc == top && c->v.reg[SP] == 0x200000,
           "a call that cannot push");
    c->faults = 0;
    fake_run(c, 0x107);
    tap_ok(c->faults == 1 && c->v.reg[SP] == 0x200000, "a return that cannot pop");
    if (checked) {
        uint64_t bad = UINT64_C(0x123400000000000);
        c->v.reg[SP] = 0x8000;
        memcpy(c->ram + 0x8000, &bad, 8);
        c->faults = 0;
        fake_run(c, 0x107);
        tap_ok(c->faults == 1 && c->fault_va == bad && c->v.reg[SP] == 0x8000 &&
                   c->fault_pc == 0x107,
               "a return to an address that fails its test");
    }
    pc32 = checked = false;
    fake_destroy(c);
}

static void test_fault(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};

    c->map[0x200] = 0xff;
    set(&a, 3, 0x200000);
    PUT(&a, 1, 2, 5);
    PUT(&a, 1, 2, 6);
    unsigned at = (unsigned)(a.p - c->ram);
    PUT(&a, 6, 7, 3);
    PUT(&a, 1, 2, 7);
    PUT(&a, 8);
    c->v.reg[7] = 77;
    fake_run(c, 0);
    tap_ok(c->faults == 1 && c->fault_va == 0x200000 && c->fault_pc == at,
           "a load that faults tells its instruction");
    tap_ok(c->restored_meta == 106, "and its meta");
    tap_ok(c->v.reg[2] == 11 && c->v.reg[7] == 77, "with registers as before it");
    tap_ok(c->v.reg[TCG_REG_CC_OP] == 101 && c->v.reg[TCG_REG_CC_A] == 11,
           "and lazy flags from the fault map");
    fake_destroy(c);
}

static void test_smc(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};

    /* Patches the instruction right behind the store, in the same block. */
    set(&a, 3, 0);
    uint8_t *patch = a.p - 8;
    set(&a, 4, 42);
    PUT(&a, 10, 4, 3);
    patch[0] = (uint8_t)(a.p - c->ram + 2);
    PUT(&a, 1, 2, 1);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 42, "a store into the running block is seen by its next instruction");
    tap_ok(stats(c).invalidated == 1, "one block went");
    fake_destroy(c);

    /* Patches a block that is linked from a loop. */
    c = fake_create(&ops, &plain);
    a.p = c->ram;
    set(&a, 1, 100);
    set(&a, 3, 0x1002);
    set(&a, 4, 0);
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 4, 1);
    PUT(&a, 10, 4, 3);
    jump(&a, c->ram, 0x1000);
    a.p = c->ram + 0x1000;
    PUT(&a, 1, 2, 0); /* its immediate is what the loop counts */
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 5050, "a linked block that is patched each time: %" PRIu64, c->v.reg[2]);
    fake_destroy(c);

    /* A write beside the code on its page keeps the code. */
    c = fake_create(&ops, &plain);
    a.p = c->ram;
    set(&a, 1, 1000);
    set(&a, 3, 0x800);
    top = (unsigned)(a.p - c->ram);
    PUT(&a, 7, 1, 3);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[1] == 0 && stats(c).invalidated == 0 && stats(c).blocks <= 4,
           "data beside code on a page");
    unsigned n = c->translations;
    tcg_invalidate(c->v.tcg, 0, 4096);
    tap_ok(!c->code[0] && stats(c).invalidated > 0, "invalidation empties and unprotects a page");
    fake_run(c, 0);
    tap_ok(c->translations > n && c->v.reg[1] == 0, "which is translated anew");
    fake_destroy(c);
}

static void test_two_pages(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram + 0xff0};

    /* An instruction across the end of page 0, in a loop. */
    set(&a, 1, 500); /* ff0..ffa */
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 2, 1);         /* ffa..ffd */
    PUT(&a, 1, 2, 2);         /* ffd..1000 */
    djnz(&a, c->ram, 1, top); /* 1000 */
    PUT(&a, 8);
    a.p = c->ram + 0x17fe + 0x800; /* 1ffe: the crossing one */
    PUT(&a, 1, 2, 5);
    djnz(&a, c->ram, 1, 0x1ffe);
    PUT(&a, 8);
    fake_run(c, 0xff0);
    tap_ok(c->v.reg[2] == 1500, "straight code over a page boundary");
    c->v.reg[1] = 1000;
    c->v.reg[2] = 0;
    fake_run(c, 0x1ffe);
    tap_ok(c->v.reg[2] == 5000, "an instruction over a page boundary");
    tap_ok(stats(c).lookups < 30, "is linked too: %llu look-ups",
           (unsigned long long)stats(c).lookups);
    /* Its second page changes. */
    memcpy(c->ram + 0x7000, c->ram + 0x2000, 0x1000);
    c->ram[0x7000] = 9;
    c->map[2] = 7;
    fake_flush(c);
    c->v.reg[1] = 10;
    c->v.reg[2] = 0;
    fake_run(c, 0x1ffe);
    tap_ok(c->v.reg[2] == 90, "another second page is other code: %" PRIu64, c->v.reg[2]);
    tcg_invalidate(c->v.tcg, 0x7000, 1);
    c->ram[0x7000] = 3;
    c->v.reg[1] = 10;
    c->v.reg[2] = 0;
    fake_run(c, 0x1ffe);
    tap_ok(c->v.reg[2] == 30, "a write to the second page invalidates");
    c->map[2] = 0xff;
    fake_flush(c);
    c->v.reg[1] = 10;
    fake_run(c, 0x1ffe);
    tap_ok(c->faults == 1 && c->fault_va == 0x2000 && c->fault_pc == 0x1ffe,
           "no second page: a fault at the instruction");
    fake_destroy(c);
}

static void test_single(void)
{
    struct tcg_options one = {.accel = plain.accel, .one_insn = true};
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};

    set(&a, 1, 3);
    PUT(&a, 1, 2, 1);
    PUT(&a, 12);
    PUT(&a, 1, 2, 1);
    PUT(&a, 13, 2);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 20, "tcg_retry_single repeats nothing: %" PRIu64, c->v.reg[2]);
    fake_destroy(c);

    c = fake_create(&ops, &one);
    a.p = c->ram;
    set(&a, 1, 50);
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 2, 1);
    PUT(&a, 1, 2, 1);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    fake_run(c, 0);
    struct tcg_stats s = stats(c);
    tap_ok(c->v.reg[2] == 100 && s.insns == s.blocks, "one_insn makes blocks of one");
    fake_destroy(c);

    no_link = true;
    c = fake_create(&ops, &plain);
    a.p = c->ram;
    set(&a, 1, 50);
    top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 2, 1);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 50 && stats(c).links == 0, "no_link links nothing");
    no_link = false;
    fake_destroy(c);
}

static void test_mmio(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram + 0x9000};

    /* Code outside RAM is fetched for every execution. */
    c->mmio_page = 9;
    PUT(&a, 1, 2, 1);
    PUT(&a, 1, 2, 1);
    PUT(&a, 8);
    fake_run(c, 0x9000);
    tap_ok(c->v.reg[2] == 2 && stats(c).blocks == 0, "code outside RAM runs uncached");
    tap_ok(c->translations == 3, "one instruction a time");
    /* Atomics there go through load and store. */
    a.p = c->ram;
    set(&a, 3, 0x9000);
    set(&a, 4, 5);
    PUT(&a, 11, 4, 3);
    PUT(&a, 8);
    c->mmio_reg = 37;
    fake_run(c, 0);
    tap_ok(c->v.reg[4] == 37 && c->mmio_reg == 42, "an atomic on a device");
    a.p = c->ram;
    set(&a, 3, 0xaffc);
    c->mmio_page = 0;
    tcg_flush(c->v.tcg);
    memset(c->ram + 0xaff0, 1, 32);
    fake_run(c, 0);
    tap_ok(c->v.reg[4] == UINT64_C(0x0101010101010101) && c->ram[0xaffc] == 6,
           "an atomic over a page boundary");
    c->readonly[0xb] = true;
    fake_flush(c);
    c->ram[0xaffc] = 6;
    c->faults = 0;
    fake_run(c, 0);
    tap_ok(c->faults == 1 && c->ram[0xaffc] == 6 && c->v.reg[4] == 5,
           "which faults before it writes anything");
    fake_destroy(c);
}

static void test_small_cache(void)
{
    struct tcg_options small = {.accel = plain.accel, .cache_size = 1 << 20};
    char executor[64];
    struct fake_cpu *c = fake_create(&ops, &small);
    struct as a = {c->ram};

    /* 8000 blocks of two instructions each, run three times: far more than 1 MiB. */
    unsigned n = 0;
    set(&a, 1, 3);
    unsigned top = (unsigned)(a.p - c->ram);
    while (a.p < c->ram + (FAKE_PAGES - 1) * 4096) {
        PUT(&a, 1, 2, 1);
        PUT(&a, 1, 3, 1);
        jump(&a, c->ram, (unsigned)(a.p - c->ram) + 3);
        n++;
    }
    set(&a, 5, top);
    PUT(&a, 4, 1, 1, 0);
    PUT(&a, 8);
    PUT(&a, 5, 5);
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 3 * n && c->v.reg[3] == 3 * n, "%u blocks through a small cache", n);
    struct tcg_stats s = stats(c);
    tap_ok(s.flushes >= 3, "which was recycled %llu times", (unsigned long long)s.flushes);
    char *text = tcg_describe(c->v.tcg);
#ifdef __x86_64__
    snprintf(executor, sizeof(executor), "executor:            %s", plain.accel);
#else
    snprintf(executor, sizeof(executor), "executor:            interp");
#endif
    tap_ok(text && strstr(text, executor), "tcg_describe");
    free(text);
    fake_destroy(c);
}

static void test_base(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram + 0x1000};

    /* pc starts at 0 while the code is at 0x1000; the jump goes over a page. */
    set(&a, 1, 100);
    unsigned top = (unsigned)(a.p - c->ram);
    jump(&a, c->ram, 0x2000);
    a.p = c->ram + 0x2000;
    PUT(&a, 1, 2, 1);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    c->v.reg[TCG_REG_GUEST] = 0x1000;
    pc32 = true;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 100 && stats(c).lookups < 12, "code with a segment base is linked");
    c->v.reg[TCG_REG_GUEST] = UINT64_C(0xffffe000);
    c->map[0] = 1;
    c->map[1] = 2;
    fake_flush(c);
    c->v.reg[2] = 0;
    /* base + pc wraps at 4 GiB to virtual 0 and 0x1000; the low half of the sum is what counts */
    c->v.reg[TCG_REG_GUEST] = 0;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 100, "the same blocks at another place");
    pc32 = false;
    fake_destroy(c);
}

static void test_log(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    set(&a, 1, 3);
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 2, 1);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    tcg_set_log(c->v.tcg, TCG_LOG_IN_ASM | TCG_LOG_OP | TCG_LOG_OP_OPT | TCG_LOG_EXEC, f);
    fake_run(c, 0);
    fclose(f);
    unsigned traces = 0;
    for (const char *p = text; (p = strstr(p, "Trace 0:")); p++) {
        traces++;
    }
    tap_ok(traces == 4, "-d exec sees every block: %u", traces);
    tap_ok(strstr(text, "IN: pc 0x0") && strstr(text, "add.64") &&
               strstr(text, "OP after optimization"),
           "-d in_asm,op,op_opt");
    free(text);
    tcg_set_log(c->v.tcg, 0, NULL);
    c->v.reg[2] = 0;
    fake_run(c, 0);
    tap_ok(c->v.reg[2] == 3, "and off again");
    fake_destroy(c);
}

/* Another thread invalidates and kicks while the vcpu runs linked code. */
static atomic_bool stop;

static void *disturb(void *opaque)
{
    struct fake_cpu *c = opaque;

    while (!atomic_load(&stop)) {
        tcg_invalidate(c->v.tcg, 0, 4096);
        atomic_store(&c->v.exit_request, 1);
        struct timespec ts = {0, 20000};
        nanosleep(&ts, NULL);
    }
    return NULL;
}

static void test_threads(void)
{
    struct fake_cpu *c = fake_create(&ops, &plain);
    struct as a = {c->ram};
    pthread_t thread;

    set(&a, 1, 3000000);
    unsigned top = (unsigned)(a.p - c->ram);
    PUT(&a, 1, 2, 1);
    jump(&a, c->ram, (unsigned)(a.p - c->ram) + 3);
    PUT(&a, 1, 3, 1);
    djnz(&a, c->ram, 1, top);
    PUT(&a, 8);
    atomic_store(&stop, false);
    pthread_create(&thread, NULL, disturb, c);
    fake_run(c, 0);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    tap_ok(c->v.reg[2] == 3000000 && c->v.reg[3] == 3000000,
           "invalidation from another thread: %llu blocks went, %u polls",
           (unsigned long long)stats(c).invalidated, c->polls);
    fake_destroy(c);
}

static void test_errors(void)
{
    static const struct tcg_host_ops none;
    struct error err = {""};
    struct tcg_options opt = {.accel = "kvm"};

    tap_ok(!tcg_create(NULL, &opt, &none, &err) && strstr(err.msg, "kvm"), "error: %s", err.msg);
    opt = (struct tcg_options){.accel = "interp", .verify = true};
    tap_ok(!tcg_create(NULL, &opt, &none, &err) && strstr(err.msg, "verify"), "error: %s", err.msg);
}

int main(void)
{
    static const char *const accels[] = {"interp", "tcg"};

    for (unsigned i = 0; i < sizeof(accels) / sizeof(accels[0]); i++) {
        plain.accel = accels[i];
        printf("# %s\n", accels[i]);
        test_loop();
        test_cross_page(false);
        test_cross_page(true);
        test_indirect();
        test_calls(false, false);
        test_calls(true, false);
        test_calls(false, true);
        test_fault();
        test_smc();
        test_two_pages();
        test_single();
        test_mmio();
        test_small_cache();
        test_base();
        test_log();
        test_threads();
    }
    test_errors();
    return tap_done();
}
