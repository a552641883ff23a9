/* The machine types that exist. */
#include "hw/machine/machine_type.h"

const struct machine_type *const machine_types[] = {&machine_pc, NULL};
