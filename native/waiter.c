// futexWaitAsync: each wait in a thread of its own, because a blocked one would take libuv's pool (four threads) from everybody.
// The thread touches its own record and the environment's queue of results, nothing else; all else is done by the event loop.
#include "naru.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Only the kernel's futex call and a few words of ours run on it.
struct waiter {
  wait_request request;
  pthread_t thread;
  _Atomic uint32_t stop;  // a futex too: 1 ends the wait
  wait_result result;
  int error;
  bool posted;            // handed to the queue, whose callback frees it; read after the join only
  bool keep_alive;
  napi_threadsafe_function results;
  napi_deferred deferred;
  napi_ref buffer;        // keeps the memory while the thread looks at it
  mapping *held;          // keeps it even if somebody unmaps; NULL when it is not a mapping
  environment *own;       // NULL once the environment has gone
  waiter *previous, *next;
};

static wait_result stop_waiter(void *context) {
  waiter *it = context;
  return atomic_load(&it->stop) != 0 ? WAIT_STOPPED : WAIT_WOKEN;
}

// Linux 5.16, one number for all architectures; older headers lack both. kernel.org, userspace-api/futex2
enum { FUTEX_WAITV = 449, FUTEX_WORD_OF_32_BITS = 2 };
struct wait_entry {
  uint64_t expected;
  uint64_t word;
  uint32_t flags;
  uint32_t reserved;
};

// Sleeps on the word and on our own `stop` at once: no slices, so an idle wait costs nothing and an end is not waited for.
// WAIT_FAILED with ENOSYS (or EPERM from a sandbox that does not know the call) where the kernel cannot.
static wait_result wait_for_both(waiter *it) {
  const struct wait_entry entries[] = {
      {.expected = it->request.expected, .word = (uintptr_t)it->request.word, .flags = FUTEX_WORD_OF_32_BITS},
      {.expected = 0, .word = (uintptr_t)&it->stop, .flags = FUTEX_WORD_OF_32_BITS | FUTEX_PRIVATE_FLAG},
  };
  // Further away than a century is for ever, and would not fit in a time_t of seconds either.
  const bool endless = it->request.timeout_ms < 0 || it->request.timeout_ms > 3e12;
  struct timespec deadline = {0};
  if (!endless) {
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    const double end = (double)deadline.tv_nsec + it->request.timeout_ms * 1e6;
    deadline.tv_sec += (time_t)floor(end / 1e9);
    deadline.tv_nsec = (long)fmod(end, 1e9);
  }
  long woken;
  do woken = syscall(FUTEX_WAITV, entries, 2, 0, endless ? NULL : &deadline, CLOCK_MONOTONIC);
  while (woken < 0 && errno == EINTR);
  if (atomic_load(&it->stop) != 0) return WAIT_STOPPED;
  if (woken >= 0) return WAIT_WOKEN;
  if (errno == EAGAIN) return WAIT_CHANGED;
  return errno == ETIMEDOUT ? WAIT_TIMEOUT : WAIT_FAILED;
}

