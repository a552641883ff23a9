/* virtio-scsi and SCSI disks through the queues: addresses, inquiry and capacity, transfers of all
 * lengths, UNMAP and WRITE SAME, mode pages, errors, task management, events, a CD-ROM drive. */
#include "hw/scsi/scsi.h"
#include "host/mainloop.h"
#include "tests/device/disk_image.h"
#include "tests/device/virtio_driver.h"

#include <unistd.h>

extern const struct device_type virtio_scsi_type;

enum { SECTORS = 4096, REQ = DRIVER_BUFFERS, RESP = REQ + 0x1000, DATA = REQ + 0x2000 };

static struct mainloop *loop;
static struct block_graph *graph;
static struct bench bench, *b = &bench;
static struct driver drv;
static uint8_t resp[108];

static bool wait_used(unsigned q)
{
    uint32_t id, len;

    for (unsigned i = 0; i < BENCH_PATIENCE; i++) {
        if (take_used(&drv, q, &id, &len)) {
            return true;
        }
        bench_step(b, loop);
    }
    return false;
}

/* A command; its status, or 0x100 | response. */
static unsigned run(unsigned target, unsigned lun, const uint8_t *cdb, unsigned cdb_len,
                    uint32_t out, uint32_t in)
{
    uint8_t req[51] = {1, (uint8_t)target, (uint8_t)(0x40 | lun >> 8), (uint8_t)lun};
    unsigned n = 0;

    memcpy(req + 19, cdb, cdb_len);
    memory_write(b->m->memory, REQ, req, sizeof(req));
    put_desc(&drv, 2, n, REQ, sizeof(req), D_NEXT, 1);
    n++;
    if (out) {
        put_desc(&drv, 2, n, DATA, out, D_NEXT, (uint16_t)(n + 1));
        n++;
    }
    put_desc(&drv, 2, n, RESP, sizeof(resp), D_WRITE | (in ? D_NEXT : 0), (uint16_t)(n + 1));
    n++;
    if (in) { /* in two pieces */
        put_desc(&drv, 2, n, DATA, in / 2, D_WRITE | D_NEXT, (uint16_t)(n + 1));
        put_desc(&drv, 2, n + 1, DATA + in / 2, in - in / 2, D_WRITE, 0);
    }
    memset(resp, 0xff, sizeof(resp));
    memory_write(b->m->memory, RESP, resp, sizeof(resp));
    make_available(&drv, 2, 0);
    driver_kick(&drv, 2);
    bool done = wait_used(2);
    memory_read(b->m->memory, RESP, resp, sizeof(resp));
    return !done ? 0x1ff : resp[11] ? 0x100u | resp[11] : resp[10];
}
#define RUN(target, lun, out, in, ...)                                                             \
    run(target, lun, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}), out, in)

static bool sense_is(unsigned key, unsigned asc)
{
    return le_get32(resp) == SCSI_SENSE && resp[12 + 2] == key && resp[12 + 12] == asc;
}

static void get(uint8_t *buf, unsigned n)
{
    memory_read(b->m->memory, DATA, buf, n);
}

static void fill(uint8_t v, unsigned n)
{
    uint8_t s[2048];

    memset(s, v, sizeof(s));
    memory_write(b->m->memory, DATA, s, n);
}

