/* Options, devices and objects that people know from QEMU and that this version does not have: what
 * the error says. */
#include "control/absent.h"

#include <stddef.h>
#include <string.h>

#define NO_USB                                                                                     \
    "there is no USB in this version; -device virtio-tablet-pci is an absolute pointer, "          \
    "virtio-keyboard-pci a keyboard"
#define NO_SOUND "there is no sound in this version"
#define NO_TLS                                                                                     \
    "there is no TLS in this version; show the screen through SSH (ssh -L 5901:localhost:5901 "    \
    "HOST) or a Unix socket"
#define NO_STATE "a machine's state cannot be saved, loaded or migrated in this version"
#define NO_3D    "there is no 3D in this version; virtio-vga and virtio-gpu-pci draw in 2D"
#define NO_SHARE                                                                                   \
    "folders cannot be shared with the guest in this version (scp by hostfwd=, or tftp= of -nic "  \
    "user)"

struct row {
    const char *name; /* with '*' at its end: the beginning */
    const char *text;
};

static const struct row option_rows[] = {
    {"usb*", NO_USB},
    {"spice", "there is no SPICE; -vnc shows the screen to viewers"},
    {"k",
     "there are no key maps: keys travel as places on the keyboard, the layout is the guest's"},
    {"full-screen", "that is -display sdl,full-screen=on"},
    {"sdl", "that is -display sdl"},
    {"curses", "that is -display curses"},
    {"g", "a driver's preferred size is given with -global VGA.xres=W -global VGA.yres=H"},
    {"enable-kvm", "this program does not use KVM: leave the option out"},
    {"soundhw", NO_SOUND},
    {"audio*", NO_SOUND},
    {"daemonize", "the program stays in the foreground; -pidfile tells the process, -display none "
                  "-serial none frees the terminal"},
    {"loadvm", NO_STATE},
    {"incoming", NO_STATE},
    {"virtfs*", NO_SHARE},
    {"fsdev", NO_SHARE},
    {"tpmdev", "there is no TPM in this version"},
    {"pflash", "there is no flash memory in this version; -bios FILE replaces SeaBIOS"},
};

static const struct row device_rows[] = {
    {"usb-*", NO_USB},
    {"qemu-xhci", NO_USB},
    {"nec-usb-xhci", NO_USB},
    {"piix3-usb-uhci", NO_USB},
    {"ich9-usb-*", NO_USB},
    {"intel-hda", NO_SOUND},
    {"hda-*", NO_SOUND},
    {"ich9-intel-hda", NO_SOUND},
    {"AC97", NO_SOUND},
    {"sb16", NO_SOUND},
    {"virtio-9p-pci", NO_SHARE},
    {"vhost-user-fs-pci", NO_SHARE},
    {"qxl*", "there is no SPICE; VGA and virtio-vga are the display adapters"},
    {"virtio-vga-gl", NO_3D},
    {"virtio-gpu-gl*", NO_3D},
    {"nvme",
     "there is no NVMe in this version; virtio-blk-pci, ahci and virtio-scsi-pci hold disks"},
};

static const struct row object_rows[] = {
    {"tls-creds-*", NO_TLS},
    {"memory-backend-*", "memory is given with -m alone"},
};

static const struct row vnc_rows[] = {
    {"tls-*", NO_TLS},
    {"tls", NO_TLS},
    {"x509*", NO_TLS},
    {"sasl*", "there is no SASL in this version; password=on asks for a password"},
    {"reverse", "the server does not call viewers in this version; it listens for them"},
};

static bool fits(const char *pattern, const char *name)
{
    size_t n = strcspn(pattern, "*");

    return pattern[n] ? !strncmp(pattern, name, n) : !strcmp(pattern, name);
}

const char *absent_text(enum absent_kind kind, const char *name)
{
    static const struct {
        const struct row *rows;
        size_t n;
    } tables[] = {
        [ABSENT_OPTION] = {option_rows, sizeof(option_rows) / sizeof(option_rows[0])},
        [ABSENT_DEVICE] = {device_rows, sizeof(device_rows) / sizeof(device_rows[0])},
        [ABSENT_OBJECT] = {object_rows, sizeof(object_rows) / sizeof(object_rows[0])},
        [ABSENT_VNC] = {vnc_rows, sizeof(vnc_rows) / sizeof(vnc_rows[0])},
    };

    for (size_t i = 0; name && i < tables[kind].n; i++) {
        if (fits(tables[kind].rows[i].name, name)) {
            return tables[kind].rows[i].text;
        }
    }
    return NULL;
}
