/* Repeated string instructions where the host's processor cannot be asked (tests/cpu/native_test.c
 * does the rest): port strings, device memory, interruption in the middle, code that overwrites
 * itself, segment ends in real mode. */
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

enum { PORT = 0x300, MMIO = 0x300000 };

struct device {
    unsigned reads, writes, polls;
    unsigned size;       /* of the last access */
    unsigned stop_every; /* ask the processor to leave at each so many reads */
    uint8_t written[64];
    struct vcpu *v;
};

static struct device dev;

static uint64_t dev_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    dev.size = size;
    dev.reads++;
    if (dev.stop_every && dev.reads % dev.stop_every == 0) {
        atomic_store(&dev.v->exit_request, 1);
    }
    return 0x11 * dev.reads;
}

static void dev_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)opaque;
    (void)offset;
    dev.size = size;
    if (dev.writes < sizeof dev.written) {
        dev.written[dev.writes] = (uint8_t)value;
    }
    dev.writes++;
}

static const struct mmio_ops dev_ops = {dev_read, dev_write, 1, 8};

static bool counting_poll(struct vcpu *v)
{
    dev.polls++;
    if (!sandbox_poll(v)) {
        atomic_store(&v->exit_request, 0);
        return false;
    }
    return true;
}

static uint8_t *data(struct sandbox *s)
{
    return s->ram->host + SANDBOX_DATA;
}

static void start(struct sandbox *s, enum sandbox_mode mode)
{
    sandbox_mode(s, mode);
    memset(&dev, 0, sizeof dev);
    dev.v = &s->c->v;
    s->c->v.reg[X86_RDX] = PORT;
    s->c->v.reg[X86_RSI] = s->c->v.reg[X86_RDI] = sandbox_data(s);
}

#define RUN(s, code) sandbox_run(s, code, sizeof(code) - 1)

static void test_ins(struct sandbox *s)
{
    uint64_t *r = s->c->v.reg;
    bool right = true;

    start(s, SANDBOX_LONG);
    r[X86_RDI] += 0xffe; /* over the end of a page, whose boundary splits an element */
    r[X86_RCX] = 8;
    dev.stop_every = 3;
    int fault = RUN(s, "\xf3\x6d"); /* rep insd */
    for (unsigned n = 0; n < 8; n++) {
        uint32_t x;
        memcpy(&x, data(s) + 0xffe + 4 * n, 4);
        right = right && x == 0x11 * (n + 1);
    }
    tap_ok(fault == -1 && right && r[X86_RCX] == 0 && r[X86_RDI] == SANDBOX_DATA + 0x101e &&
               dev.reads == 8 && dev.size == 4,
           "REP INS goes over pages and interruptions");
    tap_ok(dev.polls >= 3, "... and is interruptible (%u polls)", dev.polls);

    start(s, SANDBOX_LONG);
    r[X86_RDI] = SANDBOX_RAM - 4; /* the end of what is mapped */
    r[X86_RCX] = 100;
    fault = RUN(s, "\xf3\x66\x6d"); /* rep insw */
    tap_ok(fault == EXC_PF && s->fault_cr2 == SANDBOX_RAM && r[X86_RCX] == 98 && dev.reads == 2 &&
               r[X86_RDI] == SANDBOX_RAM && r[X86_RIP] == SANDBOX_CODE,
           "REP INS reads nothing from the port that it cannot store");

    start(s, SANDBOX_LONG);
    r[X86_RDI] = SANDBOX_RAM - 2;
    r[X86_RCX] = 1;
    fault = RUN(s, "\xf3\x6d"); /* an element half outside */
    tap_ok(fault == EXC_PF && s->fault_cr2 == SANDBOX_RAM && dev.reads == 0,
           "INS checks all of the element before it reads");
}

static void test_outs(struct sandbox *s)
{
    uint64_t *r = s->c->v.reg;

    start(s, SANDBOX_LONG);
    memcpy(data(s), "Dragoman", 8);
    r[X86_RSI] += 7;
    r[X86_RCX] = 8;
    int fault = RUN(s, "\xfd\xf3\x6e"); /* std; rep outsb */
    tap_ok(fault == -1 && !memcmp(dev.written, "namogarD", 8) && r[X86_RCX] == 0 &&
               r[X86_RSI] == SANDBOX_DATA - 1,
           "REP OUTS downwards");

    start(s, SANDBOX_PROT32);
    s->c->cpl = 0;
    r[X86_RCX] = 5;
    fault = RUN(s, "\x6f\x40"); /* outsd; inc eax */
    tap_ok(fault == -1 && dev.writes == 1 && dev.size == 4 && r[X86_RCX] == 5 && r[X86_RAX] == 1,
           "OUTS without REP is done once");
}

