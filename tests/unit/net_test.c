/* Network back ends: streams and datagrams to each other, the hub, captures, the link. */
#include "host/mainloop.h"
#include "host/net.h"
#include "tests/device/harness.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct bench b;
static struct mainloop *loop;
static struct net_hub *hubs;
static char dir[] = "/tmp/net-test-XXXXXX";

struct side { /* what a card has received */
    uint8_t frame[2000];
    size_t len;
    unsigned n, link;
    bool full;
};

static bool receive(void *opaque, const uint8_t *frame, size_t len)
{
    struct side *s = opaque;

    if (s->full) {
        return false;
    }
    memcpy(s->frame, frame, len < sizeof(s->frame) ? len : sizeof(s->frame));
    s->len = len;
    s->n++;
    return true;
}

static void link_changed(void *opaque)
{
    ((struct side *)opaque)->link++;
}

/* Properties as "key=value" texts, ended by NULL. */
static const char *get(void *opaque, const char *key)
{
    for (const char *const *p = opaque; *p; p++) {
        size_t n = strlen(key);
        if (!strncmp(*p, key, n) && (*p)[n] == '=') {
            return *p + n + 1;
        }
    }
    return NULL;
}

static struct netdev *make(const struct net_backend *be, const char *const *pairs,
                           struct netdev *peer, struct error *err)
{
    struct net_request r = {loop, be->name, get, (void *)(uintptr_t)pairs, peer, &hubs};

    return be->create(&r, err);
}

#define MAKE(be, peer, ...)                                                                        \
    must(make(be, (const char *const[]){__VA_ARGS__, NULL}, peer, &error), &error)
static struct error error;

static struct netdev *must(struct netdev *nd, struct error *err)
{
    if (!nd) {
        printf("Bail out! %s\n", err->msg);
        exit(1);
    }
    return nd;
}

static void plug(struct netdev *nd, struct side *s)
{
    memset(s, 0, sizeof(*s));
    netdev_connect(nd, &(struct net_card){s, receive, NULL, link_changed}, &error);
}

static void settle(void)
{
    for (int i = 0; i < 6; i++) {
        bench_step(&b, loop);
    }
}

static const char *path(const char *prefix, const char *name)
{
    static char text[8][128];
    static unsigned n;
    char *t = text[n++ % 8];

    snprintf(t, sizeof(text[0]), "%s%s/%s", prefix, dir, name);
    return t;
}

static bool passes(struct netdev *from, struct side *to, const char *text)
{
    unsigned before = to->n;

    netdev_send(from, (const uint8_t *)text, strlen(text));
    settle();
    return to->n == before + 1 && to->len == strlen(text) && !memcmp(to->frame, text, to->len);
}

static void test_stream(void)
{
    struct side sa, sb;
    struct netdev *a =
        MAKE(&net_stream, NULL, "server=on", "addr.type=unix", path("addr.path=", "s"));
    struct netdev *c =
        MAKE(&net_stream, NULL, "addr.type=unix", path("addr.path=", "s"), "reconnect-ms=10");

    plug(a, &sa);
    plug(c, &sb);
    settle();
    tap_ok(passes(a, &sb, "a frame of the server") && passes(c, &sa, "and of the client"),
           "stream: both ways");
    netdev_send(a, (const uint8_t *)"one", 3);
    netdev_send(a, (const uint8_t *)"two!", 4);
    settle();
    tap_ok(sb.n == 3 && sb.len == 4 && !memcmp(sb.frame, "two!", 4),
           "stream: frames that come together");
    netdev_destroy(a);
    settle();
    a = MAKE(&net_stream, NULL, "server=on", "addr.type=unix", path("addr.path=", "s"));
    plug(a, &sa);
    for (int i = 0; i < 100 && !sa.n; i++) {
        usleep(5000);
        passes(c, &sa, "back");
    }
    tap_ok(sa.n > 0, "stream: the client comes again");
    netdev_destroy(c);
    settle();
    /* A peer that talks nonsense is dropped. */
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path("", "s"));
    tap_ok(connect(fd, (void *)&sun, sizeof(sun)) == 0 &&
               write(fd, "\0\0\0\2hi\xff\xff\xff\xff", 10) == 10,
           "stream: nonsense");
    sa.n = 0;
    settle();
    char byte;
    tap_ok(sa.n == 1 && read(fd, &byte, 1) == 0,
           "stream: ends the connection, after what was right");
    close(fd);
    netdev_destroy(a);
}

