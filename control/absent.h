/* What this version does not have, by the names that people know from QEMU. */
#ifndef CONTROL_ABSENT_H
#define CONTROL_ABSENT_H

#include <stdbool.h>

enum absent_kind { ABSENT_OPTION, ABSENT_DEVICE, ABSENT_OBJECT, ABSENT_VNC };

/* What to say of it and what to use instead; NULL: nothing is known of the name. */
const char *absent_text(enum absent_kind kind, const char *name);

#endif
