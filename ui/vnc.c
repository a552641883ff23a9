/* The VNC server, on libvncserver: listening, the thread, screen updates, passwords. RFC 6143; keys
 * and pointers are in vnc_input.c.
 *
 * The protocol is driven by the viewers: a viewer that does not ask gets nothing, and one that
 * stops in the middle of an update holds up the others for CLIENT_WAIT_MS at most, the guest never.
 * Left out: TLS and SASL, audio, resizing of single viewers. */
#include "config.h"
#ifdef HAVE_VNC
#include "ui/vnc_internal.h"

#include "ui/ui.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENT_WAIT_MS = 3000, BACKLOG = 8, IDLE_MS = 1000, CHALLENGE = 16, PEEK_MS = 5 };

/* ---- listening ---- */

static int listen_on(const char *host, int port, int *family, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    char service[16];
    int fd = -1, one = 1;

    snprintf(service, sizeof(service), "%d", port);
    int rc = getaddrinfo(host && *host ? host : "127.0.0.1", service, &hints, &list);
    if (rc) {
        error_set(err, "host '%s': %s", host, gai_strerror(rc));
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, BACKLOG)) {
            error_set(err, "%s port %d: %s", host && *host ? host : "127.0.0.1", port,
                      strerror(errno));
            close(fd);
            fd = -1;
        }
        *family = a->ai_family;
    }
    freeaddrinfo(list);
    return fd;
}

