/* Guest program: does everything that tells of sockets, cores and threads say what was asked for?
 * CPUID on each processor, the kernel's view in /sys, ACPI's MADT, SMBIOS and the MP table.
 * Arguments: sockets, cores, threads. What is right follows from the manuals (SDM Vol. 2 "CPUID",
 * Vol. 3 "Detecting hardware multi-threading"; AMD64 manual Vol. 3 appendix E): an APIC id is
 * socket, core and thread, each in a field of as many bits as its number needs. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned sockets, cores, threads, core_bits, thread_bits, wrong;

static void check(unsigned long is, unsigned long want, const char *format, ...)
{
    va_list ap;

    if (is == want) {
        return;
    }
    wrong++;
    printf("topology: ");
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf(" is %#lx, not %#lx\n", is, want);
}

static unsigned bits_for(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n) {
        bits++;
    }
    return bits;
}

static unsigned apic_id(unsigned cpu)
{
    unsigned thread = cpu % threads, core = cpu / threads % cores, socket = cpu / threads / cores;

    return (socket << core_bits | core) << thread_bits | thread;
}

/* ---- CPUID, on the processor itself ---- */

struct regs {
    unsigned a, b, c, d;
};

static struct regs cpuid(unsigned leaf, unsigned sub)
{
    struct regs r;

    __cpuid_count(leaf, sub, r.a, r.b, r.c, r.d);
    return r;
}

static void check_caches(unsigned cpu, unsigned leaf, bool amd)
{
    for (unsigned sub = 0; sub < 8; sub++) {
        struct regs r = cpuid(leaf, sub);
        unsigned level = r.a >> 5 & 7, bits = thread_bits + (level == 3 ? core_bits : 0);
        if (!(r.a & 31)) {
            check(sub >= 3, 1, "cpu %u: caches in leaf %x: enough", cpu, leaf);
            return;
        }
        check(r.a >> 14 & 0xfff, (1u << bits) - 1,
              "cpu %u: leaf %x: sharers of a cache of level %u", cpu, leaf, level);
        if (!amd) {
            check(r.a >> 26, (1u << core_bits) - 1, "cpu %u: leaf %x: core ids", cpu, leaf);
        }
    }
}

static void check_levels(unsigned cpu, unsigned leaf)
{
    const unsigned shift[2] = {thread_bits, thread_bits + core_bits},
                   count[2] = {threads, cores * threads};

    for (unsigned sub = 0; sub < 3; sub++) {
        struct regs r = cpuid(leaf, sub);
        check(r.d, apic_id(cpu), "cpu %u: leaf %x.%u: x2APIC id", cpu, leaf, sub);
        check(r.c & 0xff, sub, "cpu %u: leaf %x.%u: its number", cpu, leaf, sub);
        check(r.c >> 8 & 0xff, sub < 2 ? sub + 1 : 0, "cpu %u: leaf %x.%u: kind of level", cpu,
              leaf, sub);
        check(r.a & 31, sub < 2 ? shift[sub] : 0, "cpu %u: leaf %x.%u: shift", cpu, leaf, sub);
        check(r.b & 0xffff, sub < 2 ? count[sub] : 0, "cpu %u: leaf %x.%u: processors", cpu, leaf,
              sub);
    }
}

static void check_amd(unsigned cpu, unsigned last)
{
    struct regs r;

    if (last < 0x80000008) {
        return;
    }
    r = cpuid(0x80000008, 0);
    check(r.c & 0xff, cores * threads - 1, "cpu %u: 80000008: processors less one", cpu);
    check(r.c >> 12 & 15, core_bits + thread_bits, "cpu %u: 80000008: bits of id in a package",
          cpu);
    if (last < 0x8000001e || !(cpuid(0x80000001, 0).c >> 22 & 1)) {
        return;
    }
    check_caches(cpu, 0x8000001d, true);
    r = cpuid(0x8000001e, 0);
    check(r.a, apic_id(cpu), "cpu %u: 8000001e: extended APIC id", cpu);
    check(r.b & 0xff, apic_id(cpu) >> thread_bits, "cpu %u: 8000001e: core id", cpu);
    check(r.b >> 8 & 0xff, threads - 1, "cpu %u: 8000001e: threads a core less one", cpu);
    check(r.c & 0xff, cpu / (cores * threads), "cpu %u: 8000001e: node", cpu);
    check(r.c >> 8 & 7, 0, "cpu %u: 8000001e: nodes a package less one", cpu);
}

