// Pipes and FIFOs as a place needs them: looking at what lies in one without taking it (tee(2)), taking exactly so much (splice(2)),
// being told of changes once (epoll(7), edge-triggered), waiting for a reader (open(2)), size and locks. pipe(7), fifo(7)
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid // glibc's name for the thread that a timer's signal goes to: timer_create(2)
#endif

// --- The end that reads.

typedef struct {
  napi_env env;
  int fd;         // the pipe; the caller's
  int scratch[2]; // a pipe of our own: what tee(2) copies into
  int nothing;    // /dev/null: what is taken goes there without being copied
  int edge;       // an epoll set of the pipe alone
  bool closed;
} pipe_view;

// Also the environment's cleanup hook.
static void view_end(void *data) {
  pipe_view *it = data;
  if (it->closed) return;
  it->closed = true;
  const int fds[] = {it->scratch[0], it->scratch[1], it->nothing, it->edge};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0) close(fds[i]);
}

static void view_free(napi_env env, void *data, void *hint) {
  (void)hint;
  pipe_view *it = data;
  if (!it->closed) napi_remove_env_cleanup_hook(env, view_end, it);
  view_end(it);
  free(it);
}

static bool view_open(pipe_view *it) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  const int size = fcntl(it->fd, F_GETPIPE_SZ);
  if (size < 0 || pipe2(it->scratch, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  // As large as the pipe, so that all of it can be seen; where that is not allowed, the beginning.
  fcntl(it->scratch[1], F_SETPIPE_SZ, size);
  it->nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  it->edge = epoll_create1(EPOLL_CLOEXEC);
  return it->nothing >= 0 && it->edge >= 0 && epoll_ctl(it->edge, EPOLL_CTL_ADD, it->fd, &event) == 0;
}

// (fd)
static napi_value view(napi_env env, napi_callback_info info) {
  napi_value value, external;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  pipe_view *it = calloc(1, sizeof *it);
  if (it == NULL) return throw_errno(env, ENOMEM, "pipe2");
  *it = (pipe_view){.env = env, .fd = fd, .scratch = {-1, -1}, .nothing = -1, .edge = -1};
  const int error = view_open(it) ? 0 : errno;
  if (error == 0 && napi_create_external(env, it, view_free, NULL, &external) == napi_ok) {
    napi_add_env_cleanup_hook(env, view_end, it);
    return external;
  }
  view_end(it);
  free(it);
  return error == 0 ? NULL : throw_errno(env, error, "pipe2");
}

static pipe_view *arg_view(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok && !((pipe_view *)data)->closed) return data;
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "view must be one that was not closed");
  return NULL;
}

static napi_value number(napi_env env, double value) {
  napi_value result;
  return napi_create_double(env, value, &result) == napi_ok ? result : NULL;
}

