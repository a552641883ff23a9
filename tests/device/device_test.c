/* Properties, the type list, and saving and loading by state tables. */
#include "tests/device/harness.h"

struct part {
    uint16_t words[2];
    bool on;
};
struct thing {
    struct device dev;
    uint8_t byte;
    uint16_t word;
    uint64_t size;
    bool flag;
    char *text;
    void *chardev;

    uint32_t regs[3];
    int64_t when;
    uint8_t bytes[5];
    struct part parts[2];
    struct timer timer;
    int fired, loads;
};

static const struct state_field part_fields[] = {STATE_U16(struct part, words),
                                                 STATE_BOOL(struct part, on), STATE_END};
static const struct state_field thing_fields[] = {
    STATE_U32(struct thing, regs),
    STATE_I64(struct thing, when),
    STATE_BYTES(struct thing, bytes),
    STATE_STRUCT(struct thing, parts, 2, part_fields),
    STATE_TIMER(struct thing, timer),
    {"flag", ST_BOOL, offsetof(struct thing, flag), 1, 2, 0, NULL},
    STATE_END,
};
static void thing_loaded(void *obj)
{
    ((struct thing *)obj)->loads++;
}
static const struct state_table thing_state = {2, thing_fields, thing_loaded};
static const struct state_table thing_state1 = {1, thing_fields, NULL};

static const struct property thing_props[] = {
    PROP_U8(struct thing, byte, 7, "a byte"),
    PROP_U16(struct thing, word, 0x300, "a word"),
    {"size", PT_SIZE, offsetof(struct thing, size), 4096, "a size"},
    PROP_BOOL(struct thing, flag, 1, "a flag"),
    PROP_STRING(struct thing, text, "a text"),
    PROP_CHARDEV(struct thing, chardev, "a chardev"),
    PROP_END,
};
static void fired(void *opaque)
{
    ((struct thing *)opaque)->fired++;
}
static bool thing_realize(struct device *d, struct error *err)
{
    struct thing *t = (struct thing *)d;

    timer_init(&t->timer, d->machine->clock, fired, t);
    return t->byte != 13 || error_set(err, "thing: 13 is unlucky");
}
static const struct device_type thing_type = {
    .name = "thing",
    .summary = "a thing",
    .size = sizeof(struct thing),
    .props = thing_props,
    .state = &thing_state,
    .realize = thing_realize,
};

