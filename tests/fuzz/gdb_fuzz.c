/* Fuzz target: bytes from a debugger to the stub of a machine with two processors, stopped and
 * without devices: framing, escapes, every command. Whatever comes, each answer must be a
 * well-formed packet. And agent expressions, which come from the debugger too, by themselves.
 *
 * Under libFuzzer this is LLVMFuzzerTestOneInput. Built with -DSTANDALONE: `gdb_fuzz SECONDS
 * [SEED]` makes inputs itself, from pieces of packets. */
#include "control/gdb_agent.h"
#include "control/gdb_session.h"
#include "cpu/cpuid.h"
#include "softmmu/debug.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct machine *machine;
static struct gdb_parser answers; /* the stub's answers are parsed by its own parser ... */

static void check_answer(void *opaque, const uint8_t *data, size_t len)
{
    (void)opaque;
    for (size_t i = 0; i < len; i++) { /* ... which must find nothing wrong with them */
        uint8_t byte = data[i] == '%' && answers.state == GDB_IDLE ? '$' : data[i];
        if (gdb_parse(&answers, byte) == GDB_BAD) {
            fprintf(stderr, "a malformed answer\n");
            abort();
        }
    }
}

static bool agent_reg(void *opaque, unsigned n, uint64_t *value)
{
    (void)opaque;
    *value = n;
    return n < 100;
}

static bool agent_mem(void *opaque, uint64_t addr, void *buf, size_t len)
{
    (void)opaque;
    memset(buf, (int)addr, len);
    return addr < 1 << 20;
}

static void require(bool ok, const struct error *err)
{
    if (!ok) {
        fprintf(stderr, "%s\n", err->msg);
        exit(1);
    }
}

static void make_machine(void)
{
    struct error err = {0};
    struct tcg_options opt = {.accel = "interp", .cache_size = 8 << 20};
    struct x86_model *model = x86_model_parse("max", &err);

    require(model, &err);
    machine = machine_create("fuzz", 1 << 20, &err);
    require(machine, &err);
    struct ram *ram = memory_ram_create(machine->memory, "ram", 1 << 20, &err);
    require(ram, &err);
    memory_map_ram(machine->memory, IN_BOTH, 0, 1 << 20, ram, 0, false, 0);
    machine->tcg = tcg_create(machine, &opt, &softmmu_tcg_ops, &err);
    require(machine->tcg, &err);
    for (unsigned i = 0; i < 2; i++) {
        require(x86_cpu_create(machine, model, i, NULL, &err), &err);
        machine->vcpus[i]->reg[X86_RIP] = 0x1000;
    }
    debug_create(machine); /* their threads are never started: they do not run */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gdb_agent_ops ops = {NULL, agent_reg, agent_mem};
    struct gdb_session s = {.write = check_answer, .arch_option = GDB_CHOOSE_AUTO};
    uint64_t result;

    if (!machine) {
        make_machine();
    }
    gdb_agent_eval(data, size, &ops, &result);
    machine_lock(machine);
    gdb_session_init(&s, machine);
    s.arch_option = size ? data[0] % (GDB_NARCH + 1) : 0;
    answers.state = GDB_IDLE;
    gdb_session_receive(&s, data, size);
    gdb_session_end(&s);
    machine_unlock(machine);
    machine_set_running(machine, false);
    return 0;
}

#ifdef STANDALONE
static unsigned number(unsigned below)
{
    return (unsigned)random() % below;
}

/* A command and its arguments, from pieces, some bytes of it changed. */
static size_t make_packet(char *out)
{
    static const char *const pieces[] = {
        "m",
        "M",
        "x",
        "X",
        "p",
        "P",
        "g",
        "G",
        "Z0",
        "Z1",
        "Z2",
        "Z3",
        "Z4",
        "z0",
        "z2",
        "H",
        "Hg",
        "Hc",
        "T",
        "D",
        "vCont",
        "vCont?",
        ";c",
        ";s",
        ";t",
        ";r",
        "?",
        "c",
        "s",
        "C05",
        "qSupported",
        "qXfer:features:read:target.xml:",
        "qXfer:threads:read::",
        "qXfer:memory-map:read::",
        "qRcmd,",
        "696e666f20",
        "67646220",
        "636174636820616c6c",
        "qMemoryRegionInfo:",
        "qSearch:memory:",
        "qCRC:",
        "QNonStop:1",
        "QNonStop:0",
        "QStartNoAckMode",
        "qfThreadInfo",
        "qThreadExtraInfo,",
        "vStopped",
        "vCtrlC",
        "Qqemu.PhyMemMode:1",
        "Qqemu.sstep=",
        "qHostInfo",
        "0",
        "1000",
        "ffffffffffffffff",
        "fff",
        "100",
        "10000",
        ",",
        ",1",
        ",8",
        ":",
        ";",
        "=",
        ";X4,22012722",
        ";Xffff,00",
        "p1.1",
        "p1.2",
        "p1.-1",
        "-1",
        "00000000",
        "deadbeef",
        "}\x03",
        "#",
        "$",
        "*",
        "E",
    };
    size_t len = 0;

    for (unsigned n = 1 + number(6); n--;) {
        const char *p = pieces[number(sizeof(pieces) / sizeof(pieces[0]))];
        memcpy(out + len, p, strlen(p));
        len += strlen(p);
    }
    if (number(8) == 0 && len) {
        out[number((unsigned)len)] = (char)number(256);
    }
    return len;
}

int main(int argc, char **argv)
{
    long seconds = argc > 1 ? atol(argv[1]) : 10;
    time_t end = time(NULL) + seconds;
    unsigned long runs = 0;

    srandom(argc > 2 ? (unsigned)atol(argv[2]) : 1);
    for (; time(NULL) < end; runs++) {
        uint8_t input[8192];
        size_t len = 0;
        while (len < 4096 && number(20)) {
            char packet[1024];
            struct gdb_buf framed = {0};
            size_t n = make_packet(packet);
            gdb_frame(&framed, '$', (uint8_t *)packet, n);
            memcpy(input + len, framed.data, framed.len);
            len += framed.len;
            gdb_buf_free(&framed);
            if (number(10) == 0) {
                input[len++] = (uint8_t)number(256);
            }
        }
        LLVMFuzzerTestOneInput(input, len);
    }
    printf("%lu inputs\n", runs);
    return 0;
}
#endif