static int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(a.sun_path)) {
        error_set(err, "unix:%s: the path is too long", path);
        return -1;
    }
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, BACKLOG)) {
        error_set(err, "unix:%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool open_listeners(struct vnc_server *v, const struct vnc_options *o, struct error *err)
{
    int display = o->display, family = AF_INET;

    if (o->unix_path) {
        v->listener[v->nlisteners].fd = listen_unix(o->unix_path, err);
        snprintf(v->path, sizeof(v->path), "%.100s", o->unix_path);
        snprintf(v->address, sizeof(v->address), "unix:%.100s", o->unix_path);
        v->family = AF_UNIX;
        if (v->listener[v->nlisteners].fd < 0) {
            return false;
        }
        v->nlisteners++;
    } else {
        int fd = -1;
        for (; fd < 0 && display <= (o->to > o->display ? o->to : o->display); display++) {
            fd = listen_on(o->host, VNC_PORT + display, &family, err);
        }
        if (fd < 0) {
            return false;
        }
        display--;
        v->listener[v->nlisteners++].fd = fd;
        v->family = family;
        v->port = VNC_PORT + display;
        snprintf(v->host, sizeof(v->host), "%.60s", o->host && *o->host ? o->host : "127.0.0.1");
        snprintf(v->address, sizeof(v->address), "%.60s:%d", v->host, v->port);
    }
    if (o->websocket) {
        v->ws_port = o->websocket > 0 ? o->websocket : VNC_WS_PORT + display;
        int fd = listen_on(o->host, v->ws_port, &family, err);
        if (fd < 0) {
            return error_prefix(err, "websocket");
        }
        v->listener[v->nlisteners].websocket = true;
        v->listener[v->nlisteners++].fd = fd;
    }
    return true;
}

/* In the place of libvncserver's own (0.9.14), which spins for ever when a viewer has sent one to
 * three bytes: looks whether the first len bytes are those of a websocket. 1: they are in buf, 0:
 * the viewer has gone, -1: errno, ETIMEDOUT when they do not come. */
int rfbPeekExactTimeout(rfbClientPtr cl, char *buf, int len, int timeout)
{
    int64_t end = vnc_now_ms() + timeout, left;

    for (;;) {
        ssize_t n = recv(cl->sock, buf, (size_t)len, MSG_PEEK | MSG_DONTWAIT);
        if (n == len || n == 0) {
            return n == len;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return -1;
        }
        left = end - vnc_now_ms();
        if (left <= 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        /* poll() would say at once that there is something. */
        struct pollfd p = {.fd = cl->sock, .events = n < 0 ? POLLIN : 0};
        poll(&p, 1, n < 0 ? (int)left : PEEK_MS);
    }
}

/* ---- viewers ---- */

static void tell(struct vnc_server *v, struct vnc_client *c, const char *what)
{
    if (v->event) {
        machine_lock(v->machine);
        v->event(v->event_opaque, what, c->info.host, c->info.service, c->info.websocket);
        machine_unlock(v->machine);
    }
}

static void client_gone(rfbClientPtr cl)
{
    struct vnc_server *v = cl->screen->screenData;
    struct vnc_client *c = cl->clientData;

    if (!c) {
        return;
    }
    vnc_release_keys(v, c);
    tell(v, c, "DISCONNECTED");
    pthread_mutex_lock(&v->mutex);
    for (unsigned i = 0; i < v->nclients; i++) {
        if (v->client[i] == c) {
            v->client[i] = v->client[--v->nclients];
        }
    }
    pthread_mutex_unlock(&v->mutex);
    cl->clientData = NULL;
    free(c);
}

/* The first question for the screen: the viewer has got through the handshake. */
static void asked(rfbClientPtr cl, rfbFramebufferUpdateRequestMsg *msg)
{
    struct vnc_client *c = cl->clientData;

    (void)msg;
    if (c && !c->initialized) {
        c->initialized = true;
        tell(cl->screen->screenData, c, "INITIALIZED");
    }
}

static enum rfbNewClientAction new_client(rfbClientPtr cl)
{
    struct vnc_server *v = cl->screen->screenData;
    struct vnc_client *c = calloc(1, sizeof(*c));
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);

    if (!c || v->nclients >= v->max_clients) {
        free(c);
        return RFB_CLIENT_REFUSE;
    }
    c->last_x = c->last_y = -1;
    c->info.websocket = v->accepting_websocket;
    if (!getpeername(cl->sock, (struct sockaddr *)&a, &len) && a.ss_family != AF_UNIX) {
        getnameinfo((struct sockaddr *)&a, len, c->info.host, sizeof(c->info.host), c->info.service,
                    sizeof(c->info.service), NI_NUMERICHOST | NI_NUMERICSERV);
    }
    cl->clientData = c;
    cl->clientGoneHook = client_gone;
    cl->clientFramebufferUpdateRequestHook = asked;
    pthread_mutex_lock(&v->mutex);
    v->client[v->nclients++] = c;
    pthread_mutex_unlock(&v->mutex);
    tell(v, c, "CONNECTED");
    return RFB_CLIENT_ACCEPT;
}

static void accept_clients(struct vnc_server *v, struct vnc_listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        v->accepting_websocket = l->websocket;
        rfbNewClient(v->screen, fd);
    }
}

static void serve_added(struct vnc_server *v)
{
    int fds[VNC_ADDED];
    uint64_t count;

    if (read(v->wake, &count, sizeof(count)) != sizeof(count)) {
        return;
    }
    pthread_mutex_lock(&v->mutex);
    unsigned n = v->nadded;
    memcpy(fds, v->added, sizeof(fds));
    v->nadded = 0;
    pthread_mutex_unlock(&v->mutex);
    for (unsigned i = 0; i < n; i++) {
        v->accepting_websocket = false;
        rfbNewClient(v->screen, fds[i]);
    }
}

static rfbBool check_password(rfbClientPtr cl, const char *response, int len)
{
    struct vnc_server *v = cl->screen->screenData;
    unsigned char expect[CHALLENGE];
    char password[VNC_PASSWORD_MAX + 1];
    unsigned char differ = 0;

    pthread_mutex_lock(&v->mutex);
    bool usable = v->password_set && (!v->expires || time(NULL) < v->expires);
    memcpy(password, v->password, sizeof(password));
    pthread_mutex_unlock(&v->mutex);
    if (!usable || len != CHALLENGE) {
        return FALSE;
    }
    memcpy(expect, cl->authChallenge, CHALLENGE);
    rfbEncryptBytes(expect, password);
    for (int i = 0; i < CHALLENGE; i++) {
        differ |= expect[i] ^ (unsigned char)response[i];
    }
    return !differ;
}

/* A viewer wants another size: the adapter may tell the guest. */
static int set_size(int width, int height, int n, struct rfbExtDesktopScreen *screens,
                    rfbClientPtr cl)
{
    struct vnc_server *v = cl->screen->screenData;

    (void)n;
    (void)screens;
    if (width < 1 || height < 1 || width > CONSOLE_MAX_SIDE || height > CONSOLE_MAX_SIDE) {
        return rfbExtDesktopSize_InvalidScreenLayout;
    }
    if (v->view) {
        console_want_size(console_view_console(v->view), (unsigned)width, (unsigned)height);
    }
    return rfbExtDesktopSize_ResizeProhibited; /* the guest decides */
}

/* ---- the screen ---- */

static void damaged(void *opaque, unsigned x, unsigned y, unsigned width, unsigned height)
{
    struct vnc_server *v = opaque;

    rfbMarkRectAsModified(v->screen, (int)x, (int)y, (int)(x + width), (int)(y + height));
}

static void set_cursor(struct vnc_server *v, const struct console_cursor *c)
{
    rfbCursorPtr cursor = calloc(1, sizeof(*cursor));
    unsigned mask_line = (c->width + 7) / 8;

    if (!cursor || !c->width) {
        free(cursor);
        rfbSetCursor(v->screen, NULL);
        return;
    }
    cursor->cleanup = cursor->cleanupMask = cursor->cleanupRichSource = TRUE;
    cursor->width = (unsigned short)c->width;
    cursor->height = (unsigned short)c->height;
    cursor->xhot = (unsigned short)c->hot_x;
    cursor->yhot = (unsigned short)c->hot_y;
    cursor->mask = calloc(mask_line, c->height);
    cursor->richSource = malloc((size_t)c->width * c->height * 4);
    if (!cursor->mask || !cursor->richSource) {
        abort();
    }
    memcpy(cursor->richSource, c->argb, (size_t)c->width * c->height * 4);
    for (unsigned i = 0; i < c->width * c->height; i++) {
        if (c->argb[i] >> 31) {
            cursor->mask[i / c->width * mask_line + i % c->width / 8] |=
                (unsigned char)(0x80 >> (i % c->width & 7));
        }
    }
    rfbSetCursor(v->screen, cursor);
}

static void no_screen(struct vnc_server *v)
{
    static const unsigned width = 640, height = 480;

    v->blank = calloc((size_t)width * height, 4);
    if (!v->blank) {
        abort();
    }
    v->screen->frameBuffer = v->blank;
}

static void update_screen(struct vnc_server *v)
{
    struct console_frame frame;
    int width = v->screen->width, height = v->screen->height;

    if (!v->view) {
        return;
    }
    /* Its rectangles are in the new size's terms; that one is announced first. */
    bool changed = console_view_update(v->view, &frame, v->sized ? damaged : NULL, v);
    if (changed && (!v->sized || (int)frame.width != width || (int)frame.height != height)) {
        rfbNewFramebuffer(v->screen, (char *)(uintptr_t)frame.pixels, (int)frame.width,
                          (int)frame.height, 8, 3, 4);
        vnc_set_pixel_format(v->screen);
        v->sized = true;
    }
    if (frame.cursor_changed) {
        set_cursor(v, &frame.cursor);
    }
}

void vnc_set_pixel_format(rfbScreenInfoPtr s)
{
    s->serverFormat.redShift = 16;
    s->serverFormat.greenShift = 8;
    s->serverFormat.blueShift = 0;
}

/* ---- the thread ---- */

static bool anyone_waits(struct vnc_server *v)
{
    return v->nclients > 0;
}

static void *serve(void *opaque)
{
    struct vnc_server *v = opaque;
    struct pollfd fds[VNC_LISTENERS + VNC_MAX_CLIENTS + 1];

    while (!atomic_load(&v->quit)) {
        unsigned n = 0;
        fds[n++] = (struct pollfd){.fd = v->wake, .events = POLLIN};
        for (unsigned i = 0; i < v->nlisteners; i++) {
            fds[n++] = (struct pollfd){.fd = v->listener[i].fd, .events = POLLIN};
        }
        rfbClientIteratorPtr it = rfbGetClientIterator(v->screen);
        for (rfbClientPtr cl; (cl = rfbClientIteratorNext(it)) != NULL;) {
            if (n < sizeof(fds) / sizeof(fds[0])) {
                fds[n++] = (struct pollfd){.fd = cl->sock, .events = POLLIN};
            }
        }
        rfbReleaseClientIterator(it);
        int64_t wait = anyone_waits(v) ? v->next_frame - vnc_now_ms() : IDLE_MS * 60;
        poll(fds, n, wait < 0 ? 0 : (int)wait);
        serve_added(v);
        for (unsigned i = 0; i < v->nlisteners; i++) {
            if (fds[1 + i].revents & POLLIN) {
                accept_clients(v, &v->listener[i]);
            }
        }
        if (anyone_waits(v) && vnc_now_ms() >= v->next_frame) {
            v->next_frame = vnc_now_ms() + UI_REFRESH_MS;
            update_screen(v);
        }
        rfbProcessEvents(v->screen, 0);
    }
    return NULL;
}

/* ---- life ---- */

struct vnc_server *vnc_create(struct machine *m, const struct vnc_options *o, struct error *err)
{
    struct vnc_server *v = calloc(1, sizeof(*v));
    char title[128];

    if (!v) {
        abort();
    }
    v->machine = m;
    v->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&v->mutex, NULL);
    v->needs_password = o->password || o->secret;
    v->key_delay_ms = o->key_delay_ms;
    v->max_clients =
        o->connections && o->connections < VNC_MAX_CLIENTS ? o->connections : VNC_MAX_CLIENTS;
    v->event = o->event;
    v->event_opaque = o->event_opaque;
    if (o->secret) {
        vnc_set_password(v, o->secret);
    }
    rfbLogEnable(FALSE);
    rfbMaxClientWait = CLIENT_WAIT_MS;
    v->screen = rfbGetScreen(NULL, NULL, 640, 480, 8, 3, 4);
    if (!v->screen || (o->listen && !open_listeners(v, o, err))) {
        vnc_destroy(v);
        return NULL;
    }
    snprintf(title, sizeof(title), "Dragoman (%s)", o->name ? o->name : "dragoman");
    v->title = strdup(title);
    rfbScreenInfoPtr s = v->screen;
    s->screenData = v;
    s->desktopName = v->title;
    s->port = s->ipv6port = -1;
    s->autoPort = FALSE;
    s->httpDir = NULL;
    s->deferUpdateTime = 0;
    s->maxClientWait = CLIENT_WAIT_MS;
    s->handleEventsEagerly = TRUE;
    s->alwaysShared = o->share != VNC_SHARE_ALLOW_EXCLUSIVE;
    s->neverShared = FALSE;
    s->dontDisconnect = FALSE;
    s->cursor = NULL;
    s->newClientHook = new_client;
    s->setDesktopSizeHook = set_size;
    vnc_set_pixel_format(s);
    vnc_input_hooks(v);
    if (v->needs_password) {
        s->authPasswdData = v; /* only has to be there */
        s->passwordCheck = check_password;
    }
    v->view = console_view_open(m, 0);
    no_screen(v);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* signals are the main loop's */
    v->started = pthread_create(&v->thread, NULL, serve, v) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!v->started) {
        error_set(err, "no thread for VNC: %s", strerror(errno));
        vnc_destroy(v);
        return NULL;
    }
    return v;
}

