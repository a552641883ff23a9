/* dragoman img: which command, and what the commands share. */
#include "control/img/img.h"
#include "control/options.h"
#include "host/nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct img_command commands[] = {
    {"create", "[-q] [-f FORMAT] [-b BACKING -F FORMAT] [-u] [-o OPTIONS] FILE [SIZE]",
     "make an image", img_create},
    {"info", "[-f FORMAT] [--output=human|json] [--backing-chain] [-U] FILE",
     "tell what an image is", img_info},
    {"check", "[-q] [-f FORMAT] [--output=human|json] [-r leaks|all] [-U] FILE",
     "look for errors in an image", img_check},
    {"convert",
     "[-cpqUn] [-f FORMAT] [-O FORMAT] [-B BACKING -F FORMAT] [-o OPTIONS] [-l SNAPSHOT] [-t "
     "CACHE] [-T CACHE] [-S SIZE] FILE... TARGET",
     "copy images into a new one", img_convert},
    {"resize", "[-q] [-f FORMAT] [--shrink] [--preallocation=MODE] FILE [+|-]SIZE",
     "change the size of the disk", img_resize},
    {"snapshot", "[-q] [-U] [-l | -a NAME | -c NAME | -d NAME] FILE",
     "list, apply, make, delete internal snapshots", img_snapshot},
    {"compare", "[-pqsU] [-f FORMAT] [-F FORMAT] FILE1 FILE2", "do two images hold the same data?",
     img_compare},
    {"map", "[-f FORMAT] [--output=human|json] [-U] FILE", "where the data of an image is",
     img_map},
};
enum { NCOMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int help(FILE *out)
{
    fputs("Usage: dragoman img COMMAND ...\nWorks on disk images (raw, qcow2). The options are "
          "those of qemu-img.\n\n",
          out);
    for (unsigned i = 0; i < NCOMMANDS; i++) {
        fprintf(out, "  %s %s\n      %s\n", commands[i].name, commands[i].args, commands[i].help);
    }
    return out == stderr;
}

int img_main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("dragoman img: which command? (try dragoman img --help)\n", stderr);
        return 1;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        return help(stdout);
    }
    for (unsigned i = 0; i < NCOMMANDS; i++) {
        if (!strcmp(argv[1], commands[i].name)) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    const char *near = nearest_name(argv[1], &commands[0].name, NCOMMANDS, sizeof(commands[0]));
    fprintf(stderr, "dragoman img: unknown command '%s'%s\n", argv[1],
            nearest_hint(near, "try --help").text);
    return 1;
}

int img_fail(const struct error *err)
{
    fprintf(stderr, "dragoman img: %s\n", err->msg);
    return 1;
}

int img_usage(const char *command, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "dragoman img %s: ", command);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    for (unsigned i = 0; i < NCOMMANDS; i++) {
        if (!strcmp(command, commands[i].name)) {
            fprintf(stderr, " (usage: %s %s)", command, commands[i].args);
        }
    }
    fputc('\n', stderr);
    return 1;
}

bool img_size(const char *text, uint64_t *out)
{
    char *end;
    double fraction;

    if (opt_size(text, 1, out)) {
        return *out <= INT64_MAX;
    }
    /* 1.5G */
    fraction = strtod(text, &end);
    static const char units[] = "bkmgtpe";
    const char *u = *end ? strchr(units, *end | 0x20) : NULL;
    if (end == text || !u || end[1] || fraction < 0 ||
        fraction * pow(1024, (double)(u - units)) > 9e18) {
        return false;
    }
    *out = (uint64_t)(fraction * pow(1024, (double)(u - units)));
    return true;
}

void img_size_text(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    double v = (double)bytes;
    unsigned i = 0;

    while (v >= 1000 && i < 6) { /* three digits and no more */
        v /= 1024;
        i++;
    }
    snprintf(out, 32, "%0.3g %sB", v, units[i]);
}

struct block_node *img_open(struct block_graph *g, const char *file, const char *format,
                            struct node_flags flags, const char *cache)
{
    struct error err = {{0}};
    struct block_node *n;

    if (cache) {
        flags.direct =
            !strcmp(cache, "none") || !strcmp(cache, "off") || !strcmp(cache, "directsync");
        flags.no_flush = !strcmp(cache, "unsafe");
        if (!flags.direct && !flags.no_flush && strcmp(cache, "writeback") &&
            strcmp(cache, "writethrough")) {
            fprintf(stderr, "dragoman img: Invalid cache option: %s\n", cache);
            return NULL;
        }
    }
    n = node_open_file(g, file, format, &flags, NULL, &err);
    if (!n) {
        fprintf(stderr, "dragoman img: %s\n", err.msg);
    }
    return n;
}

void img_progress(bool on, double percent)
{
    if (on) {
        if (percent < 0) {
            putchar('\n');
        } else {
            printf("    (%3.2f/100%%)\r", percent);
        }
        fflush(stdout);
    }
}

void img_print_json(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(4) | JSON_PRESERVE_ORDER);

    puts(text ? text : "{}");
    free(text);
    json_decref(o);
}

static int64_t number(json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

void img_print_snapshots(json_t *list)
{
    json_t *s;
    size_t i;

    puts("Snapshot list:");
    printf("%-7s %-16s %8s %19s %15s %10s\n", "ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK", "ICOUNT");
    json_array_foreach(list, i, s)
    {
        char size[32], date[32], clock[40], icount[24] = "--";
        time_t t = (time_t)number(s, "date-sec");
        int64_t sec = number(s, "vm-clock-sec");
        struct tm tm;
        img_size_text((uint64_t)number(s, "vm-state-size"), size);
        localtime_r(&t, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        snprintf(clock, sizeof(clock), "%04d:%02d:%02d.%03d", (int)(sec / 3600),
                 (int)(sec / 60 % 60), (int)(sec % 60),
                 (int)(number(s, "vm-clock-nsec") / 1000000));
        if (json_object_get(s, "icount")) {
            snprintf(icount, sizeof(icount), "%" PRId64, number(s, "icount"));
        }
        printf("%-7s %-16s %8s %19s %15s %10s\n", json_string_value(json_object_get(s, "id")),
               json_string_value(json_object_get(s, "name")), size, date, clock, icount);
    }
}
