/* Names of addresses. ELF: System V ABI, chapter 4 (32 and 64 bit, little endian, .symtab);
 * System.map: lines of "ADDRESS TYPE NAME" as nm prints them. Left out: DWARF, modules, relocated
 * kernels (boot with nokaslr). */
#include "host/symbols.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE     (UINT64_C(2) << 30)
#define MAX_DISTANCE (UINT64_C(16) << 20)

struct symbol {
    uint64_t addr;
    const char *name; /* in text */
};

struct symbols {
    char *text; /* the file, with a NUL at its end; a map's lines are cut into words */
    size_t size;
    struct symbol *list; /* sorted by address */
    size_t n, room;
};

static void add(struct symbols *s, uint64_t addr, const char *name)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        s->list = realloc(s->list, s->room * sizeof(*s->list));
        if (!s->list) {
            abort();
        }
    }
    s->list[s->n++] = (struct symbol){addr, name};
}

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool read_file(struct symbols *s, const char *path, struct error *err)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    bool ok = false;

    if (!f || fstat(fileno(f), &st)) {
        error_set(err, "%s", strerror(errno));
    } else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > MAX_FILE) {
        error_set(err, "not a regular file of at most 2 GiB");
    } else {
        s->size = (size_t)st.st_size;
        s->text = calloc(1, s->size + 1);
        if (!s->text) {
            abort();
        }
        ok = fread(s->text, 1, s->size, f) == s->size || error_set(err, "cannot be read");
    }
    if (f) {
        fclose(f);
    }
    return ok;
}

static bool inside(const struct symbols *s, uint64_t offset, uint64_t len)
{
    return offset <= s->size && len <= s->size - offset;
}

static bool is_elf(const struct symbols *s)
{
    return s->size >= sizeof(Elf32_Ehdr) && !memcmp(s->text, ELFMAG, SELFMAG);
}

/* A section header of either class, as the wide one; zero when it is not in the file. */
static Elf64_Shdr section(const struct symbols *s, uint64_t shoff, bool wide, unsigned n)
{
    Elf64_Shdr out = {0};
    Elf32_Shdr narrow;
    uint64_t at = shoff + (uint64_t)n * (wide ? sizeof(out) : sizeof(narrow));

    if (at < shoff || !inside(s, at, wide ? sizeof(out) : sizeof(narrow))) {
        return out;
    }
    if (wide) {
        memcpy(&out, s->text + at, sizeof(out));
    } else {
        memcpy(&narrow, s->text + at, sizeof(narrow));
        out.sh_type = narrow.sh_type;
        out.sh_offset = narrow.sh_offset;
        out.sh_size = narrow.sh_size;
        out.sh_link = narrow.sh_link;
    }
    return out;
}

static void read_table(struct symbols *s, const Elf64_Shdr *table, const Elf64_Shdr *names,
                       bool wide)
{
    size_t each = wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);

    for (uint64_t i = 0; i < table->sh_size / each; i++) {
        const char *at = s->text + table->sh_offset + i * each;
        Elf64_Sym sym = {0};
        Elf32_Sym narrow;
        if (wide) {
            memcpy(&sym, at, sizeof(sym));
        } else {
            memcpy(&narrow, at, sizeof(narrow));
            sym.st_name = narrow.st_name;
            sym.st_value = narrow.st_value;
            sym.st_info = narrow.st_info;
            sym.st_shndx = narrow.st_shndx;
        }
        unsigned type = ELF64_ST_TYPE(sym.st_info);
        if (sym.st_shndx != SHN_UNDEF && sym.st_name && sym.st_name < names->sh_size &&
            type != STT_SECTION && type != STT_FILE && type != STT_TLS) {
            /* The file ends with a NUL of ours, so that the name does too. */
            add(s, sym.st_value, s->text + names->sh_offset + sym.st_name);
        }
    }
}

static bool read_elf(struct symbols *s, struct error *err)
{
    bool wide = s->text[EI_CLASS] == ELFCLASS64;
    Elf64_Ehdr h = {0};
    Elf32_Ehdr narrow;

    if (s->text[EI_DATA] != ELFDATA2LSB || (wide && s->size < sizeof(h))) {
        return error_set(err, "not a little-endian ELF file");
    }
    if (wide) {
        memcpy(&h, s->text, sizeof(h));
    } else {
        memcpy(&narrow, s->text, sizeof(narrow));
        h.e_shoff = narrow.e_shoff;
        h.e_shnum = narrow.e_shnum;
    }
    for (unsigned i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr t = section(s, h.e_shoff, wide, i);
        Elf64_Shdr names = section(s, h.e_shoff, wide, t.sh_link);
        if (t.sh_type == SHT_SYMTAB && inside(s, t.sh_offset, t.sh_size) &&
            inside(s, names.sh_offset, names.sh_size)) {
            read_table(s, &t, &names, wide);
        }
    }
    return s->n || error_set(err, "the ELF file has no symbols");
}

static bool read_map(struct symbols *s, struct error *err)
{
    unsigned line = 0;
    char *save = NULL;

    for (char *l = strtok_r(s->text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char *end;
        uint64_t addr = strtoull(l, &end, 16);
        line++;
        if (end == l || end[0] != ' ' || !isalpha((unsigned char)end[1]) || end[2] != ' ' ||
            !end[3]) {
            return error_set(err, "line %u is not 'ADDRESS TYPE NAME', and it is not an ELF file",
                             line);
        }
        end[3 + strcspn(end + 3, " \t\r")] = 0;
        add(s, addr, end + 3);
    }
    return s->n || error_set(err, "it is empty");
}

static struct symbols *load(const char *path, bool maps, struct error *err)
{
    struct symbols *s = calloc(1, sizeof(*s));

    if (!s) {
        abort();
    }
    if (!read_file(s, path, err) || !(is_elf(s) ? read_elf(s, err)
                                      : maps    ? read_map(s, err)
                                                : error_set(err, "not an ELF file"))) {
        symbols_free(s);
        return NULL;
    }
    qsort(s->list, s->n, sizeof(*s->list), by_address);
    return s;
}

struct symbols *symbols_load(const char *path, struct error *err)
{
    return load(path, true, err);
}

struct symbols *symbols_load_elf(const char *path, struct error *err)
{
    return load(path, false, err);
}

void symbols_free(struct symbols *s)
{
    if (s) {
        free(s->text);
        free(s->list);
        free(s);
    }
}

const char *symbols_find(const struct symbols *s, uint64_t addr, uint64_t *offset)
{
    size_t low = 0, high = s->n;

    while (low < high) { /* low: how many are at or below addr */
        size_t mid = low + (high - low) / 2;
        if (s->list[mid].addr <= addr) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (!low || addr - s->list[low - 1].addr > MAX_DISTANCE) {
        return NULL;
    }
    *offset = addr - s->list[low - 1].addr;
    return s->list[low - 1].name;
}

bool symbols_address(const struct symbols *s, const char *name, uint64_t *addr)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!strcmp(s->list[i].name, name)) {
            *addr = s->list[i].addr;
            return true;
        }
    }
    return false;
}
