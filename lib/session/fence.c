/* fence: see session/fence.h. Landlock holds files, a seccomp filter system calls: by what is forbidden, since the C
 * library's own calls differ between its versions and under sanitizers. */
#define _GNU_SOURCE /* syscall */
#include "session/fence.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |    \
     LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |  \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
#define BELOW                                                                                     \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

static bool raise_landlock(const int *directory, size_t n)
{
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
        return false;
    struct landlock_ruleset_attr all = {.handled_access_fs = FILES};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    bool done = rules >= 0;
    for (size_t i = 0; done && i < n; i++) {
        struct landlock_path_beneath_attr below = {.allowed_access = BELOW, .parent_fd = directory[i]};
        done = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0;
    }
    done = done && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    if (rules >= 0)
        close(rules);
    return done;
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef ARCH
#define FORBID(call)                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)SYS_##call, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static bool raise_seccomp(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* calls of the x32 form */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
        FORBID(execve),
        FORBID(execveat),
        FORBID(socket),
        FORBID(socketpair),
        FORBID(connect),
        FORBID(bind),
        FORBID(listen),
        FORBID(ptrace),
        FORBID(process_vm_readv),
        FORBID(process_vm_writev),
        FORBID(kill),
        FORBID(tkill),
        FORBID(mount),
        FORBID(umount2),
        FORBID(pivot_root),
        FORBID(chroot),
        FORBID(unshare),
        FORBID(setns),
        FORBID(bpf),
        FORBID(perf_event_open),
        FORBID(init_module),
        FORBID(finit_module),
        FORBID(kexec_load),
        FORBID(keyctl),
        FORBID(add_key),
        FORBID(request_key),
        FORBID(userfaultfd),
        FORBID(symlinkat),
        FORBID(linkat),
        FORBID(mknodat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
static bool raise_seccomp(void)
{
    return false;
}
#endif

#ifdef __SANITIZE_ADDRESS__
/* The search for leaks at the process's end wants ptrace, which the fence forbids, and would wait for it for ever. */
static bool raised;
int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return raised;
}
#endif

const char *fence_raise(const int *directory, size_t n, int64_t file_bytes)
{
    struct rlimit size = {(rlim_t)file_bytes, (rlim_t)file_bytes}, had, none = {0, 0};
    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &had) == 0 && had.rlim_max > size.rlim_max)
        setrlimit(RLIMIT_FSIZE, &size);
    setrlimit(RLIMIT_CORE, &none);
#ifdef __SANITIZE_ADDRESS__
    raised = true;
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return "nothing";
    bool files = raise_landlock(directory, n), calls = raise_seccomp();
    return files && calls ? "landlock, seccomp" : files ? "landlock" : calls ? "seccomp" : "nothing";
}
