/* ACPI tables of the `pc` machine (ACPI 6.4; the PIIX4 power management data sheet for the
 * registers).
 *
 * The tables are one blob; a script in etc/table-loader tells the BIOS where pointers and checksums
 * go. Left out: sleep states other than S5, hot plug, thermal zones. */
#include "hw/acpi/tables.h"
#include "host/le.h"
#include "hw/acpi/aml.h"
#include "hw/firmware/fw_cfg.h"

#include <stdio.h>
#include <string.h>

enum { PM_BASE = 0x600, GPE_BASE = 0xafe0, SMI_CMD = 0xb2, SCI = 9, RESET_PORT = 0xcf9 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"

/* ---- the loader script ---- */

static void script_entry(struct aml *s, const uint8_t *entry)
{
    aml_bytes(s, entry, 128);
}

static void script_allocate(struct aml *s, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t e[128] = {1};

    strcpy((char *)e + 4, file);
    le_put32(e + 60, align);
    e[64] = zone;
    script_entry(s, e);
}

static void script_pointer(struct aml *s, const char *dest, const char *src, size_t offset)
{
    uint8_t e[128] = {2};

    strcpy((char *)e + 4, dest);
    strcpy((char *)e + 60, src);
    le_put32(e + 116, (uint32_t)offset);
    e[120] = 4;
    script_entry(s, e);
}

static void script_checksum(struct aml *s, const char *file, size_t at, size_t start, size_t len)
{
    uint8_t e[128] = {3};

    strcpy((char *)e + 4, file);
    le_put32(e + 60, (uint32_t)at);
    le_put32(e + 64, (uint32_t)start);
    le_put32(e + 68, (uint32_t)len);
    script_entry(s, e);
}

/* ---- table heads ---- */

static size_t table_begin(struct aml *t, const char *signature, uint8_t revision)
{
    size_t start = t->len;

    aml_bytes(t, signature, 4);
    aml_u32(t, 0); /* length */
    aml_u8(t, revision);
    aml_u8(t, 0); /* checksum */
    aml_bytes(t, "DRAGO ", 6);
    aml_bytes(t, "DRAGOMAN", 8);
    aml_u32(t, 1);
    aml_bytes(t, "DRGM", 4);
    aml_u32(t, 1);
    return start;
}

static void table_end(struct aml *t, struct aml *script, size_t start)
{
    le_put32(t->data + start + 4, (uint32_t)(t->len - start));
    script_checksum(script, TABLES_FILE, start + 9, start, t->len - start);
}

/* ---- DSDT ---- */

static void dsdt_prt(struct aml *t)
{
    static const char *const links[4] = {"LNKA", "LNKB", "LNKC", "LNKD"};

    aml_name(t, "_PRT");
    size_t prt = aml_package(t, 31 * 4);
    for (unsigned slot = 1; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            size_t entry = aml_package(t, 4);
            aml_int(t, slot << 16 | 0xffff);
            aml_int(t, pin);
            aml_path(t, links[(slot - 1 + pin) & 3]);
            aml_int(t, 0);
            aml_end(t, entry);
        }
    }
    aml_end(t, prt);
}

static void dsdt_host_resources(struct aml *t, const struct acpi_config *cfg)
{
    aml_name(t, "_CRS");
    struct aml_template r = aml_template_begin(t);
    aml_word_range(t, 2, 0, 0, 0xff);
    aml_io(t, 0xcf8, 8);
    aml_word_range(t, 1, 3, 0, 0xcf7);
    aml_word_range(t, 1, 3, 0xd00, 0xffff);
    aml_dword_memory(t, 0xa0000, 0xbffff, true);
    aml_dword_memory(t, cfg->pci_hole, cfg->pci_hole_end, false);
    if (cfg->pci_hole64 != cfg->pci_hole64_end) {
        aml_qword_memory(t, cfg->pci_hole64, cfg->pci_hole64_end);
    }
    aml_template_end(t, r);
}

static void isa_device(struct aml *t, const char *name, const char *hid, uint16_t io, uint8_t len,
                       int io2, int irq)
{
    size_t dev = aml_device(t, name);

    aml_name_eisaid(t, "_HID", hid);
    aml_name(t, "_CRS");
    struct aml_template r = aml_template_begin(t);
    if (len) {
        aml_io(t, io, len);
    }
    if (io2 >= 0) {
        aml_io(t, (uint16_t)io2, 1);
    }
    if (irq >= 0) {
        aml_irq(t, (unsigned)irq);
    }
    aml_template_end(t, r);
    aml_end(t, dev);
}

