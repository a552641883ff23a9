/* The tables of QMP: commands, types, events; and the commands that act. Those that ask are in
 * qmp_query.c. A command that is not here does not exist: CommandNotFound. */
#include "control/control.h"
#include "control/monitor.h"
#include "control/qmp.h"
#include "cpu/x86.h"

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
    if (c->machine->state == RUN_SHUTDOWN) {
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
    for (unsigned i = 0; i < c->machine->nvcpus; i++) {
        vcpu_request(c->machine->vcpus[i], X86_REQ_NMI);
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
    {"human-monitor-command", "command-line:str cpu-index?:int", "str", run_hmp,
     "Runs a command line of the human monitor and returns what it prints", NULL},
    {"memsave", "val:int size:size filename:str cpu-index?:int", NULL, run_memsave,
     "Writes virtual memory of a processor to a file", "memsave"},
    {"pmemsave", "val:int size:size filename:str", NULL, run_pmemsave, "Writes physical memory to a file", "pmemsave"},
    {"send-key", "keys:[KeyValue] hold-time?:int", NULL, qmp_send_key,
     "Presses keys together and lets go of them after hold-time ms (100)", NULL},
    {"input-send-event", "device?:str head?:int events:[InputEvent]", NULL, qmp_input_send_event,
     "Sends keys, buttons and movements to the guest", NULL},
    {"query-mice", "", "[MouseInfo]", qmp_query_mice, "The pointing devices", NULL},
    {"screendump", "filename:str device?:str head?:int format?:ImageFormat", NULL, qmp_screendump,
     "Writes what the screen shows to a file", NULL},
    {"query-display-options", "", "DisplayOptions", qmp_query_display_options, "How the screen is shown", NULL},
    {"set_password", "protocol:DisplayProtocol password:str connected?:str display?:str", NULL, qmp_set_password,
     "Sets the password of VNC viewers to come", "set_password"},
    {"change-vnc-password", "password:str", NULL, qmp_set_password, "The same", NULL},
    {"expire_password", "protocol:DisplayProtocol time:str display?:str", NULL, qmp_expire_password,
     "When the password ends: now, never, +SECONDS, or seconds since 1970", "expire_password"},
    {"query-vnc", "", "VncInfo", qmp_query_vnc, "The VNC server and its viewers", NULL},
    {"query-vnc-servers", "", "[VncInfo2]", qmp_query_vnc_servers, "The VNC servers and their viewers", NULL},
    {"qom-list", "path:str", "[ObjectPropertyInfo]", qmp_qom_list,
     "The children and properties of /machine, /machine/peripheral, /machine/unattached or a device there", NULL},
    {"qom-get", "path:str property:str", "any", qmp_qom_get, "A property of a device", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct qmp_type qmp_types[] = {
    {"QMPCapability", QMP_ENUM, "oob"},
    {"VersionTriple", QMP_OBJECT, "major:int minor:int micro:int"},
    {"VersionInfo", QMP_OBJECT, "qemu:VersionTriple package:str"},
    {"RunState", QMP_ENUM, "prelaunch paused running shutdown"},
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
    {"KeyValueKind", QMP_ENUM, "number qcode"},
    {"KeyValue", QMP_OBJECT, "type:KeyValueKind data:any"},
    {"InputEventKind", QMP_ENUM, "key btn rel abs"},
    {"InputEvent", QMP_OBJECT, "type:InputEventKind data:any"},
    {"MouseInfo", QMP_OBJECT, "name:str index:int current:bool absolute:bool"},
    {"ImageFormat", QMP_ENUM, "ppm png"},
    {"DisplayType", QMP_ENUM, "none sdl curses"},
    {"DisplayOptions", QMP_OBJECT, "type:DisplayType"},
    {"DisplayProtocol", QMP_ENUM, "vnc"},
    {"NetworkAddressFamily", QMP_ENUM, "ipv4 ipv6 unix"},
    {"VncPrimaryAuth", QMP_ENUM, "none vnc"},
    {"VncClientInfo", QMP_OBJECT, "host:str service:str family:NetworkAddressFamily websocket:bool"},
    {"VncServerInfo2", QMP_OBJECT,
     "host:str service:str family:NetworkAddressFamily websocket:bool auth:VncPrimaryAuth"},
    {"VncInfo", QMP_OBJECT,
     "enabled:bool host?:str family?:NetworkAddressFamily service?:str auth?:str clients?:[VncClientInfo]"},
    {"VncInfo2", QMP_OBJECT, "id:str server:[VncServerInfo2] clients:[VncClientInfo] auth:VncPrimaryAuth"},
    {"ShutdownCause", QMP_ENUM,
     "host-qmp-quit host-qmp-system-reset host-signal guest-shutdown guest-reset"},
    {NULL, 0, NULL},
};

const struct qmp_event_row qmp_events[] = {
    {"STOP", "", "The processors were paused"},
    {"RESUME", "", "The processors run again"},
    {"RESET", "guest:bool reason:ShutdownCause", "The machine was reset"},
    {"SHUTDOWN", "guest:bool reason:ShutdownCause", "The machine was switched off, or the emulator ends"},
    {"POWERDOWN", "", "The power button was pressed"},
    {"VNC_CONNECTED", "server:VncServerInfo2 client:VncClientInfo", "A VNC viewer has connected"},
    {"VNC_INITIALIZED", "server:VncServerInfo2 client:VncClientInfo", "A VNC viewer has logged in and asks for the screen"},
    {"VNC_DISCONNECTED", "server:VncServerInfo2 client:VncClientInfo", "A VNC viewer has gone"},
    {NULL, NULL, NULL},
};
/* clang-format on */
