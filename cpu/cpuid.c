/* CPUID: what a model says about itself, leaf by leaf.
 *
 * From the SDM, Vol. 2 "CPUID", and the AMD64 manual Vol. 3 appendix E for the extended leaves. The
 * feature words come from the list in cpuid.h, the caches from the model; here is the rest:
 * topology, the extended state's sizes, the rates of TSC and crystal. Left out: performance
 * monitoring (leaf 0AH says that there is none), RDT, SGX, PT, hypervisor leaves. */
#include "cpu/cpuid.h"

#include <string.h>

#include "cpu/system.h"

enum { EAX, EBX, ECX, EDX };

static const struct feature {
    uint32_t leaf, sub;
    uint8_t reg, bit;
} features[X86F_COUNT] = {
#define F_ROW(id, name, leaf, sub, reg, bit) {leaf, sub, reg, bit},
    X86_FEATURES(F_ROW)
#undef F_ROW
};

enum { LINE = 64 }; /* bytes of a cache line */

uint32_t x86_model_signature(const struct x86_model *m)
{
    uint32_t family = m->family > 15 ? 15 : m->family, extended = m->family - family;

    return extended << 20 | (uint32_t)(m->model >> 4) << 16 | family << 8 |
           (uint32_t)(m->model & 15) << 4 | m->stepping;
}

bool x86_model_is_amd(const struct x86_model *m)
{
    return strcmp(m->vendor, "AuthenticAMD") == 0;
}

static uint32_t feature_word(const struct x86_model *m, uint32_t leaf, uint32_t sub, unsigned reg)
{
    uint32_t word = 0;

    for (unsigned f = 0; f < X86F_COUNT; f++) {
        if (features[f].leaf == leaf && features[f].sub == sub && features[f].reg == reg &&
            x86_model_has(m, f)) {
            word |= UINT32_C(1) << features[f].bit;
        }
    }
    return word;
}

/* Bits of APIC id that number n things. */
static unsigned id_bits(unsigned n)
{
    unsigned bits = 0;

    while ((1u << bits) < n) {
        bits++;
    }
    return bits;
}

static unsigned logical_per_package(const struct x86_cpu *c)
{
    return c->smp_cores * c->smp_threads;
}

/* Bits of APIC id below the package's. Cores and threads have fields of their own, so that with
 * numbers that are no powers of two there are gaps between the ids of packages. */
static unsigned package_bits(const struct x86_cpu *c)
{
    return id_bits(c->smp_cores) + id_bits(c->smp_threads);
}

/* Four letters at a time, as vendor and brand are spelled in registers. */
static uint32_t letters(const char *s)
{
    uint32_t r = 0;

    for (unsigned n = 0; n < 4; n++) {
        r |= (uint32_t)(uint8_t)s[n] << (8 * n);
    }
    return r;
}

static void put_vendor(const struct x86_model *m, uint32_t out[4])
{
    out[EBX] = letters(m->vendor);
    out[EDX] = letters(m->vendor + 4);
    out[ECX] = letters(m->vendor + 8);
}

static void leaf_1(const struct x86_cpu *c, uint32_t out[4])
{
    const struct x86_model *m = c->model;
    unsigned logical = logical_per_package(c);

    out[EAX] = x86_model_signature(m);
    /* Intel: ids that a package could have; AMD: logical processors that it has. */
    unsigned count = x86_model_is_amd(m) ? logical : 1u << package_bits(c);
    out[EBX] = c->apic_id << 24 | (count > 255 ? 255 : count) << 16;
    if (x86_model_has(m, X86F_CLFSH)) {
        out[EBX] |= LINE / 8 << 8;
    }
    out[ECX] = feature_word(m, 1, 0, ECX);
    out[EDX] = feature_word(m, 1, 0, EDX);
    if (c->cr4 & CR4_OSXSAVE) {
        out[ECX] |= 1u << 27;
    }
    if (logical > 1) {
        out[EDX] |= 1u << 28;
    }
    if (!(c->apic_base & (1 << 11))) {
        out[EDX] &= ~(1u << 9);
    }
}

static void leaf_2(const struct x86_model *m, uint32_t out[4])
{
    if (m->max_leaf >= 4) {
        out[EAX] = 0x00f0ff01; /* prefetch of 64 bytes; caches: see leaf 4 */
    } else {
        out[EAX] = 0x03020101; /* Pentium III: TLBs and 16 + 16 + 512 KiB of cache */
        out[EDX] = 0x0c040843;
    }
}

