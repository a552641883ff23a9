/* Properties of devices from text, the look-up of device types by name, and their help. */
#include "hw/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/nearest.h"
#include "hw/pci/pci.h"

static const char *const type_names[] = {
    [PT_BOOL] = "bool",   [PT_U8] = "uint8",      [PT_U16] = "uint16", [PT_U32] = "uint32",
    [PT_U64] = "uint64",  [PT_SIZE] = "size",     [PT_STRING] = "str", [PT_CHARDEV] = "chardev",
    [PT_DRIVE] = "drive", [PT_NETDEV] = "netdev",
};

static const char *const bus_names[] = {
    [BUS_NONE] = "none", [BUS_ISA] = "ISA",   [BUS_PCI] = "PCI",
    [BUS_IDE] = "IDE",   [BUS_SCSI] = "SCSI", [BUS_SYSTEM] = "System",
};

const struct property *device_type_prop(const struct device_type *t, const char *name)
{
    for (const struct property *p = t->props; p && p->type != PT_END; p++) {
        if (!strcmp(p->name, name)) {
            return p;
        }
    }
    return NULL;
}

static bool parse_bool(const char *s, bool *out)
{
    static const char *const words[2][4] = {{"off", "no", "false", "0"},
                                            {"on", "yes", "true", "1"}};

    for (int v = 0; v < 2; v++) {
        for (int i = 0; i < 4; i++) {
            if (!strcmp(s, words[v][i])) {
                *out = v;
                return true;
            }
        }
    }
    return false;
}

/* Decimal, 0x or 0 octal; with suffix also K, M, G, T. No sign, no spaces. */
static bool parse_number(const char *s, bool suffix, uint64_t *out)
{
    static const char units[] = "KMGT";
    char *end;

    if (*s < '0' || *s > '9') {
        return false;
    }
    errno = 0;
    uint64_t v = strtoull(s, &end, 0);
    if (errno) {
        return false;
    }
    if (suffix && *end) {
        const char *u = strchr(units, *end >= 'a' && *end <= 'z' ? *end - 32 : *end);
        unsigned shift;
        if (!u || !*u) {
            return false;
        }
        shift = (unsigned)(u - units + 1) * 10;
        if (v > UINT64_MAX >> shift) {
            return false;
        }
        v <<= shift;
        end++;
    }
    *out = v;
    return !*end;
}

static bool unknown_property(struct device *d, const char *prop, struct error *err)
{
    const char *near = NULL;
    size_t n = 0;

    while (d->type->props && d->type->props[n].type != PT_END) {
        n++;
    }
    if (n) {
        near = nearest_name(prop, &d->type->props[0].name, n, sizeof(struct property));
    }
    char help[80];
    snprintf(help, sizeof(help), "-device %s,help lists them", d->type->name);
    return error_set(err, "device '%s' has no property '%s'%s", d->type->name, prop,
                     nearest_hint(near, help).text);
}

static void mark_set(struct device *d, const struct property *p)
{
    size_t n = (size_t)(p - d->type->props);

    if (n < 64) {
        d->props_set |= UINT64_C(1) << n;
    }
}

bool device_prop_given(const struct device *d, const char *prop)
{
    const struct property *p = device_type_prop(d->type, prop);

    return p && (size_t)(p - d->type->props) < 64 && (d->props_set >> (p - d->type->props) & 1);
}