// Reads exactly what tee(2) has put there.
static ssize_t read_all(int fd, char *target, size_t length) {
  size_t at = 0;
  while (at < length) {
    const ssize_t got = read(fd, target + at, length - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    at += (size_t)got;
  }
  return (ssize_t)at;
}

// (view, buffer, offset, max) → how many bytes lie there, copied; 0: none and no writer; -1: none.
static napi_value peek(napi_env env, napi_callback_info info) {
  napi_value values[4];
  pipe_view *it;
  void *memory;
  size_t size;
  int64_t offset, max;
  if (!args_read(env, info, 4, values) || (it = arg_view(env, values[0])) == NULL ||
      !arg_buffer(env, values[1], &memory, &size) || !arg_integer(env, values[2], "offset", 0, (int64_t)size, &offset) ||
      !arg_integer(env, values[3], "max", 1, (int64_t)size - offset, &max))
    return NULL;
  ssize_t length;
  do length = tee(it->fd, it->scratch[1], (size_t)max, SPLICE_F_NONBLOCK);
  while (length < 0 && errno == EINTR);
  if (length < 0 && errno == EAGAIN) return number(env, -1);
  if (length < 0) return throw_errno(env, errno, "tee");
  if (read_all(it->scratch[0], (char *)memory + offset, (size_t)length) < 0) return throw_errno(env, errno, "read");
  return number(env, (double)length);
}

// (view, count): takes so many bytes, which are there.
static napi_value skip(napi_env env, napi_callback_info info) {
  napi_value values[2];
  pipe_view *it;
  int64_t count;
  if (!args_read(env, info, 2, values) || (it = arg_view(env, values[0])) == NULL ||
      !arg_integer(env, values[1], "count", 0, INT_MAX, &count))
    return NULL;
  while (count > 0) {
    const ssize_t taken = splice(it->fd, NULL, it->nothing, NULL, (size_t)count, SPLICE_F_NONBLOCK);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return throw_errno(env, errno, "splice");
    if (taken == 0) break;
    count -= taken;
  }
  return NULL;
}

// (view) → the descriptor that is readable when the pipe has changed since calm() was called: for watch() and waitReady().
static napi_value edge(napi_env env, napi_callback_info info) {
  napi_value value;
  pipe_view *it;
  if (!args_read(env, info, 1, &value) || (it = arg_view(env, value)) == NULL) return NULL;
  return number(env, it->edge);
}

// (view): the change has been noticed; look at the pipe after this, not before.
static napi_value calm(napi_env env, napi_callback_info info) {
  napi_value value;
  pipe_view *it;
  struct epoll_event event;
  if (args_read(env, info, 1, &value) && (it = arg_view(env, value)) != NULL) epoll_wait(it->edge, &event, 1, 0);
  return NULL;
}

static napi_value view_close(napi_env env, napi_callback_info info) {
  napi_value value;
  void *data = NULL;
  if (!args_read(env, info, 1, &value) || napi_get_value_external(env, value, &data) != napi_ok) return NULL;
  if (!((pipe_view *)data)->closed) napi_remove_env_cleanup_hook(env, view_end, data);
  view_end(data);
  return NULL;
}

// --- The end that writes.

enum { FULL = -1, GONE = -2 };

// (fd, buffer, offset, length) → how many went in; -1: no room; -2: nobody reads.
static napi_value write_bytes(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int fd;
  void *memory;
  size_t size;
  int64_t offset, length;
  if (!args_read(env, info, 4, values) || !arg_fd(env, values[0], &fd) || !arg_buffer(env, values[1], &memory, &size) ||
      !arg_integer(env, values[2], "offset", 0, (int64_t)size, &offset) ||
      !arg_integer(env, values[3], "length", 0, (int64_t)size - offset, &length))
    return NULL;
  ssize_t written;
  do written = write(fd, (char *)memory + offset, (size_t)length);
  while (written < 0 && errno == EINTR);
  if (written >= 0) return number(env, (double)written);
  if (errno == EAGAIN) return number(env, FULL);
  if (errno == EPIPE) return number(env, GONE);
  return throw_errno(env, errno, "write");
}

typedef struct {
  char path[PATH_MAX];
  int placeholder; // becomes the end that writes: its owner is JavaScript, whatever happens to the wait
} opening;

// open(2) blocks until somebody reads, and knows no time-out: a timer interrupts it, and again each millisecond, should it come
// before the sleep. The threads of task.c block every signal.
static int open_for(const char *path, double slice_ms) {
  const int signal_number = interrupt_signal();
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, signal_number);
  pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal_number};
  event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  const long nanoseconds = (long)(slice_ms * 1e6);
  const struct itimerspec slice = {.it_value = {.tv_nsec = nanoseconds > 0 ? nanoseconds : 1},
                                   .it_interval = {.tv_nsec = 1000000}};
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return -1;
  const int fd = timer_settime(timer, 0, &slice, NULL) == 0 ? open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
  const int error = errno;
  timer_delete(timer);
  errno = error;
  return fd;
}

static wait_result open_slice(void *context, double slice_ms) {
  const opening *it = context;
  struct stat status;
  const int fd = open_for(it->path, slice_ms);
  if (fd < 0) return WAIT_FAILED;
  int error = fstat(fd, &status) != 0 ? errno : S_ISFIFO(status.st_mode) ? 0 : EINVAL;
  if (error == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) error = errno;
  if (error == 0 && dup3(fd, it->placeholder, O_CLOEXEC) < 0) error = errno;
  close(fd);
  errno = error;
  return error == 0 ? WAIT_WOKEN : WAIT_FAILED;
}

static bool opening_read(napi_env env, const napi_value *values, opening *out, double *timeout_ms) {
  if (!arg_string(env, values[0], "path", out->path, sizeof out->path) || !arg_fd(env, values[1], &out->placeholder) ||
      !arg_timeout(env, values[2], timeout_ms))
    return false;
  if (interrupt_signal() != 0) return true;
  throw_code(env, EBUSY, NULL, "no real-time signal is free");
  return false;
}

