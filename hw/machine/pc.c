/* The `pc` machine: 440FX and PIIX3 chip set with the usual ISA devices, wired together.
 *
 * Memory map: RAM from 0 and from 4 GiB up; below 4 GiB it ends at 3 GiB at the latest, then come
 * PCI windows, I/O APIC (fec00000), HPET (fed00000), local APICs (fee00000) and the BIOS at the
 * very top. */
#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "host/file.h"
#include "host/le.h"
#include "hw/acpi/tables.h"
#include "hw/block/fdc.h"
#include "hw/dma/i8237.h"
#include "hw/firmware/direct_boot.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/firmware/smbios.h"
#include "hw/ide/ide.h"
#include "hw/ide/piix3_ide.h"
#include "hw/input/i8042.h"
#include "hw/intc/apic.h"
#include "hw/intc/gsi.h"
#include "hw/intc/i8259.h"
#include "hw/isa/isa.h"
#include "hw/machine/machine_type.h"
#include "hw/misc/misc.h"
#include "hw/pci/i440fx.h"
#include "hw/timer/timers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOW_RAM_MAX UINT64_C(0xc0000000)
#define FOUR_GIB    UINT64_C(0x100000000)
enum { SEABIOS_LAST_PCI = 0xfebfffff };

extern const struct device_type serial16550_type, parallel_type;

struct pc {
    struct machine *machine;
    struct x86_platform platform;
    struct device *pm, *rtc;
    uint8_t a20;            /* bit n: source n drives the line high */
    const char *boot_order; /* after the first reset; NULL: it stays */
};

/* ---- lines ---- */

/* A20 is open while any of its sources (keyboard controller, port 92h) asks for it. */
static void set_a20(void *opaque, int n, int level)
{
    struct pc *pc = opaque;

    pc->a20 = (uint8_t)(level ? pc->a20 | 1u << n : pc->a20 & ~(1u << n));
    for (unsigned i = 0; i < pc->machine->nvcpus; i++) {
        x86_set_a20(x86_cpu(pc->machine->vcpus[i]), pc->a20 != 0);
    }
}

static void set_ferr(void *opaque, bool level)
{
    irq_set(isa_irq(opaque, 13), level);
}

/* The order of -boot, or the usual one: disk, floppy, CD-ROM. */
static const char *boot_order(const struct machine_config *cfg)
{
    return cfg->boot_order ? cfg->boot_order : "cad";
}

static void set_boot_order(struct device *rtc, const char *order)
{
    static const char codes[] = "acdn"; /* boot device codes 1, 2, 3, 4 */
    uint8_t boot[3] = {0};

    for (unsigned i = 0; i < 3 && order[i]; i++) {
        boot[i] = (uint8_t)(strchr(codes, order[i]) - codes + 1);
    }
    mc146818_set_cmos(rtc, 0x3d, (uint8_t)(boot[1] << 4 | boot[0]));
    mc146818_set_cmos(rtc, 0x38, (uint8_t)(boot[2] << 4 | 1));
}

static void pc_reset(struct machine *m)
{
    struct pc *pc = m->board;

    if (pc->boot_order) {
        set_boot_order(pc->rtc, pc->boot_order);
    }
    devices_reset(m);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        x86_reset(x86_cpu(m->vcpus[i]), false);
    }
}

static void pc_powerdown(struct machine *m)
{
    struct pc *pc = m->board;
    piix4_pm_power_button(pc->pm);
}

static void pc_nmi(struct machine *m)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        vcpu_request(m->vcpus[i], X86_REQ_NMI);
    }
}

/* ---- memory and firmware ---- */

static uint64_t below_4g(uint64_t ram)
{
    return ram < LOW_RAM_MAX ? ram : LOW_RAM_MAX;
}

static const char *find_bios(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {"", "/usr/share/seabios/", "/usr/share/qemu/",
                                          "/usr/local/share/seabios/"};

    for (size_t i = name ? 0 : 1; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, size, "%s%s", folders[i], name ? name : "bios-256k.bin");
        if (access(path, R_OK) == 0) {
            return path;
        }
    }
    return name;
}

static struct ram *load_bios(struct machine *m, const char *name, struct error *err)
{
    char path[4096];
    const char *file = find_bios(name, path, sizeof(path));
    uint8_t *data;
    size_t len;

