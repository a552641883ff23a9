/* A 32-bit multiboot kernel with a driver for the first IDE disk that has a mistake, for the
 * session in docs/debugging.md: the bytes of a sector's number go to each other's registers. */
#include "start.h"

unsigned short buffer[256];
volatile int result;

enum { DATA = 0x1f0, COUNT = 0x1f2, LBA = 0x1f3, DRIVE = 0x1f6, COMMAND = 0x1f7, STATUS = 0x1f7 };
enum { ERR = 1, DRQ = 8, BSY = 0x80, READ_SECTORS = 0x20 };

static void __attribute__((noinline)) out8(unsigned short port, unsigned char value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static unsigned char in8(unsigned short port)
{
    unsigned char value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static int __attribute__((noinline)) read_sector(unsigned lba, unsigned short *to)
{
    unsigned char status;

    out8(COUNT, 1);
    for (unsigned i = 0; i < 3; i++) {
        out8(LBA + i, lba >> 8 * (2 - i));
    }
    out8(DRIVE, 0xe0 | lba >> 24);
    out8(COMMAND, READ_SECTORS);
    do {
        status = in8(STATUS);
    } while (status & BSY);
    if (status & ERR || !(status & DRQ)) {
        return -1;
    }
    for (unsigned i = 0; i < 256; i++) {
        __asm__ volatile("inw %1, %0" : "=a"(to[i]) : "Nd"((unsigned short)DATA));
    }
    return 0;
}

void kernel_main(void)
{
    result = read_sector(0, buffer);
    result = read_sector(1, buffer);
}
