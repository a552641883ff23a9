/* The vcpu threads of a machine; private to softmmu/. */
#ifndef SOFTMMU_THREADS_H
#define SOFTMMU_THREADS_H

struct machine;
struct vcpu_threads;

struct vcpu_threads *threads_create(void);
void threads_join(struct machine *m);
void threads_destroy(struct vcpu_threads *t);

#endif
