/* From parsed options to a machine ready to run. */
#ifndef CONTROL_SETUP_H
#define CONTROL_SETUP_H

#include <jansson.h>

#include "control/options.h"
#include "host/log.h"
#include "hw/machine/machine_type.h"
#include "tcg/tcg.h"

#include <jansson.h>

struct mainloop;
struct monitor;
struct chardev_options;
struct qmp;
struct gdb_server;
struct block_graph;
struct block_node;
struct vnc_server;
struct sdl_ui;
struct curses_ui;

enum display_kind { DISPLAY_NONE, DISPLAY_SDL, DISPLAY_CURSES, DISPLAY_VNC };

struct display_choice {
    enum display_kind kind; /* DISPLAY_VNC: see vnc */
    const char *vnc;        /* text of -vnc; beside the others */
    const char *vga;        /* -device text of the adapter, NULL: none */
    bool chosen;            /* by us: there was no option */
    bool full_screen, window_close, ctrl_grab;
};

enum {
    SETUP_CHARDEVS = 64,
    SETUP_BLOCKS = 16,
    SETUP_MONITORS = 4,
    SETUP_NETDEVS = 64,
    SETUP_OBJECTS = 32
};

struct program {
    struct options opt;
    unsigned max_cpus; /* -smp maxcpus=; 0: not given */
    struct log log;
    bool looked_for_symbols; /* in -kernel */
    struct tcg_log_range *dfilter;
    unsigned ndfilter;
    struct machine *machine;
    char *name; /* of the machine */
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
    struct net_hub *hubs;
    char *nic_devices[SETUP_NETDEVS];     /* -device texts that -nic stands for */
    const char *nic_texts[SETUP_NETDEVS]; /* what the person wrote */
    unsigned nnic_devices;
    struct {
        char *id;
        const char *type;
    } objects[SETUP_OBJECTS];
    unsigned nobjects;
    struct chardev *monitor_chardev;
    struct monitor *monitor;
    struct monitor *mons[SETUP_MONITORS]; /* -mon */
    unsigned nmons;
    struct qmp *qmp;
    struct gdb_server *gdb;
    struct display_choice display;
    struct vnc_server *vnc;
    struct sdl_ui *sdl;
    struct curses_ui *curses;
};

/* Makes everything that p->opt asks for. On failure the message names the option; call
 * program_destroy in any case. */
bool program_setup(struct program *p, struct error *err);
void program_destroy(struct program *p);

/* setup_char.c: chardevs of the options. */
bool setup_chardevs(struct program *p, struct error *err);
/* setup_block.c: -drive and -blockdev; the machine and the main loop are there. */
bool setup_drives(struct program *p, struct error *err);
struct block_node *setup_add_node(struct program *p, json_t *options, struct error *err);
bool setup_log(struct program *p, const char *list, struct error *err); /* -d; "none" ends it */
void setup_kernel_symbols(struct program *p);                           /* the first time only */
bool setup_monitors(struct program *p, struct error *err);              /* setup_monitors.c */
struct chardev *setup_add_chardev(struct program *p, const char *id, const char *spec,
                                  const struct chardev_options *o,
                                  struct error *err); /* o: NULL is fine */
/* setup_display.c: -display, -vnc, -vga; starting and ending what they ask for (without the lock).
 */
bool setup_display_options(struct program *p, struct error *err);
bool setup_display(struct program *p, struct error *err);
void destroy_display(struct program *p);
char *display_help(void); /* free() it */
/* qmp_display.c: tells QMP's clients about a viewer. Lock held. */
void setup_vnc_event(struct program *p, const char *what, const char *host, const char *service,
                     bool websocket);
/* setup_net.c: -netdev and -nic. */
bool setup_networks(struct program *p, struct error *err);
struct netdev *setup_find_netdev(struct program *p, const char *id);
/* pairs: an object of strings, or of arrays of strings for keys that may come several times. */
bool setup_add_netdev(struct program *p, json_t *pairs, struct error *err);
bool setup_add_netdev_text(struct program *p, const char *text,
                           struct error *err); /* as of -netdev */
bool setup_del_netdev(struct program *p, const char *id, struct error *err);
char *setup_netdev_help(void); /* -netdev help; free() it */
/* setup_objects.c: -object. */
bool setup_objects(struct program *p, struct error *err);
bool setup_find_object(struct program *p, const char *type, const char *id);
char *setup_object_help(void);

struct chardev *setup_find_chardev(struct program *p, const char *id);
/* The back end with this id, or (made for it) the one of the node of this name; NULL: there is
 * neither. */
struct block *setup_find_block(struct program *p, const char *id);

#endif