    if (!file) {
        error_set(err, "no BIOS found: install the package 'seabios' or give one with -bios");
        return NULL;
    }
    if (!file_read(file, &data, &len, err)) {
        error_prefix(err, "-bios %s", name ? name : file);
        return NULL;
    }
    struct ram *rom = NULL;
    if (len % 65536 || len > (16u << 20)) {
        error_set(err, "-bios %s: %zu bytes is not a multiple of 64 KiB up to 16 MiB", file, len);
    } else {
        rom = memory_ram_create(m->memory, "pc.bios", len, err);
    }
    if (rom) {
        uint64_t low = len < 0x20000 ? len : 0x20000;
        memcpy(rom->host, data, len);
        memory_map_ram(m->memory, IN_BOTH, FOUR_GIB - len, len, rom, 0, true, MAP_PRIO_ROM);
        memory_map_ram(m->memory, IN_BOTH, 0x100000 - low, low, rom, len - low, true, MAP_PRIO_ROM);
    }
    free(data);
    return rom;
}

static void add_e820(struct fw_cfg *fw, uint64_t ram)
{
    uint8_t table[40] = {0};
    uint64_t low = below_4g(ram);

    le_put64(table + 8, low);
    table[16] = 1;
    le_put64(table + 20, FOUR_GIB);
    le_put64(table + 28, ram - low);
    table[36] = 1;
    fw_cfg_add_file(fw, "etc/e820", table, ram > low ? 40 : 20);
}

static void add_firmware_config(struct machine *m, const struct machine_config *cfg)
{
    struct fw_cfg *fw = fw_cfg_find(m);
    static const uint8_t irq0_override[4] = {1, 0, 0, 0};
    uint8_t number[8];

    fw_cfg_add_u64(fw, FW_CFG_RAM_SIZE, cfg->ram_size);
    fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, (uint16_t)cfg->smp);
    /* SeaBIOS goes through APIC ids up to this one for its MP table: there may be gaps. */
    fw_cfg_add_u16(fw, FW_CFG_MAX_CPUS, (uint16_t)(x86_cpu(m->vcpus[cfg->smp - 1])->apic_id + 1));
    fw_cfg_add_u16(fw, FW_CFG_NOGRAPHIC, cfg->serial_console);
    fw_cfg_add_u16(fw, FW_CFG_BOOT_MENU, cfg->boot_menu);
    fw_cfg_add(fw, FW_CFG_IRQ0_OVERRIDE, irq0_override, sizeof(irq0_override));
    if (cfg->boot_menu_ms >= 0) {
        le_put16(number, (uint16_t)cfg->boot_menu_ms);
        fw_cfg_add_file(fw, "etc/boot-menu-wait", number, 2);
    }
    if (cfg->boot_fail_ms >= 0) {
        le_put32(number, (uint32_t)cfg->boot_fail_ms);
        fw_cfg_add_file(fw, "etc/boot-fail-wait", number, 4);
    }
    add_e820(fw, cfg->ram_size);
    if (cfg->serial_console) {
        le_put64(number, 0x3f8);
        fw_cfg_add_file(fw, "etc/sercon-port", number, sizeof(number));
    }
    smbios_add(fw, cfg->sockets, cfg->cores, cfg->threads, cfg->ram_size, cfg->cpu_model->brand);
}

static void add_acpi(struct machine *m, const struct machine_config *cfg)
{
    uint32_t *ids = calloc(m->nvcpus, sizeof(*ids));
    uint64_t top = FOUR_GIB + cfg->ram_size - below_4g(cfg->ram_size);
    unsigned nserial = 0;

    if (!ids) {
        abort();
    }
    for (unsigned i = 0; i < m->nvcpus; i++) {
        ids[i] = x86_cpu(m->vcpus[i])->apic_id;
    }
    while (nserial < 4 && cfg->serial[nserial]) {
        nserial++;
    }
    struct acpi_config ac = {
        .ncpus = m->nvcpus,
        .apic_ids = ids,
        .pci_hole = (uint32_t)((below_4g(cfg->ram_size) + 0xfffff) & ~UINT64_C(0xfffff)),
        .pci_hole_end = SEABIOS_LAST_PCI,
        .pci_hole64 = (top + (UINT64_C(1) << 30) - 1) & ~((UINT64_C(1) << 30) - 1),
        .hpet = cfg->hpet,
        .nserial = nserial,
        .pvpanic_port = pvpanic_port(m),
    };
    ac.pci_hole64_end = ac.pci_hole64 + (UINT64_C(32) << 30) - 1;
    acpi_tables_add(fw_cfg_find(m), &ac);
    free(ids);
}