static void dsdt_isa(struct aml *t, const struct acpi_config *cfg)
{
    static const uint16_t com_base[4] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    size_t isa = aml_device(t, "ISA_");

    aml_name_int(t, "_ADR", 0x10000);
    aml_region(t, "P40C", 2, 0x60, 4); /* PCI configuration: PIRQ routing */
    isa_device(t, "RTC_", "PNP0B00", 0x70, 2, -1, cfg->hpet ? -1 : 8);
    isa_device(t, "KBD_", "PNP0303", 0x60, 1, 0x64, 1);
    isa_device(t, "MOU_", "PNP0F13", 0, 0, -1, 12);
    for (unsigned i = 0; i < cfg->nserial; i++) {
        char name[16];
        snprintf(name, sizeof(name), "COM%u", i + 1);
        size_t dev = aml_device(t, name);
        aml_name_eisaid(t, "_HID", "PNP0501");
        aml_name_int(t, "_UID", i + 1);
        aml_name(t, "_CRS");
        struct aml_template r = aml_template_begin(t);
        aml_io(t, com_base[i], 8);
        aml_irq(t, i & 1 ? 3 : 4);
        aml_template_end(t, r);
        aml_end(t, dev);
    }
    if (cfg->pvpanic_port) {
        size_t dev = aml_device(t, "PEVT");
        aml_name_string(t, "_HID", "QEMU0001");
        aml_name_int(t, "_STA", 15);
        aml_name(t, "_CRS");
        struct aml_template r = aml_template_begin(t);
        aml_io(t, cfg->pvpanic_port, 1);
        aml_template_end(t, r);
        aml_end(t, dev);
    }
    aml_end(t, isa);
}

enum {
    OP_STORE = 0x70,
    OP_LOCAL0 = 0x60,
    OP_ARG0 = 0x68,
    OP_AND = 0x7b,
    OP_OR = 0x7d,
    OP_RETURN = 0xa4,
    OP_CREATE_DWORD = 0x8a
};

/* One PCI interrupt link: routing register `reg` of the ISA bridge; bit 7 disables. */
static void dsdt_link(struct aml *t, const char *name, unsigned uid, const char *reg)
{
    static const uint32_t choices[3] = {5, 10, 11};
    static const uint32_t none[1] = {0};
    size_t dev = aml_device(t, name), m, branch;

    aml_name_eisaid(t, "_HID", "PNP0C0F");
    aml_name_int(t, "_UID", uid);
    aml_name(t, "_PRS");
    struct aml_template r = aml_template_begin(t);
    aml_interrupt(t, choices, 3);
    aml_template_end(t, r);

    m = aml_method(t, "_STA", 0); /* And(reg, 0x80): disabled */
    branch = aml_if(t);
    aml_u8(t, OP_AND);
    aml_path(t, reg);
    aml_int(t, 0x80);
    aml_u8(t, 0);
    aml_u8(t, OP_RETURN);
    aml_int(t, 9);
    aml_end(t, branch);
    aml_u8(t, OP_RETURN);
    aml_int(t, 11);
    aml_end(t, m);

    m = aml_method(t, "_DIS", 0); /* Or(reg, 0x80, reg) */
    aml_u8(t, OP_OR);
    aml_path(t, reg);
    aml_int(t, 0x80);
    aml_path(t, reg);
    aml_end(t, m);

    m = aml_method(t, "_CRS", 0);
    aml_name(t, "BUF0");
    r = aml_template_begin(t);
    aml_interrupt(t, none, 1);
    aml_template_end(t, r);
    aml_u8(t, OP_CREATE_DWORD); /* the interrupt number is 5 bytes into the descriptor */
    aml_path(t, "BUF0");
    aml_int(t, 5);
    aml_path(t, "IRQN");
    branch = aml_if(t); /* LNot(And(reg, 0x80)) */
    aml_u8(t, 0x92);
    aml_u8(t, OP_AND);
    aml_path(t, reg);
    aml_int(t, 0x80);
    aml_u8(t, 0);
    aml_u8(t, OP_STORE);
    aml_path(t, reg);
    aml_path(t, "IRQN");
    aml_end(t, branch);
    aml_u8(t, OP_RETURN);
    aml_path(t, "BUF0");
    aml_end(t, m);

    m = aml_method(t, "_SRS", 1);
    aml_u8(t, OP_CREATE_DWORD);
    aml_u8(t, OP_ARG0);
    aml_int(t, 5);
    aml_path(t, "IRQW");
    aml_u8(t, OP_STORE);
    aml_path(t, "IRQW");
    aml_path(t, reg);
    aml_end(t, m);
    aml_end(t, dev);
}

