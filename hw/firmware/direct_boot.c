/* Direct kernel boot: the BIOS initialises the machine as always and then boots from an option ROM
 * of ours. The ROM writes to the loader port, upon which this device copies kernel, initrd and
 * parameters into guest memory; it collects the E820 map by INT 15h, enters 32-bit protected mode
 * and jumps to code that the image format's loader made (linux_boot.c, multiboot.c).
 *
 * Port 0x0d4a is our own; a write of any value loads. */
#include "hw/firmware/direct_boot.h"
#include "host/file.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/isa/isa.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOADER_PORT = 0x0d4a, FILE_STEP = 256 * 1024 };

struct piece {
    uint64_t phys;
    uint8_t *data;
    size_t len;
    int fd; /* without data: of the file */
};

struct direct_boot {
    struct device dev;
    struct piece *pieces;
    unsigned npieces;
    void (*loaded)(struct machine *m); /* may be NULL */
};

/* The ROM: PnP expansion header with a bootstrap entry vector at `start`. Assembly:
 *   init:  retf
 *   start: cli; cld; xor ax,ax; mov ds,ax
 *          mov dx,0xd4a; out dx,al                    load everything
 *          mov ss,ax; mov sp,0x7c00; sti
 *          les di,[0x8010]; mov bp,[0x8014]            E820 place and stride
 *          xor ebx,ebx; xor si,si
 *   next:  mov eax,0xe820; mov edx,'SMAP'; mov ecx,20; int 0x15; jc done
 *          cmp eax,'SMAP'; jne done
 *          inc si; add di,bp; cmp si,64; jae done; test ebx,ebx; jnz next
 *   done:  cli; fninit (SeaBIOS leaves the unit as reset does, with exceptions unmasked); xor
 * ax,ax; mov ds,ax; mov [0x8018],si lgdt [0x8000]; mov eax,cr0; or al,1; mov cr0,eax; jmp dword
 * 8:0x8040 */
static const uint8_t rom_image[] = {
    0x55, 0xaa, 1,    0xcb, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x1c, 0,    '$',  'P',  'n',  'P',
    1,    2,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x3c, 0,    0,    0,
    0,    0,    0,    0,    0,    0,    0x4f, 0,    0,    0,    0,    0,    'D',  'i',  'r',  'e',
    'c',  't',  ' ',  'k',  'e',  'r',  'n',  'e',  'l',  ' ',  'b',  'o',  'o',  't',  0,    0xfa,
    0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0xba, 0x4a, 0x0d, 0xee, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0xc4,
    0x3e, 0x10, 0x80, 0x8b, 0x2e, 0x14, 0x80, 0x66, 0x31, 0xdb, 0x31, 0xf6, 0x66, 0xb8, 0x20, 0xe8,
    0x00, 0x00, 0x66, 0xba, 0x50, 0x41, 0x4d, 0x53, 0x66, 0xb9, 0x14, 0x00, 0x00, 0x00, 0xcd, 0x15,
    0x72, 0x15, 0x66, 0x3d, 0x50, 0x41, 0x4d, 0x53, 0x75, 0x0d, 0x46, 0x01, 0xef, 0x83, 0xfe, 0x40,
    0x73, 0x05, 0x66, 0x85, 0xdb, 0x75, 0xd5, 0xfa, 0xdb, 0xe3, 0x31, 0xc0, 0x8e, 0xd8, 0x89, 0x36,
    0x18, 0x80, 0x0f, 0x01, 0x16, 0x00, 0x80, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0x66,
    0xea, 0x40, 0x80, 0x00, 0x00, 0x08, 0x00,
};

static void add_piece(struct direct_boot *d, struct piece piece)
{
    struct piece *p = realloc(d->pieces, (d->npieces + 1) * sizeof(*p));

    if (!p) {
        abort();
    }
    d->pieces = p;
    d->pieces[d->npieces++] = piece;
}

void direct_boot_add(struct direct_boot *d, uint64_t phys, const void *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy) {
        abort();
    }
    memcpy(copy, data, len);
    add_piece(d, (struct piece){phys, copy, len, -1});
}

void direct_boot_add_initrd(struct direct_boot *d, uint64_t phys, const struct initrd *initrd)
{
    int fd = fcntl(initrd->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        abort();
    }
    add_piece(d, (struct piece){phys, NULL, initrd->len, fd});
}

/* Through a buffer that stays in the processor's cache: nothing of it stays in memory but the
 * guest's copy. */
static void load_file(struct memory *memory, const struct piece *p)
{
    uint8_t *buf = malloc(FILE_STEP);

    if (!buf) {
        abort();
    }
    for (size_t at = 0; at < p->len;) {
        size_t want = p->len - at < FILE_STEP ? p->len - at : FILE_STEP;
        ssize_t n = pread(p->fd, buf, want, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            fprintf(stderr, "dragoman: -initrd: cannot read byte %zu of %zu: %s\n", at, p->len,
                    n ? strerror(errno) : "the file has become shorter");
            break;
        }
        memory_write(memory, p->phys + at, buf, (size_t)n);
        at += (size_t)n;
    }
    free(buf);
}

