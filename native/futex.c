// Sleeping on a 32-bit word that other processes see, and waking those who sleep: futex(2), not private. What a sleeping
// thread must notice besides the word: the end of its worker, and signals. Waiting in a thread of its own is in waiter.c.
#include "naru.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
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

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

wait_result wait_in_slices(const wait_request *request, wait_result (*stop)(void *), void *context) {
  const bool endless = request->timeout_ms < 0 || isinf(request->timeout_ms);
  const double deadline = endless ? INFINITY : now_ms() + request->timeout_ms;
  for (;;) {
    double left = endless ? NARU_SLICE_MS : deadline - now_ms();
    if (left > NARU_SLICE_MS) left = NARU_SLICE_MS;
    if (left < 0) left = 0;
    const struct timespec slice = {.tv_sec = 0, .tv_nsec = (long)(left * 1e6)};
    // The kernel compares and goes to sleep in one step; the word is never read here, so memory that went away is EFAULT.
    if (syscall(SYS_futex, request->word, FUTEX_WAIT, request->expected, &slice, NULL, 0) == 0) return WAIT_WOKEN;
    if (errno == EAGAIN) return WAIT_CHANGED;
    if (errno != ETIMEDOUT && errno != EINTR) return WAIT_FAILED;
    const wait_result stopped = stop(context);
    if (stopped != WAIT_WOKEN) return stopped;
    if (now_ms() >= deadline) return WAIT_TIMEOUT;
  }
}

// --- Signals. libuv's handlers only note the signal for the event loop, which a sleeping thread never reaches; so while the
// main thread sleeps, signals that have a handler get ours, which ends the sleep. Afterwards the old handler is put back and
// the signal is delivered to it again, as it came. Not chained to from our handler: one that is reset by its first delivery
// and raises the signal anew (Node's own, where JavaScript has none) would call us for ever.

static struct {
  const int number;
  bool likely; // it had a handler at the last wait
  bool taken;
  struct sigaction old;
  siginfo_t info;
  volatile sig_atomic_t arrived;
} signals[] = {{.number = SIGINT, .likely = true}, {.number = SIGTERM, .likely = true}, {.number = SIGHUP}};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

// Async-signal-safe: signal-safety(7). The main thread may send itself any siginfo, rt_tgsigqueueinfo(2), so that whoever handles
// the signal in the end sees who really sent it; from another thread it is refused, and the sender's name is lost.
static void send_to_main(int number, siginfo_t *info) {
  const pid_t pid = getpid();
  if (syscall(SYS_rt_tgsigqueueinfo, pid, pid, number, info) != 0) syscall(SYS_tgkill, pid, pid, number);
}

static void note_signal(int number, siginfo_t *info, void *context) {
  (void)context;
  const int error = errno;
  if (syscall(SYS_gettid) != getpid()) {
    // The kernel may choose any thread. Noted here it could come too late for signal_give_back(), and would wake nobody.
    send_to_main(number, info);
  } else {
    for (int i = 0; i < SIGNALS; i++) {
      if (signals[i].number != number) continue;
      signals[i].info = *info;
      signals[i].arrived = 1;
    }
  }
  errno = error;
}

static bool is_handler(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void signal_give_back(int i) {
  if (signals[i].taken) sigaction(signals[i].number, &signals[i].old, NULL);
  if (signals[i].arrived != 0) send_to_main(signals[i].number, &signals[i].info);
}

// One system call for a signal that is as it was at the last wait, whichever way: this is on the path of every sleep.
static void signal_take(int i) {
  struct sigaction ours = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&ours.sa_mask);
  signals[i].arrived = 0;
  signals[i].taken = sigaction(signals[i].number, signals[i].likely ? &ours : NULL, &signals[i].old) == 0 &&
                     signals[i].likely;
  const bool was_likely = signals[i].likely;
  signals[i].likely = is_handler(&signals[i].old);
  if (was_likely && !signals[i].likely) {
    signal_give_back(i);
    signals[i].arrived = 0;
    signals[i].taken = false;
  } else if (!was_likely && signals[i].likely) {
    signals[i].taken = sigaction(signals[i].number, &ours, &signals[i].old) == 0;
  }
}

static wait_result signal_arrived(void) {
  for (int i = 0; i < SIGNALS; i++)
    if (signals[i].arrived != 0) return WAIT_INTERRUPTED;
  return WAIT_WOKEN;
}

// --- Ends. A worker that is being terminated may run no JavaScript, and that is how we see it: a call that could is refused.

static bool may_run(napi_env env) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
  napi_value object;
  bool has;
  const bool ok = napi_create_object(env, &object) == napi_ok && napi_has_named_property(env, object, "x", &has) == napi_ok;
  napi_close_handle_scope(env, scope);
  return ok;
}

static wait_result stop_worker(void *env) {
  return may_run(env) ? WAIT_WOKEN : WAIT_STOPPED;
}

static wait_result stop_main(void *env) {
  const wait_result interrupted = signal_arrived();
  return interrupted != WAIT_WOKEN ? interrupted : stop_worker(env);
}

// Only in the main thread does a signal handler of JavaScript's wait behind us.
void blocking_begin(bool main_thread) {
  for (int i = 0; main_thread && i < SIGNALS; i++) signal_take(i);
}

void blocking_end(bool main_thread) {
  const int error = errno;
  for (int i = 0; main_thread && i < SIGNALS; i++) signal_give_back(i);
  errno = error;
}

wait_result blocking_stopped(napi_env env, bool main_thread) {
  return main_thread ? stop_main(env) : stop_worker(env);
}

napi_value naru_futex_wait(napi_env env, napi_callback_info info) {
  napi_value values[4], name;
  wait_request request;
  if (!args_read(env, info, 4, values) || !wait_request_read(env, values, &request)) return NULL;
  const bool main_thread = environment_of(env)->main_thread;
  blocking_begin(main_thread);
  const wait_result result = wait_in_slices(&request, main_thread ? stop_main : stop_worker, env);
  blocking_end(main_thread);
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
