/* Fuzz target: bytes a QMP client may send, and lines typed into the human monitor. The machine has
 * memory and no devices. Input up to a first 0xff byte goes to QMP in two pieces, the rest to the
 * monitor, a line each. What comes back must be JSON, a line a message. Commands that write files
 * are left out. */
#include "control/control.h"
#include "control/monitor.h"
#include "control/qmp.h"
#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "host/mainloop.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct machine *machine;
static struct qmp *qmp;

static void check_output(void *opaque, const char *buf, size_t len)
{
    json_error_t why;
    json_t *msg = json_loadb(buf, len, 0, &why);

    (void)opaque;
    if (!msg || len < 2 || buf[len - 1] != '\n') {
        abort();
    }
    json_decref(msg);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error err = {0};
    struct tcg_options opt = {.accel = "interp"};
    char folder[] = "/tmp/dragoman-fuzz.XXXXXX";

    (void)argc;
    (void)argv;
    machine = machine_create("fuzz", 1 << 20, &err);
    struct x86_model *model = x86_model_parse("max", &err);
    if (!machine || !model) {
        abort();
    }
    struct ram *ram = memory_ram_create(machine->memory, "ram", 1 << 20, &err);
    memory_map_ram(machine->memory, IN_BOTH, 0, 1 << 20, ram, 0, false, 0);
    machine->tcg = tcg_create(machine, &opt, &softmmu_tcg_ops, &err);
    if (!machine->tcg || !x86_cpu_create(machine, model, 0, NULL, &err)) {
        abort();
    }
    qmp = qmp_create(NULL, machine, mainloop_create(machine));
    /* Files that commands name land in a folder nobody can write to. */
    if (!mkdtemp(folder) || chmod(folder, 0500) || chdir(folder)) {
        abort();
    }
    return 0;
}

/* A line that would write a file elsewhere, or much of one. */
static bool names_file(const uint8_t *data, size_t size)
{
    return memmem(data, size, "memsave", 7) || memmem(data, size, "logfile", 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (names_file(data, size)) {
        return -1;
    }
    const uint8_t *split = memchr(data, 0xff, size);
    size_t n = split ? (size_t)(split - data) : size;
    struct qmp_session *s = qmp_session_create(qmp, check_output, NULL);
    struct monitor_context ctx = {machine, 0};

    machine_lock(machine);
    qmp_session_negotiated(s);
    qmp_session_input(s, data, n / 2);
    qmp_session_input(s, data + n / 2, n - n / 2);
    if (split) {
        char *copy = calloc(1, size - n), *save = NULL;
        memcpy(copy, split + 1, size - n - 1);
        for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
            free(monitor_run(&ctx, l));
        }
        free(copy);
    }
    qmp_session_destroy(s);
    machine_unlock(machine);
    atomic_store(&machine->requests, 0);
    machine_set_running(machine, false);
    return 0;
}
