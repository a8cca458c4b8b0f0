/* Preloaded by linux.uml: room for more of a processor's registers than its kernel 6.1 has.
 *
 * It asks for the extended state of its processes in a buffer of 2.7 KB and hands that back, which
 * the host refuses (EFAULT) where the state is larger, as with AMX. Here the host gets a whole one:
 * what is not in linux.uml's part of it stays as no program has used it. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define STATE 0xd      /* the leaf of cpuid that describes it */
#define IN_USE 512     /* where its header says which components it holds, a bit each */
#define FIRST_FURTHER 2 /* those before are in the legacy part, which is always there */

static size_t whole_bytes(void) {
    unsigned eax, bytes, ecx, edx;
    __cpuid_count(STATE, 0, eax, bytes, ecx, edx);
    return bytes;
}

static int ends_within(int component, size_t part) {
    unsigned bytes, offset, ecx, edx;
    __cpuid_count(STATE, component, bytes, offset, ecx, edx);
    return offset + bytes <= part;
}

long ptrace(enum __ptrace_request request, ...) {
    static long (*next)(int, ...);
    static __thread char state[1 << 16] __attribute__((aligned(64)));
    va_list given;
    va_start(given, request);
    int pid = va_arg(given, int);
    void *kind = va_arg(given, void *), *data = va_arg(given, void *);
    va_end(given);
    if (!next) next = dlsym(RTLD_NEXT, "ptrace");

    int sets = request == PTRACE_SETREGSET;
    if ((!sets && request != PTRACE_GETREGSET) || (long)kind != NT_X86_XSTATE)
        return next(request, pid, kind, data);
    struct iovec *part = data, whole = {state, whole_bytes()};
    if (part->iov_len >= whole.iov_len || whole.iov_len > sizeof state)
        return next(request, pid, kind, data);
    if (!sets) {
        long failed = next(request, pid, kind, &whole);
        if (!failed) memcpy(part->iov_base, state, part->iov_len);
        return failed;
    }
    memset(state, 0, whole.iov_len);
    memcpy(state, part->iov_base, part->iov_len);
    uint64_t *in_use = (uint64_t *)(state + IN_USE);
    for (int component = FIRST_FURTHER; component < 63; component++)
        if (*in_use >> component & 1 && !ends_within(component, part->iov_len))
            *in_use &= ~(UINT64_C(1) << component);
    return next(request, pid, kind, &whole);
}