static void dsdt_links(struct aml *t)
{
    static const char *const regs[4] = {"PRQ0", "PRQ1", "PRQ2", "PRQ3"};
    static const char *const names[4] = {"LNKA", "LNKB", "LNKC", "LNKD"};
    size_t scope = aml_scope(t, "\\_SB_");

    size_t field = aml_field(t, "\\_SB_.PCI0.ISA_.P40C", 1); /* byte access */
    for (unsigned i = 0; i < 4; i++) {
        aml_field_unit(t, regs[i], 8);
    }
    aml_end(t, field);
    for (unsigned i = 0; i < 4; i++) {
        dsdt_link(t, names[i], i, regs[i]);
    }
    aml_end(t, scope);
}

static void dsdt_cpus(struct aml *t, const struct acpi_config *cfg)
{
    size_t scope = aml_scope(t, "\\_SB_");

    for (unsigned i = 0; i < cfg->ncpus; i++) {
        char name[16];
        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        size_t dev = aml_device(t, name);
        aml_name_string(t, "_HID", "ACPI0007");
        aml_name_int(t, "_UID", i);
        aml_end(t, dev);
    }
    aml_end(t, scope);
}

static void dsdt_hpet(struct aml *t)
{
    size_t scope = aml_scope(t, "\\_SB_"), dev = aml_device(t, "HPET");

    aml_name_eisaid(t, "_HID", "PNP0103");
    aml_name_int(t, "_UID", 0);
    aml_name(t, "_CRS");
    struct aml_template r = aml_template_begin(t);
    aml_memory32_fixed(t, 0xfed00000, 0x400, false);
    aml_template_end(t, r);
    aml_end(t, dev);
    aml_end(t, scope);
}

static void add_dsdt(struct aml *t, struct aml *script, const struct acpi_config *cfg)
{
    size_t start = table_begin(t, "DSDT", 1);
    size_t scope = aml_scope(t, "\\_SB_"), pci = aml_device(t, "PCI0");

    aml_name_eisaid(t, "_HID", "PNP0A03");
    aml_name_int(t, "_ADR", 0);
    aml_name_int(t, "_UID", 0);
    dsdt_host_resources(t, cfg);
    dsdt_isa(t, cfg);
    dsdt_prt(t);
    aml_end(t, pci);
    aml_end(t, scope);
    dsdt_links(t);
    dsdt_cpus(t, cfg);
    if (cfg->hpet) {
        dsdt_hpet(t);
    }
    aml_name(t, "\\_S5_");
    size_t s5 = aml_package(t, 4);
    for (unsigned i = 0; i < 4; i++) {
        aml_int(t, 0);
    }
    aml_end(t, s5);
    table_end(t, script, start);
}

/* ---- the fixed tables ---- */

