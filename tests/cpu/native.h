/* Runs short instruction sequences on the host's own processor, in a child process that can touch
 * nothing but a few pages of its own: the oracle for the instruction tests
 * (tests/cpu/native_test.c).
 *
 * What the code sees, natively and in the emulated processor alike (tests/cpu/emulated.h):
 *   NATIVE_CODE  two executable pages filled with INT3, the sequence somewhere in them
 *   NATIVE_DATA  two writable pages and a read-only one; the pages around both areas are not there
 * In 16-bit mode the segments start at the areas (CS at NATIVE_CODE, the others at NATIVE_DATA), so
 * that rip and rSP are offsets. ES has a limit of its own, inside the area. A sequence ends with
 * the first exception, normally the #BP of the INT3 after it.
 *
 * Cases with `vectors` load and compare the vector and MMX registers and MXCSR too. To extend it by
 * x87 state: more of it in struct native_state, loaded in native_enter() and taken from the signal
 * frame's fpregs in take_vectors(). */
#ifndef TESTS_CPU_NATIVE_H
#define TESTS_CPU_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NATIVE_CODE = 0x10000000,
    NATIVE_CODE_SIZE = 0x2000,
    NATIVE_DATA = 0x20000000,
    NATIVE_DATA_SIZE = 0x3000,
    NATIVE_DATA_WRITABLE = 0x2000, /* bytes; the rest is read-only */
    NATIVE_ES_LIMIT = 0x17ff,      /* 16-bit mode; the others' is 0xffff, CS' the end of the area */
    /* Upper half of ESP in 16-bit mode: IRET to a 16-bit stack leaves there what it was. */
    NATIVE_ESP_HIGH = 0x5a3c0000,
    NATIVE_GS_BASE = NATIVE_DATA + 0x800,
    NATIVE_MAX_CODE = 256,
    NATIVE_BATCH = 128, /* cases in one go */
};

/* Ends of a sequence that are no exception. */
enum { NATIVE_TIMEOUT = -1, NATIVE_SYSCALL = -2, NATIVE_DIED = -3 };

struct native_state {
    uint64_t reg[16]; /* in x86's numbering */
    uint64_t rip, rflags;
    uint64_t vec[16][4]; /* these only with native_case.vectors */
    uint64_t mm[8];
    uint16_t mm_high[8]; /* sign and exponent of the x87 register; in: all ones */
    uint32_t mxcsr;
    uint16_t fsw;
    uint8_t ftw; /* abridged: 1 a register in use; in: all are */
};

struct native_patch { /* bytes written over the data image before the run */
    uint16_t at;
    uint8_t len;
    uint8_t bytes[32];
};

struct native_case {
    uint8_t code[NATIVE_MAX_CODE];
    uint16_t code_len, code_at; /* at: offset of the first byte in the code area */
    uint8_t bits;               /* 64, 32 (compatibility mode) or 16 (segments below) */
    bool vectors;
    uint8_t npatches;
    struct native_patch patch[4];
    struct native_state in; /* rip is not looked at: the first byte's */
};

struct native_result {
    struct native_state out; /* rip: of the faulting instruction, or after the INT3 */
    int vector;              /* or NATIVE_TIMEOUT ... */
    uint32_t error;
    uint64_t cr2;       /* of a page fault */
    uint64_t data_hash; /* native_hash() of the data area */
};

/* The data area's contents before the patches: the same for every case. */
void native_image(uint8_t image[NATIVE_DATA_SIZE]);
uint64_t native_hash(const uint8_t data[NATIVE_DATA_SIZE]);

struct native;
/* NULL when this host cannot: *why tells. */
struct native *native_start(const char **why);
/* This host runs cases of so many bits. */
bool native_can(struct native *n, unsigned bits);
void native_stop(struct native *n);
/* Runs up to NATIVE_BATCH cases. A child that is lost is replaced; its case is NATIVE_DIED. */
void native_run(struct native *n, const struct native_case *cases, struct native_result *results,
                unsigned count);
/* The data area as the last case run left it. */
const uint8_t *native_data(struct native *n);

#endif
