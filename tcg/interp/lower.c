/* Lowering: IR to the slots of iop.h. One pass over the ops; branches to later labels are patched
 * at the end. Common pairs and triples become one slot: lazy flags + conditional branch + both
 * exits (lower_fuse.c). */
#include "tcg/interp/lower.h"

#include <stdlib.h>

/* ---- the fault map ---- */

static void map_add(struct lower *l, int32_t at, uint16_t meta)
{
    unsigned now = here(l);
    struct map_entry *e;

    if (now > UINT16_MAX) {
        l->overflow = true;
        return;
    }
    e = &l->map[l->nmap ? l->nmap - 1 : 0];
    if (!l->nmap || e->slot != now) {
        e = &l->map[l->nmap++];
    }
    *e = (struct map_entry){(uint16_t)now, at, l->cur_cc, meta};
}

void lower_map_insn(struct lower *l, const struct ir_op *op)
{
    uint16_t meta = 0;

    if (op->imm2) {
        if (!l->nmeta || l->meta[l->nmeta - 1] != (uint64_t)op->imm2) {
            l->meta[l->nmeta++] = (uint64_t)op->imm2;
        }
        meta = (uint16_t)l->nmeta;
    }
    map_add(l, (int32_t)op->imm, meta);
}

void lower_map_cc(struct lower *l, const struct ir_op *op)
{
    const struct map_entry *last;

    if (!l->nmap) {
        return; /* before the first instruction nothing can fault */
    }
    last = &l->map[l->nmap - 1];
    if (op && (op->flags & IR_CC_MAP)) {
        l->cc[l->ncc++] = (struct map_cc){
            (uint64_t)op->imm, (uint64_t)op->imm2, op->a, op->b, op->c, (op->flags & IR_BIMM) != 0};
        l->cur_cc = (uint16_t)l->ncc;
    } else if (l->cur_cc) {
        l->cur_cc = 0;
    } else {
        return;
    }
    map_add(l, last->off, last->meta);
}

/* ---- all ---- */

static unsigned lower_op(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    unsigned n;

    switch (op->opc) {
    case IR_INSN:
        lower_map_insn(l, op);
        break;
    case IR_MOV:
        n = lower_try_mov_mov(l, i);
        if (n) {
            return n;
        }
        emit(l, iop_un[IR_MOV][op->w], off(op->d), off(op->a), 0, 0);
        break;
    case IR_SAR:
        n = lower_try_small_test(l, i);
        if (n) {
            return n;
        }
        lower_bin(l, op);
        break;
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
        n = lower_try_alu_cc(l, i);
        if (n) {
            return n;
        }
        lower_bin(l, op);
        break;
    case IR_MOVI:
        movi(l, op->d, op->imm);
        break;
    case IR_MOVPC:
        n = lower_try_call(l, i);
        if (n) {
            return n;
        }
        if (fits32(op->imm)) {
            emit_imm(l, iop_bin[IR_ADD][W64][FORM_RI], off(op->d), off(TCG_REG_PC), op->imm);
        } else {
            movi(l, REG_SCRATCH0, op->imm);
            emit(l, iop_bin[IR_ADD][W64][FORM_RR], off(op->d), off(TCG_REG_PC), off(REG_SCRATCH0),
                 0);
        }
        break;
    case IR_SETCOND:
        lower_setcond(l, op);
        break;
    case IR_MOVCOND:
        lower_movcond(l, op);
        break;
    case IR_DIVU:
    case IR_REMU:
    case IR_DIVS:
    case IR_REMS:
        emit(l, iop_misc.divide[op->opc - IR_DIVU][op->w], off(op->d), off(op->a), off(op->b),
             off(op->c));
        break;
    case IR_ADDX:
    case IR_SUBX:
        lower_addx(l, op);
        break;
    case IR_EXTRACT:
        lower_extract(l, op);
        break;
    case IR_DEPOSIT:
        lower_deposit(l, op);
        break;
    case IR_CC:
        n = lower_try_brx(l, i);
        if (n) {
            return n;
        }
        n = lower_try_cc_sub(l, i);
        if (n) {
            return n;
        }
        if (!(op->flags & IR_CC_MAP)) {
            lower_cc(l, op);
        }
        lower_map_cc(l, op);
        break;
    case IR_LD:
        n = lower_try_pop(l, i);
        if (n) {
            return n;
        }
        lower_try_checked_return(l, i);
        lower_ld(l, op);
        break;
    case IR_ST:
        n = lower_try_push(l, i);
        if (n) {
            return n;
        }
        lower_st(l, op);
        break;
    case IR_LDENV:
    case IR_STENV:
        lower_env(l, op);
        break;
    case IR_ATOMIC:
        emit(l, iop_atomic, off(op->d), off(op->a), off(op->b), op->aux);
        data(l, (uint64_t)op->imm, (uint64_t)op->imm2);
        break;
    case IR_CMPXCHG:
        emit(l, iop_cmpxchg, off(op->d), off(op->a), off(op->b), off(op->c));
        data(l, (uint64_t)op->imm, op->aux);
        break;
    case IR_FENCE:
        emit(l, iop_misc.fence, 0, 0, 0, 0);
        break;
    case IR_CALL:
        lower_call(l, op);
        break;
    case IR_LABEL:
        if (here(l) == 0) {
            emit(l, iop_misc.nop, 0, 0, 0, 0); /* the first slot may be poisoned: never come back */
        }
        l->label[op->imm] = (int32_t)here(l);
        break;
    case IR_BR:
        lower_branch_to(l, slot(l, iop_br), (unsigned)op->imm);
        break;
    case IR_BRCOND:
        n = lower_try_brx(l, i);
        if (n) {
            return n;
        }
        lower_brcond(l, op);
        break;
    case IR_EXIT_TB:
        lower_exit_tb(l, op);
        break;
    case IR_EXIT_IND:
        emit(l, (l->ir->no_link ? iop_exit_stop_ind : iop_exit_ind)[wrap_of(op)], 0, off(op->a), 0,
             0);
        break;
    case IR_EXIT_LOOP:
        if (op->flags & IR_KEEPPC) {
            emit(l, iop_exit_keep, 0, 0, 0, 0);
        } else if (fits32(op->imm)) {
            emit_imm(l, iop_exit_stop[wrap_of(op)], 0, 0, op->imm);
        } else {
            struct ir_op far = *op;
            far.opc = IR_EXIT_TB;
            lower_exit_tb(l, &far); /* its own way for far targets never links */
        }
        break;
    default:
        if (iop_un[op->opc][0]) {
            emit(l, iop_un[op->opc][op->w], off(op->d), off(op->a), 0, 0);
        } else if (iop_bin[op->opc][0][FORM_RR]) {
            lower_bin(l, op);
        } else {
            lower_vec(l, op);
        }
        break;
    }
    return 1;
}