void direct_boot_set_entry(struct direct_boot *d, uint32_t e820, uint16_t stride,
                           const uint8_t *code, size_t len, bool code64)
{
    uint8_t gdt[32] = {
        0,    0,    0, 0, 0, 0,    0,    0,
        0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0, /* 08: 32-bit code */
        0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0,
        0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0, /* 10: code, 18: data */
    };
    uint8_t params[0x1c] = {
        sizeof(gdt) - 1, 0, DIRECT_GDT & 0xff, DIRECT_GDT >> 8, 0, 0,
    };
    uint16_t segment = (uint16_t)(e820 >> 4), offset = (uint16_t)(e820 & 15);

    if (code64) {
        gdt[0x16] = 0xaf;
    }
    params[0x10] = (uint8_t)offset;
    params[0x12] = (uint8_t)segment;
    params[0x13] = (uint8_t)(segment >> 8);
    params[0x14] = (uint8_t)stride;
    direct_boot_add(d, DIRECT_PARAMS, params, sizeof(params));
    direct_boot_add(d, DIRECT_GDT, gdt, sizeof(gdt));
    direct_boot_add(d, DIRECT_CODE, code, len);
}

uint64_t direct_boot_top(struct machine *m)
{
    uint64_t low = m->ram_size < UINT64_C(0xc0000000) ? m->ram_size : UINT64_C(0xc0000000);

    return low > (2u << 20) ? low - (1u << 20) : low;
}

static void loader_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct direct_boot *d = opaque;

    (void)offset;
    (void)value;
    (void)size;
    for (unsigned i = 0; i < d->npieces; i++) {
        const struct piece *p = &d->pieces[i];
        if (p->data) {
            memory_write(d->dev.machine->memory, p->phys, p->data, p->len);
        } else {
            load_file(d->dev.machine->memory, p);
        }
    }
    if (d->loaded) {
        d->loaded(d->dev.machine);
    }
}

void direct_boot_when_loaded(struct direct_boot *d, void (*fn)(struct machine *m))
{
    d->loaded = fn;
}

static uint64_t loader_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return 0xff;
}

static const struct mmio_ops loader_ops = {loader_read, loader_write, 1, 4};

static bool direct_boot_realize(struct device *dev, struct error *err)
{
    return isa_claim_ports(dev, LOADER_PORT, 1, &loader_ops,
                           container_of(dev, struct direct_boot, dev), err);
}

static void direct_boot_destroy(struct device *dev)
{
    struct direct_boot *d = container_of(dev, struct direct_boot, dev);

    for (unsigned i = 0; i < d->npieces; i++) {
        free(d->pieces[i].data);
        if (d->pieces[i].fd >= 0) {
            close(d->pieces[i].fd);
        }
    }
    free(d->pieces);
}

/* No state: what it loads is the same at every boot. */
static const struct state_field direct_boot_fields[] = {STATE_END};
static const struct state_table direct_boot_state = {1, direct_boot_fields, NULL};

const struct device_type direct_boot_type = {
    .name = "direct-boot",
    .summary = "loader for -kernel",
    .bus = BUS_ISA,
    .size = sizeof(struct direct_boot),
    .state = &direct_boot_state,
    .realize = direct_boot_realize,
    .destroy = direct_boot_destroy,
};

static void add_rom(struct fw_cfg *fw)
{
    static const char order[] = "/rom@genroms/direct-boot.rom";
    uint8_t rom[512] = {0};
    uint8_t sum = 0;

    memcpy(rom, rom_image, sizeof(rom_image));
    for (unsigned i = 0; i < sizeof(rom); i++) {
        sum = (uint8_t)(sum + rom[i]);
    }
    rom[sizeof(rom) - 1] = (uint8_t)-sum;
    fw_cfg_add_file(fw, "genroms/direct-boot.rom", rom, sizeof(rom));
    fw_cfg_add_file(fw, "bootorder", order, sizeof(order));
}

bool direct_boot_setup(struct machine *m, const char *kernel, const char *initrd,
                       const char *append, struct error *err)
{
    struct blob k = {0};
    struct initrd i = {-1, 0};
    struct device *dev = device_make(m, &direct_boot_type, err, NULL);
    bool ok = dev != NULL;

    if (!file_read(kernel, &k.data, &k.len, err)) {
        return error_prefix(err, "-kernel");
    }
    if (initrd && !file_open(initrd, &i.fd, &i.len, err)) {
        free(k.data);
        return error_prefix(err, "-initrd");
    }
    struct direct_boot *d = dev ? container_of(dev, struct direct_boot, dev) : NULL;
    if (ok && linux_boot_detect(&k)) {
        ok = linux_boot_load(m, d, &k, &i, append ? append : "", err);
    } else if (ok && multiboot_detect(&k)) {
        ok = multiboot_load(m, d, &k, &i, append ? append : "", err);
    } else if (ok) {
        ok = error_set(err, "-kernel %s: neither a Linux bzImage nor a multiboot 1 kernel", kernel);
    }
    if (ok) {
        add_rom(fw_cfg_find(m));
    } else if (strncmp(err->msg, "-", 1)) {
        error_prefix(err, "-kernel %s", kernel);
    }
    if (i.fd >= 0) {
        close(i.fd);
    }
    free(k.data);
    return ok;
}
