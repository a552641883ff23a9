/* The framing of GDB's remote protocol, and its agent expressions. */
#include "control/gdb_agent.h"
#include "control/gdb_packet.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

/* A parser for what the stub itself sends, run lengths too. */
static size_t expand(const struct gdb_buf *b, uint8_t *out)
{
    size_t n = 0;
    uint8_t sum = 0;

    for (size_t i = 1; i < b->len && b->data[i] != '#'; i++) {
        uint8_t c = b->data[i];
        sum += c;
        if (c == '}') {
            sum += b->data[++i];
            out[n++] = b->data[i] ^ 0x20;
        } else if (c == '*') {
            unsigned count = b->data[++i] - 29u;
            sum += b->data[i];
            while (count--) {
                out[n] = out[n - 1];
                n++;
            }
        } else {
            out[n++] = c;
        }
    }
    return (unsigned)strtol((char *)b->data + b->len - 2, NULL, 16) == sum ? n : SIZE_MAX;
}

static void test_frames(void)
{
    static uint8_t in[512], out[4096];
    bool same = true, printable = true;

    for (unsigned run = 1; run < 300; run++) {
        for (unsigned c = 0; c < 256; c++) {
            struct gdb_buf b = {0};
            memset(in, (int)c, run);
            in[run] = 'x';
            gdb_frame(&b, '$', in, run + 1);
            same &= expand(&b, out) == run + 1 && !memcmp(in, out, run + 1);
            for (size_t i = 1; i + 3 < b.len; i++) {
                printable &= b.data[i] != '#' && b.data[i] != '$';
            }
            gdb_buf_free(&b);
        }
    }
    tap_ok(same, "runs of every byte come out as they went in");
    tap_ok(printable, "without $ and # inside");
}

static enum gdb_event feed(struct gdb_parser *p, const char *text)
{
    enum gdb_event ev = GDB_NOTHING;

    for (; *text; text++) {
        ev = gdb_parse(p, (uint8_t)*text);
    }
    return ev;
}

static void test_parser(void)
{
    struct gdb_parser p = {0};

    tap_ok(feed(&p, "+") == GDB_ACK && feed(&p, "-") == GDB_NAK &&
               feed(&p, "\x03") == GDB_INTERRUPT,
           "bytes outside of packets");
    tap_ok(feed(&p, "$?#3f") == GDB_PACKET && p.in.len == 1, "a packet");
    tap_ok(feed(&p, "$?#3e") == GDB_BAD && feed(&p, "$?#zz") == GDB_BAD, "wrong checksums");
    tap_ok(feed(&p, "$abc$?#3f") == GDB_PACKET && p.in.len == 1, "a packet cut off by the next");
    tap_ok(feed(&p, "$}\x03#80") == GDB_PACKET && p.in.data[0] == '#', "an escape");
    p.no_ack = true;
    tap_ok(feed(&p, "$?#00") == GDB_PACKET, "a checksum that is not looked at");
    gdb_buf_free(&p.in);
}

static bool reg(void *opaque, unsigned n, uint64_t *value)
{
    (void)opaque;
    *value = 100 + n;
    return n < 10;
}

static bool mem(void *opaque, uint64_t addr, void *buf, size_t len)
{
    (void)opaque;
    memset(buf, 0x80, len);
    return addr != 13;
}

static void test_agent(void)
{
    static const struct {
        const char *what;
        uint8_t len, code[16];
        bool good;
        uint64_t want;
    } rows[] = {
        {"constant", 3, {0x22, 5, 0x27}, true, 5},
        {"register + constant", 7, {0x26, 0, 3, 0x22, 4, 0x02, 0x27}, true, 107},
        {"load, sign extended", 6, {0x22, 1, 0x17, 0x16, 8, 0x27}, true, UINT64_C(-128)},
        {"load that fails", 4, {0x22, 13, 0x17, 0x27}, false, 0},
        {"less, signed", 8, {0x22, 1, 0x22, 2, 0x14, 0x0e, 0x0e, 0x27}, true, 1},
        {"jump over", 9, {0x22, 1, 0x20, 0, 7, 0x22, 9, 0x22, 3}, false, 0},
        {"jump to the end", 10, {0x22, 1, 0x20, 0, 7, 0x22, 9, 0x22, 3, 0x27}, true, 3},
        {"division by zero", 6, {0x22, 1, 0x22, 0, 0x05, 0x27}, false, 0},
        {"swap and subtract", 7, {0x22, 2, 0x22, 9, 0x2b, 0x03, 0x27}, true, 7},
        {"empty stack", 2, {0x02, 0x27}, false, 0},
        {"endless loop", 3, {0x21, 0, 0}, false, 0},
        {"unknown operation", 2, {0xff, 0x27}, false, 0},
        {"no end", 2, {0x22, 1}, false, 0},
    };
    struct gdb_agent_ops ops = {NULL, reg, mem};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t got = 0;
        bool good = gdb_agent_eval(rows[i].code, rows[i].len, &ops, &got);
        tap_ok(good == rows[i].good && (!good || got == rows[i].want), "agent expression: %s",
               rows[i].what);
    }
}

int main(void)
{
    test_frames();
    test_parser();
    test_agent();
    return tap_done();
}
