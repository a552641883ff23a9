/* -accel tcg,verify=on: every block is run by the interpreter first and by the code generator after
 * it, from the same state, and what they leave behind is compared. verify.c tells how; the
 * functions here are called where a vcpu's `verify` is set. */
#ifndef TCG_VERIFY_H
#define TCG_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tcg/vcpu.h"

struct error;
struct ir;
struct tb;
struct tcg;

bool verify_attach(struct tcg *t, struct vcpu *v, struct error *err);
void verify_detach(struct vcpu *v);
/* Before ir is compiled: calls of helpers go through recording ones. */
void verify_wrap(struct vcpu *v, struct ir *ir);
/* The interpreter's code of tb into [buf, buf + size); returns the bytes used, 0: no room. */
size_t verify_compile(struct vcpu *v, struct ir *ir, struct tb *tb, uint8_t *buf, size_t size);
/* Runs tb both ways. apart: the same block keyed with TB_APART, for generated code that leaves tb
 * half way to go on there; NULL: not made yet. On a difference it reports, stops the machine and
 * returns false. */
bool verify_run(struct vcpu *v, struct tb *tb, struct tb *apart);
/* Something other than blocks may have changed v's state. */
void verify_forget(struct vcpu *v);
/* vcpu_unwind, while a block is being compared; returns when none is. */
void verify_unwind(struct vcpu *v, bool deliver);
/* The code that is being run (the interpreter's has a struct tb of its own), and its block. */
struct tb *verify_running(const struct vcpu *v);
struct tb *verify_block(const struct vcpu *v);
void verify_mapping_changed(struct vcpu *v);
void verify_describe(const struct tcg *t, FILE *out);

/* ---- for softmmu's slow paths, which see every access to a device and, as no page has a write tag
 * before it was written, every store of the first run ---- */

/* size bytes of RAM at va are about to be written, reached through e; direct: with a write tag
 * nothing would be missed. */
void verify_store(struct vcpu *v, uint64_t va, struct tlb_entry *e, unsigned size, bool direct);
/* An access to a device: true when it has been done by the first run already (*value is what was
 * read). */
bool verify_io(struct vcpu *v, bool write, uint64_t phys, unsigned size, uint64_t *value);
void verify_io_done(struct vcpu *v, bool write, uint64_t phys, unsigned size, uint64_t value);
/* Does a store hit translated code: in a replay what was recorded, else `hit`. */
bool verify_hits_code(struct vcpu *v, uint64_t phys, unsigned size, bool hit);
/* Blocks that the store dropped: recorded or, in a replay (true is returned), looked up. */
bool verify_code_dropped(struct vcpu *v, uint64_t phys, unsigned size, unsigned *dropped);
void verify_code_note(struct vcpu *v, uint64_t phys, unsigned size, unsigned dropped);

#endif