static void *zone_copy(uint8_t **at, const uint8_t *end, const void *from, size_t size, bool *ok)
{
    void *to = *at;

    if ((size_t)(end - *at) < size + 16) {
        *ok = false;
        return NULL;
    }
    memcpy(to, from, size);
    *at += (size + 15) & ~(size_t)15;
    return to;
}

static bool uses_32bit_pc(const struct ir *ir)
{
    for (unsigned i = 0; i < ir->nops; i++) {
        if ((ir_opinfo[ir->ops[i].opc].attr & IRA_EXIT) && wrap_of(&ir->ops[i])) {
            return true;
        }
    }
    return false;
}

size_t interp_compile(struct tcg *t, const struct ir *ir, struct tb *tb, uint8_t *buf, size_t size)
{
    struct lower l = {.ir = ir, .tb = tb};
    size_t scratch, done = 0;
    uint8_t *mem, *at;
    bool ok = true;
    struct map map;

    (void)t;
    if (size < 64 * sizeof(union iop)) {
        return 0;
    }
    scratch = ir->nlabels * sizeof(*l.label) +
              ir->nops * (2 * sizeof(*l.fixup) + sizeof(*l.map) + sizeof(*l.cc) + sizeof(*l.meta));
    mem = malloc(scratch + 64);
    if (!mem) {
        abort();
    }
    l.cc = (struct map_cc *)mem; /* by falling alignment */
    l.meta = (uint64_t *)(l.cc + ir->nops);
    l.label = (int32_t *)(l.meta + ir->nops);
    l.fixup = (uint32_t *)(l.label + ir->nlabels);
    l.fixup_label = l.fixup + ir->nops;
    l.map = (struct map_entry *)(l.fixup_label + ir->nops);
    memset(l.label, 0xff, ir->nlabels * sizeof(*l.label));

    l.out = (union iop *)buf;
    l.end = (union iop *)(buf + (size & ~(size_t)15));
    data(&l, (uintptr_t)tb->host & ~(uintptr_t)PAGE_OFFSET_MASK, (uintptr_t)tb);
    l.base = l.out;
    if (tb->host2) {
        slot(&l, iop_second_page[uses_32bit_pc(ir)])->data = (uintptr_t)tb->host2;
    }
    for (unsigned i = 0; i < ir->nops && !l.overflow;) {
        i += lower_op(&l, i);
    }
    if (l.overflow) {
        goto out;
    }
    for (unsigned i = 0; i < l.nfixups; i++) {
        int32_t rel = l.label[l.fixup_label[i]] - (int32_t)l.fixup[i];
        if (!fits16(rel)) {
            goto out;
        }
        l.base[l.fixup[i]].d = (uint16_t)(int16_t)rel;
    }
    tb->code = l.base;
    tb->code_size = (uint32_t)((uint8_t *)l.out - (uint8_t *)l.base);
    at = (uint8_t *)l.out;
    map.nentries = l.nmap;
    map.entries = zone_copy(&at, buf + size, l.map, l.nmap * sizeof(*l.map), &ok);
    map.cc = zone_copy(&at, buf + size, l.cc, l.ncc * sizeof(*l.cc), &ok);
    map.meta = zone_copy(&at, buf + size, l.meta, l.nmeta * sizeof(*l.meta), &ok);
    tb->map = zone_copy(&at, buf + size, &map, sizeof(map), &ok);
    if (ok) {
        done = (size_t)(at - buf);
    }
out:
    if (!done) {
        tb->nexits = 0;
    }
    free(mem);
    return done;
}
