/* A writer for ACPI Machine Language (ACPI 6.4, chapter 20) and resource descriptors (6.4). */
#ifndef HW_ACPI_AML_H
#define HW_ACPI_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *data;
    size_t len, cap;
};

void aml_free(struct aml *a);
void aml_bytes(struct aml *a, const void *data, size_t len);
void aml_u8(struct aml *a, uint8_t v);
void aml_u16(struct aml *a, uint16_t v);
void aml_u32(struct aml *a, uint32_t v);
void aml_u64(struct aml *a, uint64_t v);

/* Path such as "\\_SB_.PCI0" or "_HID"; segments of four characters. */
void aml_path(struct aml *a, const char *path);
void aml_int(struct aml *a, uint64_t v); /* smallest integer constant */
void aml_string(struct aml *a, const char *s);

/* Blocks: each begin returns a mark for the matching aml_end. */
size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *name);
size_t aml_method(struct aml *a, const char *name, unsigned nargs);
size_t aml_package(struct aml *a, unsigned elements);
size_t aml_if(struct aml *a); /* condition follows, then the body */
size_t aml_else(struct aml *a);
size_t aml_field(struct aml *a, const char *region, uint8_t flags); /* then aml_field_unit */
void aml_end(struct aml *a, size_t mark);

void aml_name(struct aml *a, const char *name); /* Name(name, <what follows>) */
void aml_name_int(struct aml *a, const char *name, uint64_t v);
void aml_name_string(struct aml *a, const char *name, const char *s);
void aml_name_eisaid(struct aml *a, const char *name, const char *id); /* "PNP0A03" */
void aml_region(struct aml *a, const char *name, uint8_t space, uint32_t offset, uint32_t len);
void aml_field_unit(struct aml *a, const char *name, unsigned bits);

/* Resource template: Name(_CRS, ResourceTemplate{...}); descriptors between begin and end. */
struct aml_template {
    size_t buffer;
    size_t start;
};
struct aml_template aml_template_begin(struct aml *a);
void aml_template_end(struct aml *a, struct aml_template t);
void aml_io(struct aml *a, uint16_t base, uint8_t len);
void aml_irq(struct aml *a, unsigned irq); /* edge, active high, exclusive */
void aml_interrupt(struct aml *a, const uint32_t *irqs,
                   unsigned n); /* level, active high, shared */
void aml_memory32_fixed(struct aml *a, uint32_t base, uint32_t len, bool write);
void aml_word_range(struct aml *a, uint8_t type, uint8_t specific, uint16_t min,
                    uint16_t max); /* 1 I/O, 2 bus */
void aml_dword_memory(struct aml *a, uint32_t min, uint32_t max, bool cacheable);
void aml_qword_memory(struct aml *a, uint64_t min, uint64_t max);

#endif
