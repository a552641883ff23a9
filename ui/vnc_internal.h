/* What the files of the VNC server share. */
#ifndef UI_VNC_INTERNAL_H
#define UI_VNC_INTERNAL_H

#include "hw/display/console.h"
#include "ui/vnc.h"

#include <pthread.h>
#include <rfb/rfb.h>
#include <stdatomic.h>

enum { VNC_LISTENERS = 2, VNC_HELD = 16, VNC_ADDED = 8 };

struct vnc_listener {
    int fd;
    bool websocket;
};

struct vnc_client {
    struct vnc_client_info info;
    bool initialized;
    int last_x, last_y, last_buttons; /* -1: none yet */
    uint16_t held[VNC_HELD];          /* keys down */
    unsigned nheld;
    bool shift_added; /* we press shift for a keysym that needs it */
};

struct vnc_server {
    struct machine *machine;
    rfbScreenInfoPtr screen;
    struct console_view *view; /* NULL: the machine has no display adapter */
    char *blank, *title;
    bool sized;
    struct vnc_listener listener[VNC_LISTENERS];
    unsigned nlisteners;
    int family, port, ws_port, wake;
    char host[64], path[108], address[128];
    bool accepting_websocket;
    unsigned max_clients, key_delay_ms;
    void (*event)(void *opaque, const char *what, const char *host, const char *service,
                  bool websocket);
    void *event_opaque;
    pthread_t thread;
    bool started;
    atomic_bool quit;
    int64_t next_frame; /* ms */

    pthread_mutex_t mutex; /* the rest */
    int added[VNC_ADDED];  /* sockets that the thread will serve */
    unsigned nadded;
    struct vnc_client *client[VNC_MAX_CLIENTS];
    unsigned nclients; /* written by the thread only */
    bool needs_password, password_set;
    char password[VNC_PASSWORD_MAX + 1];
    time_t expires;
};

int64_t vnc_now_ms(void); /* of the host's monotonic clock */
void vnc_set_pixel_format(rfbScreenInfoPtr s);
/* vnc_input.c */
void vnc_input_hooks(struct vnc_server *v);
void vnc_release_keys(struct vnc_server *v, struct vnc_client *c);
void vnc_register_extension(void);

#endif
