/* fw_cfg by its ports and by DMA, as a BIOS reads it. */
#include "hw/firmware/fw_cfg.h"
#include "tests/device/harness.h"

static void select_item(struct bench *b, unsigned key)
{
    out16(b, 0x510, key);
}

static uint64_t be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | *p++;
    }
    return v;
}

/* Descriptor at 0x1000, data to 0x2000; returns the status word. */
static uint32_t dma(struct bench *b, uint32_t control, uint32_t len, uint64_t addr)
{
    uint8_t desc[16];

    for (unsigned i = 0; i < 4; i++) {
        desc[i] = (uint8_t)(control >> (24 - 8 * i));
        desc[4 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    for (unsigned i = 0; i < 8; i++) {
        desc[8 + i] = (uint8_t)(addr >> (56 - 8 * i));
    }
    memory_write(b->m->memory, 0x1000, desc, 16);
    out32(b, 0x514, 0);
    out32(b, 0x518, __builtin_bswap32(0x1000));
    memory_read(b->m->memory, 0x1000, desc, 4);
    return (uint32_t)be(desc, 4);
}

int main(void)
{
    struct bench b;
    struct error err = {{0}};
    uint8_t buf[256];

    bench_open(&b);
    struct ram *ram = memory_ram_create(b.m->memory, "ram", 0x10000, &err);
    memory_map_ram(b.m->memory, IN_BOTH, 0, 0x10000, ram, 0, false, 0);
    struct device *d = bench_add(&b, &fw_cfg_type);
    struct fw_cfg *fw = fw_cfg_find(b.m);
    fw_cfg_add_file(fw, "etc/one", "hello", 5);
    fw_cfg_add_file(fw, "etc/two", "worlds!", 7);
    fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, 0x1234);
    d->type->reset(d);

    select_item(&b, FW_CFG_SIGNATURE);
    tap_ok(in8(&b, 0x511) == 'Q' && in8(&b, 0x511) == 'E' && in8(&b, 0x511) == 'M' &&
               in8(&b, 0x511) == 'U',
           "the signature");
    tap_ok(in8(&b, 0x511) == 0, "zero behind the end");
    select_item(&b, FW_CFG_ID);
    tap_ok(in8(&b, 0x511) == 3, "ports and DMA are offered");
    select_item(&b, FW_CFG_NB_CPUS);
    tap_ok(in8(&b, 0x511) == 0x34 && in8(&b, 0x511) == 0x12, "numbers are little endian");
    tap_ok(in32(&b, 0x514) == 0x554d4551 && in32(&b, 0x518) == 0x47464320, "DMA signature");

    select_item(&b, FW_CFG_FILE_DIR);
    for (unsigned i = 0; i < 4 + 2 * 64; i++) {
        buf[i] = (uint8_t)in8(&b, 0x511);
    }
    tap_ok(be(buf, 4) == 2 && be(buf + 4 + 64, 4) == 7 &&
               !strcmp((char *)buf + 4 + 64 + 8, "etc/two"),
           "the directory lists both files");
    unsigned key = (unsigned)be(buf + 4 + 64 + 4, 2);
    memset(buf, 0xee, sizeof(buf));
    memory_write(b.m->memory, 0x2000, buf, 16);
    tap_ok(dma(&b, key << 16 | 8 | 2, 10, 0x2000) == 0, "select and read by DMA");
    memory_read(b.m->memory, 0x2000, buf, 11);
    tap_ok(!memcmp(buf, "worlds!\0\0\0\xee", 11),
           "the data, zeros behind its end, and nothing more");
    dma(&b, key << 16 | 8 | 4, 3, 0);
    tap_ok(in8(&b, 0x511) == 'l', "skip");
    tap_ok(dma(&b, key << 16 | 8 | 16, 4, 0x2000) == 1, "writing is refused");
    tap_ok(dma(&b, key << 16 | 8 | 2, 4, 0x80000000) == 1, "DMA to nowhere is an error");
    select_item(&b, 0x6f);
    tap_ok(in8(&b, 0x511) == 0, "an item that is not there reads as zero");
    select_item(&b, 0xffff);
    tap_ok(in8(&b, 0x511) == 0, "nor does an impossible one harm");
    select_item(&b, FW_CFG_NB_CPUS);
    in8(&b, 0x511);
    tap_ok(state_round_trip(d), "state saves and loads");
    tap_ok(in8(&b, 0x511) == 0x12, "and the reading goes on where it was");
    bench_close(&b);
    return tap_done();
}
