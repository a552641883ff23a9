/* What the two monitors share: requests that are carried out at once, exact state, memory to files.
 */
#include "control/control.h"
#include "softmmu/tlb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void control_request(struct machine *m, enum machine_request what, enum machine_cause cause,
                     const char *reason)
{
    if (cause != CAUSE_GUEST) {
        m->cause = cause;
    }
    machine_request(m, what, "%s", reason);
    if (what & (REQUEST_STOP | REQUEST_CONT)) {
        machine_unlock(m);
        if (machine_handle_requests(m)) {
            /* Somebody else asked for the end: the main loop must see it. */
            atomic_fetch_or(&m->requests, REQUEST_EXIT);
        }
        machine_lock(m);
    }
}

void control_freeze(struct machine *m)
{
    machine_unlock(m);
    machine_exclusive_begin(m);
    machine_lock(m);
}

void control_thaw(struct machine *m)
{
    machine_exclusive_end(m);
}

bool control_save_memory(struct machine *m, int cpu, uint64_t addr, uint64_t len, const char *path,
                         struct error *err)
{
    uint8_t buf[4096];
    bool ok = true;

    if (cpu >= 0 && (unsigned)cpu >= m->nvcpus) {
        return error_set(err, "there is no processor %d", cpu);
    }
    if (addr + len < addr) {
        return error_set(err, "%#llx bytes from %#llx go beyond the end of memory",
                         (unsigned long long)len, (unsigned long long)addr);
    }
    FILE *f = fopen(path, "wb");
    if (!f) {
        return error_set(err, "Could not open '%.300s': %s", path, strerror(errno));
    }
    control_freeze(m);
    while (ok && len) {
        uint64_t n = 4096 - (addr & 4095);
        n = n < len ? n : len;
        if (!(cpu >= 0 ? vcpu_read_virtual(m->vcpus[cpu], addr, buf, n)
                       : memory_read(m->memory, addr, buf, n))) {
            ok = error_set(err, "Invalid addr 0x%016llx/size %llu specified",
                           (unsigned long long)addr, (unsigned long long)n);
        } else if (fwrite(buf, 1, n, f) != n) {
            ok = error_set(err, "writing '%.300s': %s", path, strerror(errno));
        }
        addr += n;
        len -= n;
    }
    control_thaw(m);
    if (fclose(f) && ok) {
        ok = error_set(err, "writing '%.300s': %s", path, strerror(errno));
    }
    return ok;
}
