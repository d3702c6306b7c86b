// Runs inside the sandbox, tries what it is told to try, and prints what came of it: "attempt: ok" or "attempt: ENAME".
//
// In C because almost every attempt is a bare system call with odd arguments, and because a static program needs no library
// inside. fixture.rs compiles it. Attempts that take an operand are written "attempt=operand".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define NEWUSER 0x10000000

static const char *operand;

static long number(void) { return strtol(operand, NULL, 10); }

static long print_file(void) {
    char buffer[65536];
    int fd = open(operand, O_RDONLY);
    if (fd < 0) return -1;
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)length, stdout);
    close(fd);
    return length;
}

static int compare(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

static long print_directory(void) {
    char *names[4096];
    size_t count = 0;
    DIR *directory = opendir(operand);
    if (!directory) return -1;
    for (struct dirent *entry; count < 4096 && (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[count++] = strdup(entry->d_name);
    closedir(directory);
    qsort(names, count, sizeof *names, compare);
    for (size_t index = 0; index < count; index++) printf("%s%s", index ? " " : "", names[index]);
    printf("\n");
    return 0;
}

static long print_ids(void) {
    uid_t u[3];
    gid_t g[3];
    if (getresuid(&u[0], &u[1], &u[2]) || getresgid(&g[0], &g[1], &g[2])) return -1;
    return printf("%u %u %u %u %u %u\n", u[0], u[1], u[2], g[0], g[1], g[2]) < 0;
}

static long print_environment(void) {
    for (char **entry = environ; *entry; entry++) printf("%s\n", *entry);
    return 0;
}

static long print_place(void) {
    char host[256], directory[4096];
    if (gethostname(host, sizeof host) || !getcwd(directory, sizeof directory)) return -1;
    mode_t mask = umask(0);
    printf("%s %s %03o sid=%d pid=%d ppid=%d tty=%d\n", host, directory, mask, getsid(0) == getpid(), getpid(), getppid(),
           open("/dev/tty", O_RDWR) >= 0);
    return 0;
}

static long print_limits(void) {
    int kinds[] = {RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_STACK};
    for (size_t index = 0; index < 3; index++) {
        struct rlimit limit;
        if (getrlimit(kinds[index], &limit)) return -1;
        printf("%lld ", (long long)limit.rlim_cur);
    }
    printf("\n");
    return 0;
}

// The descriptors that are open, looked for without opening any.
static long print_files(void) {
    for (int fd = 0; fd < 65536; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
    printf("\n");
    return 0;
}

static long try_write(void) {
    int fd = open(operand, O_WRONLY | O_CREAT, 0644);
    return fd < 0 ? -1 : write(fd, "x", 1) - 1;
}

static long try_fill(void) {
    static char block[1 << 16];
    memset(block, 1, sizeof block);
    for (long file = 0;; file++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%ld", operand, file);
        int fd = open(name, O_WRONLY | O_CREAT, 0644);
        if (fd < 0) return -1;
        for (int index = 0; index < 16; index++)
            if (write(fd, block, sizeof block) < 0) return -1;
        close(fd);
    }
}

// Fills a directory and takes away the right to look into it.
static long hide_megabytes(void) {
    static char block[1 << 20];
    memset(block, 1, sizeof block);
    if (mkdir("hidden", 0755)) return -1;
    int fd = open("hidden/file", O_WRONLY | O_CREAT, 0);
    for (long count = number(); count > 0; count--)
        if (write(fd, block, sizeof block) < 0) return -1;
    return chmod("hidden", 0);
}

// Holds a FIFO open for as long as this process lives.
static long hold_fifo(void) { return open(operand, O_WRONLY); }

static long connect_inet(void) {
    char host[64];
    const char *colon = strchr(operand, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - operand), operand);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    inet_pton(AF_INET, host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
}

// A server and a client of our own on lo.
static long use_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&address, length) || listen(server, 1)) return -1;
    if (getsockname(server, (struct sockaddr *)&address, &length)) return -1;
    return connect(client, (struct sockaddr *)&address, length);
}

static long connect_abstract(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(operand);
    memcpy(address.sun_path + 1, operand, length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
}

static long vsock(void) { return socket(AF_VSOCK, SOCK_STREAM, 0); }
static long raw_socket(void) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static long packet_socket(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long netlink_audit(void) { return socket(AF_NETLINK, SOCK_RAW, 9); }
static long netlink_route(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }

static long chmod_setuid(void) { return syscall(SYS_fchmodat, AT_FDCWD, operand, 04755); }
static long chmod_setgid(void) { return chmod(operand, 02755); }
static long fchmod_setuid(void) { return fchmod(open(operand, O_RDONLY), 04755); }
static long fchmodat2_setuid(void) { return syscall(452, AT_FDCWD, operand, 04755, 0); }
static long chmod_plain(void) { return chmod(operand, 0755); }
static long create_setuid(void) { return open(operand, O_WRONLY | O_CREAT, 04755); }
static long tmpfile_setuid(void) { return open(operand, O_WRONLY | O_TMPFILE, 04755); }
static long openat2_setuid(void) {
    struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 04755};
    return syscall(SYS_openat2, AT_FDCWD, operand, &how, sizeof how);
}
static long mknod_setuid(void) { return mknod(operand, S_IFREG | 04755, 0); }
static long mknod_device(void) { return mknod(operand, S_IFBLK | 0600, makedev(8, 0)); }
static long set_attribute(void) { return setxattr(operand, "user.test", "x", 1, 0); }
static long set_access_list(void) { return setxattr(operand, "system.posix_acl_access", "x", 1, 0); }
static long set_file_capability(void) { return setxattr(operand, "security.capability", "x", 1, 0); }

static long in_child(long (*body)(void)) {
    pid_t child = fork();
    if (child == 0) _exit(body() < 0 ? errno : 0);
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
    if (WIFSIGNALED(status)) return printf("signal %d\n", WTERMSIG(status)), 0;
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

static long unshare_user(void) { return unshare(CLONE_NEWUSER); }
static long unshare_mounts(void) { return unshare(CLONE_NEWNS); }
static long clone_user(void) {
    long child = syscall(SYS_clone, NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return child;
}
static long clone3_user(void) { return syscall(SYS_clone3, NULL, 0); }
static long enter_namespace(void) { return setns(open("/proc/self/ns/user", O_RDONLY), 0); }
static long mount_tmpfs(void) { return mount("none", "/", "tmpfs", 0, NULL); }
static long remount(void) { return mount("none", "/", NULL, MS_REMOUNT, NULL); }
static long unmount_proc(void) { return umount2("/proc", MNT_DETACH); }
static long open_context(void) { return syscall(SYS_fsopen, "tmpfs", 0); }
static long clone_tree(void) { return syscall(SYS_open_tree, AT_FDCWD, "/", 1); }
static long change_mount(void) { return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, NULL, 0); }
static long change_root(void) { return chroot("/"); }
static long io_uring(void) { return syscall(SYS_io_uring_setup, 1, NULL); }
static long keyring(void) { return syscall(SYS_keyctl, 0, -3, 1); }
static long add_key(void) { return syscall(SYS_add_key, "user", "x", "x", 1, -3); }
static long bpf(void) { return syscall(SYS_bpf, 0, NULL, 0); }
static long perf(void) { return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0); }
static long userfault(void) { return syscall(SYS_userfaultfd, 1); }
static long read_memory(void) { return syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0); }
static long open_handle(void) { return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0); }
static long name_handle(void) { return syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0); }
static long load_module(void) { return syscall(SYS_init_module, NULL, 0, ""); }
static long swap_on(void) { return syscall(SYS_swapon, "/x", 0); }
static long reboot_machine(void) { return syscall(SYS_reboot, 0, 0, 0, NULL); }
static long load_kernel(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 0); }
static long quota(void) { return syscall(SYS_quotactl, 0, NULL, 0, NULL); }
static long set_clock(void) { return syscall(SYS_clock_settime, CLOCK_REALTIME, NULL); }
static long steal_file(void) { return syscall(SYS_pidfd_getfd, 0, 0, 0); }
static long type_into_terminal(void) { return ioctl(0, TIOCSTI, "x"); }
static long type_with_high_bits(void) { return syscall(SYS_ioctl, 0, TIOCSTI | (1UL << 32), "x"); }
static long paste_into_terminal(void) { return ioctl(0, TIOCLINUX, "\3"); }
static long set_host_name(void) { return sethostname("x", 1); }
static long become_root(void) { return setuid(0); }
static long trace_init(void) { return ptrace(PTRACE_ATTACH, 1, NULL, NULL); }
static long trace_process(void) { return ptrace(PTRACE_ATTACH, (pid_t)number(), NULL, NULL); }
static long signal_process(void) { return kill((pid_t)number(), SIGKILL); }
static long kill_init(void) { return kill(1, SIGKILL); }
static long terminate_init(void) { return kill(1, SIGTERM); }
static long raise_priority(void) { return setpriority(PRIO_PROCESS, 0, -5); }
static long new_terminal(void) {
    int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    return fd < 0 ? -1 : grantpt(fd) || unlockpt(fd) ? -1 : open(ptsname(fd), O_RDWR | O_NOCTTY);
}

