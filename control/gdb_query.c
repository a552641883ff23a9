/* The queries and settings (q, Q) of GDB's remote protocol: one row each. Besides the documented
 * ones those of QEMU's stub that scripts use (qqemu...), and what LLDB asks on connecting.
 *
 * `monitor TEXT` goes to the human monitor; `monitor gdb ...` sets the stub itself. */
#include "control/gdb_session.h"
#include "control/monitor.h"
#include "cpu/x86.h"
#include "softmmu/debug.h"
#include "softmmu/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { E_ARGS = 0x16, E_FAULT = 0x0e, E_NOMEM = 0x0c };

static void q_supported(struct gdb_session *s, const char *p, const char *end)
{
    static const struct {
        const char *name;
        size_t offset;
    } features[] = {
        {"swbreak+", offsetof(struct gdb_session, swbreak)},
        {"hwbreak+", offsetof(struct gdb_session, hwbreak)},
        {"multiprocess+", offsetof(struct gdb_session, multiprocess)},
    };

    while (p < end) {
        p++; /* : or ; */
        const char *next = memchr(p, ';', (size_t)(end - p));
        size_t n = (size_t)((next ? next : end) - p);
        for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
            if (n == strlen(features[i].name) && !memcmp(p, features[i].name, n)) {
                *(bool *)((char *)s + features[i].offset) = true;
            }
        }
        p += n;
    }
    gdb_printf(&s->reply,
               "PacketSize=%x;qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;",
               GDB_PACKET_MAX);
    gdb_printf(&s->reply, "QStartNoAckMode+;QNonStop+;vContSupported+;multiprocess+;swbreak+;"
                          "hwbreak+;ConditionalBreakpoints+;binary-upload+");
}

/* ---- qXfer ---- */

static char *xfer_features(struct gdb_session *s, const char *annex)
{
    return strcmp(annex, "target.xml") ? NULL
                                       : gdb_target_xml((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu));
}

static char *xfer_threads(struct gdb_session *s, const char *annex)
{
    char *text = NULL;
    size_t len;
    FILE *out = *annex ? NULL : open_memstream(&text, &len);

    if (!out) {
        return NULL;
    }
    fputs("<?xml version=\"1.0\"?>\n<threads>\n", out);
    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        fprintf(out, s->multiprocess ? "<thread id=\"p1.%x\"" : "<thread id=\"%x\"", i + 1);
        fprintf(out, " core=\"%u\" name=\"CPU#%u\">%s</thread>\n", i, i,
                gdb_cpu(s, i)->halted ? "halted" : "running");
    }
    fputs("</threads>\n", out);
    fclose(out);
    return text;
}

/* Debuggers apply it to the addresses that they use, so ROM is told only while there is no paging,
 * and everything else, mapped or not, is RAM: what is not there is found out by access. */
static char *xfer_memory_map(struct gdb_session *s, const char *annex)
{
    bool paging = gdb_cpu(s, s->cpu)->cr0 & CR0_PG;
    uint64_t at = 0, start, end;
    enum memory_kind kind;
    char *text = NULL;
    size_t len;
    FILE *out = *annex ? NULL : open_memstream(&text, &len);

    if (!out) {
        return NULL;
    }
    fputs(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map "
        "V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n",
        out);
    for (start = 0; !paging && memory_next(s->machine->memory, &start, &end, &kind); start = end) {
        if (kind != MEMORY_ROM) {
            continue;
        }
        if (start > at) {
            fprintf(out, "<memory type=\"ram\" start=\"%#llx\" length=\"%#llx\"/>\n",
                    (unsigned long long)at, (unsigned long long)(start - at));
        }
        fprintf(out, "<memory type=\"rom\" start=\"%#llx\" length=\"%#llx\"/>\n",
                (unsigned long long)start, (unsigned long long)(end - start));
        at = end;
    }
    if (!at) { /* all 2^64 bytes do not fit into a length */
        at = UINT64_C(1) << 63;
        fprintf(out, "<memory type=\"ram\" start=\"0x0\" length=\"%#llx\"/>\n",
                (unsigned long long)at);
    }
    fprintf(out, "<memory type=\"ram\" start=\"%#llx\" length=\"%#llx\"/>\n</memory-map>\n",
            (unsigned long long)at, 0 - (unsigned long long)at);
    fclose(out);
    return text;
}

