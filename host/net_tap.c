/* -netdev tap: a network interface of the host (tun(4)). With fd= the descriptor was opened by
 * somebody else, as libvirt does. Left out: several queues, the bridge helper, vhost. */
#include "host/mainloop.h"
#include "host/net.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_FRAME = 65536 + 256, VNET_HEADER = 12, BATCH = 64 };

struct net_tap {
    struct netdev nd; /* must be first */
    int fd;
    unsigned header; /* bytes of struct virtio_net_hdr before each frame */
    struct iowatch *watch;
    char name[IFNAMSIZ];
    char *downscript; /* NULL: none */
    uint8_t in[VNET_HEADER + MAX_FRAME];
};

static void readable(void *opaque, short revents)
{
    struct net_tap *t = opaque;
    ssize_t n;

    (void)revents;
    netdev_batch_begin(&t->nd);
    for (unsigned i = 0; i < BATCH && (n = read(t->fd, t->in, sizeof(t->in))) > (ssize_t)t->header;
         i++) {
        netdev_deliver(&t->nd, t->in + t->header, (size_t)n - t->header);
    }
    netdev_batch_end(&t->nd);
}

static void tap_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    struct net_tap *t = (struct net_tap *)nd;
    uint8_t none[VNET_HEADER] = {0}; /* nothing is left to the kernel */
    struct iovec io[2] = {{none, t->header}, {(void *)(uintptr_t)frame, len}};

    if (writev(t->fd, io, 2) < 0) {
        return; /* its queue is full: lost, as on a wire */
    }
}

static bool run_script(const char *script, const char *name, struct error *err)
{
    char *argv[] = {(char *)(uintptr_t)script, (char *)(uintptr_t)name, NULL};
    GError *e = NULL;
    gint status = 0;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &e)) {
        error_set(err, "script %s: %s", script, e->message);
        g_error_free(e);
        return false;
    }
    return status == 0 || error_set(err, "script %s failed", script);
}

static void tap_destroy(struct netdev *nd)
{
    struct net_tap *t = (struct net_tap *)nd;
    struct error ignored;

    if (t->downscript) {
        run_script(t->downscript, t->name, &ignored);
    }
    iowatch_remove(t->watch);
    if (t->fd >= 0) {
        close(t->fd);
    }
    free(t->downscript);
    free(t);
}

static char *tap_describe(struct netdev *nd)
{
    char text[64];

    snprintf(text, sizeof(text), "  interface %s\n", ((struct net_tap *)nd)->name);
    return strdup(text);
}

static const struct netdev_ops tap_ops = {
    .kind = "tap", .send = tap_send, .destroy = tap_destroy, .describe = tap_describe};

static bool is_script(const char *text)
{
    return text && *text && strcmp(text, "no");
}

static bool open_interface(struct net_tap *t, const char *ifname, bool vnet, struct error *err)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int size = VNET_HEADER;

    if (ifname && (strlen(ifname) >= IFNAMSIZ || !*ifname)) {
        return error_set(err, "ifname=%s is not the name of an interface", ifname);
    }
    t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0) {
        return error_set(err, "/dev/net/tun: %s%s", strerror(errno),
                         errno == ENOENT ? " (the host has no tun driver)" : "");
    }
    ifr.ifr_flags = (short)(ifr.ifr_flags | (vnet ? IFF_VNET_HDR : 0));
    snprintf(ifr.ifr_name, IFNAMSIZ, "%s", ifname ? ifname : "tap%d");
    if (ioctl(t->fd, TUNSETIFF, &ifr)) {
        return error_set(
            err, "interface %s: %s%s", ifname ? ifname : "tap", strerror(errno),
            errno == EPERM ? " (it must belong to you: 'ip tuntap add mode tap user NAME' as root)"
                           : "");
    }
    if (vnet && ioctl(t->fd, TUNSETVNETHDRSZ, &size)) {
        return error_set(err, "vnet_hdr=on: %s", strerror(errno));
    }
    snprintf(t->name, IFNAMSIZ, "%s", ifr.ifr_name);
    return true;
}

static bool take_fd(struct net_tap *t, const char *text, struct error *err)
{
    struct ifreq ifr = {0};
    char *end;
    long fd = strtol(text, &end, 10);

    if (end == text || *end || fd < 0 || fcntl((int)fd, F_GETFD) < 0) {
        return error_set(err, "fd=%s is not an open file descriptor", text);
    }
    t->fd = (int)fd;
    fcntl(t->fd, F_SETFL, fcntl(t->fd, F_GETFL) | O_NONBLOCK);
    snprintf(t->name, IFNAMSIZ, "fd:%d", t->fd);
    if (ioctl(t->fd, TUNGETIFF, &ifr) == 0) {
        snprintf(t->name, IFNAMSIZ, "%s", ifr.ifr_name);
        int size = 0;
        bool vnet = (ifr.ifr_flags & IFF_VNET_HDR) && ioctl(t->fd, TUNGETVNETHDRSZ, &size) == 0;
        t->header = vnet && size > 0 && size <= VNET_HEADER ? (unsigned)size : 0;
    }
    return true;
}

static bool open_tap(struct net_tap *t, const struct net_request *r, struct error *err)
{
    static const char *const refused[] = {"br",     "helper", "vhost", "vhostfd",
                                          "queues", "fds",    "sndbuf"};
    const char *fd = r->get(r->opaque, "fd"), *ifname = r->get(r->opaque, "ifname");
    const char *vnet = r->get(r->opaque, "vnet_hdr"), *script = r->get(r->opaque, "script");
    const char *down = r->get(r->opaque, "downscript");

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *v = r->get(r->opaque, refused[i]);
        if (v && strcmp(v, "off") && !(!strcmp(refused[i], "queues") && !strcmp(v, "1"))) {
            return error_set(err, "%s= does not exist in this version", refused[i]);
        }
    }
    if (vnet && strcmp(vnet, "on") && strcmp(vnet, "off")) {
        return error_set(err, "vnet_hdr=%s is neither on nor off", vnet);
    }
    if (fd) {
        return ifname || is_script(script) || is_script(down)
                   ? error_set(err, "fd= goes without ifname=, script= and downscript=")
                   : take_fd(t, fd, err);
    }
    bool header = vnet && !strcmp(vnet, "on");
    if (!open_interface(t, ifname, header, err) ||
        (is_script(script) && !run_script(script, t->name, err))) {
        return false;
    }
    t->header = header ? VNET_HEADER : 0;
    t->downscript = is_script(down) ? strdup(down) : NULL;
    return true;
}

static struct netdev *tap_create(const struct net_request *r, struct error *err)
{
    struct net_tap *t = calloc(1, sizeof(*t));

    if (!t) {
        abort();
    }
    t->fd = -1;
    netdev_init(&t->nd, &tap_ops, r->loop, r->id);
    if (!open_tap(t, r, err)) {
        netdev_destroy(&t->nd);
        return NULL;
    }
    t->watch = mainloop_watch(r->loop, t->fd, POLLIN, readable, t);
    return &t->nd;
}

static const char *const tap_keys[] = {"ifname", "fd",     "script", "downscript", "vnet_hdr",
                                       "br",     "helper", "vhost",  "vhostfd",    "queues",
                                       "fds",    "sndbuf", NULL};
const struct net_backend net_tap = {
    "tap", "ifname=NAME | fd=N[,script=FILE|no,downscript=FILE|no,vnet_hdr=on|off]", tap_keys,
    tap_create};
