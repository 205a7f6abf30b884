// Descriptors that programs hand to each other: an unnamed pipe, pipe2(2), and waiting until one is readable or writable, poll(2).
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
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

bool naru_init_descriptors(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      NARU_METHOD("makePipe", make_pipe),
      NARU_METHOD("waitReady", wait_ready),
      NARU_METHOD("waitReadyAsync", wait_ready_async),
  };
  return NARU_DEFINE(env, exports, properties);
}