static void set_cmos(struct device *rtc, const struct machine_config *cfg)
{
    uint64_t low = below_4g(cfg->ram_size), high = cfg->ram_size - low;
    uint64_t base_kib = low / 1024 < 640 ? low / 1024 : 640;
    uint64_t ext_kib = low > 0x100000 ? (low - 0x100000) / 1024 : 0;
    uint64_t above_16m = low > 0x1000000 ? (low - 0x1000000) / 65536 : 0;

    ext_kib = ext_kib < 65535 ? ext_kib : 65535;
    above_16m = above_16m < 65535 ? above_16m : 65535;
    struct {
        uint8_t index;
        uint64_t value;
    } bytes[] = {
        {0x14, 0x06}, /* equipment: coprocessor, mouse */
        {0x15, base_kib},   {0x16, base_kib >> 8}, {0x17, ext_kib},    {0x18, ext_kib >> 8},
        {0x30, ext_kib},    {0x31, ext_kib >> 8},  {0x34, above_16m},  {0x35, above_16m >> 8},
        {0x5b, high >> 16}, {0x5c, high >> 24},    {0x5d, high >> 32}, {0x5f, cfg->smp - 1},
    };
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        mc146818_set_cmos(rtc, bytes[i].index, (uint8_t)bytes[i].value);
    }
    const char *order = boot_order(cfg);
    set_boot_order(rtc, cfg->boot_once ? cfg->boot_once : order);
}

/* ---- processors and devices ---- */

static unsigned bits_for(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n) {
        bits++;
    }
    return bits;
}

static bool create_cpus(struct pc *pc, const struct machine_config *cfg, struct error *err)
{
    unsigned thread_bits = bits_for(cfg->threads), core_bits = bits_for(cfg->cores);

    lapic_fill_platform(pc->machine, &pc->platform);
    pc->platform.ferr = set_ferr;
    for (unsigned i = 0; i < cfg->smp; i++) {
        struct x86_cpu *c = x86_cpu_create(pc->machine, cfg->cpu_model, i, &pc->platform, err);
        if (!c) {
            return false;
        }
        unsigned thread = i % cfg->threads, core = i / cfg->threads % cfg->cores;
        unsigned socket = i / (cfg->threads * cfg->cores);
        c->apic_id = ((socket << core_bits) | core) << thread_bits | thread;
        if (c->apic_id > 254) {
            return error_set(err, "-smp: processor %u would need APIC id %u; 254 is the highest", i,
                             c->apic_id);
        }
        c->smp_cores = cfg->cores;
        c->smp_threads = cfg->threads;
        if (!lapic_create(pc->machine, c, err)) {
            return false;
        }
    }
    return true;
}

