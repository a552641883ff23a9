/* Runs instructions on the host's own processor, in a child process that can touch nothing but a
 * few pages of its own: the oracle for the prover (tests/cpu/prover.c).
 *
 * What the code sees, natively and in the emulated processor alike (tests/cpu/emulated.h):
 *   NATIVE_CODE  two executable pages filled with INT3, the code somewhere in them
 *   NATIVE_DATA  two writable pages and a read-only one; the pages around both areas are not there
 * In 16-bit mode the segments start at the areas (CS at NATIVE_CODE, the others at NATIVE_DATA), so
 * that rip and rSP are offsets. ES has a limit of its own, inside the area. In 64-bit mode FS and
 * GS have bases in the data area. Code ends with the first exception, normally the #BP of the INT3
 * after it.
 *
 * Code and states are apart: a group is code with any number of states to run it in, a batch is
 * many groups, which the child runs in one go. In 64-bit mode the code's end is no exception but a
 * jump to a stub that stores the state, which takes a tenth of the time; bytes after the code are
 * not to be looked at. */
#ifndef TESTS_CPU_NATIVE_H
#define TESTS_CPU_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NATIVE_CODE = 0x13600000, /* no half or double of the data area's addresses; 2 MiB aligned */
    NATIVE_CODE_SIZE = 0x2000,
    NATIVE_DATA = 0x20000000,
    NATIVE_DATA_SIZE = 0x3000,
    NATIVE_DATA_WRITABLE = 0x2000, /* bytes; the rest is read-only */
    NATIVE_ES_LIMIT = 0x17ff,      /* 16-bit mode; the others' is 0xffff, CS' the end of the area */
    /* Upper half of ESP in 16-bit mode: IRET to a 16-bit stack leaves there what it was. */
    NATIVE_ESP_HIGH = 0x5a3c0000,
    NATIVE_ESP_PAGE = 0x7000, /* beyond that: the page from which IRET does so, the child's own */
    NATIVE_GS_BASE = NATIVE_DATA + 0x800,
    NATIVE_FS_BASE = NATIVE_DATA + 0x900,
    NATIVE_CS64 = 0x33, /* Linux's selectors */
    NATIVE_CS32 = 0x23,
    NATIVE_DS = 0x2b,
    NATIVE_LDT_CODE = 0 << 3 | 7, /* 16-bit mode's */
    NATIVE_LDT_DATA = 1 << 3 | 7,
    NATIVE_LDT_ES = 2 << 3 | 7,
    NATIVE_LDTR = 0x50,
    NATIVE_TR = 0x40,
    NATIVE_AFTER = 21, /* bytes after the code that differ on the two sides */
    NATIVE_MAX_CODE = 480,
    NATIVE_BATCH = 2048, /* cases in one go */
    NATIVE_CHANGES = 6,
    NATIVE_PATCHES = 8,
};

/* Ends that are no exception. */
enum { NATIVE_TIMEOUT = -1, NATIVE_SYSCALL = -2, NATIVE_DIED = -3 };

/* x87 and vector state as XSAVE stores it: the FXSAVE image of 64-bit mode, header, upper halves.
 */
struct native_fx {
    uint16_t fcw, fsw;
    uint8_t ftw, room; /* ftw: bit n: physical register n is in use */
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct native_st {
        uint64_t mant;
        uint16_t se, room[3];
    } st[8]; /* in order of ST(i) */
    uint64_t xmm[16][2];
    uint64_t room2[12];
    uint64_t xstate_bv, xcomp_bv, room3[6];
    uint64_t ymm_high[16][2];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct native_fx) == 832, "as XSAVE has it");

struct native_patch { /* bytes written over the data image before the run */
    uint16_t at;
    uint8_t len;
    uint8_t bytes[32];
};

struct native_case {
    struct native_fx fx; /* with native_group.full only */
    uint64_t reg[16];    /* in x86's numbering */
    uint64_t rflags;
    uint32_t npatches;
    uint32_t ignore; /* offset of 4 bytes of the data area that are the processor's own; 0: none */
    struct native_patch patch[NATIVE_PATCHES];
};

struct native_group {
    uint8_t code[NATIVE_MAX_CODE];
    uint16_t len, at;      /* at: offset of the first byte in the code area */
    uint8_t bits;          /* 64, 32 (compatibility mode) or 16 (segments above) */
    bool full;             /* x87 and vector state is loaded and compared */
    bool traps;            /* TF may be set at the end: it must be an INT3 */
    bool segments;         /* may load segment registers */
    uint32_t first, count; /* cases */
};

struct native_result {
    struct native_fx fx;
    uint64_t reg[16];
    uint64_t rip, rflags; /* rip: of the faulting instruction, or after the INT3 */
    int32_t vector;       /* or NATIVE_TIMEOUT ... */
    uint32_t error;
    uint64_t cr2;    /* of a page fault */
    uint16_t sel[6]; /* ES, CS, SS, DS, FS, GS */
    uint16_t room;
    uint16_t nchanges;  /* changed words of the data area */
    uint64_t data_hash; /* of them all */
    struct native_change {
        uint64_t at, value;   /* at: offset of 8 bytes */
    } change[NATIVE_CHANGES]; /* the first ones */
};

/* The data area's contents before the patches: the same for every case. */
void native_image(uint8_t image[NATIVE_DATA_SIZE]);
/* Notes what has changed but for ignore, and takes it back. */
void native_collect(uint8_t *data, const uint8_t *image, unsigned ignore, struct native_result *r);
/* Puts a case's patches into the data. */
void native_patch(uint8_t *data, const struct native_case *k);

struct native;
/* NULL when this host cannot: *why tells. */
struct native *native_start(const char **why);
/* This host runs cases of so many bits. */
bool native_can(struct native *n, unsigned bits);
void native_stop(struct native *n);
/* Where a batch is put together: up to NATIVE_BATCH cases, and groups. */
struct native_group *native_groups(struct native *n);
struct native_case *native_cases(struct native *n);
/* Runs it. A child that is lost is replaced; its case is NATIVE_DIED. */
const struct native_result *native_run(struct native *n, unsigned ngroups);

#endif