static void check_cpuid(unsigned cpu)
{
    struct regs zero = cpuid(0, 0), one = cpuid(1, 0);
    unsigned last = zero.a;
    bool amd = zero.c == 0x444d4163; /* "cAMD" */
    unsigned count = amd ? cores * threads : 1u << (core_bits + thread_bits);

    check(one.b >> 24, apic_id(cpu), "cpu %u: leaf 1: initial APIC id", cpu);
    check(one.d >> 28 & 1, cores * threads > 1, "cpu %u: leaf 1: HTT", cpu);
    check(one.b >> 16 & 0xff, count, "cpu %u: leaf 1: processors a package", cpu);
    if (!amd && last >= 4) {
        check_caches(cpu, 4, false);
    }
    if (last >= 0xb) {
        check_levels(cpu, 0xb);
    }
    if (last >= 0x1f) {
        check_levels(cpu, 0x1f);
    }
    if (amd) {
        check_amd(cpu, cpuid(0x80000000, 0).a);
    }
}

/* ---- the kernel's view ---- */

static bool read_text(char *text, size_t room, const char *format, ...)
{
    char path[128];
    va_list ap;
    FILE *f;

    va_start(ap, format);
    vsnprintf(path, sizeof(path), format, ap);
    va_end(ap);
    f = fopen(path, "r");
    if (!f || !fgets(text, (int)room, f)) {
        printf("topology: cannot read %s\n", path);
        wrong++;
        text[0] = 0;
        if (f) {
            fclose(f);
        }
        return false;
    }
    fclose(f);
    text[strcspn(text, "\n")] = 0;
    return true;
}

/* The file lists the n processors of cpu's group of n. */
static void check_list(unsigned cpu, unsigned n, const char *name)
{
    char text[64], want[32];
    unsigned first = cpu / n * n;

    snprintf(want, sizeof(want), n > 1 ? "%u-%u" : "%u", first, first + n - 1);
    if (read_text(text, sizeof(text), "/sys/devices/system/cpu/cpu%u/%s", cpu, name) &&
        strcmp(text, want) != 0) {
        printf("topology: cpu %u: %s is %s, not %s\n", cpu, name, text, want);
        wrong++;
    }
}

static void check_sys(unsigned cpu)
{
    char text[64];

    if (read_text(text, sizeof(text), "/sys/devices/system/cpu/cpu%u/topology/physical_package_id",
                  cpu)) {
        check(strtoul(text, NULL, 10), cpu / (cores * threads), "cpu %u: package in /sys", cpu);
    }
    if (read_text(text, sizeof(text), "/sys/devices/system/cpu/cpu%u/topology/core_id", cpu)) {
        check(strtoul(text, NULL, 10), cpu / threads % cores, "cpu %u: core in /sys", cpu);
    }
    check_list(cpu, threads, "topology/core_cpus_list");
    check_list(cpu, cores * threads, "topology/package_cpus_list");
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "/sys/devices/system/cpu/cpu%u/cache/index%u/level", cpu, i);
        if (access(name, R_OK) == 0 && read_text(text, sizeof(text), "%s", name)) {
            snprintf(name, sizeof(name), "cache/index%u/shared_cpu_list", i);
            check_list(cpu, text[0] == '3' ? cores * threads : threads, name);
        }
    }
}

/* ---- firmware ---- */

