/* SMBIOS 2.8 structures (DMTF DSP0134): BIOS, system, chassis, processors, memory array, devices
 * and their mapping, boot status, end. */
#include "hw/firmware/smbios.h"
#include "hw/firmware/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

struct out {
    uint8_t *data;
    size_t len;
    uint16_t count, largest, handle;
    size_t start; /* of the structure being written */
};

static void bytes(struct out *o, const void *p, size_t n)
{
    o->data = realloc(o->data, o->len + n);
    if (!o->data) {
        abort();
    }
    memcpy(o->data + o->len, p, n);
    o->len += n;
}

static void le(struct out *o, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t b = i < 8 ? (uint8_t)(v >> 8 * i) : 0;
        bytes(o, &b, 1);
    }
}

static void begin(struct out *o, uint8_t type, uint16_t handle)
{
    o->start = o->len;
    le(o, type, 1);
    le(o, 0, 1); /* length, set by end */
    le(o, handle, 2);
}

/* strings: "one\0two\0" with a final empty one, or "" for none. */
static void end(struct out *o, const char *strings)
{
    size_t n = 0;

    o->data[o->start + 1] = (uint8_t)(o->len - o->start);
    while (strings[n]) {
        n += strlen(strings + n) + 1;
    }
    bytes(o, strings, n);
    le(o, 0, n ? 1 : 2);
    o->count++;
    if (o->len - o->start > o->largest) {
        o->largest = (uint16_t)(o->len - o->start);
    }
}

static void add_processor(struct out *o, unsigned n, unsigned cores, unsigned threads,
                          const char *name)
{
    char strings[128];
    size_t len = 0;

    begin(o, 4, (uint16_t)(0x400 + n));
    le(o, 1, 1);    /* socket: string 1 */
    le(o, 3, 1);    /* central processor */
    le(o, 1, 1);    /* family: other */
    le(o, 2, 1);    /* manufacturer: string 2 */
    le(o, 0, 8);    /* id */
    le(o, 3, 1);    /* version: string 3 */
    le(o, 0, 1);    /* voltage */
    le(o, 0, 2);    /* external clock */
    le(o, 2000, 2); /* maximal and current speed, MHz */
    le(o, 2000, 2);
    le(o, 0x41, 1);   /* populated, enabled */
    le(o, 1, 1);      /* upgrade: other */
    le(o, 0xffff, 2); /* caches: not described */
    le(o, 0xffff, 2);
    le(o, 0xffff, 2);
    le(o, 0, 3); /* serial, asset, part */
    le(o, cores, 1);
    le(o, cores, 1);
    le(o, cores * threads, 1);
    le(o, 2, 2); /* characteristics: unknown */
    le(o, 1, 2); /* family 2: other */
    static const char head[] = "CPU\0Dragoman";
    memcpy(strings, head, sizeof(head));
    len = sizeof(head);
    size_t name_len = strlen(name) < 64 ? strlen(name) : 64;
    memcpy(strings + len, name, name_len);
    strings[len + name_len] = 0;
    strings[len + name_len + 1] = 0;
    end(o, strings);
}

static void add_memory(struct out *o, uint64_t ram)
{
    uint64_t low = ram < UINT64_C(0xc0000000) ? ram : UINT64_C(0xc0000000);
    uint64_t mib = ram >> 20;

    begin(o, 16, 0x1000);
    le(o, 1, 1); /* other location */
    le(o, 3, 1); /* system memory */
    le(o, 6, 1); /* multi-bit ECC */
    le(o, ram < UINT64_C(0x20000000000) ? ram >> 10 : 0x80000000, 4);
    le(o, 0xfffe, 2);
    le(o, 1, 2);
    le(o, ram < UINT64_C(0x20000000000) ? 0 : ram, 8);
    end(o, "");

    begin(o, 17, 0x1100);
    le(o, 0x1000, 2);
    le(o, 0xfffe, 2);
    le(o, 0xffff, 2); /* widths unknown */
    le(o, 0xffff, 2);
    le(o, mib < 0x7fff ? mib : 0x7fff, 2);
    le(o, 9, 1); /* DIMM */
    le(o, 0, 1);
    le(o, 1, 1); /* locator: string 1 */
    le(o, 0, 1);
    le(o, 7, 1); /* RAM */
    le(o, 2, 2);
    le(o, 0, 2);
    le(o, 0, 4); /* manufacturer, serial, asset, part */
    le(o, 0, 1);
    le(o, mib < 0x7fff ? 0 : mib, 4);
    le(o, 0, 2);
    le(o, 0, 6); /* voltages */
    end(o, "DIMM 0\0");

    begin(o, 19, 0x1300);
    le(o, 0, 4);
    le(o, (low >> 10) - 1, 4);
    le(o, 0x1000, 2);
    le(o, 1, 1);
    le(o, 0, 16);
    end(o, "");
    if (ram > low) {
        begin(o, 19, 0x1301);
        le(o, 0xffffffff, 4);
        le(o, 0xffffffff, 4);
        le(o, 0x1000, 2);
        le(o, 1, 1);
        le(o, UINT64_C(0x100000000), 8);
        le(o, UINT64_C(0x100000000) + (ram - low) - 1, 8);
        end(o, "");
    }
}

static void add_anchor(struct fw_cfg *fw, const struct out *o)
{
    uint8_t a[31] = {'_', 'S', 'M', '_', 0, 31, 2, 8};

    a[8] = (uint8_t)o->largest;
    a[9] = (uint8_t)(o->largest >> 8);
    memcpy(a + 16, "_DMI_", 5);
    a[22] = (uint8_t)o->len;
    a[23] = (uint8_t)(o->len >> 8);
    a[28] = (uint8_t)o->count;
    a[29] = (uint8_t)(o->count >> 8);
    a[30] = 0x28; /* address and checksums are the BIOS's to fill */
    fw_cfg_add_file(fw, "etc/smbios/smbios-anchor", a, sizeof(a));
}

void smbios_add(struct fw_cfg *fw, unsigned sockets, unsigned cores, unsigned threads,
                uint64_t ram_size, const char *cpu_name)
{
    struct out o = {0};

    begin(&o, 1, 0x100);
    le(&o, 1, 1); /* manufacturer, product, version */
    le(&o, 2, 1);
    le(&o, 3, 1);
    le(&o, 0, 1);
    le(&o, 0, 16); /* no UUID */
    le(&o, 6, 1);  /* wake-up: power switch */
    le(&o, 0, 2);
    end(&o, "Dragoman\0PC (i440FX + PIIX3)\0pc\0");

    begin(&o, 3, 0x300);
    le(&o, 1, 1);
    le(&o, 1, 1); /* type: other */
    le(&o, 0, 3);
    le(&o, 3, 1); /* boot-up, power, thermal state: safe */
    le(&o, 3, 1);
    le(&o, 3, 1);
    le(&o, 2, 1); /* security: unknown */
    le(&o, 0, 4);
    le(&o, 0, 2);
    le(&o, 0, 3);
    end(&o, "Dragoman\0");

    for (unsigned i = 0; i < sockets; i++) {
        add_processor(&o, i, cores, threads, cpu_name);
    }
    add_memory(&o, ram_size);
    begin(&o, 32, 0x2000);
    le(&o, 0, 6);
    le(&o, 0, 1); /* no error */
    end(&o, "");
    begin(&o, 127, 0x7f00);
    end(&o, "");

    fw_cfg_add_file(fw, "etc/smbios/smbios-tables", o.data, o.len);
    add_anchor(fw, &o);
    free(o.data);
}
