// System calls that block the calling thread: cut into slices, so that the end of a worker, a signal and a deadline are noticed,
// and interrupted by a signal of our own where the call itself knows no time-out.
#include "naru.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

static void do_nothing(int number) {
  (void)number;
}

static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static int chosen;

// The highest real-time signal that nobody has a handler for: programs and libraries count from SIGRTMIN up, signal(7).
// Without SA_RESTART; msgrcv(2) and msgsnd(2) are never restarted anyway.
static void choose(void) {
  for (int number = SIGRTMAX; number > SIGRTMIN && chosen == 0; number--) {
    struct sigaction current;
    if (sigaction(number, NULL, &current) != 0 || (current.sa_flags & SA_SIGINFO) != 0 || current.sa_handler != SIG_DFL)
      continue;
    const struct sigaction ours = {.sa_handler = do_nothing};
    if (sigaction(number, &ours, NULL) == 0) chosen = number;
  }
}

int interrupt_signal(void) {
  pthread_once(&chosen_once, choose);
  return chosen;
}

// Tries before a thread goes to sleep. Preparing a sleep that signals can end and waking from it cost as much as these, and where
// messages stream the next one is there sooner; the other side then has nobody to wake either.
enum { TRIES = 20 };

bool spin_briefly(blocking_slice attempt, void *context, ssize_t *out) {
  for (int i = 0; i < TRIES; i++) {
    *out = attempt(context, 0);
    if (*out >= 0) return true;
    if (errno != EAGAIN && errno != ENOMSG && errno != EINTR) return false;
    sched_yield();
  }
  return false;
}

wait_result block_in_slices(napi_env env, double timeout_ms, blocking_slice slice, void *context, ssize_t *out) {
  const double deadline = timeout_ms < 0 ? INFINITY : clock_ms() + timeout_ms;
  wait_result result = WAIT_WOKEN;
  blocking_begin(env);
  for (;;) {
    const double left = deadline - clock_ms();
    if (left <= 0) {
      result = WAIT_TIMEOUT;
      break;
    }
    *out = slice(context, left < NARU_SLICE_MS ? left : NARU_SLICE_MS);
    if (*out >= 0) break;
    if (errno != EINTR && errno != ETIMEDOUT && errno != EAGAIN) {
      result = WAIT_FAILED;
      break;
    }
    result = blocking_stopped(env);
    if (result != WAIT_WOKEN) break;
  }
  blocking_end(env);
  return result;
}