/* Leaf 4, and AMD's 8000001DH. */
static void cache_leaf(const struct x86_cpu *c, uint32_t sub, uint32_t out[4])
{
    unsigned core_bits = id_bits(c->smp_cores), thread_bits = id_bits(c->smp_threads);
    const struct x86_cache *k = c->model->caches + sub;

    if (!c->model->caches || sub >= X86_CACHES || !k->level) {
        return;
    }
    /* Ids, not processors, for AMD too: guests divide ids by it. */
    unsigned sharing = (1u << (thread_bits + (k->shared ? core_bits : 0))) - 1;
    out[EAX] = k->type | k->level << 5 | 1 << 8 | (sharing & 0xfff) << 14;
    if (x86_model_is_amd(c->model)) {
        out[EDX] = k->shared ? 1 : k->level == 2 ? 2 : 0; /* write-back invalidate; inclusive */
    } else {
        out[EAX] |= (((1u << core_bits) - 1) & 0x3f) << 26;
    }
    out[EBX] = (LINE - 1) | (uint32_t)(k->ways - 1) << 22;
    out[ECX] = k->sets - 1u;
}

static void leaf_7(const struct x86_cpu *c, uint32_t sub, uint32_t out[4])
{
    bool bhi =
        x86_model_has(c->model, X86F_BHI_CTRL); /* the only feature of the higher subleaves */

    if (sub > (bhi ? 2 : 0)) {
        return;
    }
    for (unsigned r = EBX; r <= EDX; r++) {
        out[r] = feature_word(c->model, 7, sub, r);
    }
    if (sub == 0) {
        out[EAX] = bhi ? 2 : 0;
        if (c->cr4 & CR4_PKE) {
            out[ECX] |= 1u << 4; /* OSPKE */
        }
    }
}

static void leaf_b(const struct x86_cpu *c, uint32_t sub, uint32_t out[4])
{
    unsigned thread_bits = id_bits(c->smp_threads);

    out[ECX] = sub & 0xff;
    out[EDX] = c->apic_id;
    if (sub == 0) {
        out[EAX] = thread_bits;
        out[EBX] = c->smp_threads;
        out[ECX] |= 1 << 8;
    } else if (sub == 1) {
        out[EAX] = thread_bits + id_bits(c->smp_cores);
        out[EBX] = logical_per_package(c);
        out[ECX] |= 2 << 8;
    }
}

static void leaf_d(const struct x86_cpu *c, uint32_t sub, uint32_t out[4])
{
    const struct x86_model *m = c->model;
    uint64_t supported = x86_xcr0_supported(m);
    uint32_t size, offset;

    if (!x86_model_has(m, X86F_XSAVE)) {
        return;
    }
    if (sub == 0) {
        out[EAX] = (uint32_t)supported;
        out[EBX] = x86_xsave_size(c->xcr0, false);
        out[ECX] = x86_xsave_size(supported, false);
        out[EDX] = (uint32_t)(supported >> 32);
    } else if (sub == 1) {
        out[EAX] = feature_word(m, 0xd, 1, EAX);
        if (x86_model_has(m, X86F_XSAVEC) || x86_model_has(m, X86F_XSAVES)) {
            out[EBX] = x86_xsave_size(c->xcr0 | c->xss, true);
        }
    } else if (x86_xsave_component(m, sub, &size, &offset)) {
        out[EAX] = size;
        out[EBX] = offset;
    }
}

static void basic(const struct x86_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct x86_model *m = c->model;

    switch (leaf) {
    case 0:
        out[EAX] = c->misc_enable & (1 << 22) && m->max_leaf > 2 ? 2 : m->max_leaf;
        put_vendor(m, out);
        break;
    case 1:
        leaf_1(c, out);
        break;
    case 2:
        if (!x86_model_is_amd(m)) {
            leaf_2(m, out);
        }
        break;
    case 4:
        if (!x86_model_is_amd(m)) {
            cache_leaf(c, sub, out);
        }
        break;
    case 5:
        if (x86_model_has(m, X86F_MONITOR)) {
            out[EAX] = out[EBX] = LINE;
            out[ECX] = 3; /* an interrupt breaks MWAIT even when masked; no C-states (EDX) */
        }
        break;
    case 6:
        out[EAX] = x86_model_has(m, X86F_APIC) ? 4 : 0; /* the APIC timer never stops */
        break;
    case 7:
        leaf_7(c, sub, out);
        break;
    case 0xb:
    case 0x1f: /* levels beyond the core are not modelled, so it says the same */
        leaf_b(c, sub, out);
        break;
    case 0xd:
        leaf_d(c, sub, out);
        break;
    case 0x15: /* TSC = crystal * EBX / EAX: written as 5/2 */
        out[EAX] = (uint32_t)(X86_CRYSTAL_HZ / 500000000);
        out[EBX] = (uint32_t)(X86_TSC_HZ / 500000000);
        out[ECX] = (uint32_t)X86_CRYSTAL_HZ;
        break;
    case 0x16: /* MHz: base, maximum, bus */
        out[EAX] = out[EBX] = (uint32_t)(X86_TSC_HZ / 1000000);
        out[ECX] = 100;
        break;
    default:
        break;
    }
}