static const struct object {
    const char *name;
    char *(*make)(struct gdb_session *s, const char *annex);
} objects[] = {
    {"features", xfer_features},
    {"threads", xfer_threads},
    {"memory-map", xfer_memory_map},
};

/* qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH */
static void q_xfer(struct gdb_session *s, const char *p, const char *end)
{
    const struct object *o = NULL;
    uint64_t offset, len;
    char annex[64];

    gdb_skip(&p, end, ':');
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        const char *q = p;
        if (gdb_skip_text(&q, end, objects[i].name) && gdb_skip(&q, end, ':')) {
            o = &objects[i];
            p = q;
        }
    }
    if (!o || !gdb_skip_text(&p, end, "read:")) {
        return; /* not supported */
    }
    const char *colon = memchr(p, ':', (size_t)(end - p));
    if (!colon || (size_t)(colon - p) >= sizeof(annex)) {
        gdb_error(s, E_ARGS);
        return;
    }
    snprintf(annex, sizeof(annex), "%.*s", (int)(colon - p), p);
    p = colon + 1;
    if (!gdb_hex_number(&p, end, &offset) || !gdb_skip(&p, end, ',') ||
        !gdb_hex_number(&p, end, &len) || p != end) {
        gdb_error(s, E_ARGS);
        return;
    }
    if (!offset || !s->xml) { /* the beginning is made anew */
        free(s->xml);
        s->xml = o->make(s, annex);
    }
    if (!s->xml) {
        gdb_error(s, 0); /* no such annex */
        return;
    }
    size_t size = strlen(s->xml), from = offset < size ? (size_t)offset : size;
    size_t n = size - from < len ? size - from : (size_t)len;
    if (n > GDB_PACKET_MAX / 2) {
        n = GDB_PACKET_MAX / 2; /* escapes may double it */
    }
    gdb_put(&s->reply, from + n < size ? "m" : "l", 1);
    gdb_put(&s->reply, s->xml + from, n);
}

/* ---- threads ---- */

static void q_threads(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        gdb_put(&s->reply, i ? "," : "m", 1);
        gdb_put_thread(s, i);
    }
}

static void q_no_more(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_put(&s->reply, "l", 1);
}

static void q_current(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_put(&s->reply, "QC", 2);
    gdb_put_thread(s, s->cpu);
}

static void q_extra_info(struct gdb_session *s, const char *p, const char *end)
{
    char text[64];
    int cpu;

    gdb_skip(&p, end, ',');
    if (!gdb_get_thread(s, &p, end, &cpu) || cpu < 0) {
        gdb_error(s, E_ARGS);
        return;
    }
    int n = snprintf(text, sizeof(text), "CPU#%d [%s]", cpu,
                     gdb_cpu(s, (unsigned)cpu)->halted ? "halted" : "running");
    gdb_put_hex(&s->reply, (const uint8_t *)text, (size_t)n);
}

static void q_attached(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_put(&s->reply, "1", 1);
}

/* ---- memory ---- */

/* What one packet may ask to be looked through: the machine waits meanwhile. */
#define MAX_CRC    (UINT64_C(256) << 20)
#define MAX_SEARCH (UINT64_C(1) << 30)

/* CRC-32 most significant bit first, as GDB's compare-sections computes it. */
static void q_crc(struct gdb_session *s, const char *p, const char *end)
{
    uint64_t addr, len;
    uint32_t crc = UINT32_MAX, table[256];
    uint8_t buf[4096];

    gdb_skip(&p, end, ':');
    if (!gdb_hex_number(&p, end, &addr) || !gdb_skip(&p, end, ',') ||
        !gdb_hex_number(&p, end, &len) || p != end || len > MAX_CRC) {
        gdb_error(s, E_ARGS);
        return;
    }
    for (unsigned i = 0; i < 256; i++) {
        table[i] = (uint32_t)i << 24;
        for (unsigned bit = 0; bit < 8; bit++) {
            table[i] = table[i] >> 31 ? table[i] << 1 ^ UINT32_C(0x04c11db7) : table[i] << 1;
        }
    }
    while (len) {
        size_t n = len < sizeof(buf) ? (size_t)len : sizeof(buf);
        if (gdb_read_memory(s, addr, buf, n) != n) {
            gdb_error(s, E_FAULT);
            return;
        }
        for (size_t i = 0; i < n; i++) {
            crc = crc << 8 ^ table[crc >> 24 ^ buf[i]];
        }
        addr += n;
        len -= n;
    }
    gdb_printf(&s->reply, "C%08x", crc);
}

