/* The tables of QMP: commands, types, events; and the commands that act. Those that ask are in
 * qmp_query.c. A command that is not here does not exist: CommandNotFound. */
#include "control/control.h"
#include "control/monitor.h"
#include "control/qmp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool qmp_fail(struct qmp_call *c, const char *class, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->err.msg, sizeof(c->err.msg), fmt, ap);
    va_end(ap);
    c->error_class = class;
    return false;
}

static bool run_capabilities(struct qmp_call *c)
{
    if (json_array_size(json_object_get(c->args, "enable"))) {
        return qmp_fail(c, NULL, "Capability 'oob' is not available");
    }
    qmp_session_negotiated(c->session);
    return true;
}

static bool run_commands(struct qmp_call *c)
{
    c->ret = json_array();
    for (const struct qmp_command *r = qmp_commands; r->name; r++) {
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(r->name));
        json_array_append_new(c->ret, o);
    }
    return true;
}

static bool run_events(struct qmp_call *c)
{
    c->ret = json_array();
    for (const struct qmp_event_row *r = qmp_events; r->name; r++) {
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(r->name));
        json_array_append_new(c->ret, o);
    }
    return true;
}

static bool run_schema(struct qmp_call *c)
{
    c->ret = qmp_schema();
    return true;
}

static bool run_stop(struct qmp_call *c)
{
    control_request(c->machine, REQUEST_STOP, CAUSE_GUEST, "stop from a monitor");
    return true;
}

static bool run_cont(struct qmp_call *c)
{
    if (c->machine->state == RUN_SHUTDOWN || c->machine->state == RUN_PANICKED) {
        return qmp_fail(c, NULL, "Resetting the Virtual Machine is required");
    }
    control_request(c->machine, REQUEST_CONT, CAUSE_GUEST, "cont from a monitor");
    return true;
}

static bool run_quit(struct qmp_call *c)
{
    c->machine->exit_status = 0;
    control_request(c->machine, REQUEST_EXIT, CAUSE_QUIT, "quit from a monitor");
    return true;
}

static bool run_reset(struct qmp_call *c)
{
    control_request(c->machine, REQUEST_RESET, CAUSE_HOST_RESET, "system_reset from a monitor");
    return true;
}

static bool run_powerdown(struct qmp_call *c)
{
    control_request(c->machine, REQUEST_POWERDOWN, CAUSE_GUEST, "system_powerdown from a monitor");
    return true;
}

static bool run_wakeup(struct qmp_call *c)
{
    /* No sleep state but soft-off is modelled. */
    return qmp_fail(c, NULL, "Unable to wake up: guest is not in suspended state");
}

static bool run_nmi(struct qmp_call *c)
{
    if (c->machine->inject_nmi) {
        c->machine->inject_nmi(c->machine);
    }
    return true;
}

static bool run_hmp(struct qmp_call *c)
{
    json_t *cpu = json_object_get(c->args, "cpu-index");
    struct monitor_context ctx = {c->machine, cpu ? (unsigned)json_integer_value(cpu) : 0};

    if (cpu && (json_integer_value(cpu) < 0 || json_integer_value(cpu) >= c->machine->nvcpus)) {
        return qmp_fail(c, NULL, "Parameter 'cpu-index' expects a CPU number");
    }
    char *text = monitor_run(&ctx, json_string_value(json_object_get(c->args, "command-line")));
    c->ret = json_string(text);
    if (!c->ret) {
        c->ret = json_string("(the output is not text)\r\n");
    }
    free(text);
    return true;
}

static bool save(struct qmp_call *c, int cpu)
{
    return control_save_memory(c->machine, cpu,
                               (uint64_t)json_integer_value(json_object_get(c->args, "val")),
                               (uint64_t)json_integer_value(json_object_get(c->args, "size")),
                               json_string_value(json_object_get(c->args, "filename")), &c->err);
}

static bool run_memsave(struct qmp_call *c)
{
    json_int_t cpu = json_integer_value(json_object_get(c->args, "cpu-index"));

    if (cpu < 0 || cpu >= c->machine->nvcpus) {
        return qmp_fail(c, NULL, "Parameter 'cpu-index' expects a CPU number");
    }
    return save(c, (int)cpu);
}

static bool run_pmemsave(struct qmp_call *c)
{
    return save(c, -1);
}

