// Sleeping on a 32-bit word that other processes see, and waking those who sleep: futex(2), not private. What else ends the
// sleep is in interruption.c; waiting in a thread of its own in waiter.c.
#include "naru.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool word_read(napi_env env, napi_value buffer, napi_value offset, uint32_t **out) {
  void *data;
  size_t length;
  int64_t at;
  if (!arg_buffer(env, buffer, &data, &length)) return false;
  if (length < 4) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "buffer has no room for a 32-bit word (or was unmapped)");
    return false;
  }
  if (!arg_integer(env, offset, "byteOffset", 0, (int64_t)length - 4, &at)) return false;
  uint32_t *word = (uint32_t *)((char *)data + at);
  if ((uintptr_t)word % 4 != 0) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "byteOffset must be a multiple of 4");
    return false;
  }
  *out = word;
  return true;
}

bool wait_request_read(napi_env env, const napi_value *values, wait_request *out) {
  int64_t expected;
  if (!word_read(env, values[0], values[1], &out->word)) return false;
  // Both readings of 32 bits are taken: an Int32Array's and a Uint32Array's.
  if (!arg_integer(env, values[2], "expected", INT32_MIN, UINT32_MAX, &expected)) return false;
  out->expected = (uint32_t)expected;
  return arg_timeout(env, values[3], &out->timeout_ms);
}

const char *wait_result_name(wait_result result) {
  switch (result) {
    case WAIT_WOKEN: return "woken";
    case WAIT_CHANGED: return "changed";
    case WAIT_INTERRUPTED: return "interrupted";
    default: return "timeout";
  }
}

wait_result wait_in_slices(const wait_request *request, wait_result (*stop)(void *), void *context) {
  const bool endless = request->timeout_ms < 0 || isinf(request->timeout_ms);
  const double deadline = endless ? INFINITY : clock_ms() + request->timeout_ms;
  for (;;) {
    double left = endless ? NARU_SLICE_MS : deadline - clock_ms();
    if (left > NARU_SLICE_MS) left = NARU_SLICE_MS;
    if (left < 0) left = 0;
    const struct timespec slice = {.tv_sec = 0, .tv_nsec = (long)(left * 1e6)};
    // The kernel compares and goes to sleep in one step; the word is never read here, so memory that went away is EFAULT.
    if (syscall(SYS_futex, request->word, FUTEX_WAIT, request->expected, &slice, NULL, 0) == 0) return WAIT_WOKEN;
    if (errno == EAGAIN) return WAIT_CHANGED;
    if (errno != ETIMEDOUT && errno != EINTR) return WAIT_FAILED;
    const wait_result stopped = stop(context);
    if (stopped != WAIT_WOKEN) return stopped;
    if (clock_ms() >= deadline) return WAIT_TIMEOUT;
  }
}

napi_value naru_futex_wait(napi_env env, napi_callback_info info) {
  napi_value values[4], name;
  wait_request request;
  if (!args_read(env, info, 4, values) || !wait_request_read(env, values, &request)) return NULL;
  blocking_begin(env);
  const wait_result result = wait_in_slices(&request, blocking_stopped, env);
  blocking_end(env);
  if (result == WAIT_FAILED) return throw_errno(env, errno, "futex");
  if (result == WAIT_STOPPED) return NULL;
  napi_create_string_utf8(env, wait_result_name(result), NAPI_AUTO_LENGTH, &name);
  return name;
}

napi_value naru_futex_wake(napi_env env, napi_callback_info info) {
  napi_value values[3], result;
  uint32_t *word;
  int64_t count;
  if (!args_read(env, info, 3, values) || !word_read(env, values[0], values[1], &word) ||
      !arg_integer(env, values[2], "count", 0, INT_MAX, &count))
    return NULL;
  const long woken = count == 0 ? 0 : syscall(SYS_futex, word, FUTEX_WAKE, (int)count, NULL, NULL, 0);
  if (woken < 0) return throw_errno(env, errno, "futex");
  napi_create_int32(env, (int32_t)woken, &result);
  return result;
}

napi_value naru_yield_thread(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  sched_yield();
  return NULL;
}
