/* EDID 1.4 with a CTA-861 extension, as a monitor of this machine's adapters would send it. VESA
 * E-EDID standard; timings by the CVT reduced blanking rules. */
#include "hw/display/vga.h"

#include <string.h>

enum { BLOCK = 128, H_BLANK = 160, H_SYNC = 32, H_FRONT = 48, V_FRONT = 3, V_SYNC = 6, DPI = 96 };

static void checksum(uint8_t *block)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < BLOCK - 1; i++) {
        sum += block[i];
    }
    block[BLOCK - 1] = (uint8_t)-sum;
}

/* A detailed timing of 18 bytes at 60 Hz. */
static void timing(uint8_t *d, unsigned w, unsigned h)
{
    unsigned v_blank = 30 + h / 40, mm_w = w * 254 / (10 * DPI), mm_h = h * 254 / (10 * DPI);
    unsigned clock = (w + H_BLANK) * (h + v_blank) / 10000 * 60; /* in 10 kHz */

    clock = clock > 65535 ? 65535 : clock;
    d[0] = (uint8_t)clock;
    d[1] = (uint8_t)(clock >> 8);
    d[2] = (uint8_t)w;
    d[3] = H_BLANK & 0xff;
    d[4] = (uint8_t)((w >> 8) << 4 | H_BLANK >> 8);
    d[5] = (uint8_t)h;
    d[6] = (uint8_t)v_blank;
    d[7] = (uint8_t)((h >> 8) << 4 | v_blank >> 8);
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = V_FRONT << 4 | V_SYNC;
    d[12] = (uint8_t)mm_w;
    d[13] = (uint8_t)mm_h;
    d[14] = (uint8_t)((mm_w >> 8) << 4 | mm_h >> 8);
    d[17] = 0x1a; /* digital, separate syncs, horizontal positive */
}

static void text(uint8_t *d, uint8_t tag, const char *s)
{
    size_t n = strlen(s);

    d[3] = tag;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, s, n < 13 ? n : 13);
    if (n < 13) {
        d[5 + n] = '\n';
    }
}

void edid_make(uint8_t *edid, unsigned width, unsigned height)
{
    static const uint8_t header[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    static const struct {
        uint16_t w, h;
    } standard[] = {{2048, 1152}, {1920, 1080}, {1920, 1200}, {1600, 1200},
                    {1680, 1050}, {1440, 900},  {1280, 1024}, {1280, 960}};
    /* Chromaticities of sRGB. */
    static const uint8_t colours[] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
    unsigned cm_w = width * 254 / (100 * DPI), cm_h = height * 254 / (100 * DPI);

    memset(edid, 0, 2 * BLOCK);
    memcpy(edid, header, sizeof(header));
    edid[8] = ('D' - 64) << 2 | ('R' - 64) >> 3; /* maker: DRG */
    edid[9] = (uint8_t)((('R' - 64) & 7) << 5 | ('G' - 64));
    edid[10] = 0x34;
    edid[11] = 0x12;
    edid[16] = 1;  /* week */
    edid[17] = 36; /* year since 1990 */
    edid[18] = 1;
    edid[19] = 4;
    edid[20] = 0xa5; /* digital, 8 bits a colour, DisplayPort */
    edid[21] = (uint8_t)(cm_w > 255 ? 255 : cm_w);
    edid[22] = (uint8_t)(cm_h > 255 ? 255 : cm_h);
    edid[23] = 120;  /* gamma 2.2 */
    edid[24] = 0x06; /* sRGB; the first timing is the native one */
    memcpy(edid + 25, colours, sizeof(colours));
    edid[35] = 0x21; /* 640x480, 800x600 at 60 Hz */
    edid[36] = 0x08; /* 1024x768 */
    for (unsigned i = 0; i < 8; i++) {
        unsigned w = standard[i].w, h = standard[i].h;
        uint8_t aspect = w * 10 == h * 16 ? 0 : w * 3 == h * 4 ? 1 : w * 4 == h * 5 ? 2 : 3;
        edid[38 + 2 * i] = (uint8_t)(w / 8 - 31);
        edid[39 + 2 * i] = (uint8_t)(aspect << 6); /* 60 Hz */
    }
    timing(edid + 54, width, height);
    edid[72 + 3] = 0xfd; /* range limits */
    edid[72 + 5] = 50;
    edid[72 + 6] = 125;
    edid[72 + 7] = 30;
    edid[72 + 8] = 160;
    edid[72 + 9] = 60;
    edid[72 + 10] = 1;
    memset(edid + 72 + 11, ' ', 7);
    edid[72 + 11] = '\n';
    text(edid + 90, 0xfc, "Dragoman");
    text(edid + 108, 0xff, "1");
    edid[126] = 1;
    checksum(edid);
    edid[BLOCK] = 2; /* CTA-861, revision 3, without data blocks */
    edid[BLOCK + 1] = 3;
    edid[BLOCK + 2] = 4;
    edid[BLOCK + 3] = 0;
    checksum(edid + BLOCK);
}