/* clang-format off */
const struct qmp_command qmp_commands[] = {
    {"qmp_capabilities", "enable?:[QMPCapability]", NULL, run_capabilities,
     "Ends the negotiation; every other command comes after it", NULL},
    {"query-version", "", "VersionInfo", qmp_query_version,
     "The version of the protocol that is spoken, and in `package` that of the program", NULL},
    {"query-status", "", "StatusInfo", qmp_query_status, "Whether the machine runs", NULL},
    {"query-cpus-fast", "", "[CpuInfoFast]", qmp_query_cpus_fast, "The processors and their host threads", NULL},
    {"query-commands", "", "[CommandInfo]", run_commands, "All commands", NULL},
    {"query-qmp-schema", "", "[SchemaInfo]", run_schema, "Arguments and results of all commands and events", NULL},
    {"query-events", "", "[EventInfo]", run_events, "All events", NULL},
    {"query-name", "", "NameInfo", qmp_query_name, "The name of the machine", NULL},
    {"query-uuid", "", "UuidInfo", qmp_query_uuid, "The UUID of the machine", NULL},
    {"query-kvm", "", "KvmInfo", qmp_query_kvm, "Hardware virtualization: never there", NULL},
    {"query-chardev", "", "[ChardevInfo]", qmp_query_chardev, "The character devices", NULL},
    {"query-block", "", "[BlockInfo]", qmp_query_block, "The disks and CD-ROMs", NULL},
    {"query-pci", "", "[PciInfo]", qmp_query_pci, "The PCI devices", NULL},
    {"query-machines", "", "[MachineInfo]", qmp_query_machines, "The machine types", NULL},
    {"query-cpu-definitions", "", "[CpuDefinitionInfo]", qmp_query_cpu_definitions, "The processor models", NULL},
    {"query-hotpluggable-cpus", "", "[HotpluggableCPU]", qmp_query_hotpluggable_cpus,
     "The places of processors; all are taken", NULL},
    {"query-memory-size-summary", "", "MemoryInfo", qmp_query_memory_size_summary, "The size of the memory", NULL},
    {"stop", "", NULL, run_stop, "Pauses the processors", "stop"},
    {"cont", "", NULL, run_cont, "Lets the processors run", "cont"},
    {"quit", "", NULL, run_quit, "Ends the emulator", "quit"},
    {"system_reset", "", NULL, run_reset, "Resets the machine", "system_reset"},
    {"system_powerdown", "", NULL, run_powerdown, "Presses the power button", "system_powerdown"},
    {"system_wakeup", "", NULL, run_wakeup, "Wakes a sleeping machine", "system_wakeup"},
    {"inject-nmi", "", NULL, run_nmi, "Sends a non-maskable interrupt to the processors", "nmi"},
    {"set-action", "reboot?:RebootAction shutdown?:ShutdownAction panic?:PanicAction watchdog?:WatchdogAction", NULL,
     qmp_set_action, "What happens when the guest resets, switches off, panics, or the watchdog expires", NULL},
    {"watchdog-set-action", "action:WatchdogAction", NULL, qmp_watchdog_set_action,
     "What happens when the watchdog expires", "watchdog_action"},
    {"netdev_add", "type:NetClientDriver id:str ...", NULL, qmp_netdev_add,
     "Adds a network; its other members are the properties of -netdev", NULL},
    {"netdev_del", "id:str", NULL, qmp_netdev_del, "Removes a network that no card uses", "netdev_del"},
    {"set_link", "name:str up:bool", NULL, qmp_set_link, "Plugs or unplugs the cable of a card or network", NULL},
    {"query-rx-filter", "name?:str", "[RxFilterInfo]", qmp_query_rx_filter, "The receive filters of virtio cards", NULL},
    {"ringbuf-write", "device:str data:str format?:DataFormat", NULL, qmp_ringbuf_write,
     "Writes to a ring buffer character device", "ringbuf_write"},
    {"ringbuf-read", "device:str size:int format?:DataFormat", "str", qmp_ringbuf_read,
     "Reads from a ring buffer character device", NULL},
    {"balloon", "value:int", NULL, qmp_balloon, "How many bytes of memory the guest should keep", NULL},
    {"query-balloon", "", "BalloonInfo", qmp_query_balloon, "How much memory the guest keeps", NULL},
    {"qom-set", "path:str property:str value:any", NULL, qmp_qom_set,
     "Changes a property of a device: the balloon's guest-stats-polling-interval", NULL},
    {"human-monitor-command", "command-line:str cpu-index?:int", "str", run_hmp,
     "Runs a command line of the human monitor and returns what it prints", NULL},
    {"memsave", "val:int size:size filename:str cpu-index?:int", NULL, run_memsave,
     "Writes virtual memory of a processor to a file", "memsave"},
    {"pmemsave", "val:int size:size filename:str", NULL, run_pmemsave, "Writes physical memory to a file", "pmemsave"},
    {"qom-list", "path:str", "[ObjectPropertyInfo]", qmp_qom_list,
     "The children and properties of /machine, /machine/peripheral, /machine/unattached or a device there", NULL},
    {"qom-get", "path:str property:str", "any", qmp_qom_get, "A property of a device", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct qmp_type qmp_types[] = {
    {"QMPCapability", QMP_ENUM, "oob"},
    {"VersionTriple", QMP_OBJECT, "major:int minor:int micro:int"},
    {"VersionInfo", QMP_OBJECT, "qemu:VersionTriple package:str"},
    {"RunState", QMP_ENUM, "prelaunch paused running shutdown guest-panicked watchdog"},
    {"StatusInfo", QMP_OBJECT, "running:bool status:RunState"},
    {"CpuInstanceProperties", QMP_OBJECT, "socket-id?:int core-id?:int thread-id?:int"},
    {"SysEmuTarget", QMP_ENUM, "x86_64"},
    {"CpuInfoFast", QMP_OBJECT,
     "cpu-index:int qom-path:str thread-id:int props?:CpuInstanceProperties target:SysEmuTarget"},
    {"CommandInfo", QMP_OBJECT, "name:str"},
    {"EventInfo", QMP_OBJECT, "name:str"},
    {"SchemaMetaType", QMP_ENUM, "builtin enum array object alternate command event"},
    {"SchemaInfo", QMP_OBJECT, "name:str meta-type:SchemaMetaType members?:any values?:any element-type?:str"
                               " json-type?:str arg-type?:str ret-type?:str allow-oob?:bool"},
    {"NameInfo", QMP_OBJECT, "name?:str"},
    {"UuidInfo", QMP_OBJECT, "UUID:str"},
    {"KvmInfo", QMP_OBJECT, "enabled:bool present:bool"},
    {"ChardevInfo", QMP_OBJECT, "label:str filename:str frontend-open:bool"},
    {"BlockDeviceInfo", QMP_OBJECT, "node-name?:str ro:bool size:int"},
    {"BlockInfo", QMP_OBJECT,
     "device:str qdev?:str type:str removable:bool locked:bool tray_open?:bool inserted?:BlockDeviceInfo"},
    {"PciMemoryRegionType", QMP_ENUM, "io memory"},
    {"PciMemoryRegion", QMP_OBJECT,
     "bar:int type:PciMemoryRegionType address:int size:int prefetch?:bool mem_type_64?:bool"},
    {"PciDeviceClass", QMP_OBJECT, "desc?:str class:int"},
    {"PciDeviceId", QMP_OBJECT, "device:int vendor:int subsystem?:int subsystem-vendor?:int"},
    {"PciDeviceInfo", QMP_OBJECT,
     "bus:int slot:int function:int class_info:PciDeviceClass id:PciDeviceId irq?:int irq_pin:int qdev_id:str"
     " regions:[PciMemoryRegion]"},
    {"PciInfo", QMP_OBJECT, "bus:int devices:[PciDeviceInfo]"},
    {"MachineInfo", QMP_OBJECT,
     "name:str alias?:str is-default?:bool cpu-max:int hotpluggable-cpus:bool numa-mem-supported:bool"
     " deprecated:bool default-cpu-type?:str acpi:bool"},
    {"CpuDefinitionInfo", QMP_OBJECT, "name:str typename:str static:bool deprecated:bool unavailable-features?:[str]"},
    {"HotpluggableCPU", QMP_OBJECT, "type:str vcpus-count:int props:CpuInstanceProperties qom-path?:str"},
    {"MemoryInfo", QMP_OBJECT, "base-memory:size plugged-memory?:size"},
    {"ObjectPropertyInfo", QMP_OBJECT, "name:str type:str"},
    {"ShutdownCause", QMP_ENUM,
     "host-qmp-quit host-qmp-system-reset host-signal guest-shutdown guest-reset guest-panic"},
    {"NetClientDriver", QMP_ENUM, "user tap socket stream dgram hubport"},
    {"RxState", QMP_ENUM, "normal none all"},
    {"RxFilterInfo", QMP_OBJECT,
     "name:str promiscuous:bool multicast:RxState unicast:RxState vlan:RxState broadcast-allowed:bool"
     " multicast-overflow:bool unicast-overflow:bool main-mac:str vlan-table:[int] unicast-table:[str]"
     " multicast-table:[str]"},
    {"DataFormat", QMP_ENUM, "utf8 base64"},
    {"BalloonInfo", QMP_OBJECT, "actual:int"},
    {"RebootAction", QMP_ENUM, "reset shutdown"},
    {"ShutdownAction", QMP_ENUM, "poweroff pause"},
    {"PanicAction", QMP_ENUM, "pause shutdown exit-failure none"},
    {"WatchdogAction", QMP_ENUM, "reset shutdown poweroff pause debug none inject-nmi"},
    {"GuestPanicAction", QMP_ENUM, "pause poweroff run"},
    {NULL, 0, NULL},
};

const struct qmp_event_row qmp_events[] = {
    {"STOP", "", "The processors were paused"},
    {"RESUME", "", "The processors run again"},
    {"RESET", "guest:bool reason:ShutdownCause", "The machine was reset"},
    {"SHUTDOWN", "guest:bool reason:ShutdownCause", "The machine was switched off, or the emulator ends"},
    {"POWERDOWN", "", "The power button was pressed"},
    {"GUEST_PANICKED", "action:GuestPanicAction", "The guest says (by pvpanic) that it crashed"},
    {"GUEST_CRASHLOADED", "action:GuestPanicAction", "The guest crashed and runs a crash kernel"},
    {"BALLOON_CHANGE", "actual:int", "The guest gave memory back or took some"},
    {"WATCHDOG", "action:WatchdogAction", "The watchdog expired"},
    {NULL, NULL, NULL},
};
/* clang-format on */