// (path, placeholder, timeoutMs)
static napi_value wait_reader(napi_env env, napi_callback_info info) {
  napi_value values[3];
  opening wanted;
  double timeout_ms;
  if (!args_read(env, info, 3, values) || !opening_read(env, values, &wanted, &timeout_ms)) return NULL;
  return task_run(env, "open", open_slice, &wanted, timeout_ms);
}

// The same in a thread of its own.
static napi_value wait_reader_async(napi_env env, napi_callback_info info) {
  napi_value values[3];
  double timeout_ms;
  if (!args_read(env, info, 3, values)) return NULL;
  opening *wanted = malloc(sizeof *wanted);
  if (wanted == NULL) return throw_errno(env, ENOMEM, "malloc");
  if (opening_read(env, values, wanted, &timeout_ms)) return task_start(env, "open", open_slice, wanted, timeout_ms, free);
  free(wanted);
  return NULL;
}

// --- Either end.

// (fd) → bytes that nobody has read.
static napi_value bytes(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd, count = 0;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  return ioctl(fd, FIONREAD, &count) == 0 ? number(env, count) : throw_errno(env, errno, "ioctl");
}

// (fd, bytes) → the size it has then, which the kernel rounds up; 0 only asks.
static napi_value resize(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  int64_t wanted;
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "bytes", 0, INT_MAX, &wanted))
    return NULL;
  const int size = wanted == 0 ? fcntl(fd, F_GETPIPE_SZ) : fcntl(fd, F_SETPIPE_SZ, (int)wanted);
  return size >= 0 ? number(env, size) : throw_errno(env, errno, "fcntl");
}

// (fd) → whether the other side has gone: for the end that reads, once it has had a writer.
static napi_value is_abandoned(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  struct pollfd entry = {.fd = fd};
  if (poll(&entry, 1, 0) < 0) return throw_errno(env, errno, "poll");
  return napi_get_boolean(env, (entry.revents & (POLLHUP | POLLERR)) != 0, &result) == napi_ok ? result : NULL;
}

// (fd): reads and writes of this open file do not block from now on, whoever else has it.
static napi_value unblock(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? NULL : throw_errno(env, errno, "fcntl");
}

// (fd): node:fs warns in a worker of closing what it has not opened.
static napi_value close_descriptor(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  return close(fd) == 0 ? NULL : throw_errno(env, errno, "close");
}

// (fd) → 0: it reads, 1: it writes, 2: both.
static napi_value access_mode(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  const int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? throw_errno(env, errno, "fcntl") : number(env, flags & O_ACCMODE);
}

// (fd, start, length): a lock of this open file on a range, which dies with it; length 0: to the end. false: another has it. fcntl(2)
static napi_value lock_range(napi_env env, napi_callback_info info) {
  napi_value values[3], result;
  int fd;
  int64_t start, length;
  if (!args_read(env, info, 3, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "start", 0, INT_MAX, &start) ||
      !arg_integer(env, values[2], "length", 0, INT_MAX, &length))
    return NULL;
  struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  const bool locked = fcntl(fd, F_OFD_SETLK, &range) == 0;
  if (!locked && errno != EAGAIN && errno != EACCES) return throw_errno(env, errno, "fcntl");
  return napi_get_boolean(env, locked, &result) == napi_ok ? result : NULL;
}

bool naru_init_pipes(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      NARU_METHOD("pipeView", view),
      NARU_METHOD("pipePeek", peek),
      NARU_METHOD("pipeSkip", skip),
      NARU_METHOD("pipeEdge", edge),
      NARU_METHOD("pipeCalm", calm),
      NARU_METHOD("pipeViewClose", view_close),
      NARU_METHOD("pipeWrite", write_bytes),
      NARU_METHOD("pipeBytes", bytes),
      NARU_METHOD("pipeSize", resize),
      NARU_METHOD("pipeIsAbandoned", is_abandoned),
      NARU_METHOD("unblock", unblock),
      NARU_METHOD("closeDescriptor", close_descriptor),
      NARU_METHOD("accessMode", access_mode),
      NARU_METHOD("lockRange", lock_range),
      NARU_METHOD("waitReader", wait_reader),
      NARU_METHOD("waitReaderAsync", wait_reader_async),
  };
  return NARU_DEFINE(env, exports, properties);
}