static void stop(waiter *it) {
  atomic_store(&it->stop, 1);
  syscall(SYS_futex, &it->stop, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *run(void *context) {
  waiter *it = context;
  it->result = wait_for_both(it);
  if (it->result == WAIT_FAILED && (errno == ENOSYS || errno == EPERM))
    it->result = wait_in_slices(&it->request, stop_waiter, it);
  it->error = errno;
  // Stopped: the environment is going and collects this record itself.
  it->posted = it->result != WAIT_STOPPED;
  if (it->posted && napi_call_threadsafe_function(it->results, it, napi_tsfn_nonblocking) != napi_ok) it->posted = false;
  return NULL;
}

// Takes it off the environment and lets go of all that it held. The record itself stays.
static void retire(napi_env env, waiter *it) {
  environment *own = it->own;
  it->own = NULL;
  if (it->previous != NULL) it->previous->next = it->next;
  else own->waiters = it->next;
  if (it->next != NULL) it->next->previous = it->previous;
  napi_delete_reference(env, it->buffer);
  if (it->held != NULL) mapping_release(it->held);
  if (!it->keep_alive) return;
  own->holding -= 1;
  if (own->holding == 0) napi_unref_threadsafe_function(env, own->results);
}

static void settle(napi_env env, waiter *it) {
  napi_value value;
  if (it->result != WAIT_FAILED) {
    if (napi_create_string_utf8(env, wait_result_name(it->result), NAPI_AUTO_LENGTH, &value) == napi_ok)
      napi_resolve_deferred(env, it->deferred, value);
    return;
  }
  throw_errno(env, it->error, "futex");
  if (napi_get_and_clear_last_exception(env, &value) == napi_ok) napi_reject_deferred(env, it->deferred, value);
}

// In the event loop, for each result; without `env` when the environment is going.
static void deliver(napi_env env, napi_value callback, void *context, void *data) {
  (void)callback, (void)context;
  waiter *it = data;
  if (env != NULL && it->own != NULL) {
    pthread_join(it->thread, NULL);
    retire(env, it);
    settle(env, it);
  }
  // Still on the list only if the queue is torn down before stop_all(), which then needs the record.
  if (it->own == NULL) free(it);
}

// The environment's end: worker.terminate(), process.exit(), or simply nothing left to do. Registered after the queue of
// results was created and so run before that is torn down: no thread outlives it.
static void stop_all(void *data) {
  napi_env env = data;
  environment *own = environment_of(env);
  for (waiter *it = own->waiters; it != NULL; it = it->next) stop(it);
  while (own->waiters != NULL) {
    waiter *it = own->waiters;
    pthread_join(it->thread, NULL);
    retire(env, it);
    if (!it->posted) free(it);
  }
  // From Node 26 the queue's memory goes only when nobody is registered with it any more.
  napi_release_threadsafe_function(own->results, napi_tsfn_abort);
}

static bool results_create(napi_env env, environment *own) {
  if (own->results != NULL) return true;
  napi_value name;
  if (napi_create_string_utf8(env, "naru.futexWaitAsync", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, deliver, &own->results) == napi_ok) {
    napi_unref_threadsafe_function(env, own->results);
    napi_add_env_cleanup_hook(env, stop_all, env);
    return true;
  }
  own->results = NULL;
  return false;
}

static void enlist(napi_env env, environment *own, waiter *it, void *word_buffer) {
  it->own = own;
  it->results = own->results;
  it->held = mapping_hold(word_buffer);
  it->next = own->waiters;
  if (own->waiters != NULL) own->waiters->previous = it;
  own->waiters = it;
  if (!it->keep_alive) return;
  own->holding += 1;
  if (own->holding == 1) napi_ref_threadsafe_function(env, own->results);
}

napi_value naru_futex_wait_async(napi_env env, napi_callback_info info) {
  napi_value values[5], promise;
  wait_request request;
  bool keep_alive;
  void *data;
  size_t length;
  if (!args_read(env, info, 5, values) || !wait_request_read(env, values, &request) ||
      !arg_boolean(env, values[4], "keepAlive", &keep_alive) || !arg_buffer(env, values[0], &data, &length))
    return NULL;
  environment *own = environment_of(env);
  waiter *it = calloc(1, sizeof *it);
  if (it == NULL || !results_create(env, own)) {
    free(it);
    return throw_errno(env, ENOMEM, "pthread_create");
  }
  it->request = request;
  it->keep_alive = keep_alive;
  if (napi_create_reference(env, values[0], 1, &it->buffer) != napi_ok) {
    free(it);
    return throw_errno(env, ENOMEM, "pthread_create");
  }
  if (napi_create_promise(env, &it->deferred, &promise) != napi_ok) {
    napi_delete_reference(env, it->buffer);
    free(it);
    return NULL;
  }
  enlist(env, own, it, data);
  const int error = thread_start(&it->thread, 0, run, it);
  if (error == 0) return promise;
  // No thread to be had (EAGAIN: RLIMIT_NPROC, pthread_create(3)): the promise says so.
  retire(env, it);
  it->result = WAIT_FAILED;
  it->error = error;
  settle(env, it);
  free(it);
  return promise;
}
