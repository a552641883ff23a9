/* The tables of QMP: commands, types, events; and the commands that act. Those that ask are in
 * qmp_query.c. A command that is not here does not exist: CommandNotFound. */
#include "control/control.h"
#include "control/monitor.h"
#include "control/qmp.h"
#include "control/qmp_block.h"

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
    {"query-blockstats", "query-nodes?:bool", "[BlockStats]", qmp_query_blockstats, "What was read and written", NULL},
    {"query-named-block-nodes", "flat?:bool", "[BlockDeviceInfo]", qmp_query_named_block_nodes,
     "The nodes that images are made of", NULL},
    {"blockdev-add",
     "driver:BlockdevDriver node-name?:str read-only?:bool auto-read-only?:bool force-share?:bool"
     " discard?:BlockdevDiscardOptions detect-zeroes?:BlockdevDetectZeroesOptions cache?:any file?:any backing?:any"
     " filename?:str aio?:BlockdevAioOptions locking?:OnOffAuto offset?:int size?:int lazy-refcounts?:bool"
     " pass-discard-request?:bool pass-discard-snapshot?:bool pass-discard-other?:bool overlap-check?:any cache-size?:int"
     " l2-cache-size?:int l2-cache-entry-size?:int refcount-cache-size?:int cache-clean-interval?:int",
     NULL, qmp_blockdev_add, "Opens an image; the members are those of -blockdev", NULL},
    {"blockdev-del", "node-name:str", NULL, qmp_blockdev_del, "Closes an image that blockdev-add has opened", NULL},
    {"block_resize", "device?:str node-name?:str size:int", NULL, qmp_block_resize, "Changes the size of a disk, in bytes", NULL},
    {"eject", "device?:str id?:str force?:bool", NULL, qmp_eject, "Opens the tray and takes the disc out", NULL},
    {"blockdev-open-tray", "device?:str id?:str force?:bool", NULL, qmp_open_tray, "Opens the tray of a drive", NULL},
    {"blockdev-close-tray", "device?:str id?:str", NULL, qmp_close_tray, "Closes the tray of a drive", NULL},
    {"blockdev-remove-medium", "id:str", NULL, qmp_remove_medium, "Takes the medium out of an open drive", NULL},
    {"blockdev-insert-medium", "id:str node-name:str", NULL, qmp_insert_medium, "Puts a node into an open drive", NULL},
    {"blockdev-change-medium",
     "device?:str id?:str filename:str format?:str force?:bool read-only-mode?:BlockdevChangeReadOnlyMode", NULL,
     qmp_change_medium, "Puts another disc into a drive", NULL},
    {"block_set_io_throttle", "device?:str id?:str bps?:int bps_rd?:int bps_wr?:int"
     " iops?:int iops_rd?:int iops_wr?:int bps_max?:int bps_rd_max?:int bps_wr_max?:int"
     " iops_max?:int iops_rd_max?:int iops_wr_max?:int iops_size?:int", NULL,
     qmp_set_io_throttle, "Limits the bytes and operations a second of a drive; 0: no limit", NULL},
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
    {"BlockdevDriver", QMP_ENUM, "file host_cdrom host_device qcow2 raw"},
    {"BlockdevDiscardOptions", QMP_ENUM, "ignore unmap"},
    {"BlockdevDetectZeroesOptions", QMP_ENUM, "off on unmap"},
    {"BlockdevAioOptions", QMP_ENUM, "threads native io_uring"},
    {"OnOffAuto", QMP_ENUM, "auto on off"},
    {"BlockdevChangeReadOnlyMode", QMP_ENUM, "retain read-only read-write"},
    {"BlockDeviceIoStatus", QMP_ENUM, "ok failed nospace"},
    {"IoOperationType", QMP_ENUM, "read write"},
    {"BlockErrorAction", QMP_ENUM, "ignore report stop"},
    {"BlockdevCacheInfo", QMP_OBJECT, "writeback:bool direct:bool no-flush:bool"},
    {"SnapshotInfo", QMP_OBJECT,
     "id:str name:str vm-state-size:int date-sec:int date-nsec:int vm-clock-sec:int vm-clock-nsec:int icount?:int"},
    {"ImageInfo", QMP_OBJECT,
     "filename:str format:str dirty-flag?:bool actual-size?:int virtual-size:int cluster-size?:int"
     " backing-filename?:str full-backing-filename?:str backing-filename-format?:str snapshots?:[SnapshotInfo]"
     " backing-image?:ImageInfo format-specific?:any"},
    {"BlockDeviceStats", QMP_OBJECT,
     "rd_bytes:int wr_bytes:int unmap_bytes:int rd_operations:int wr_operations:int flush_operations:int"
     " unmap_operations:int rd_total_time_ns:int wr_total_time_ns:int flush_total_time_ns:int unmap_total_time_ns:int"
     " rd_merged:int wr_merged:int flush_merged:int unmap_merged:int failed_rd_operations:int failed_wr_operations:int"
     " failed_flush_operations:int failed_unmap_operations:int invalid_rd_operations:int invalid_wr_operations:int"
     " invalid_flush_operations:int invalid_unmap_operations:int wr_highest_offset:int account_invalid:bool"
     " account_failed:bool timed_stats:[any]"},
    {"BlockStats", QMP_OBJECT,
     "device?:str qdev?:str node-name?:str stats:BlockDeviceStats parent?:BlockStats backing?:BlockStats"},
    {"BlockDeviceInfo", QMP_OBJECT,
     "file:str node-name?:str ro:bool drv:str encrypted:bool active:bool backing_file?:str backing_file_depth:int"
     " detect_zeroes:BlockdevDetectZeroesOptions write_threshold:int cache:BlockdevCacheInfo image:ImageInfo bps:int"
     " bps_rd:int bps_wr:int iops:int iops_rd:int iops_wr:int bps_max?:int bps_rd_max?:int bps_wr_max?:int"
     " iops_max?:int iops_rd_max?:int iops_wr_max?:int iops_size?:int"},
    {"BlockInfo", QMP_OBJECT,
     "device:str qdev?:str type:str removable:bool locked:bool tray_open?:bool io-status?:BlockDeviceIoStatus"
     " inserted?:BlockDeviceInfo"},
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
    {"BLOCK_IO_ERROR",
     "qom-path:str device:str node-name?:str operation:IoOperationType action:BlockErrorAction nospace?:bool reason:str",
     "A disk request failed; rerror= and werror= say what is done then"},
    {"BLOCK_IMAGE_CORRUPTED", "device:str node-name?:str msg:str fatal:bool", "An image is damaged and not written to any more"},
    {"DEVICE_TRAY_MOVED", "device:str id:str tray-open:bool", "The tray of a drive was opened or closed"},
    {"VNC_CONNECTED", "server:VncServerInfo2 client:VncClientInfo", "A VNC viewer has connected"},
    {"VNC_INITIALIZED", "server:VncServerInfo2 client:VncClientInfo", "A VNC viewer has logged in and asks for the screen"},
    {"VNC_DISCONNECTED", "server:VncServerInfo2 client:VncClientInfo", "A VNC viewer has gone"},
    {NULL, NULL, NULL},
};
/* clang-format on */