static void gas_io(struct aml *t, uint8_t bits, uint32_t port)
{
    aml_u8(t, 1);
    aml_u8(t, port ? bits : 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u64(t, port);
}

static void add_fadt(struct aml *t, struct aml *script, size_t facs, size_t dsdt)
{
    size_t start = table_begin(t, "FACP", 3);

    aml_u32(t, (uint32_t)facs);
    aml_u32(t, (uint32_t)dsdt);
    script_pointer(script, TABLES_FILE, TABLES_FILE, start + 36);
    script_pointer(script, TABLES_FILE, TABLES_FILE, start + 40);
    aml_u8(t, 1); /* interrupt model: unused */
    aml_u8(t, 0); /* profile */
    aml_u16(t, SCI);
    aml_u32(t, SMI_CMD);
    aml_u8(t, 0xf1); /* ACPI enable */
    aml_u8(t, 0xf0); /* ACPI disable */
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u32(t, PM_BASE); /* PM1a event */
    aml_u32(t, 0);
    aml_u32(t, PM_BASE + 4); /* PM1a control */
    aml_u32(t, 0);
    aml_u32(t, 0);
    aml_u32(t, PM_BASE + 8); /* timer */
    aml_u32(t, GPE_BASE);
    aml_u32(t, 0);
    aml_u8(t, 4);
    aml_u8(t, 2);
    aml_u8(t, 0);
    aml_u8(t, 4);
    aml_u8(t, 4);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u16(t, 0xfff); /* C2, C3 latency: not supported */
    aml_u16(t, 0xfff);
    aml_u16(t, 0);
    aml_u16(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0x32); /* CMOS century */
    aml_u16(t, 3);   /* legacy devices, 8042 */
    aml_u8(t, 0);
    /* WBINVD, C1 everywhere, no sleep button, RTC wake not fixed, reset register */
    aml_u32(t, 1 | 4 | 0x20 | 0x80 | 0x400);
    gas_io(t, 8, RESET_PORT);
    aml_u8(t, 0x0f);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u64(t, 0); /* X_FIRMWARE_CTRL, X_DSDT: the 32-bit fields count */
    aml_u64(t, 0);
    gas_io(t, 32, PM_BASE);
    gas_io(t, 0, 0);
    gas_io(t, 16, PM_BASE + 4);
    gas_io(t, 0, 0);
    gas_io(t, 0, 0);
    gas_io(t, 32, PM_BASE + 8);
    gas_io(t, 32, GPE_BASE);
    gas_io(t, 0, 0);
    table_end(t, script, start);
}

static void add_madt(struct aml *t, struct aml *script, const struct acpi_config *cfg)
{
    static const struct {
        uint8_t irq, gsi;
        uint16_t flags; /* 13: active high, level */
    } overrides[] = {{0, 2, 0}, {5, 5, 13}, {9, 9, 13}, {10, 10, 13}, {11, 11, 13}};
    size_t start = table_begin(t, "APIC", 1);

    aml_u32(t, 0xfee00000);
    aml_u32(t, 1); /* 8259s present */
    for (unsigned i = 0; i < cfg->ncpus; i++) {
        aml_u8(t, 0);
        aml_u8(t, 8);
        aml_u8(t, (uint8_t)i);
        aml_u8(t, (uint8_t)cfg->apic_ids[i]);
        aml_u32(t, 1);
    }
    aml_u8(t, 1);
    aml_u8(t, 12);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u32(t, 0xfec00000);
    aml_u32(t, 0);
    for (unsigned i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
        aml_u8(t, 2);
        aml_u8(t, 10);
        aml_u8(t, 0);
        aml_u8(t, overrides[i].irq);
        aml_u32(t, overrides[i].gsi);
        aml_u16(t, overrides[i].flags);
    }
    aml_u8(t, 4); /* LINT1 of every processor is NMI */
    aml_u8(t, 6);
    aml_u8(t, 0xff);
    aml_u16(t, 0);
    aml_u8(t, 1);
    table_end(t, script, start);
}

static void add_hpet(struct aml *t, struct aml *script)
{
    size_t start = table_begin(t, "HPET", 1);

    aml_u32(t, 0x8086a201);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u8(t, 0);
    aml_u64(t, 0xfed00000);
    aml_u8(t, 0);
    aml_u16(t, 0);
    aml_u8(t, 0);
    table_end(t, script, start);
}

static size_t add_rsdt(struct aml *t, struct aml *script, const size_t *tables, unsigned n)
{
    size_t start = table_begin(t, "RSDT", 1);

    for (unsigned i = 0; i < n; i++) {
        script_pointer(script, TABLES_FILE, TABLES_FILE, t->len);
        aml_u32(t, (uint32_t)tables[i]);
    }
    table_end(t, script, start);
    return start;
}

void acpi_tables_add(struct fw_cfg *fw, const struct acpi_config *cfg)
{
    struct aml t = {0}, script = {0}, rsdp = {0};
    size_t tables[3];
    unsigned n = 0;

    script_allocate(&script, RSDP_FILE, 16, ZONE_FSEG);
    script_allocate(&script, TABLES_FILE, 64, ZONE_HIGH);

    aml_bytes(&t, "FACS", 4);
    aml_u32(&t, 64);
    for (unsigned i = 0; i < 56; i++) {
        aml_u8(&t, 0);
    }
    size_t dsdt = t.len;
    add_dsdt(&t, &script, cfg);
    tables[n++] = t.len;
    add_fadt(&t, &script, 0, dsdt);
    tables[n++] = t.len;
    add_madt(&t, &script, cfg);
    if (cfg->hpet) {
        tables[n++] = t.len;
        add_hpet(&t, &script);
    }
    size_t rsdt = add_rsdt(&t, &script, tables, n);

    aml_bytes(&rsdp, "RSD PTR ", 8);
    aml_u8(&rsdp, 0);
    aml_bytes(&rsdp, "DRAGO ", 6);
    aml_u8(&rsdp, 0);
    aml_u32(&rsdp, (uint32_t)rsdt);
    script_pointer(&script, RSDP_FILE, TABLES_FILE, 16);
    script_checksum(&script, RSDP_FILE, 8, 0, 20);

    fw_cfg_add_file(fw, TABLES_FILE, t.data, t.len);
    fw_cfg_add_file(fw, RSDP_FILE, rsdp.data, rsdp.len);
    fw_cfg_add_file(fw, "etc/table-loader", script.data, script.len);
    aml_free(&t);
    aml_free(&script);
    aml_free(&rsdp);
}