static void test_disk(void)
{
    uint8_t s[256];

    tap_ok(RUN(9, 0, 0, 0, 0) == 0x103, "no such target");
    tap_ok(RUN(0, 0, 0, 0, 0) == 2 && sense_is(SENSE_ATTENTION, 0x29), "attention after the reset");
    tap_ok(RUN(0, 0, 0, 0, 0) == 0, "TEST UNIT READY");
    tap_ok(RUN(0, 0, 0, 96, 0x12, 0, 0, 0, 96) == 0 && le_get32(resp + 4) == 60,
           "INQUIRY with its residual count");
    get(s, 36);
    tap_ok(s[0] == 0 && !memcmp(s + 8, "DRAGOMAN", 8), "of a disk");
    tap_ok(RUN(0, 0, 0, 64, 0x12, 1, 0x80, 0, 64) == 0, "page 80");
    get(s, 12);
    tap_ok(s[3] == 4 && !memcmp(s + 4, "S123", 4), "the serial number");
    tap_ok(RUN(0, 0, 0, 64, 0x12, 1, 0, 0, 64) == 0, "page 00");
    get(s, 10);
    tap_ok(s[3] == 6 && s[5] == 0x80 && s[6] == 0x83 && s[7] == 0xb0 && s[9] == 0xb2,
           "names the others");
    tap_ok(RUN(0, 0, 0, 64, 0x12, 1, 0xb2, 0, 64) == 0, "page B2");
    get(s, 8);
    tap_ok(s[5] == 0xe0, "UNMAP and WRITE SAME are there");
    tap_ok(RUN(0, 0, 0, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0) == 0, "READ CAPACITY (10)");
    get(s, 8);
    tap_ok(scsi_be(s, 4) == SECTORS - 1 && scsi_be(s + 4, 4) == 512, "its numbers");
    tap_ok(RUN(0, 0, 0, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32) == 0,
           "READ CAPACITY (16)");
    get(s, 32);
    tap_ok(scsi_be(s, 8) == SECTORS - 1 && (s[14] & 0x80), "with provisioning");
    tap_ok(RUN(0, 0, 0, 64, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64) == 0, "REPORT LUNS");
    get(s, 24);
    tap_ok(scsi_be(s, 4) == 16 && s[17] == 5, "units 0 and 5");

    tap_ok(RUN(0, 0, 0, 1024, 0x28, 0, 0, 0, 1, 44, 0, 0, 2, 0) == 0 && is_sector(b, DATA, 300) &&
               is_sector(b, DATA + 512, 301),
           "READ (10)");
    tap_ok(RUN(0, 0, 0, 512, 0x08, 0, 2, 3, 1, 0) == 0 && is_sector(b, DATA, 515), "READ (6)");
    tap_ok(RUN(0, 0, 0, 512, 0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0) == 0 && is_sector(b, DATA, 7),
           "READ (12)");
    fill(0x21, 1024);
    tap_ok(RUN(0, 0, 1024, 0, 0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 2, 0, 0) == 0,
           "WRITE (16) with FUA");
    tap_ok(RUN(0, 0, 0, 1024, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 2, 0, 0) == 0 &&
               is_sector(b, DATA + 512, 0x2121),
           "READ (16) has it");
    tap_ok(RUN(0, 0, 0, 1024, 0x28, 0, 0, 0, 15, 255, 0, 0, 2, 0) == 2 &&
               sense_is(SENSE_ILLEGAL, 0x21),
           "beyond the end");
    tap_ok(RUN(0, 0, 0, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0) == 0x101,
           "memory that is too short: overrun");
    tap_ok(RUN(0, 0, 0, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0) == 0, "SYNCHRONIZE CACHE");
    tap_ok(RUN(0, 0, 0, 0, 0xee) == 2 && sense_is(SENSE_ILLEGAL, 0x20), "an unknown command");
    tap_ok(RUN(0, 3, 0, 0, 0) == 2 && sense_is(SENSE_ILLEGAL, 0x25), "no such unit");
    RUN(0, 3, 0, 36, 0x12, 0, 0, 0, 36);
    get(s, 1);
    tap_ok(s[0] == 0x7f, "INQUIRY tells so too");

    fill(0x42, 512);
    tap_ok(RUN(0, 0, 512, 0, 0x93, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 2, 88, 0, 0) == 0,
           "WRITE SAME (16), 600 blocks");
    RUN(0, 0, 0, 512, 0x28, 0, 0, 0, 6, 87, 0, 0, 1, 0);
    tap_ok(is_sector(b, DATA, 0x4242), "the last of them");
    RUN(0, 0, 0, 512, 0x28, 0, 0, 0, 6, 88, 0, 0, 1, 0);
    tap_ok(is_sector(b, DATA, 1624), "and not the next");
    fill(0, 512);
    tap_ok(RUN(0, 0, 512, 0, 0x41, 8, 0, 0, 6, 64, 0, 0, 16, 0) == 0,
           "WRITE SAME (10) of zeroes, unmapping");
    RUN(0, 0, 0, 512, 0x28, 0, 0, 0, 6, 65, 0, 0, 1, 0);
    tap_ok(is_sector(b, DATA, 0), "zeroes");
    uint8_t list[40] = {0, 38, 0, 32};
    list[14] = 8;
    list[19] = 16;
    list[30] = 9;
    list[35] = 8;
    memory_write(b->m->memory, DATA, list, 40);
    tap_ok(RUN(0, 0, 40, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0) == 0, "UNMAP of two ranges");
    list[28] = 1;
    memory_write(b->m->memory, DATA, list, 40);
    tap_ok(RUN(0, 0, 40, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0) == 2 && sense_is(SENSE_ILLEGAL, 0x21),
           "one of them too far");

    tap_ok(RUN(0, 0, 0, 64, 0x1a, 8, 8, 0, 64, 0) == 0, "MODE SENSE (6)");
    get(s, 8);
    tap_ok(s[4] == 8 && (s[6] & 4), "the cache is on");
    uint8_t select[24] = {0, 0, 0, 0, 8, 18};
    memory_write(b->m->memory, DATA, select, 24);
    tap_ok(RUN(0, 0, 24, 0, 0x15, 0x10, 0, 0, 24, 0) == 0, "MODE SELECT (6)");
    RUN(0, 0, 0, 64, 0x5a, 8, 8, 0, 0, 0, 0, 0, 64, 0);
    get(s, 12);
    tap_ok(s[8] == 8 && !(s[10] & 4), "MODE SENSE (10): it is off");
}