static void test_dgram(void)
{
    struct side sa, sb;
    struct netdev *a = MAKE(&net_dgram, NULL, "local.type=unix", path("local.path=", "a"),
                            "remote.type=unix", path("remote.path=", "b"));
    struct netdev *c = MAKE(&net_dgram, NULL, "local.type=unix", path("local.path=", "b"),
                            "remote.type=unix", path("remote.path=", "a"));

    plug(a, &sa);
    plug(c, &sb);
    tap_ok(passes(a, &sb, "datagram") && passes(c, &sa, "and back"),
           "dgram: Unix sockets, both ways");
    netdev_destroy(a);
    netdev_destroy(c);
    tap_ok(access(path("", "a"), F_OK) != 0, "dgram: the socket's file is gone");
    a = MAKE(&net_socket, NULL, "udp=127.0.0.1:45871", "localaddr=127.0.0.1:45870");
    c = MAKE(&net_socket, NULL, "udp=127.0.0.1:45870", "localaddr=127.0.0.1:45871");
    plug(a, &sa);
    plug(c, &sb);
    tap_ok(passes(a, &sb, "over UDP") && passes(c, &sa, "and back"), "socket: UDP");
    netdev_destroy(a);
    netdev_destroy(c);
}

static void test_hub(void)
{
    struct side s[3];
    struct netdev *port[3], *uplink, *wire, *behind;

    for (int i = 0; i < 3; i++) {
        port[i] = MAKE(&net_hubport, NULL, "hubid=7");
        plug(port[i], &s[i]);
    }
    tap_ok(passes(port[0], &s[1], "to all") && s[2].n == 1 && s[0].n == 0, "hub: to all others");
    wire = MAKE(&net_dgram, NULL, "local.type=unix", path("local.path=", "w"), "remote.type=unix",
                path("remote.path=", "v"));
    behind = MAKE(&net_dgram, NULL, "local.type=unix", path("local.path=", "v"), "remote.type=unix",
                  path("remote.path=", "w"));
    uplink = MAKE(&net_hubport, wire, "hubid=7");
    struct side far;
    plug(behind, &far);
    tap_ok(passes(port[1], &far, "out"), "hub: out by the port with a back end");
    tap_ok(passes(behind, &s[0], "in") && s[2].len == 2, "hub: and in");
    netdev_destroy(uplink);
    netdev_destroy(wire);
    netdev_destroy(behind);
    for (int i = 0; i < 3; i++) {
        netdev_destroy(port[i]);
    }
    tap_ok(!hubs, "hub: it goes with its last port");
}

static void test_link_and_dump(void)
{
    struct side s[2];
    struct netdev *port[2];
    uint8_t pcap[200];

    for (int i = 0; i < 2; i++) {
        port[i] = MAKE(&net_hubport, NULL, "hubid=1");
        plug(port[i], &s[i]);
    }
    tap_ok(net_dump_create(port[0], "d", path("", "pcap"), 10, &error) != NULL, "capture");
    netdev_set_link(port[0], false);
    netdev_set_link(port[0], false);
    tap_ok(!passes(port[0], &s[1], "lost") && !passes(port[1], &s[0], "lost") && s[0].link == 1,
           "link down: nothing passes");
    netdev_set_link(port[0], true);
    tap_ok(passes(port[0], &s[1], "hello, captured") && passes(port[1], &s[0], "yo") &&
               s[0].link == 2,
           "link up again");
    s[0].full = true;
    netdev_send(port[1], (const uint8_t *)"wait", 4);
    tap_ok(s[0].n == 1 && port[0]->waiting == 1, "a full card: the frame waits");
    s[0].full = false;
    netdev_ready(port[0]);
    tap_ok(s[0].n == 2 && !port[0]->waiting, "and comes");
    netdev_destroy(port[0]);
    netdev_destroy(port[1]);
    FILE *f = fopen(path("", "pcap"), "rb");
    size_t n = fread(pcap, 1, sizeof(pcap), f);
    uint32_t magic, kept, len;
    memcpy(&magic, pcap, 4);
    memcpy(&kept, pcap + 24 + 8, 4);
    memcpy(&len, pcap + 24 + 12, 4);
    fclose(f);
    tap_ok(n == 24 + 16 + 10 + 16 + 2 + 16 + 4 && magic == 0xa1b2c3d4 && kept == 10 && len == 15 &&
               !memcmp(pcap + 40, "hello, cap", 10),
           "the capture: frames both ways, cut at maxlen");
    unlink(path("", "pcap"));
    tap_ok(!make(&net_hubport, (const char *const[]){"hubid=-1", NULL}, NULL, &error), "%s",
           error.msg);
    tap_ok(!make(&net_dgram, (const char *const[]){"local.type=inet", NULL}, NULL, &error), "%s",
           error.msg);
    tap_ok(!make(&net_socket, (const char *const[]){"mcast=10.0.0.1:99", NULL}, NULL, &error), "%s",
           error.msg);
}

int main(void)
{
    if (!mkdtemp(dir)) {
        return 1;
    }
    bench_open(&b);
    loop = mainloop_create(b.m);
    test_stream();
    test_dgram();
    test_hub();
    test_link_and_dump();
    mainloop_destroy(loop);
    bench_close(&b);
    rmdir(dir);
    return tap_done();
}
