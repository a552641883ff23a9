/* Direct boot of a Linux bzImage by the 32-bit or, when the kernel offers it, the 64-bit entry of
 * the x86 boot protocol (Documentation/arch/x86/boot.rst of the kernel). Protocol 2.02 (header with
 * a command line pointer) is the oldest accepted; zImages that load low are refused. */
#include "hw/firmware/direct_boot.h"
#include "host/le.h"
#include "hw/display/console.h"

#include <stdlib.h>
#include <string.h>

enum {
    HDR_SETUP_SECTS = 0x1f1,
    HDR_FLAG = 0x1fe,
    HDR_JUMP = 0x200,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_CODE32 = 0x214,
    HDR_INITRD = 0x218,
    HDR_INITRD_SIZE = 0x21c,
    HDR_CMDLINE = 0x228,
    HDR_INITRD_MAX = 0x22c,
    HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238,
    ZP_EXT_INITRD = 0xc0,
    ZP_E820_COUNT = 0x1e8,
    ZP_E820 = 0x2d0,
    LOADED_HIGH = 1,
    XLF_64 = 1,
    KERNEL_BASE = 0x100000,
};

enum { /* struct screen_info at the start of the zero page; where the BIOS keeps the same */
       SCREEN_X = 0,
       SCREEN_MODE = 6,
       SCREEN_COLUMNS = 7,
       SCREEN_LINES = 14,
       SCREEN_IS_VGA = 15,
       SCREEN_POINTS = 16,
       BDA_VIDEO_MODE = 0x449,
       BDA_CURSOR = 0x450,
       BDA_CHAR_HEIGHT = 0x485,
};

bool linux_boot_detect(const struct blob *k)
{
    return k->len > 0x300 && le_get16(k->data + HDR_FLAG) == 0xaa55 &&
           !memcmp(k->data + HDR_MAGIC, "HdrS", 4);
}

/* Code for 32-bit protected mode: finish the zero page, then jump. The bytes, as assembly:
 *   mov eax,0x18; mov ds,ax; mov es,ax; mov ss,ax; mov esp,0x7c00
 *   mov eax,[0x8018]; mov [zero_page+0x1e8],al
 *   xor ebp,ebp; xor edi,edi; xor ebx,ebx; mov esi,zero_page */
static const uint8_t enter_common[] = {
    0xb8, 0x18, 0,    0,    0,    0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00,
    0x7c, 0,    0,    0xa1, 0x18, 0x80, 0,    0,    0xa2, 0xe8, 0x01, 0x01, 0,
    0x31, 0xed, 0x31, 0xff, 0x31, 0xdb, 0xbe, 0x00, 0x00, 0x01, 0x00,
};
/*   jmp 0x10:0x100000 */
static const uint8_t enter_32[] = {0xea, 0x00, 0x00, 0x10, 0x00, 0x10, 0x00};
/*   mov eax,cr4; or eax,PAE; mov cr4,eax; mov eax,page_tables; mov cr3,eax
 *   mov ecx,EFER; rdmsr; or eax,LME; wrmsr; mov eax,cr0; or eax,PG; mov cr0,eax; jmp 0x10:0x100200
 */
static const uint8_t enter_64[] = {
    0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0, 0xb8, 0,    0,    0x07,
    0,    0x0f, 0x22, 0xd8, 0xb9, 0x80, 0,    0,    0xc0, 0x0f, 0x32, 0x0d, 0,
    0x01, 0,    0,    0x0f, 0x30, 0x0f, 0x20, 0xc0, 0x0d, 0,    0,    0,    0x80,
    0x0f, 0x22, 0xc0, 0xea, 0x00, 0x02, 0x10, 0x00, 0x10, 0x00,
};

static void add_page_tables(struct direct_boot *d)
{
    enum { PRESENT = 1, WRITE = 2, LARGE = 0x80 };
    uint8_t *t = calloc(6, 4096);

    if (!t) {
        abort();
    }
    le_put32(t, (DIRECT_PAGE_TABLES + 0x1000) | PRESENT | WRITE);
    for (uint32_t i = 0; i < 4; i++) {
        le_put32(t + 0x1000 + 8 * i, (DIRECT_PAGE_TABLES + 0x2000 + 0x1000 * i) | PRESENT | WRITE);
    }
    for (uint32_t i = 0; i < 2048; i++) {
        le_put32(t + 0x2000 + 8 * i, i << 21 | PRESENT | WRITE | LARGE);
    }
    direct_boot_add(d, DIRECT_PAGE_TABLES, t, 6 * 4096);
    free(t);
}

static void add_entry(struct direct_boot *d, bool code64)
{
    uint8_t code[128];
    size_t n = sizeof(enter_common);

    memcpy(code, enter_common, n);
    if (code64) {
        memcpy(code + n, enter_64, sizeof(enter_64));
        n += sizeof(enter_64);
        add_page_tables(d);
    } else {
        memcpy(code + n, enter_32, sizeof(enter_32));
        n += sizeof(enter_32);
    }
    direct_boot_set_entry(d, DIRECT_ZERO_PAGE + ZP_E820, 20, code, n, code64);
}