void vnc_destroy(struct vnc_server *v)
{
    uint64_t one = 1;

    if (!v) {
        return;
    }
    if (v->started) {
        atomic_store(&v->quit, true);
        if (write(v->wake, &one, sizeof(one)) < 0) {
            abort();
        }
        pthread_join(v->thread, NULL);
    }
    v->event = NULL;
    if (v->screen) {
        rfbShutdownServer(v->screen, TRUE);
        v->screen->frameBuffer = NULL;
        rfbScreenCleanup(v->screen);
    }
    for (unsigned i = 0; i < v->nlisteners; i++) {
        close(v->listener[i].fd);
    }
    if (*v->path) {
        unlink(v->path);
    }
    console_view_close(v->view);
    close(v->wake);
    pthread_mutex_destroy(&v->mutex);
    free(v->blank);
    free(v->title);
    free(v);
}

/* ---- for the monitors ---- */

void vnc_describe(struct vnc_server *v, struct vnc_info *info)
{
    memset(info, 0, sizeof(*info));
    snprintf(info->host, sizeof(info->host), "%s", v->host);
    snprintf(info->service, sizeof(info->service), "%d", v->port);
    snprintf(info->path, sizeof(info->path), "%s", v->path);
    info->family = v->family == AF_UNIX ? "unix" : v->family == AF_INET6 ? "ipv6" : "ipv4";
    info->password = v->needs_password;
    info->websocket = (unsigned)v->ws_port;
    pthread_mutex_lock(&v->mutex);
    info->nclients = v->nclients;
    for (unsigned i = 0; i < v->nclients; i++) {
        info->client[i] = v->client[i]->info;
    }
    pthread_mutex_unlock(&v->mutex);
}

bool vnc_set_password(struct vnc_server *v, const char *password)
{
    if (!v->needs_password) {
        return false;
    }
    pthread_mutex_lock(&v->mutex);
    memset(v->password, 0, sizeof(v->password));
    v->password_set = password != NULL;
    if (password) {
        strncpy(v->password, password, VNC_PASSWORD_MAX);
    }
    pthread_mutex_unlock(&v->mutex);
    return true;
}

void vnc_expire_password(struct vnc_server *v, time_t when)
{
    pthread_mutex_lock(&v->mutex);
    v->expires = when;
    pthread_mutex_unlock(&v->mutex);
}

bool vnc_add_client(struct vnc_server *v, int fd)
{
    uint64_t one = 1;

    pthread_mutex_lock(&v->mutex);
    bool room = v->nadded < VNC_ADDED;
    if (room) {
        v->added[v->nadded++] = fd;
    }
    pthread_mutex_unlock(&v->mutex);
    if (room && write(v->wake, &one, sizeof(one)) < 0) {
        abort();
    }
    return room;
}

const char *vnc_address(const struct vnc_server *v)
{
    return v->address;
}
#endif
