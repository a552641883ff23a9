/* The 8259 pair through its ports. */
#include "hw/intc/i8259.h"
#include "tests/device/harness.h"

static void init_pics(struct bench *b)
{
    out8(b, 0x20, 0x11);
    out8(b, 0x21, 0x20);
    out8(b, 0x21, 4);
    out8(b, 0x21, 1);
    out8(b, 0xa0, 0x11);
    out8(b, 0xa1, 0x28);
    out8(b, 0xa1, 2);
    out8(b, 0xa1, 1);
}

int main(void)
{
    struct bench b;

    bench_open(&b);
    struct device *pic = bench_add(&b, &i8259_type);
    i8259_set_output(pic, (struct irq){bench_set_line, &b, 0});

    init_pics(&b);
    i8259_set_irq(pic, 3, 1);
    tap_ok(b.level[0] && i8259_ack(pic) == 0x23, "IRQ 3 is vector 23");
    tap_ok(!b.level[0], "INTR falls at the acknowledge");
    out8(&b, 0x20, 0x0b);
    tap_ok(in8(&b, 0x20) == 0x08, "ISR shows 3");
    i8259_set_irq(pic, 4, 1);
    tap_ok(!b.level[0], "a lower priority waits");
    i8259_set_irq(pic, 1, 1);
    tap_ok(b.level[0] && i8259_ack(pic) == 0x21, "a higher one nests");
    out8(&b, 0x20, 0x20);
    out8(&b, 0x20, 0x20);
    tap_ok(b.level[0] && i8259_ack(pic) == 0x24, "after two EOIs the waiting one comes");
    out8(&b, 0x20, 0x64);
    tap_ok(in8(&b, 0x20) == 0, "specific EOI");
    tap_ok(!b.level[0], "an edge counts once though the line stays high");
    i8259_set_irq(pic, 4, 0);
    i8259_set_irq(pic, 4, 1);
    tap_ok(b.level[0] && i8259_ack(pic) == 0x24, "the next edge counts again");
    out8(&b, 0x20, 0x20);

    i8259_set_irq(pic, 12, 1);
    tap_ok(b.level[0] && i8259_ack(pic) == 0x2c, "IRQ 12 through the cascade");
    out8(&b, 0xa0, 0x0b);
    out8(&b, 0x20, 0x0b);
    tap_ok(in8(&b, 0xa0) == 0x10 && in8(&b, 0x20) == 0x04, "both ISRs show it");
    i8259_set_irq(pic, 8, 1);
    tap_ok(!b.level[0], "in normal nesting the slave waits for the master's EOI");
    out8(&b, 0xa0, 0x20);
    out8(&b, 0x20, 0x20);
    tap_ok(i8259_ack(pic) == 0x28, "then IRQ 8");
    out8(&b, 0xa0, 0x20);
    out8(&b, 0x20, 0x20);

    out8(&b, 0x21, 0x80);
    i8259_set_irq(pic, 7, 1);
    tap_ok(!b.level[0] && in8(&b, 0x21) == 0x80, "masked");
    out8(&b, 0x20, 0x0a);
    tap_ok(in8(&b, 0x20) == 0x80, "IRR remembers it");
    out8(&b, 0x21, 0);
    tap_ok(b.level[0], "unmasked");
    i8259_ack(pic);
    out8(&b, 0x20, 0x20);
    tap_ok(i8259_ack(pic) == 0x27, "an acknowledge of nothing is the spurious vector");
    out8(&b, 0x20, 0x0b);
    tap_ok(in8(&b, 0x20) == 0, "and not in service");

    for (int n = 0; n < 16; n++) {
        i8259_set_irq(pic, n, 0);
    }
    out8(&b, 0x4d0, 0xff);
    out8(&b, 0x4d1, 0xff);
    tap_ok(in8(&b, 0x4d0) == 0xf8 && in8(&b, 0x4d1) == 0xde,
           "ELCR bits of 0, 1, 2, 8, 13 are fixed");
    i8259_set_irq(pic, 10, 1);
    tap_ok(i8259_ack(pic) == 0x2a, "level IRQ 10");
    out8(&b, 0xa0, 0x20);
    out8(&b, 0x20, 0x20);
    tap_ok(b.level[0], "comes again while its line is high");
    i8259_set_irq(pic, 10, 0);
    tap_ok(!b.level[0], "and goes with the line");
    out8(&b, 0x4d0, 0);
    out8(&b, 0x4d1, 0);

    out8(&b, 0x20, 0xc3); /* lowest: 3 */
    for (int n = 3; n <= 4; n++) {
        i8259_set_irq(pic, n, 0);
        i8259_set_irq(pic, n, 1);
    }
    tap_ok(i8259_ack(pic) == 0x24, "set priority: 4 is now the highest");
    out8(&b, 0x20, 0xa0); /* rotate on non-specific EOI */
    tap_ok(i8259_ack(pic) == 0x23, "rotation");
    out8(&b, 0x20, 0x20);

    out8(&b, 0x20, 0x0c);
    i8259_set_irq(pic, 5, 1);
    tap_ok(in8(&b, 0x20) == 0x85, "poll mode reads and acknowledges");
    out8(&b, 0x20, 0x20);

    out8(&b, 0x20, 0xc7);
    i8259_set_irq(pic, 0, 1);
    i8259_ack(pic);
    i8259_set_irq(pic, 6, 1);
    tap_ok(!b.level[0], "6 waits for 0");
    out8(&b, 0x21, 1);
    out8(&b, 0x20, 0x68);
    tap_ok(b.level[0] && i8259_ack(pic) == 0x26, "in special mask mode it does not");
    tap_ok(state_round_trip(pic), "state saves and loads");

    out8(&b, 0x20, 0x11);
    out8(&b, 0x21, 0x08);
    out8(&b, 0x21, 4);
    out8(&b, 0x21, 3); /* AEOI */
    i8259_set_irq(pic, 1, 0);
    i8259_set_irq(pic, 1, 1);
    out8(&b, 0x20, 0x0b);
    tap_ok(i8259_ack(pic) == 9 && in8(&b, 0x20) == 0, "automatic EOI");
    bench_close(&b);
    return tap_done();
}
