/* Fuzz target: bytes from a debugger to the stub of a machine with two processors, stopped and
 * without devices: framing, escapes, every command. Whatever comes, each answer must be a
 * well-formed packet. And agent expressions, which come from the debugger too, by themselves.
 *
 * The first byte chooses the architecture that is told (low bits), and bytes as they are (top bit)
 * or lines that are framed as packets. gdb.dict has pieces of them. */
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

static void send_packets(struct gdb_session *s, const uint8_t *data, size_t size)
{
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;
        struct gdb_buf framed = {0};
        gdb_frame(&framed, '$', data, n);
        gdb_session_receive(s, framed.data, framed.len);
        gdb_buf_free(&framed);
        n += end != NULL;
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
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
    answers.state = GDB_IDLE;
    if (size) {
        s.arch_option = (data[0] & 0x7f) % (GDB_NARCH + 1);
        if (data[0] & 0x80) {
            gdb_session_receive(&s, data + 1, size - 1);
        } else {
            send_packets(&s, data + 1, size - 1);
        }
    }
    gdb_session_end(&s);
    machine_unlock(machine);
    machine_set_running(machine, false);
    return 0;
}