/* qSearch:memory:ADDR;LENGTH;PATTERN */
static void q_search(struct gdb_session *s, const char *p, const char *end)
{
    enum { CHUNK = 65536 };
    uint64_t addr, len;

    if (!gdb_skip_text(&p, end, ":memory:")) {
        return;
    }
    if (!gdb_hex_number(&p, end, &addr) || !gdb_skip(&p, end, ';') ||
        !gdb_hex_number(&p, end, &len) || !gdb_skip(&p, end, ';') || p == end || len > MAX_SEARCH) {
        gdb_error(s, E_ARGS);
        return;
    }
    size_t n = (size_t)(end - p);
    uint8_t *buf = malloc(CHUNK + n);
    if (!buf) {
        gdb_error(s, E_NOMEM);
        return;
    }
    for (uint64_t done = 0; len >= n && done <= len - n;) {
        uint64_t left = len - done;
        size_t want = left < CHUNK + n - 1 ? (size_t)left : CHUNK + n - 1;
        size_t got = gdb_read_memory(s, addr + done, buf, want);
        uint8_t *hit = got >= n ? memmem(buf, got, p, n) : NULL;
        if (hit) {
            gdb_printf(&s->reply, "1,%llx",
                       (unsigned long long)(addr + done + (uint64_t)(hit - buf)));
            free(buf);
            return;
        }
        if (got < want) {
            gdb_error(s, E_FAULT);
            free(buf);
            return;
        }
        done += want - n + 1;
    }
    gdb_put(&s->reply, "0", 1);
    free(buf);
}

/* ---- monitor ---- */

static bool on_off(const char *text, bool *value)
{
    *value = !strcmp(text, "on");
    return *value || !strcmp(text, "off");
}

static void list_caught(struct gdb_session *s, FILE *out)
{
    uint64_t caught = debug_caught(s->machine);

    for (unsigned i = 0; i < X86_NAMED_EXCEPTIONS; i++) {
        if (caught >> i & 1) {
            fprintf(out, " %s", x86_exception_names[i]);
        }
    }
    fputs(caught & DEBUG_CATCH_TRIPLE ? " triple\n" : caught ? "\n" : " none\n", out);
}

/* "#PF" or "pf" or 14; ~0u: not known. #DB comes after its instruction, #DF and NMI are not an
 * instruction's: they cannot be caught. */
static unsigned vector_of(const char *word)
{
    static const uint8_t never[] = {EXC_DB, EXC_NMI, EXC_DF, EXC_MC};
    char *end;
    unsigned long n = strtoul(word, &end, 10);

    if (!strcmp(word, "triple")) {
        return DEBUG_TRIPLE;
    }
    if (end == word || *end) {
        word += *word == '#';
        for (n = 0; n < X86_NAMED_EXCEPTIONS; n++) {
            if (x86_exception_names[n][0] == '#' && !strcasecmp(x86_exception_names[n] + 1, word)) {
                break;
            }
        }
    }
    if (n >= X86_NAMED_EXCEPTIONS || !x86_exception_names[n][0] ||
        memchr(never, (int)n, sizeof(never))) {
        return ~0u;
    }
    return (unsigned)n;
}