static bool place_initrd(struct machine *m, struct direct_boot *d, const struct initrd *initrd,
                         uint8_t *zp, uint64_t kernel_end, struct error *err)
{
    uint64_t top = direct_boot_top(m);
    uint64_t limit = le_get16(zp + HDR_VERSION) >= 0x203
                         ? (uint64_t)le_get32(zp + HDR_INITRD_MAX) + 1
                         : 0x38000000;

    top = top < limit ? top : limit;
    if (initrd->len > top || ((top - initrd->len) & ~UINT64_C(4095)) < kernel_end) {
        return error_set(err, "the initrd (%zu KiB) does not fit into %llu MiB of memory",
                         initrd->len / 1024, (unsigned long long)(m->ram_size >> 20));
    }
    uint64_t base = (top - initrd->len) & ~UINT64_C(4095);
    direct_boot_add_initrd(d, base, initrd);
    le_put32(zp + HDR_INITRD, (uint32_t)base);
    le_put32(zp + HDR_INITRD_SIZE, (uint32_t)initrd->len);
    return true;
}

/* What the kernel's setup code would have asked the video BIOS for: the text screen as the BIOS
 * left it, out of the BIOS data area. Without it Linux believes that there is no VGA. */
static void describe_screen(struct machine *m)
{
    struct console *c = console_get(m, 0);
    struct text_screen *t = malloc(sizeof(*t));
    struct memory *mem = m->memory;
    uint8_t s[0x12] = {0};

    if (!t) {
        abort();
    }
    if (c && console_text(c, t)) {
        memory_read(mem, BDA_CURSOR, s + SCREEN_X, 2);
        memory_read(mem, BDA_VIDEO_MODE, s + SCREEN_MODE, 1);
        s[SCREEN_COLUMNS] = (uint8_t)t->columns;
        s[SCREEN_LINES] = (uint8_t)t->rows;
        s[SCREEN_IS_VGA] = 1;
        memory_read(mem, BDA_CHAR_HEIGHT, s + SCREEN_POINTS, 2);
        memory_write(mem, DIRECT_ZERO_PAGE, s, sizeof(s));
    }
    free(t);
}

bool linux_boot_load(struct machine *m, struct direct_boot *d, const struct blob *k,
                     const struct initrd *initrd, const char *append, struct error *err)
{
    uint8_t zp[4096] = {0};
    uint16_t version = le_get16(k->data + HDR_VERSION);
    unsigned sects = k->data[HDR_SETUP_SECTS] ? k->data[HDR_SETUP_SECTS] : 4;
    size_t setup = (sects + 1) * 512u, header_end = HDR_MAGIC + k->data[HDR_JUMP + 1];

    if (version < 0x202 || !(k->data[HDR_LOADFLAGS] & LOADED_HIGH)) {
        return error_set(err, "boot protocol %u.%02u of this kernel is too old", version >> 8,
                         version & 255);
    }
    if (k->len <= setup || header_end > setup) {
        return error_set(err, "the file is truncated (%zu bytes)", k->len);
    }
    size_t payload = k->len - setup;
    uint32_t syssize = le_get32(k->data + 0x1f4);
    if (version >= 0x204 && (uint64_t)syssize * 16 > payload + 15) {
        return error_set(err, "the file is truncated: %zu of %llu bytes of kernel", payload,
                         (unsigned long long)syssize * 16);
    }
    if (KERNEL_BASE + payload > direct_boot_top(m)) {
        return error_set(err, "the kernel (%zu KiB) does not fit into %llu MiB of memory",
                         payload / 1024, (unsigned long long)(m->ram_size >> 20));
    }
    uint32_t max_cmdline = version >= 0x206 ? le_get32(k->data + HDR_CMDLINE_SIZE) : 255;
    if (strlen(append) > max_cmdline || strlen(append) >= 0x10000) {
        return error_set(err, "-append: %zu characters, the kernel takes at most %u",
                         strlen(append), max_cmdline);
    }
    bool code64 = version >= 0x20c && (le_get16(k->data + HDR_XLOADFLAGS) & XLF_64);

    memcpy(zp + HDR_SETUP_SECTS, k->data + HDR_SETUP_SECTS, header_end - HDR_SETUP_SECTS);
    zp[HDR_LOADER] = 0xff; /* unassigned loader id */
    le_put32(zp + HDR_CMDLINE, DIRECT_CMDLINE);
    le_put32(zp + HDR_CODE32, KERNEL_BASE);
    if (initrd->len && !place_initrd(m, d, initrd, zp, KERNEL_BASE + payload, err)) {
        return false;
    }
    direct_boot_add(d, DIRECT_ZERO_PAGE, zp, sizeof(zp));
    direct_boot_add(d, DIRECT_CMDLINE, append, strlen(append) + 1);
    direct_boot_add(d, KERNEL_BASE, k->data + setup, payload);
    add_entry(d, code64);
    direct_boot_when_loaded(d, describe_screen);
    return true;
}
