// Descriptors that programs hand to each other: an unnamed pipe, pipe2(2), and waiting until one is readable or
// writable, poll(2), or locked, flock(2).
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

// (nonBlockingReader, nonBlockingWriter) → [reader, writer]. Each end is an open file description of its own.
static napi_value make_pipe(napi_env env, napi_callback_info info) {
  napi_value values[2], result, number;
  bool nonblocking[2];
  int fds[2];
  if (!args_read(env, info, 2, values) || !arg_boolean(env, values[0], "nonBlockingReader", &nonblocking[0]) ||
      !arg_boolean(env, values[1], "nonBlockingWriter", &nonblocking[1]))
    return NULL;
  if (pipe2(fds, O_CLOEXEC) != 0) return throw_errno(env, errno, "pipe2");
  if (napi_create_array(env, &result) != napi_ok) return NULL;
  for (uint32_t i = 0; i < 2; i++) {
    if (nonblocking[i]) fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
    napi_create_int32(env, fds[i], &number);
    napi_set_element(env, result, i, number);
  }
  return result;
}

typedef struct {
  int fd;
  short events;
} readiness;

static wait_result poll_slice(void *context, double slice_ms) {
  const readiness *it = context;
  struct pollfd entry = {.fd = it->fd, .events = it->events};
  const int ready = poll(&entry, 1, (int)slice_ms);
  if (ready < 0) return WAIT_FAILED;
  if (ready > 0 && (entry.revents & POLLNVAL) != 0) {
    errno = EBADF;
    return WAIT_FAILED;
  }
  // An error or a hang-up counts as ready: the read or write that follows says which.
  return ready > 0 ? WAIT_WOKEN : WAIT_TIMEOUT;
}

static bool readiness_read(napi_env env, const napi_value *values, readiness *out, double *timeout_ms) {
  bool for_write;
  if (!arg_fd(env, values[0], &out->fd) || !arg_boolean(env, values[1], "forWrite", &for_write) ||
      !arg_timeout(env, values[2], timeout_ms))
    return false;
  out->events = for_write ? POLLOUT : POLLIN;
  return true;
}

static napi_value wait_ready(napi_env env, napi_callback_info info) {
  napi_value values[3];
  readiness wanted;
  double timeout_ms;
  if (!args_read(env, info, 3, values) || !readiness_read(env, values, &wanted, &timeout_ms)) return NULL;
  return task_run(env, "poll", poll_slice, &wanted, timeout_ms);
}

static void readiness_release(void *context) {
  close(((readiness *)context)->fd);
  free(context);
}

static napi_value wait_ready_async(napi_env env, napi_callback_info info) {
  napi_value values[3];
  readiness wanted;
  double timeout_ms;
  if (!args_read(env, info, 3, values) || !readiness_read(env, values, &wanted, &timeout_ms)) return NULL;
  // The thread has a descriptor of its own, so that a close() meanwhile does not give its number to somebody else.
  wanted.fd = fcntl(wanted.fd, F_DUPFD_CLOEXEC, 0);
  if (wanted.fd < 0) return throw_errno(env, errno, "fcntl");
  readiness *kept = malloc(sizeof *kept);
  if (kept == NULL) {
    close(wanted.fd);
    return throw_errno(env, ENOMEM, "malloc");
  }
  *kept = wanted;
  return task_start(env, "poll", poll_slice, kept, timeout_ms, readiness_release);
}

// flock(2) cannot be given a time, and no event tells that a lock is free: a wait looks again and again, less and less often.
typedef struct {
  int fd; // of its own, so that a close() meanwhile does not give its number to somebody else; the same lock
  int operation;
  double pause_ms;
} locking;

enum { LONGEST_PAUSE_MS = 16 };

static wait_result lock_slice(void *context, double slice_ms) {
  locking *it = context;
  if (flock(it->fd, it->operation | LOCK_NB) == 0) return WAIT_WOKEN;
  if (errno != EWOULDBLOCK) return WAIT_FAILED;
  const double pause_ms = it->pause_ms < slice_ms ? it->pause_ms : slice_ms;
  const struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)(pause_ms * 1e6)};
  it->pause_ms = it->pause_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : it->pause_ms * 2;
  if (nanosleep(&pause, NULL) != 0) return WAIT_FAILED;
  return WAIT_TIMEOUT;
}

static void locking_release(void *context) {
  close(((locking *)context)->fd);
  free(context);
}

static bool locking_read(napi_env env, const napi_value *values, locking *out, double *timeout_ms) {
  bool exclusive;
  if (!arg_fd(env, values[0], &out->fd) || !arg_boolean(env, values[1], "exclusive", &exclusive) ||
      !arg_timeout(env, values[2], timeout_ms))
    return false;
  out->operation = exclusive ? LOCK_EX : LOCK_SH;
  out->pause_ms = 0.25;
  return true;
}

static napi_value wait_lock(napi_env env, napi_callback_info info) {
  napi_value values[3];
  locking wanted;
  double timeout_ms;
  if (!args_read(env, info, 3, values) || !locking_read(env, values, &wanted, &timeout_ms)) return NULL;
  return task_run(env, "flock", lock_slice, &wanted, timeout_ms);
}

static napi_value wait_lock_async(napi_env env, napi_callback_info info) {
  napi_value values[3];
  locking wanted;
  double timeout_ms;
  if (!args_read(env, info, 3, values) || !locking_read(env, values, &wanted, &timeout_ms)) return NULL;
  wanted.fd = fcntl(wanted.fd, F_DUPFD_CLOEXEC, 0);
  if (wanted.fd < 0) return throw_errno(env, errno, "fcntl");
  locking *kept = malloc(sizeof *kept);
  if (kept == NULL) {
    close(wanted.fd);
    return throw_errno(env, ENOMEM, "malloc");
  }
  *kept = wanted;
  return task_start(env, "flock", lock_slice, kept, timeout_ms, locking_release);
}

bool naru_init_descriptors(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      NARU_METHOD("makePipe", make_pipe),
      NARU_METHOD("waitReady", wait_ready),
      NARU_METHOD("waitReadyAsync", wait_ready_async),
      NARU_METHOD("waitLock", wait_lock),
      NARU_METHOD("waitLockAsync", wait_lock_async),
  };
  return NARU_DEFINE(env, exports, properties);
}