static bool create_serials(struct machine *m, const struct machine_config *cfg, struct error *err)
{
    for (unsigned i = 0; i < 4; i++) {
        char index[16];
        if (!cfg->serial[i]) {
            continue;
        }
        struct device *d = device_create(m, &serial16550_type, NULL);
        snprintf(index, sizeof(index), "%u", i);
        device_set_ptr(d, "chardev", cfg->serial[i]);
        if (!device_set(d, "index", index, err) || !device_realize(d, err)) {
            return false;
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        if (cfg->parallel[i]) {
            struct device *d = device_create(m, &parallel_type, NULL);
            device_set_ptr(d, "chardev", cfg->parallel[i]);
            if (!device_realize(d, err)) {
                return false;
            }
        }
    }
    if (cfg->debugcon) {
        struct device *d = device_create(m, &debugcon_type, NULL);
        device_set_ptr(d, "chardev", cfg->debugcon);
        return device_realize(d, err);
    }
    return true;
}

/* The drives of -drive if=ide: devices on the controller's channels. */
static bool attach_drives(struct machine *m, const struct machine_config *cfg, struct error *err)
{
    for (unsigned i = 0; i < 4; i++) {
        if (!cfg->ide[i]) {
            continue;
        }
        struct device *d = device_create(m, cfg->ide_cdrom[i] ? &ide_cd_type : &ide_hd_type, NULL);
        char bus[8], unit[8];
        snprintf(bus, sizeof(bus), "ide.%u", i / 2);
        snprintf(unit, sizeof(unit), "%u", i % 2);
        device_set_ptr(d, "drive", cfg->ide[i]);
        if (!device_set(d, "bus", bus, err) || !device_set(d, "unit", unit, err) ||
            !device_realize(d, err)) {
            return error_prefix(err, "drive '%s'", block_id(cfg->ide[i]));
        }
    }
    return true;
}

static bool attach_floppies(struct machine *m, const struct machine_config *cfg, struct error *err)
{
    for (unsigned i = 0; i < 2; i++) {
        if (cfg->floppy[i]) {
            struct device *d = device_create(m, &floppy_type, NULL);
            device_set_ptr(d, "drive", cfg->floppy[i]);
            if (!device_set(d, "unit", i ? "1" : "0", err) || !device_realize(d, err)) {
                return error_prefix(err, "drive '%s'", block_id(cfg->floppy[i]));
            }
        }
    }
    return true;
}

static bool create_isa(struct pc *pc, const struct machine_config *cfg, struct error *err)
{
    struct machine *m = pc->machine;
    struct device *pic = device_make(m, &i8259_type, err, NULL);
    struct device *ioapic = pic ? device_make(m, &ioapic_type, err, NULL) : NULL;

    if (!ioapic) {
        return false;
    }
    gsi_wire(m, pic, ioapic);
    pc->rtc = device_create(m, &mc146818_type, NULL);
    if ((cfg->rtc_base && !device_set(pc->rtc, "base", cfg->rtc_base, err)) ||
        !device_set(pc->rtc, "clock", cfg->rtc_clock ? cfg->rtc_clock : "host", err) ||
        (cfg->rtc_driftfix && !device_set(pc->rtc, "driftfix", cfg->rtc_driftfix, err)) ||
        !device_realize(pc->rtc, err)) {
        return error_prefix(err, "-rtc");
    }
    struct device *kbc = pc->rtc ? device_make(m, &i8042_type, err, NULL) : NULL;
    struct device *fast = kbc ? device_make(m, &port92_type, err, NULL) : NULL;
    if (!fast || !device_make(m, &i8254_type, err, NULL) ||
        !device_make(m, &i8237_type, err, NULL) || !device_make(m, &isa_fdc_type, err, NULL) ||
        (cfg->hpet && !device_make(m, &hpet_type, err, NULL)) ||
        !device_make(m, &fw_cfg_type, err, NULL)) {
        return false;
    }
    i8042_set_a20(kbc, (struct irq){set_a20, pc, 0});
    port92_set_a20(fast, (struct irq){set_a20, pc, 1});
    return true;
}

static bool pc_create(struct machine *m, const struct machine_config *cfg, struct error *err)
{
    struct pc *pc = calloc(1, sizeof(*pc));

    if (!pc) {
        abort();
    }
    m->board = pc;
    pc->machine = m;
    m->reset = pc_reset;
    m->powerdown = pc_powerdown;
    m->inject_nmi = pc_nmi;

    struct ram *rom = load_bios(m, cfg->bios, err);
    uint64_t size = cfg->ram_size < 0x100000 ? 0x100000 : cfg->ram_size;
    struct ram *ram = rom ? memory_ram_create(m->memory, "pc.ram", size, err) : NULL;
    if (!ram || !i440fx_create(m, ram, below_4g(cfg->ram_size), rom, err) ||
        !create_cpus(pc, cfg, err) || !create_isa(pc, cfg, err) || !piix3_create(m, err) ||
        !device_make(m, &piix3_ide_type, err, NULL)) {
        return false;
    }
    pc->pm = piix4_pm_create(m, err);
    if (!pc->pm || !create_serials(m, cfg, err)) {
        return false;
    }
    if (!attach_drives(m, cfg, err)) {
        return false;
    }
    set_cmos(pc->rtc, cfg);
    if (!attach_floppies(m, cfg, err)) {
        return false;
    }
    add_firmware_config(m, cfg);
    if (cfg->kernel && !direct_boot_setup(m, cfg->kernel, cfg->initrd, cfg->append, err)) {
        return false;
    }
    pc_reset(m);
    return true;
}

static bool pc_finish(struct machine *m, const struct machine_config *cfg, struct error *err)
{
    struct pc *pc = m->board;

    (void)err;
    if (cfg->acpi) {
        add_acpi(m, cfg);
    }
    if (cfg->boot_once) {
        pc->boot_order = boot_order(cfg);
    }
    return true;
}

static void pc_destroy(struct machine *m)
{
    devices_destroy(m);
    free(m->board);
    m->board = NULL;
}

const struct machine_type machine_pc = {
    .name = "pc",
    .summary = "i440FX and PIIX3 PC",
    .create = pc_create,
    .finish = pc_finish,
    .destroy = pc_destroy,
};
