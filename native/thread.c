// Starting the threads in which the addon waits: small stacks, and no signal of the process lands on them. What they do is the caller's.
#include "naru.h"

#include <signal.h>

enum { STACK_BYTES = 128 * 1024 };

// The process's signals are the main thread's: libuv's and Node's handlers count on it.
int thread_start(pthread_t *thread, int open_signal, void *(*run)(void *), void *argument) {
  pthread_attr_t attributes;
  sigset_t blocked, old;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigfillset(&blocked);
  if (open_signal != 0) sigdelset(&blocked, open_signal);
  pthread_sigmask(SIG_SETMASK, &blocked, &old);
  error = pthread_create(thread, &attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}
