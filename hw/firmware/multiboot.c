/* Direct boot of multiboot 1 kernels (Multiboot Specification 0.6.96): ELF32 images, or any image
 * with the address fields of the header; one module (-initrd). Video mode requests are ignored. */
#include "hw/firmware/direct_boot.h"
#include "host/le.h"

#include <stdlib.h>
#include <string.h>

enum { MB_MAGIC = 0x1badb002, MB_LOADED = 0x2badb002, MB_SEARCH = 8192 };
enum { MB_ALIGN = 1, MB_MEMINFO = 2, MB_ADDRS = 0x10000, MB_KNOWN = 0x10007 };
enum { MBI_MEM = 1, MBI_CMDLINE = 4, MBI_MODS = 8, MBI_MMAP = 64, MBI_LOADER = 512 };
enum {
    MBI = DIRECT_ZERO_PAGE,
    MBI_NAME = MBI + 0x100,
    MBI_MODULE = MBI + 0x200,
    MBI_MAP = MBI + 0x300
};

/* Offset of the multiboot header, or SIZE_MAX. */
static size_t find_header(const struct blob *k)
{
    for (size_t o = 0; o + 12 <= k->len && o < MB_SEARCH; o += 4) {
        if (le_get32(k->data + o) == MB_MAGIC &&
            le_get32(k->data + o) + le_get32(k->data + o + 4) + le_get32(k->data + o + 8) == 0) {
            return o;
        }
    }
    return SIZE_MAX;
}

bool multiboot_detect(const struct blob *k)
{
    return find_header(k) != SIZE_MAX;
}

struct image {
    uint32_t entry;
    uint64_t end; /* first byte after what was loaded, bss included */
};

static bool add_segment(struct machine *m, struct direct_boot *d, const struct blob *k,
                        uint64_t offset, uint64_t filesz, uint64_t memsz, uint64_t phys,
                        struct image *img, struct error *err)
{
    if (offset > k->len || filesz > k->len - offset || filesz > memsz) {
        return error_set(err, "the file is truncated: a segment ends at %llu of %zu bytes",
                         (unsigned long long)(offset + filesz), k->len);
    }
    if (phys < DIRECT_ZERO_PAGE * 2u && phys + memsz > DIRECT_PARAMS) {
        return error_set(err, "a segment at %#llx overlaps the loader's own memory",
                         (unsigned long long)phys);
    }
    if (phys + memsz > direct_boot_top(m)) {
        return error_set(err, "a segment up to %#llx does not fit into %llu MiB of memory",
                         (unsigned long long)(phys + memsz),
                         (unsigned long long)(m->ram_size >> 20));
    }
    uint8_t *data = calloc(1, memsz ? memsz : 1);
    if (!data) {
        return error_set(err, "no memory for a segment of %llu bytes", (unsigned long long)memsz);
    }
    memcpy(data, k->data + offset, filesz);
    direct_boot_add(d, phys, data, memsz);
    free(data);
    if (phys + memsz > img->end) {
        img->end = phys + memsz;
    }
    return true;
}

static bool load_elf(struct machine *m, struct direct_boot *d, const struct blob *k,
                     struct image *img, struct error *err)
{
    enum {
        EI_CLASS = 4,
        E_MACHINE = 18,
        E_ENTRY = 24,
        E_PHOFF = 28,
        E_PHENTSIZE = 42,
        E_PHNUM = 44
    };
    const uint8_t *e = k->data;

    if (k->len < 52 || memcmp(e, "\177ELF", 4)) {
        return error_set(err, "multiboot kernel without address fields that is not ELF");
    }
    if (e[EI_CLASS] != 1 || le_get16(e + E_MACHINE) != 3) {
        return error_set(err, "multiboot needs a 32-bit x86 ELF (use objcopy -O elf32-i386)");
    }
    uint32_t phoff = le_get32(e + E_PHOFF);
    unsigned phnum = le_get16(e + E_PHNUM), phentsize = le_get16(e + E_PHENTSIZE);
    if (phentsize < 32 || phoff > k->len || (uint64_t)phnum * phentsize > k->len - phoff) {
        return error_set(err, "the ELF program headers are outside of the file");
    }
    img->entry = le_get32(e + E_ENTRY);
    for (unsigned i = 0; i < phnum; i++) {
        const uint8_t *p = e + phoff + (size_t)i * phentsize;
        bool load = le_get32(p) == 1;
        if (load && !add_segment(m, d, k, le_get32(p + 4), le_get32(p + 16), le_get32(p + 20),
                                 le_get32(p + 12), img, err)) {
            return false;
        }
    }
    return true;
}

static bool load_flat(struct machine *m, struct direct_boot *d, const struct blob *k, size_t header,
                      struct image *img, struct error *err)
{
    if (header + 32 > k->len) {
        return error_set(err, "the multiboot header is truncated");
    }
    const uint8_t *h = k->data + header;
    uint32_t header_addr = le_get32(h + 12), load = le_get32(h + 16), load_end = le_get32(h + 20);
    uint32_t bss_end = le_get32(h + 24);