int main(void)
{
    struct bench b;
    struct error err = {{0}};

    bench_open(&b);
    struct device *d = device_create(b.m, &thing_type, "one");
    struct thing *t = (struct thing *)d;
    tap_ok(t->byte == 7 && t->word == 0x300 && t->size == 4096 && t->flag && !t->text, "defaults");
    tap_ok(device_set(d, "byte", "0x10", &err) && t->byte == 16, "hexadecimal number");
    tap_ok(device_set(d, "size", "3M", &err) && t->size == 3 << 20, "size with suffix");
    tap_ok(device_set(d, "flag", "off", &err) && !t->flag, "bool");
    tap_ok(device_set(d, "text", "x", &err) && device_set(d, "text", "hello", &err) &&
               !strcmp(t->text, "hello"),
           "text");
    tap_ok(device_set_ptr(d, "chardev", &b) && t->chardev == &b && !device_set_ptr(d, "byte", &b),
           "pointer");
    static const char *const bad[][2] = {
        {"byte", "256"},
        {"byte", "-1"},
        {"byte", ""},
        {"byte", "1x"},
        {"byte", " 1"},
        {"word", "65536"},
        {"size", "1Q"},
        {"size", "1MM"},
        {"size", "99999999999999999999"},
        {"size", "18446744073709551615K"},
        {"flag", "maybe"},
        {"chardev", "nosuch"},
        {"byt", "1"},
        {"", "1"},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.msg[0] = 0;
        tap_ok(!device_set(d, bad[i][0], bad[i][1], &err) && err.msg[0], "refused: %s", err.msg);
    }
    tap_ok(device_realize(d, &err) && device_find(b.m, "one") == d &&
               device_find_type(b.m, &thing_type) == d,
           "realized and found");
    tap_ok(!device_make(b.m, &thing_type, &err, "byte=13", NULL), "realize fails: %s", err.msg);

    t->regs[0] = 1, t->regs[2] = 0xdeadbeef;
    t->when = -5;
    memcpy(t->bytes, "abcde", 5);
    t->parts[1].words[0] = 0x1234;
    t->parts[0].on = true;
    timer_set(&t->timer, 5000);
    size_t len, len2;
    uint8_t *buf = state_save(&thing_state, t, &len);
    char *text = state_describe(&thing_state, t);
    tap_ok(strstr(text, "regs 0x1 0x0 0xdeadbeef\n") &&
               strstr(text, "parts[1].words 0x1234 0x0\n") && strstr(text, "bytes 6162636465\n") &&
               strstr(text, "timer 5000\n") && strstr(text, "when -5\n"),
           "state as text");
    free(text);
    memset(t->regs, 0, sizeof(t->regs));
    memset(t->parts, 0, sizeof(t->parts));
    memset(t->bytes, 0, sizeof(t->bytes));
    t->when = 0;
    timer_cancel(&t->timer);
    tap_ok(state_load(&thing_state, t, buf, len, &err) && t->regs[2] == 0xdeadbeef &&
               t->when == -5 && !memcmp(t->bytes, "abcde", 5) && t->parts[1].words[0] == 0x1234 &&
               t->parts[0].on && t->timer.expire == 5000 && t->loads == 1,
           "loaded");
    uint8_t *again = state_save(&thing_state, t, &len2);
    tap_ok(len == len2 && !memcmp(buf, again, len), "byte-exact");
    free(again);
    clock_advance(b.m->clock, 6000);
    tap_ok(t->fired == 1, "a loaded timer fires");

    tap_ok(!state_load(&thing_state1, t, buf, len, &err), "newer than us: %s", err.msg);
    bool all = true;
    for (size_t n = 0; n < len; n++) { /* exactly sized copies let the sanitizer see reads beyond */
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, buf, n);
        all = !state_load(&thing_state, t, cut, n, &err) && all;
        free(cut);
    }
    tap_ok(all, "every truncation is refused");
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint8_t *bent = malloc(len);
        memcpy(bent, buf, len);
        for (int k = 0; k < 1 + i % 3; k++) {
            seed = seed * 1103515245 + 12345;
            bent[(seed >> 8) % len] = (uint8_t)(seed >> 24);
        }
        state_load(&thing_state, t, bent, len, &err);
        free(bent);
    }
    tap_ok(true, "bent states do no harm");
    /* A version 1 state lacks the field that version 2 brought. */
    len2 = len - (1 + 4 + 1 + 4 + 4 + 1) - 1;
    buf[0] = 1;
    buf[len2] = 0;
    tap_ok(state_load(&thing_state, t, buf, len2 + 1, &err), "an older state loads");
    buf[0] = 2;
    tap_ok(!state_load(&thing_state, t, buf, len2 + 1, &err), "a newer one must have it: %s",
           err.msg);
    free(buf);

    unsigned named = 0, good = 0;
    for (const struct device_type *const *p = device_types; *p; p++) {
        named++;
        good += (*p)->name && (*p)->summary && device_type_find((*p)->name) == *p;
    }
    tap_ok(named > 10 && named == good, "%u device types, each found by its name", named);
    tap_ok(!device_type_find("nosuch") && device_type_nearest("isa-debug-exti") &&
               !strcmp(device_type_nearest("isa-debug-exti"), "isa-debug-exit"),
           "nearest name");
    char *help = device_types_help();
    tap_ok(strstr(help, "isa-debug-exit"), "-device help");
    free(help);
    help = device_type_help(&thing_type);
    tap_ok(strstr(help, "thing options:") && strstr(help, "word=<uint16>") &&
               strstr(help, " - a word (default: 0x300)"),
           "-device thing,help");
    free(help);
    timer_set(&t->timer, 1000000);
    bench_close(&b); /* with an armed timer */
    return tap_done();
}
