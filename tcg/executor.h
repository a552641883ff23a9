/* An executor runs IR: the interpreter everywhere, a code generator where there is one for the
 * host. Blocks, look-up, linking decisions, invalidation and state recovery (tcg/tb.c, tcg/exec.c)
 * are common; an executor only turns IR into code of its own, runs it, and patches its exits. */
#ifndef TCG_EXECUTOR_H
#define TCG_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tcg/ir.h"
#include "tcg/vcpu.h"

struct error;
struct tb;
struct tb_exit;
struct tcg;

/* Where a block was when it was left by an exception. */
struct exec_place {
    uint64_t insn_off; /* of the guest instruction, from the block's pc */
    uint64_t meta;     /* INSN's imm2 */
};

struct executor {
    const char *name;
    bool generates; /* its code is the host's: needs two views of its memory */

    /* Before anything else; thunks: room for common code (where it is written). NULL: nothing to
     * do. */
    bool (*create)(struct tcg *t, uint8_t *thunks, size_t size, struct error *err);
    void (*destroy)(struct tcg *t);
    void (*attach)(struct vcpu *v);
    /* The vcpu was left by an unwind, wherever it was. */
    void (*landed)(struct vcpu *v);

    /* Writes the code of ir for tb into [buf, buf + size): code first, then whatever tables it
     * wants to find again through tb. Sets tb->code, tb->code_size and, with tb_add_exit(), the
     * exits. Returns the bytes used; 0 when it does not fit (nothing is lost: called again). */
    size_t (*compile)(struct tcg *t, const struct ir *ir, struct tb *tb, uint8_t *buf, size_t size);
    /* Runs from tb on until a block leaves to the loop. Before it does, v->tcg_cpu->last_exit is
     * set when that exit could be linked to the block that follows. */
    void (*run)(struct vcpu *v, const struct tb *tb);
    /* tb was left by an unwind with v->host_pc: finds the place, and writes what the block keeps
     * elsewhere (registers, flags described in the fault map) back to v. */
    void (*restore)(struct vcpu *v, const struct tb *tb, struct exec_place *place);
    /* True when tb holds a guest instruction after the one at v->host_pc. */
    bool (*more_insns)(struct vcpu *v, const struct tb *tb);
    /* Makes the exit continue in `to`; with guard only while the fetch TLB of to's address says
     * that to->host is there. unlink: the exit leaves to the loop again. Called with t->lock held
     * while other vcpus run the code. */
    void (*link)(const struct tb_exit *from, const struct tb *to);
    void (*unlink)(const struct tb_exit *from);
    /* Whoever enters tb from now on leaves to the loop at once, nothing done. May be NULL: that
     * only makes sure of what removal does already. */
    void (*poison)(struct tb *tb);
    /* Listing of the generated code (-d out_asm); may be NULL. */
    void (*list)(const struct tb *tb, FILE *out);
};

extern const struct executor interp_executor;
#ifdef __x86_64__
extern const struct executor x64_executor;
#endif

#endif