bool device_set(struct device *d, const char *prop, const char *value, struct error *err)
{
    const struct property *p = device_type_prop(d->type, prop);
    char *field = (char *)d + (p ? p->offset : 0);
    uint64_t v = 0, max = UINT64_MAX;

    if (!p) {
        return unknown_property(d, prop, err);
    }
    switch (p->type) {
    case PT_BOOL:
        if (!parse_bool(value, (bool *)field)) {
            return error_set(err, "%s.%s: '%s' is not on or off", d->type->name, prop, value);
        }
        break;
    case PT_STRING:
        free(*(char **)field);
        *(char **)field = strdup(value);
        break;
    case PT_CHARDEV:
    case PT_DRIVE:
    case PT_NETDEV:
        return error_set(err, "%s.%s: no %s named '%s'", d->type->name, prop, type_names[p->type],
                         value);
    default:
        max = p->type == PT_U8    ? UINT8_MAX
              : p->type == PT_U16 ? UINT16_MAX
              : p->type == PT_U32 ? UINT32_MAX
                                  : UINT64_MAX;
        if (!parse_number(value, p->type == PT_SIZE, &v) || v > max) {
            return error_set(err, "%s.%s: '%s' is not a number from 0 to %#llx", d->type->name,
                             prop, value, (unsigned long long)max);
        }
        if (p->type == PT_U8) {
            *(uint8_t *)field = (uint8_t)v;
        } else if (p->type == PT_U16) {
            *(uint16_t *)field = (uint16_t)v;
        } else if (p->type == PT_U32) {
            *(uint32_t *)field = (uint32_t)v;
        } else {
            *(uint64_t *)field = v;
        }
        break;
    }
    mark_set(d, p);
    return true;
}

bool device_set_ptr(struct device *d, const char *prop, void *value)
{
    const struct property *p = device_type_prop(d->type, prop);

    if (!p || (p->type != PT_CHARDEV && p->type != PT_DRIVE && p->type != PT_NETDEV)) {
        return false;
    }
    memcpy((char *)d + p->offset, &value, sizeof(value));
    mark_set(d, p);
    return true;
}

/* Other names by which people know them. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    {"virtio-blk", "virtio-blk-pci"},
    {"virtio-net", "virtio-net-pci"},
    {"virtio-rng", "virtio-rng-pci"},
    {"virtio-serial", "virtio-serial-pci"},
    {"virtio-balloon", "virtio-balloon-pci"},
    {"e1000-82540em", "e1000"},
    {"ich9-ahci", "ahci"},
    {"virtio-scsi", "virtio-scsi-pci"},
};

const struct device_type *device_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (!strcmp(aliases[i].alias, name)) {
            name = aliases[i].name;
            break;
        }
    }
    for (const struct device_type *const *t = device_types; *t; t++) {
        if (!strcmp((*t)->name, name)) {
            return *t;
        }
    }
    return NULL;
}

const char *device_type_nearest(const char *name)
{
    const char *names[256];
    size_t n = 0;

    for (const struct device_type *const *t = device_types; *t && n < 256; t++) {
        if ((*t)->user_creatable) {
            names[n++] = (*t)->name;
        }
    }
    return n ? nearest_name(name, names, n, sizeof(names[0])) : NULL;
}

/* What a device is for, by its PCI class or bus: the headings of the list. */
static const char *category(const struct device_type *t)
{
    static const char *const by_class[] = {
        [1] = "Storage", [2] = "Network", [3] = "Display",
        [4] = "Sound",   [5] = "Misc",    [6] = "Controller/Bridge/Hub",
        [7] = "Input",   [8] = "Misc",    [9] = "Input",
        [12] = "USB",
    };
    const struct pci_info *info = t->bus == BUS_PCI ? t->bus_info : NULL;

    if (t->category) {
        return t->category;
    }
    if (info && info->class < sizeof(by_class) / sizeof(by_class[0]) && by_class[info->class]) {
        return by_class[info->class];
    }
    return t->bus == BUS_IDE ? "Storage" : "Misc";
}

static const char *const categories[] = {
    "Controller/Bridge/Hub", "USB", "Storage", "Network", "Input", "Display", "Sound", "Misc"};
enum { NCATEGORIES = sizeof(categories) / sizeof(categories[0]) };

static const char *alias_of(const struct device_type *t)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (!strcmp(aliases[i].name, t->name)) {
            return aliases[i].alias;
        }
    }
    return NULL;
}

