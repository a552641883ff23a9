/* TLB maintenance; see tcg/vcpu.h for the entry format and the look-up. Address space contexts are
 * tagged by the guest's own id (x86: PCID), so that a switch between known ones keeps the entries.
 */
#ifndef SOFTMMU_TLB_H
#define SOFTMMU_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "tcg/vcpu.h"

/* What tcg_create() wants of this layer: code pages and exclusive sections. */
struct tcg_host_ops;
extern const struct tcg_host_ops softmmu_tcg_ops;

void tlb_init(struct vcpu *v);
void tlb_destroy(struct vcpu *v);

/* All of these act on v's own TLB and are called on v's own thread (or while it is stopped). */
void tlb_flush_all(struct vcpu *v);               /* every address space, global pages too */
void tlb_flush_nonglobal(struct vcpu *v);         /* the current address space */
void tlb_flush_page(struct vcpu *v, uint64_t va); /* current space + global; whole large page */
void tlb_flush_asid(struct vcpu *v, unsigned asid, bool keep_global);
void tlb_flush_page_asid(struct vcpu *v, unsigned asid, uint64_t va);
/* Makes asid current; keep: entries filled for it before are still good (x86: bit 63 of CR3). */
void tlb_switch(struct vcpu *v, unsigned asid, bool keep);
/* From another thread: makes v flush all before it runs guest code again. */
void tlb_request_flush(struct vcpu *v);

/* Which physical view data accesses use (memory.h VIEW_*); flushes on a change. */
void tlb_set_view(struct vcpu *v, unsigned view);
unsigned tlb_view(struct vcpu *v);

/* Makes the entry of va usable for acc in ctx; raises the guest's page fault when it may not. Used
 * by slow paths. With probe: returns false instead of raising, has no side effects (no A/D). */
bool tlb_fill(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe);

/* Watchpoints: accesses of the kinds in acc_mask (1 << enum access) that touch [va, va+len) call
 * ops->watch_hit before they are done. Their pages always take the slow path; others cost nothing.
 */
void softmmu_watch_add(struct vcpu *v, uint64_t va, uint64_t len, unsigned acc_mask, void *tag);
void softmmu_watch_remove(struct vcpu *v, void *tag); /* all with this tag */

/* Debugger access to virtual memory: no faults, no A/D bits. False when not mapped. */
bool vcpu_read_virtual(struct vcpu *v, uint64_t va, void *buf, uint64_t len);
bool vcpu_write_virtual(struct vcpu *v, uint64_t va, const void *buf, uint64_t len);

#endif
