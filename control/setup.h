/* From parsed options to a machine ready to run. */
#ifndef CONTROL_SETUP_H
#define CONTROL_SETUP_H

#include <jansson.h>

#include "control/options.h"
#include "host/log.h"
#include "hw/machine/machine_type.h"
#include "tcg/tcg.h"

struct mainloop;
struct monitor;
struct qmp;
struct gdb_server;
struct block_graph;
struct block_node;

enum { SETUP_CHARDEVS = 16, SETUP_BLOCKS = 16, SETUP_MONITORS = 4, SETUP_NETDEVS = 16 };

struct program {
    struct options opt;
    struct log log;
    struct tcg_log_range *dfilter;
    unsigned ndfilter;
    struct machine *machine;
    struct mainloop *loop;
    struct machine_config cfg;
    struct tcg_options tcg;
    struct x86_model *cpu_model;
    bool board_created;
    struct chardev *chardevs[SETUP_CHARDEVS];
    unsigned nchardevs;
    struct block_graph *blocks;
    struct block *virtio_drives[SETUP_BLOCKS]; /* -drive if=virtio: devices of their own */
    unsigned nvirtio_drives;
    struct block *scsi_drives[SETUP_BLOCKS]; /* -drive if=scsi, behind the first virtio-scsi-pci */
    bool scsi_cdrom[SETUP_BLOCKS];
    unsigned nscsi_drives;
    struct netdev *netdevs[SETUP_NETDEVS];
    unsigned nnetdevs;
    char *nic_devices[SETUP_NETDEVS];     /* -device texts that -nic stands for */
    const char *nic_texts[SETUP_NETDEVS]; /* what the person wrote */
    unsigned nnic_devices;
    struct chardev *monitor_chardev;
    struct monitor *monitor;
    struct monitor *mons[SETUP_MONITORS]; /* -mon */
    unsigned nmons;
    struct qmp *qmp;
    struct gdb_server *gdb;
};

/* Makes everything that p->opt asks for. On failure the message names the option; call program_destroy in
 * any case. */
bool program_setup(struct program *p, struct error *err);
void program_destroy(struct program *p);

bool setup_chardevs(struct program *p, struct error *err); /* setup_io.c */
/* setup_block.c: -drive and -blockdev; the machine and the main loop are there. */
bool setup_drives(struct program *p, struct error *err);
struct block_node *setup_add_node(struct program *p, json_t *options, struct error *err);
bool setup_log(struct program *p, const char *list, struct error *err); /* -d; "none" ends it */
bool setup_monitors(struct program *p, struct error *err); /* setup_monitors.c */
struct chardev *setup_add_chardev(struct program *p, const char *id, const char *spec, bool mux,
                                  struct error *err);
/* setup_net.c: -netdev and -nic. */
bool setup_networks(struct program *p, struct error *err);
struct netdev *setup_find_netdev(struct program *p, const char *id);

struct chardev *setup_find_chardev(struct program *p, const char *id);
/* The back end with this id, or (made for it) the one of the node of this name; NULL: there is neither. */
struct block *setup_find_block(struct program *p, const char *id);

#endif