#if defined __x86_64__
static long call_x32_body(void) { return syscall(0x40000000 + SYS_getpid); }
static long call_i386_body(void) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "0"(20L) : "memory", "r8", "r9", "r10", "r11");
    return result;
}
#else
static long call_x32_body(void) { return raise(SIGSYS); }
static long call_i386_body(void) { return raise(SIGSYS); }
#endif
static long call_x32(void) { return in_child(call_x32_body); }
static long call_i386(void) { return in_child(call_i386_body); }

static _Noreturn void pause_forever(void) { for (;;) pause(); }
static long loop_forever(void) {
    for (volatile int turning = 1; turning;) { }
    return 0;
}
static long sleep_forever(void) { pause_forever(); }
static long flood(void) { for (;;) { if (write(1, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n", 32) < 0) return -1; } }
static long stay_as_daemon(void) {
    if (fork() == 0) {
        setsid();
        for (int signal = 1; signal < 32; signal++) (void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        if (fork() == 0) pause_forever();
        pause_forever();
    }
    return 0;
}
static long fork_until_refused(void) {
    for (long count = 0;; count++) {
        pid_t child = fork();
        if (child < 0) return printf("%ld\n", count), -1;
        if (child == 0) pause_forever();
    }
}
static long allocate(void) {
    char *memory = malloc((size_t)number());
    if (!memory) return -1;
    memset(memory, 1, (size_t)number());
    return 0;
}
static long wait_for_signal(void) {
    int got;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("waiting\n");
    fflush(stdout);
    sigwait(&set, &got);
    return printf("signal %d\n", got) < 0;
}
static long end_with(void) { exit((int)number()); }
static long die_by(void) { return raise((int)number()); }

static const struct {
    const char *name;
    long (*try)(void);
} attempts[] = {
#define TRY(function) {#function, function}
    TRY(print_file), TRY(print_directory), TRY(print_ids), TRY(print_environment), TRY(print_place), TRY(print_limits),
    TRY(print_files), TRY(try_write), TRY(try_fill), TRY(hide_megabytes), TRY(hold_fifo), TRY(connect_inet), TRY(use_loopback),
    TRY(connect_abstract), TRY(vsock), TRY(raw_socket), TRY(packet_socket), TRY(netlink_audit), TRY(netlink_route),
    TRY(chmod_setuid), TRY(chmod_setgid), TRY(fchmod_setuid), TRY(fchmodat2_setuid), TRY(chmod_plain), TRY(create_setuid),
    TRY(tmpfile_setuid), TRY(openat2_setuid), TRY(mknod_setuid), TRY(mknod_device), TRY(set_attribute),
    TRY(set_access_list), TRY(set_file_capability), TRY(unshare_user), TRY(unshare_mounts), TRY(clone_user),
    TRY(clone3_user), TRY(enter_namespace), TRY(mount_tmpfs), TRY(remount), TRY(unmount_proc), TRY(open_context),
    TRY(clone_tree), TRY(change_mount), TRY(change_root), TRY(io_uring), TRY(keyring), TRY(add_key), TRY(bpf), TRY(perf),
    TRY(userfault), TRY(read_memory), TRY(open_handle), TRY(name_handle), TRY(load_module), TRY(swap_on),
    TRY(reboot_machine), TRY(load_kernel), TRY(quota), TRY(set_clock), TRY(steal_file), TRY(type_into_terminal),
    TRY(type_with_high_bits), TRY(paste_into_terminal), TRY(set_host_name), TRY(become_root), TRY(trace_init),
    TRY(trace_process), TRY(signal_process), TRY(kill_init), TRY(terminate_init), TRY(raise_priority), TRY(new_terminal),
    TRY(call_x32), TRY(call_i386), TRY(loop_forever), TRY(sleep_forever), TRY(flood), TRY(stay_as_daemon),
    TRY(fork_until_refused), TRY(allocate), TRY(wait_for_signal), TRY(end_with), TRY(die_by),
};

int main(int count, char **arguments) {
    for (int index = 1; index < count; index++) {
        char *equals = strchr(arguments[index], '=');
        if (equals) *equals = 0;
        operand = equals ? equals + 1 : "";
        long (*try)(void) = NULL;
        for (size_t which = 0; which < sizeof attempts / sizeof *attempts; which++)
            if (!strcmp(attempts[which].name, arguments[index])) try = attempts[which].try;
        if (!try) return fprintf(stderr, "no attempt is called %s\n", arguments[index]), 99;
        errno = 0;
        const char *result = try() < 0 ? strerrorname_np(errno) : "ok";
        printf("%s: %s\n", arguments[index], result);
        fflush(stdout);
    }
    return 0;
}