static void leaf_x1(const struct x86_cpu *c, uint32_t out[4])
{
    const struct x86_model *m = c->model;

    out[ECX] = feature_word(m, 0x80000001, 0, ECX);
    out[EDX] = feature_word(m, 0x80000001, 0, EDX);
    if (c->misc_enable >> 34 & 1) {
        out[EDX] &= ~(1u << 20); /* NX hidden by IA32_MISC_ENABLE */
    }
    if (x86_model_is_amd(m)) {
        out[EAX] = x86_model_signature(m);
        out[EDX] |= feature_word(m, 1, 0, EDX) & 0x0183f3ff; /* the common ones are shown twice */
        if (logical_per_package(c) > 1) {
            out[ECX] |= 2; /* CmpLegacy: logical processors are cores */
        }
    }
}

static uint32_t kib_of(const struct x86_cache *k)
{
    return (uint32_t)k->sets * k->ways * LINE / 1024;
}

static uint32_t amd_cache(const struct x86_cache *k)
{
    return kib_of(k) << 24 | (uint32_t)k->ways << 16 | 1 << 8 | LINE;
}

/* Associativity as 80000006H has it. */
static unsigned ways_code(const struct x86_cache *k)
{
    static const uint8_t codes[] = {[2] = 2, [4] = 4, [8] = 6, [16] = 8};
    return k->ways == 32 ? 0xa : k->ways < sizeof codes ? codes[k->ways] : 0xf;
}

static void leaf_x6(const struct x86_model *m, uint32_t out[4])
{
    for (unsigned n = 0; m->caches && n < X86_CACHES; n++) {
        const struct x86_cache *k = &m->caches[n];
        if (k->level == 2) {
            out[ECX] =
                kib_of(k) << 16 | ways_code(k) << 12 | (x86_model_is_amd(m) ? 1 << 8 : 0) | LINE;
        } else if (k->level == 3 && x86_model_is_amd(m)) {
            out[EDX] = kib_of(k) / 512 << 18 | ways_code(k) << 12 | 1 << 8 | LINE;
        }
    }
}

static void extended(const struct x86_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct x86_model *m = c->model;
    char brand[48] = {0};

    switch (leaf) {
    case 0x80000000:
        out[EAX] = m->max_xleaf;
        if (x86_model_is_amd(m)) {
            put_vendor(m, out);
        }
        break;
    case 0x80000001:
        leaf_x1(c, out);
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(brand, m->brand, strnlen(m->brand, sizeof brand));
        for (unsigned r = EAX; r <= EDX; r++) {
            out[r] = letters(brand + 16 * (leaf - 0x80000002) + 4 * r);
        }
        break;
    case 0x80000005:
        if (x86_model_is_amd(m) && m->caches) {
            out[EAX] = out[EBX] = 0xff40ff40; /* TLBs: 64 entries, full */
            out[ECX] = amd_cache(&m->caches[0]);
            out[EDX] = amd_cache(&m->caches[1]);
        }
        break;
    case 0x80000006:
        leaf_x6(m, out);
        break;
    case 0x80000007:
        out[EDX] = feature_word(m, leaf, 0, EDX);
        break;
    case 0x80000008:
        out[EAX] = m->phys_bits | (uint32_t)m->lin_bits << 8;
        if (x86_model_is_amd(m)) {
            unsigned logical = logical_per_package(c);
            out[ECX] = package_bits(c) << 12 | ((logical - 1) & 0xff);
        }
        break;
    case 0x8000001d:
        if (x86_model_has(m, X86F_TOPOEXT)) {
            cache_leaf(c, sub, out);
        }
        break;
    case 0x8000001e:
        if (x86_model_has(m, X86F_TOPOEXT)) {
            out[EAX] = c->apic_id;
            out[EBX] = c->apic_id >> id_bits(c->smp_threads) | (c->smp_threads - 1) << 8;
            out[ECX] = c->apic_id >> package_bits(c); /* one node a package */
        }
        break;
    default:
        break;
    }
}

void x86_cpuid(struct x86_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct x86_model *m = c->model;

    memset(out, 0, 4 * sizeof out[0]);
    if (leaf >> 28 == 4) {
        return; /* hypervisors answer here; there is none */
    }
    if (leaf & 0x80000000) {
        if (leaf <= m->max_xleaf) {
            extended(c, leaf, sub, out);
            return;
        }
    } else if (leaf <= m->max_leaf) {
        basic(c, leaf, sub, out);
        return;
    }
    if (!x86_model_is_amd(m)) {
        basic(c, m->max_leaf, sub,
              out); /* Intel: what is unknown answers like the last basic leaf */
    }
}
