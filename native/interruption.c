// What ends the sleep of a thread that runs JavaScript, besides what it waits for: a signal that JavaScript handles, and the end of
// its worker. Whoever sleeps does so in slices and asks here between them.
#include "naru.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static bool signal_arrived(void) {
  for (int i = 0; i < SIGNALS; i++)
    if (signals[i].arrived != 0) return true;
  return false;
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

// Only in the main thread does a signal handler of JavaScript's wait behind us.
void blocking_begin(napi_env env) {
  for (int i = 0; environment_of(env)->main_thread && i < SIGNALS; i++) signal_take(i);
}

void blocking_end(napi_env env) {
  const int error = errno;
  for (int i = 0; environment_of(env)->main_thread && i < SIGNALS; i++) signal_give_back(i);
  errno = error;
}

wait_result blocking_stopped(void *env) {
  if (environment_of(env)->main_thread && signal_arrived()) return WAIT_INTERRUPTED;
  return may_run(env) ? WAIT_WOKEN : WAIT_STOPPED;
}