static unsigned task(unsigned target, unsigned lun, unsigned what)
{
    uint8_t req[24] = {0}, r = 0xff;

    le_put32(req + 4, what);
    req[8] = 1;
    req[9] = (uint8_t)target;
    req[11] = (uint8_t)lun;
    memory_write(b->m->memory, REQ, req, sizeof(req));
    put_desc(&drv, 0, 0, REQ, sizeof(req), D_NEXT, 1);
    put_desc(&drv, 0, 1, RESP, 1, D_WRITE, 0);
    make_available(&drv, 0, 0);
    driver_kick(&drv, 0);
    wait_used(0);
    memory_read(b->m->memory, RESP, &r, 1);
    return r;
}

static void test_tasks(void)
{
    tap_ok(task(0, 0, 5) == 0, "LOGICAL UNIT RESET");
    tap_ok(RUN(0, 0, 0, 0, 0) == 2 && sense_is(SENSE_ATTENTION, 0x29), "tells of itself");
    tap_ok(task(0, 1, 0) == 12 && task(9, 0, 0) == 3 && task(0, 0, 2) == 11,
           "wrong units, targets and functions");
    tap_ok(task(0, 0, 0) == 0 && task(0, 0, 7) == 0, "nothing to abort, nothing found");
}

static void test_cd(struct block *cd)
{
    struct error err = {{0}};
    uint8_t s[32];

    tap_ok(RUN(3, 0, 0, 0, 0) == 2 && RUN(3, 0, 0, 0, 0) == 0, "the CD-ROM drive has a disc");
    tap_ok(RUN(3, 0, 0, 4096, 0x28, 0, 0, 0, 0, 5, 0, 0, 2, 0) == 0 && is_sector(b, DATA, 20) &&
               is_sector(b, DATA + 3584, 27),
           "READ (10) of two sectors");
    tap_ok(RUN(3, 0, 0, 20, 0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0) == 0, "READ TOC");
    get(s, 20);
    tap_ok(s[3] == 1 && s[14] == 0xaa && scsi_be(s + 16, 4) == SECTORS / 4,
           "one track and the end");
    tap_ok(RUN(3, 0, 512, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0) == 2, "no writing");
    put_desc(&drv, 1, 0, RESP, 16, D_WRITE, 0);
    make_available(&drv, 1, 0);
    driver_kick(&drv, 1);
    tap_ok(block_open_tray(cd, false, &err), "the tray opens");
    wait_used(1);
    memory_read(b->m->memory, RESP, s, 16);
    tap_ok(le_get32(s) == 3 && s[5] == 3 && le_get32(s + 12) == 0x3a, "an event tells of it");
    RUN(3, 0, 0, 0, 0);
    tap_ok(RUN(3, 0, 0, 0, 0) == 2 && sense_is(SENSE_NOT_READY, 0x3a), "not ready");
    tap_ok(RUN(3, 0, 0, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0) == 0,
           "GET EVENT STATUS NOTIFICATION");
    get(s, 8);
    tap_ok(s[4] == 3 && s[5] == 1, "the disc is gone");
}

static struct device *unit(const struct device_type *t, struct block *blk, const char *id,
                           const char *lun)
{
    struct error err = {{0}};
    struct device *d = device_create(b->m, t, NULL);

    device_set_ptr(d, "drive", blk);
    if (t == &scsi_hd_type) {
        device_set(d, "serial", "S123", &err);
    }
    device_set(d, "scsi-id", id, &err);
    device_set(d, "lun", lun, &err);
    return bench_must(device_realize(d, &err) ? d : NULL, &err);
}

int main(void)
{
    struct error err = {{0}};
    struct irq line = {bench_set_line, b, 0};
    char path[3][24];
    struct block *blk[3];

    bench_open(b);
    loop = mainloop_create(b->m);
    graph = block_graph_create(loop);
    for (unsigned i = 0; i < 3; i++) {
        strcpy(path[i], "/tmp/scsi-test-XXXXXX");
        disk_image_make(path[i], SECTORS);
        struct block_options o = {.file = path[i], .format = "raw", .readonly = i == 2};
        blk[i] = block_open(graph, &o, &err);
    }
    driver_bus(b, &line);
    struct device *hba = bench_add(b, &virtio_scsi_type);
    struct device *hd = unit(&scsi_hd_type, blk[0], "0", "0");
    unit(&scsi_hd_type, blk[1], "0", "5");
    unit(&scsi_cd_type, blk[2], "3", "0");
    devices_reset(b->m);
    driver_find(&drv, b, hba);
    driver_start(&drv, 1 << 2, 3);
    test_disk();
    test_tasks();
    test_cd(blk[2]);
    tap_ok(state_round_trip(hd) && state_round_trip(hba), "state saves and loads");
    block_graph_destroy(graph);
    bench_close(b);
    mainloop_destroy(loop);
    for (unsigned i = 0; i < 3; i++) {
        unlink(path[i]);
    }
    return tap_done();
}