/* In the form that programs look for (libguestfs): name "x", bus PCI. */
char *device_types_help(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (int c = 0; c < NCATEGORIES; c++) {
        bool heading = false;
        for (const struct device_type *const *t = device_types; *t; t++) {
            if (!(*t)->user_creatable || strcmp(category(*t), categories[c])) {
                continue;
            }
            fprintf(f, heading ? "" : "%s%s devices:\n", ftell(f) ? "\n" : "", categories[c]);
            heading = true;
            fprintf(f, "name \"%s\"", (*t)->name);
            if ((*t)->bus != BUS_NONE) {
                fprintf(f, ", bus %s", bus_names[(*t)->bus]);
            }
            if (alias_of(*t)) {
                fprintf(f, ", alias \"%s\"", alias_of(*t));
            }
            fprintf(f, ", desc \"%s\"\n", (*t)->summary);
        }
    }
    fclose(f);
    return text;
}

static void print_default(FILE *f, const struct property *p, const char *left, const char *right)
{
    if (p->type == PT_BOOL) {
        fprintf(f, "%s%s%s", left, p->def ? "on" : "off", right);
    } else if (p->type < PT_STRING && strstr(p->help, "(default: ") == NULL) {
        fputs(left, f);
        fprintf(f, p->def > 9 ? "%#llx" : "%llu", (unsigned long long)p->def);
        fputs(right, f);
    }
}

static void doc_type(FILE *f, const struct device_type *t)
{
    fprintf(f, "\n### %s\n\n%s%s%s.", t->name, t->summary,
            t->bus != BUS_NONE ? ", on the bus " : "", t->bus != BUS_NONE ? bus_names[t->bus] : "");
    if (alias_of(t)) {
        fprintf(f, " Also known as `%s`.", alias_of(t));
    }
    fputc('\n', f);
    if (t->props && t->props->type != PT_END) {
        fputs("\n| property | type | default | meaning |\n|---|---|---|---|\n", f);
    }
    for (const struct property *p = t->props; p && p->type != PT_END; p++) {
        fprintf(f, "| `%s` | %s | ", p->name, type_names[p->type]);
        print_default(f, p, "", "");
        fputs(" | ", f);
        for (const char *h = p->help; *h; h++) {
            fprintf(f, *h == '|' ? "\\|" : "%c", *h);
        }
        fputs(" |\n", f);
    }
}

char *device_doc(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    fputs("# Devices\n\nMade by `make devices-doc` from the tables of the devices (`dragoman "
          "-device help`); do not edit.\n"
          "`-device NAME,property=value,...` adds a device; `id=` gives it a name.\n",
          f);
    for (int c = 0; c < NCATEGORIES; c++) {
        bool heading = false;
        for (const struct device_type *const *t = device_types; *t; t++) {
            if ((*t)->user_creatable && !strcmp(category(*t), categories[c])) {
                fprintf(f, heading ? "" : "\n## %s\n", categories[c]);
                heading = true;
                doc_type(f, *t);
            }
        }
    }
    fputs("\n## Part of the machine\n\nNot for `-device`; `-global NAME.PROPERTY=VALUE` changes "
          "their properties.\n",
          f);
    for (const struct device_type *const *t = device_types; *t; t++) {
        if (!(*t)->user_creatable) {
            doc_type(f, *t);
        }
    }
    fclose(f);
    return text;
}

/* The spelling that people know: "NAME options:", a line a property. */
char *device_type_help(const struct device_type *t)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    fprintf(f, "%s options:\n", t->name);
    if (!t->props || t->props->type == PT_END) {
        fputs("  (none)\n", f);
    }
    for (const struct property *p = t->props; p && p->type != PT_END; p++) {
        int n = fprintf(f, "  %s=<%s>", p->name, type_names[p->type]);
        fprintf(f, "%*s - %s", n < 25 ? 25 - n : 0, "", p->help);
        print_default(f, p, " (default: ", ")");
        fputc('\n', f);
    }
    fclose(f);
    return text;
}