    img->entry = le_get32(h + 28);
    if (header_addr < load || header < header_addr - load) {
        return error_set(err, "the addresses in the multiboot header contradict each other");
    }
    uint64_t offset = header - (header_addr - load);
    uint64_t filesz = load_end ? (uint64_t)load_end - load : k->len - offset;
    uint64_t memsz = bss_end ? (uint64_t)bss_end - load : filesz;
    if (load_end && load_end < load) {
        return error_set(err, "the multiboot load end is below the load address");
    }
    return add_segment(m, d, k, offset, filesz, memsz > filesz ? memsz : filesz, load, img, err);
}

/* mov eax,0x18; mov ds,ax; mov es,ax; mov fs,ax; mov gs,ax; mov ss,ax
 * imul eax,[0x8018],24; mov [MBI+44],eax              length of the memory map
 * mov eax,0x2badb002; mov ebx,MBI; jmp dword 0x10:entry */
static void add_entry(struct direct_boot *d, uint32_t entry)
{
    uint8_t code[] = {
        0xb8,
        0x18,
        0,
        0,
        0,
        0x8e,
        0xd8,
        0x8e,
        0xc0,
        0x8e,
        0xe0,
        0x8e,
        0xe8,
        0x8e,
        0xd0,
        0x6b,
        0x05,
        0x18,
        0x80,
        0,
        0,
        24,
        0xa3,
        (MBI + 44) & 0xff,
        (MBI >> 8) & 0xff,
        MBI >> 16,
        0,
        0xb8,
        0x02,
        0xb0,
        0xad,
        0x2b,
        0xbb,
        0,
        (MBI >> 8) & 0xff,
        MBI >> 16,
        0,
        0xea,
        0,
        0,
        0,
        0,
        0x10,
        0,
    };

    le_put32(code + sizeof(code) - 6, entry);
    /* Entries are {size, base, length, type}: the BIOS writes the last three, 4 bytes in. */
    direct_boot_set_entry(d, MBI_MAP + 4, 24, code, sizeof(code), false);
}

static bool add_module(struct machine *m, struct direct_boot *d, const struct initrd *initrd,
                       uint64_t base, uint8_t *info, struct error *err)
{
    uint8_t mod[16] = {0};

    if (base + initrd->len > direct_boot_top(m)) {
        return error_set(err, "the module (%zu KiB) does not fit into %llu MiB of memory",
                         initrd->len / 1024, (unsigned long long)(m->ram_size >> 20));
    }
    le_put32(mod, (uint32_t)base);
    le_put32(mod + 4, (uint32_t)(base + initrd->len));
    le_put32(mod + 8, DIRECT_CMDLINE);
    direct_boot_add_initrd(d, base, initrd);
    direct_boot_add(d, MBI_MODULE, mod, sizeof(mod));
    le_put32(info + 20, 1);
    le_put32(info + 24, MBI_MODULE);
    return true;
}

bool multiboot_load(struct machine *m, struct direct_boot *d, const struct blob *k,
                    const struct initrd *initrd, const char *append, struct error *err)
{
    size_t header = find_header(k);
    uint32_t flags = le_get32(k->data + header + 4);
    struct image img = {0};
    uint8_t info[0x100] = {0}, map[64 * 24] = {0};
    static const char name[] = "dragoman";

    if (flags & 0xffff & ~MB_KNOWN) {
        return error_set(err, "the kernel requires multiboot features %#x that are not provided",
                         flags & 0xffff & ~MB_KNOWN);
    }
    if (strlen(append) >= 0x10000) {
        return error_set(err, "-append: %zu characters, at most 65535 are possible",
                         strlen(append));
    }
    if (!(flags & MB_ADDRS ? load_flat(m, d, k, header, &img, err)
                           : load_elf(m, d, k, &img, err))) {
        return false;
    }
    uint32_t upper = (uint32_t)((direct_boot_top(m) >> 10) - 1024);
    le_put32(info, MBI_MEM | MBI_CMDLINE | MBI_MODS | MBI_MMAP | MBI_LOADER);
    le_put32(info + 4, 639);
    le_put32(info + 8, upper);
    le_put32(info + 16, DIRECT_CMDLINE);
    le_put32(info + 48, MBI_MAP);
    le_put32(info + 64, MBI_NAME);
    if (initrd->len && !add_module(m, d, initrd, (img.end + 4095) & ~UINT64_C(4095), info, err)) {
        return false;
    }
    for (unsigned i = 0; i < 64; i++) {
        le_put32(map + 24 * i, 20);
    }
    direct_boot_add(d, MBI, info, sizeof(info));
    direct_boot_add(d, MBI_NAME, name, sizeof(name));
    direct_boot_add(d, MBI_MAP, map, sizeof(map));
    direct_boot_add(d, DIRECT_CMDLINE, append, strlen(append) + 1);
    add_entry(d, img.entry);
    return true;
}