static void catch_exceptions(struct gdb_session *s, const char *list, FILE *out)
{
    char copy[256], *save = NULL;
    uint64_t caught = DEBUG_CATCH_TRIPLE;

    snprintf(copy, sizeof(copy), "%s", list);
    for (char *w = strtok_r(copy, " ,", &save); w; w = strtok_r(NULL, " ,", &save)) {
        unsigned n = vector_of(w);
        if (!strcmp(w, "all")) {
            for (unsigned i = 0; i < X86_NAMED_EXCEPTIONS; i++) {
                caught |= vector_of(x86_exception_names[i]) == i ? UINT64_C(1) << i : 0;
            }
        } else if (!strcmp(w, "none")) {
            caught = 0;
        } else if (n <= DEBUG_TRIPLE) {
            caught |= UINT64_C(1) << n;
        } else {
            fprintf(out, "'%s' cannot be caught\n", w);
            return;
        }
    }
    debug_catch(s->machine, caught);
    fputs("what stops:", out);
    list_caught(s, out);
}

static void own_command(struct gdb_session *s, const char *line, FILE *out)
{
    bool on;

    line += strspn(line, " ");
    if (!strncmp(line, "physical ", 9) && on_off(line + 9, &on)) {
        s->physical = on;
        fprintf(out, "addresses of memory are %s\n", on ? "physical" : "virtual");
    } else if (!strncmp(line, "catch ", 6)) {
        catch_exceptions(s, line + 6, out);
    } else if (!strncmp(line, "step-interrupts ", 16) && on_off(line + 16, &on)) {
        debug_mask_events(s->machine, !on);
        fprintf(out, "interrupts are %s while stepping\n", on ? "taken" : "held off");
    } else {
        fprintf(out,
                "gdb physical on|off         addresses of memory are physical\n"
                "gdb step-interrupts on|off  single steps take interrupts\n"
                "gdb catch LIST|all|none     exceptions that stop: #PF, #GP, ...; a triple fault "
                "too, but for none\n"
                "now: physical %s, layout of registers %s, catch",
                s->physical ? "on" : "off", gdb_arch_names[s->arch]);
        list_caught(s, out);
    }
}

static char *run_monitor(struct gdb_session *s, const char *line)
{
    char *text = NULL;
    size_t len;
    FILE *out;

    if (strcmp(line, "gdb") && strncmp(line, "gdb ", 4)) {
        return monitor_execute(s->machine, line);
    }
    out = open_memstream(&text, &len);
    if (out) {
        own_command(s, line + 3, out);
        fclose(out);
    }
    return text;
}

static void q_rcmd(struct gdb_session *s, const char *p, const char *end)
{
    char line[1024];
    size_t n = 0;

    if (gdb_skip(&p, end, ',')) {
        n = (size_t)(end - p) / 2;
    }
    if (n >= sizeof(line) || !gdb_hex_bytes(&p, end, (uint8_t *)line, n) || p != end ||
        memchr(line, 0, n)) {
        gdb_error(s, E_ARGS);
        return;
    }
    line[n] = 0;
    char *text = run_monitor(s, line);
    size_t left = text ? strlen(text) : 0;
    for (const char *t = text; left; t += n, left -= n) {
        n = left < 2048 ? left : 2048;
        s->reply.len = 0;
        gdb_put(&s->reply, "O", 1);
        gdb_put_hex(&s->reply, (const uint8_t *)t, n);
        gdb_send(s, '$', &s->reply);
    }
    free(text);
    s->reply.len = 0;
    gdb_ok(s);
}

/* ---- settings ---- */

static void q_no_ack(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    s->parser.no_ack = true; /* the debugger still acknowledges this answer; that does no harm */
    gdb_ok(s);
}

static void q_non_stop(struct gdb_session *s, const char *p, const char *end)
{
    bool on = gdb_skip_text(&p, end, ":1");

    if ((!on && !gdb_skip_text(&p, end, ":0")) || p != end) {
        gdb_error(s, E_ARGS);
        return;
    }
    s->nonstop = on;
    debug_set_nonstop(s->machine, on);
    gdb_ok(s);
}

static void q_qemu_supported(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_printf(&s->reply, "sstepbits;sstep;PhyMemMode");
}

static void q_qemu_stepbits(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_printf(&s->reply, "ENABLE=1,NOIRQ=2,NOTIMER=4");
}

