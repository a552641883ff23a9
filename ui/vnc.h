/* The VNC server. One thread serves all viewers; it takes the machine lock only to look at the
 * screen and to pass on keys and pointer events. */
#ifndef UI_VNC_H
#define UI_VNC_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "host/error.h"

struct machine;
struct mainloop;
struct vnc_server;

enum vnc_share { VNC_SHARE_ALLOW_EXCLUSIVE, VNC_SHARE_FORCE_SHARED, VNC_SHARE_IGNORE };
enum { VNC_PORT = 5900, VNC_WS_PORT = 5700, VNC_PASSWORD_MAX = 8, VNC_MAX_CLIENTS = 32 };

struct vnc_options {       /* strings are borrowed for the call only */
    const char *name;      /* of the machine, shown in viewers' titles */
    const char *host;      /* NULL: 127.0.0.1 */
    const char *unix_path; /* instead of host and display */
    bool listen;           /* false: nothing listens until a later change (-vnc none) */
    int display, to;       /* port - 5900; to: try displays up to this one */
    int websocket;         /* port; 0: none; -1: VNC_WS_PORT + display */
    bool password;         /* viewers need one; refused until it is set */
    const char *secret;    /* the password, NULL: not known yet */
    enum vnc_share share;
    unsigned connections; /* at most; 0: VNC_MAX_CLIENTS */
    unsigned key_delay_ms;
    /* What happened to viewers, in the VNC thread with the machine lock: "CONNECTED",
     * "INITIALIZED", "DISCONNECTED". May be NULL. */
    void (*event)(void *opaque, const char *what, const char *host, const char *service,
                  bool websocket);
    void *event_opaque;
};

struct vnc_server *vnc_create(struct machine *m, const struct vnc_options *o, struct error *err);
void vnc_destroy(struct vnc_server *v); /* NULL is fine; not with the machine lock */

/* The rest: any thread. */
struct vnc_client_info {
    char host[64], service[16];
    bool websocket;
};
struct vnc_info {
    char host[64], service[16]; /* unix: the path is in path */
    char path[108];
    const char *family; /* "ipv4", "ipv6", "unix" */
    bool password;
    unsigned websocket; /* port, 0: none */
    unsigned nclients;
    struct vnc_client_info client[VNC_MAX_CLIENTS];
};
void vnc_describe(struct vnc_server *v, struct vnc_info *info);
/* NULL: nobody may log in. False: the server asks for none. */
bool vnc_set_password(struct vnc_server *v, const char *password);
void vnc_expire_password(struct vnc_server *v, time_t when); /* 0: never */

/* Serves a viewer on this connected socket, which the server owns from now on. False: too many
 * wait. */
bool vnc_add_client(struct vnc_server *v, int fd);

/* Text for the terminal of whoever started it, like "127.0.0.1:5900". */
const char *vnc_address(const struct vnc_server *v);

#endif
