/* The command line, parsed but not yet acted upon. Names and forms follow QEMU's conventions. */
#ifndef CONTROL_OPTIONS_H
#define CONTROL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum { OPT_MAX_LIST = 32 };

struct opt_list {
    const char *item[OPT_MAX_LIST];
    unsigned n;
};

struct options {
    const char *name, *machine, *accel, *cpu, *bios, *kernel, *initrd, *append, *log, *log_file,
        *boot, *rtc, *display, *monitor, *memory, *smp, *pidfile, *dfilter, *symbols, *gdb, *vga,
        *vnc;
    struct opt_list drives;       /* text of -drive, with -hda.. and -cdrom rewritten to it */
    struct opt_list shown_drives; /* the same as they were written, with the option, for errors */
    struct opt_list blockdevs;
    struct opt_list actions, objects, devices, parallels, serials, chardevs, debugcons, globals;
    struct opt_list qmps, mons, netdevs, nics;
    bool nographic, nodefaults, no_reboot, no_shutdown, paused, snapshot, one_insn, perfmap,
        jitdump;
    const char
        *help; /* NULL, or "version", "help", "machine", "cpu", "device", "accel", "d", ... */
    const char *help_arg;
};

/* argv's strings are borrowed; rewritten ones are never freed (one parse a process). */
bool options_parse(struct options *o, int argc, char **argv, struct error *err);
char *options_help(void); /* --help; free() it */

/* "key=value,key2=value2,flag" with ",," for a comma. The first item may be a bare value of the key
 * `implied`. Looks up a key: copy of the value, to be freed, or NULL. */
char *opt_get(const char *text, const char *implied, const char *key);
/* The first key of text that is not in known (NULL-terminated), as a copy to be freed; NULL: all
 * known. */
char *opt_unknown(const char *text, const char *implied, const char *const *known);
/* "unknown property 'key'", with the one of the names that may be meant. Names as in
 * nearest_name(). False. */
bool opt_unknown_error(const char *key, const void *names, size_t n, size_t stride,
                       struct error *err);
/* Calls fn for each pair in order (value NULL for a bare flag); stops when it returns false. */
bool opt_foreach(const char *text, const char *implied,
                 bool (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                 void *opaque, struct error *err);
/* "512", "512M", "6G", "64k", with `unit` for a bare number (1 << 20 for -m). */
bool opt_size(const char *text, uint64_t unit, uint64_t *out);
bool opt_bool(const char *text, bool *out); /* on/off/yes/no/true/false/1/0; NULL is on */

#endif
