/* Creation of the translator, vcpus joining it, and its statistics. */
#include "tcg/tb.h"
#include "tcg/perf.h"
#include "tcg/verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_INSNS 64

/* Executors by the name of the accelerator; the first is the default. */
static const struct executor *const executors[] = {
#ifdef __x86_64__
    &x64_executor,
#endif
    &interp_executor,
};

static const struct executor *find_executor(const char *accel, struct error *err)
{
    if (!accel) {
        return executors[0];
    }
    for (size_t i = 0; i < sizeof(executors) / sizeof(executors[0]); i++) {
        if (!strcmp(executors[i]->name, accel)) {
            return executors[i];
        }
    }
    if (!strcmp(accel, "tcg")) {
        return executors[0]; /* no code generator for this host: the interpreter stands in */
    }
    error_set(err, "unknown accelerator '%s' (this build has: tcg, interp)", accel);
    return NULL;
}

char *tcg_accel_help(void)
{
    return strdup(executors[0] == &interp_executor
                      ? "tcg     the best executor that this host has (here: interp)\n"
                        "interp  interpreter of the intermediate code, on every host\n"
                      : "tcg     compiler to the host's own code\n"
                        "interp  interpreter of the intermediate code, on every host\n");
}

struct tcg *tcg_create(struct machine *m, const struct tcg_options *opt,
                       const struct tcg_host_ops *host, struct error *err)
{
    const struct executor *exec = find_executor(opt ? opt->accel : NULL, err);
    struct tcg *t;

    if (!exec) {
        return NULL;
    }
    if (opt && opt->verify && !exec->generates) {
        error_set(
            err, "verify=on compares a code generator with the interpreter: '%s' generates no code",
            exec->name);
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (!t) {
        error_set(err, "out of memory for the translator");
        return NULL;
    }
    t->m = m;
    t->exec = exec;
    if (opt) {
        t->opt = *opt;
        t->opt.accel = exec->name;
    }
    if (host) {
        t->host = *host;
    }
    t->max_insns = t->opt.one_insn ? 1 : DEFAULT_MAX_INSNS;
    pthread_mutex_init(&t->lock, NULL);
    atomic_init(&t->epoch, 1);
    if (!tb_cache_init(t, err) ||
        (exec->create && !exec->create(t, t->area, TCG_THUNKS_SIZE, err))) {
        tcg_destroy(t);
        return NULL;
    }
    if (t->opt.perfmap || t->opt.jitdump) {
        if (!exec->generates) {
            error_set(err, "perf's files name generated code: '%s' generates none", exec->name);
            tcg_destroy(t);
            return NULL;
        }
        t->perf = perf_open(t->opt.perfmap, t->opt.jitdump, t->opt.symbols, err);
        if (!t->perf) {
            tcg_destroy(t);
            return NULL;
        }
        perf_code(t->perf, "dragoman:enter-and-leave", t->area + t->exec_delta, t->area,
                  TCG_THUNKS_SIZE);
    }
    return t;
}

void tcg_destroy(struct tcg *t)
{
    if (!t) {
        return;
    }
    if (t->backend) {
        t->exec->destroy(t);
    }
    perf_close(t->perf);
    tb_cache_free(t);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

bool tcg_attach(struct tcg *t, struct vcpu *v, struct error *err)
{
    struct tcg_cpu *tc = calloc(1, sizeof(*tc));

    if (!tc) {
        return error_set(err, "out of memory for vcpu %u", v->index);
    }
    tc->scratch = tb_scratch(t, v->index);
    if (!tc->scratch) {
        free(tc);
        return error_set(err, "vcpu %u: the translator has room for %u", v->index, TCG_MAX_VCPUS);
    }
    if (t->opt.verify && !verify_attach(t, v, err)) {
        free(tc);
        return false;
    }
    ir_init(&tc->ir);
    tc->v = v;
    atomic_init(&tc->epoch, UINT64_MAX);
    v->tcg = t;
    v->tcg_cpu = tc;
    v->exec = t->exec;
    for (unsigned ctx = 0; ctx < TLB_NCTX; ctx++) {
        tc->pcs[ctx].stale = true;
        tc->target_log[ctx].n = TARGET_LOG + 1;
    }
    if (t->exec->attach) {
        t->exec->attach(v);
    }
    pthread_mutex_lock(&t->lock);
    tc->next = t->cpus;
    t->cpus = tc;
    pthread_mutex_unlock(&t->lock);
    return true;
}

void tcg_detach(struct vcpu *v)
{
    struct tcg_cpu *tc = v->tcg_cpu, **link;
    struct tcg *t = v->tcg;

    if (!tc) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    for (link = &t->cpus; *link != tc; link = &(*link)->next) {
    }
    *link = tc->next;
    pthread_mutex_unlock(&t->lock);
    verify_detach(v);
    ir_free(&tc->ir);
    free(tc);
    v->tcg_cpu = NULL;
    v->tcg = NULL;
}

void tcg_get_stats(struct tcg *t, struct tcg_stats *out)
{
    *out = (struct tcg_stats){
        .blocks = atomic_load(&t->stat.blocks),
        .guest_bytes = atomic_load(&t->stat.guest_bytes),
        .host_bytes = atomic_load(&t->stat.host_bytes),
        .insns = atomic_load(&t->stat.insns),
        .translate_ns = atomic_load(&t->stat.translate_ns),
        .flushes = atomic_load(&t->stat.flushes),
        .invalidated = atomic_load(&t->stat.invalidated),
        .lookups = atomic_load(&t->stat.lookups),
        .lookup_misses = atomic_load(&t->stat.lookup_misses),
        .links = atomic_load(&t->stat.links),
    };
    pthread_mutex_lock(&t->lock);
    for (const struct tcg_cpu *tc = t->cpus; tc; tc = tc->next) {
        out->entries += __atomic_load_n(&tc->entries, __ATOMIC_RELAXED);
        out->tlb_slow += __atomic_load_n(&tc->v->tlb_slow, __ATOMIC_RELAXED);
        out->tlb_fills += __atomic_load_n(&tc->v->tlb_fills, __ATOMIC_RELAXED);
        out->tlb_flushes += __atomic_load_n(&tc->v->walk_epoch, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&t->lock);
}

char *tcg_describe(struct tcg *t)
{
    struct tcg_stats s;
    uint64_t live, used = 0;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out) {
        return NULL;
    }
    tcg_get_stats(t, &s);
    pthread_mutex_lock(&t->lock);
    live = t->nblocks;
    for (unsigned i = 0; i < TB_ZONES; i++) {
        used += t->zone[i].used;
    }
    pthread_mutex_unlock(&t->lock);
    fprintf(out, "executor:            %s\n", t->exec->name);
    fprintf(out, "code cache:          %" PRIu64 " KiB used of %zu KiB\n", used >> 10,
            t->cache_size >> 10);
    fprintf(out,
            "blocks:              %" PRIu64 " live, %" PRIu64 " made, %" PRIu64 " invalidated\n",
            live, s.blocks, s.invalidated);
    if (s.blocks) {
        fprintf(out, "per block:           %.1f instructions, %.1f guest bytes, %.1f host bytes\n",
                (double)s.insns / (double)s.blocks, (double)s.guest_bytes / (double)s.blocks,
                (double)s.host_bytes / (double)s.blocks);
    }
    fprintf(out, "translation:         %" PRIu64 " us\n", s.translate_ns / 1000);
    fprintf(out, "dispatcher entries:  %" PRIu64 ", %" PRIu64 " answered by the jump cache\n",
            s.entries, s.entries > s.lookups ? s.entries - s.lookups : 0);
    fprintf(out, "look-ups:            %" PRIu64 ", %" PRIu64 " missed\n", s.lookups,
            s.lookup_misses);
    fprintf(out, "links:               %" PRIu64 "\n", s.links);
    fprintf(out, "unwinds:             %" PRIu64 "\n", (uint64_t)atomic_load(&t->stat.unwinds));
    fprintf(out, "executed by:         %s, %" PRIu64 " single instructions apart\n",
            t->exec->generates ? "generated code" : "the interpreter",
            (uint64_t)atomic_load(&t->stat.singles));
    fprintf(out,
            "TLB:                 %" PRIu64 " slow accesses, %" PRIu64 " fills, %" PRIu64
            " flushes\n",
            s.tlb_slow, s.tlb_fills, s.tlb_flushes);
    fprintf(out, "zones recycled:      %" PRIu64 "\n", s.flushes);
    if (t->opt.verify) {
        verify_describe(t, out);
    }
    fclose(out);
    return text;
}