static void q_qemu_phys(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_put(&s->reply, s->physical ? "1" : "0", 1);
}

static void q_qemu_set_phys(struct gdb_session *s, const char *p, const char *end)
{
    uint64_t n;

    gdb_skip(&p, end, ':');
    if (!gdb_hex_number(&p, end, &n) || p != end) {
        gdb_error(s, E_ARGS);
        return;
    }
    s->physical = n;
    gdb_ok(s);
}

static void q_qemu_set_step(struct gdb_session *s, const char *p, const char *end)
{
    uint64_t n;

    if (!gdb_skip(&p, end, '=') || !gdb_hex_number(&p, end, &n) || p != end || !(n & 1)) {
        gdb_error(s, E_ARGS);
        return;
    }
    debug_mask_events(s->machine, n & 2);
    gdb_ok(s);
}

/* ---- LLDB ---- */

static void put_key_hex(struct gdb_session *s, const char *key, const char *value)
{
    gdb_printf(&s->reply, "%s:", key);
    gdb_put_hex(&s->reply, (const uint8_t *)value, strlen(value));
    gdb_put(&s->reply, ";", 1);
}

static void put_triple(struct gdb_session *s)
{
    put_key_hex(s, "triple",
                s->arch == GDB_ARCH_X86_64 ? "x86_64-unknown-unknown" : "i386-unknown-unknown");
    gdb_printf(&s->reply, "ptrsize:%u;endian:little;", s->arch == GDB_ARCH_X86_64 ? 8 : 4);
}

static void q_host_info(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    put_triple(s);
    put_key_hex(s, "hostname", s->machine->name);
}

static void q_process_info(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_printf(&s->reply, "pid:1;");
    put_triple(s);
}

/* LLDB looks for a place that is not used, and shows regions. */
static void q_region(struct gdb_session *s, const char *p, const char *end)
{
    struct monitor_mapping f;
    uint64_t addr;

    if (!gdb_skip(&p, end, ':')) {
        gdb_ok(s); /* is it known? */
        return;
    }
    if (!gdb_hex_number(&p, end, &addr) || p != end) {
        gdb_error(s, E_ARGS);
        return;
    }
    f = monitor_find_mapping(s->machine, s->cpu, addr);
    /* An end of 2^64 would be 0 for LLDB, which then never comes to the end of memory. */
    uint64_t size = f.last - f.start + (f.last != UINT64_MAX);
    gdb_printf(&s->reply, "start:%llx;size:%llx;", (unsigned long long)f.start,
               (unsigned long long)size);
    if (f.mapped) {
        gdb_printf(&s->reply, "permissions:r%s%s;", f.writable ? "w" : "", f.executable ? "x" : "");
    }
}

static const struct query {
    const char *name;
    void (*run)(struct gdb_session *s, const char *p, const char *end);
} queries[] = {
    {"qSupported", q_supported},
    {"qXfer", q_xfer},
    {"qfThreadInfo", q_threads},
    {"qsThreadInfo", q_no_more},
    {"qC", q_current},
    {"qThreadExtraInfo", q_extra_info},
    {"qAttached", q_attached},
    {"qCRC", q_crc},
    {"qSearch", q_search},
    {"qMemoryRegionInfo", q_region},
    {"qRcmd", q_rcmd},
    {"QStartNoAckMode", q_no_ack},
    {"QNonStop", q_non_stop},
    {"qqemu.Supported", q_qemu_supported},
    {"qqemu.sstepbits", q_qemu_stepbits},
    {"qqemu.PhyMemMode", q_qemu_phys},
    {"Qqemu.PhyMemMode", q_qemu_set_phys},
    {"Qqemu.sstep", q_qemu_set_step},
    {"qHostInfo", q_host_info},
    {"qProcessInfo", q_process_info},
};

bool gdb_query(struct gdb_session *s, const char *text, const char *end)
{
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        const char *p = text;
        if (gdb_skip_text(&p, end, queries[i].name) &&
            (p == end || *p == ':' || *p == ',' || *p == ';' || *p == '=')) {
            queries[i].run(s, p, end);
            return true;
        }
    }
    return false;
}