static size_t read_all(const char *path, long from, uint8_t *buf, size_t room)
{
    int fd = open(path, O_RDONLY);
    size_t len = 0;
    ssize_t n = 1;

    if (fd < 0) {
        printf("topology: cannot read %s\n", path);
        wrong++;
        return 0;
    }
    while (len < room && n > 0) {
        n = pread(fd, buf + len, room - len, from + (long)len);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return len;
}

static uint8_t bytes[65536];

static void check_madt(void)
{
    size_t len = read_all("/sys/firmware/acpi/tables/APIC", 0, bytes, sizeof(bytes)), at = 44;
    unsigned n = 0, io = 0;

    while (at + 2 <= len && bytes[at + 1] >= 2) {
        const uint8_t *e = bytes + at;
        if (e[0] == 0) {
            check(e[3], apic_id(n), "MADT: APIC id of processor %u", n);
            check(e[4] & 1, 1, "MADT: processor %u enabled", n);
            n++;
        }
        io += e[0] == 1;
        at += e[1];
    }
    check(n, sockets * cores * threads, "MADT: number of processors");
    check(io, 1, "MADT: number of I/O APICs");
}

static void check_smbios(void)
{
    size_t len = read_all("/sys/firmware/dmi/tables/DMI", 0, bytes, sizeof(bytes)), at = 0;
    unsigned n = 0;

    while (at + 4 <= len && bytes[at] != 127) {
        const uint8_t *e = bytes + at;
        if (e[0] == 4) {
            check(e[0x23], cores, "SMBIOS: cores of processor %u", n);
            check(e[0x24], cores, "SMBIOS: enabled cores of processor %u", n);
            check(e[0x25], cores * threads, "SMBIOS: threads of processor %u", n);
            n++;
        }
        for (at += e[1]; at + 2 <= len && (bytes[at] || bytes[at + 1]); at++) {
        }
        at += 2;
    }
    check(n, sockets, "SMBIOS: number of processors");
}

/* SeaBIOS lists one processor a package, as the specification wanted it when threads were new. */
static void check_mp_table(void)
{
    size_t len = read_all("/dev/mem", 0xf0000, bytes, sizeof(bytes));
    unsigned n = 0;
    size_t at = 0;

    while (at + 16 <= len && memcmp(bytes + at, "_MP_", 4) != 0) {
        at += 16;
    }
    if (at + 16 > len) {
        check(0, 1, "MP table: its presence");
        return;
    }
    at = (bytes[at + 4] | bytes[at + 5] << 8 | (size_t)bytes[at + 6] << 16) - 0xf0000;
    if (at + 44 > len) {
        check(0, 1, "MP table: its place");
        return;
    }
    for (at += 44; at + 20 <= len && bytes[at] == 0; at += 20, n++) {
        check(bytes[at + 1], apic_id(n * cores * threads), "MP table: APIC id of package %u", n);
    }
    check(n, sockets, "MP table: number of packages");
}

int main(int argc, char **argv)
{
    unsigned n;

    if (argc != 4) {
        fprintf(stderr, "topology SOCKETS CORES THREADS\n");
        return 2;
    }
    sockets = (unsigned)atoi(argv[1]);
    cores = (unsigned)atoi(argv[2]);
    threads = (unsigned)atoi(argv[3]);
    core_bits = bits_for(cores);
    thread_bits = bits_for(threads);
    n = sockets * cores * threads;
    check((unsigned long)sysconf(_SC_NPROCESSORS_ONLN), n, "number of processors online");
    for (unsigned i = 0; i < n; i++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(i, &set);
        if (sched_setaffinity(0, sizeof(set), &set)) {
            check(0, 1, "cpu %u: can be used", i);
            continue;
        }
        check_cpuid(i);
        check_sys(i);
    }
    check_madt();
    check_smbios();
    check_mp_table();
    if (wrong) {
        printf("topology: %u wrong\n", wrong);
    } else {
        printf("topology: OK, last id %u\n", apic_id(n - 1));
    }
    return wrong != 0;
}