static void test_mmio(struct sandbox *s)
{
    uint64_t *r = s->c->v.reg;

    start(s, SANDBOX_PROT32);
    memcpy(data(s), "\x01\0\x02\0\x03\0\x04\0", 8);
    r[X86_RDI] = MMIO;
    r[X86_RCX] = 4;
    int fault = RUN(s, "\xf3\x66\xa5"); /* rep movsw */
    tap_ok(fault == -1 && dev.writes == 4 && dev.size == 2 && !memcmp(dev.written, "\1\2\3\4", 4),
           "REP MOVS to device memory keeps the element's size");

    start(s, SANDBOX_PROT32);
    r[X86_RSI] = MMIO;
    r[X86_RCX] = 6;
    dev.stop_every = 2;
    fault = RUN(s, "\xf3\xa4");
    tap_ok(fault == -1 && dev.reads == 6 && dev.polls >= 2 && dev.size == 1 && data(s)[5] == 0x66,
           "REP MOVS from device memory is interruptible");
}

static void test_own_code(struct sandbox *s)
{
    uint64_t *r = s->c->v.reg;

    start(s, SANDBOX_LONG);
    r[X86_RAX] = 0x90;
    r[X86_RCX] = 4;
    r[X86_RDI] = SANDBOX_CODE + 2;
    int fault = RUN(s, "\xf3\xaa\xff\xc0\xff\xc0\xff\xc3"); /* rep stosb; inc eax (2); inc ebx */
    tap_ok(fault == -1 && r[X86_RAX] == 0x90 && r[X86_RBX] == 1,
           "REP STOS over the instructions that follow: they are the new ones");
}

static void test_real_mode(struct sandbox *s)
{
    uint64_t *r = s->c->v.reg;

    start(s, SANDBOX_REAL);
    r[X86_RDI] = 0xabcdfffc;
    r[X86_RCX] = 0x12340004;
    r[X86_RAX] = 0x5a5a;
    int fault = RUN(s, "\xf3\xab"); /* rep stosw */
    tap_ok(fault == -1 && r[X86_RDI] == 0xabcd0004 && r[X86_RCX] == 0x12340000 &&
               data(s)[0xffff] == 0x5a && data(s)[3] == 0x5a && data(s)[4] == 0,
           "16-bit offsets wrap at 64 KiB");

    start(s, SANDBOX_REAL);
    r[X86_RDI] = 0xfffd;
    r[X86_RCX] = 4;
    fault = RUN(s, "\xf3\xab");
    tap_ok(fault == EXC_GP && r[X86_RDI] == 0xffff && r[X86_RCX] == 3,
           "an element over the segment's end raises #GP after those before it");

    start(s, SANDBOX_PROT16);
    x86_set_seg(s->c, SEG_ES, 0, SANDBOX_DATA, 0xfff,
                SEGA_P | SEGA_S | SEGA_RW | SEGA_CE | SEGA_A); /* expand down: valid above 0xfff */
    x86_update_key(s->c);
    r[X86_RDI] = 0x1003;
    r[X86_RCX] = 10;
    r[X86_RAX] = 0x77;
    fault = RUN(s, "\xfd\xf3\xaa");
    tap_ok(fault == EXC_GP && r[X86_RDI] == 0xfff && r[X86_RCX] == 6 && data(s)[0x1000] == 0x77 &&
               data(s)[0xfff] == 0,
           "downwards to the end of an expand-down segment");
}

int main(void)
{
    struct sandbox s;

    sandbox_create(&s, NULL, NULL);
    s.ops.poll = counting_poll;
    ioport_map(s.m->memory, PORT, 8, "test", &dev_ops, NULL);
    memory_map_mmio(s.m->memory, IN_BOTH, MMIO, 0x1000, "test", &dev_ops, NULL, 0);
    test_ins(&s);
    test_outs(&s);
    test_mmio(&s);
    test_own_code(&s);
    test_real_mode(&s);
    return tap_done();
}
