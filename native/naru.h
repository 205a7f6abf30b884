// What the addon's files share. One file per facility of the kernel; module.c ties them together.
#ifndef NARU_H
#define NARU_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <node_api.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Must equal INTERFACE_VERSION in src/native/index.ts.
#define NARU_INTERFACE_VERSION 8

// Longest uninterrupted sleep. Between two slices a waiter looks whether its thread is to end.
#define NARU_SLICE_MS 50

typedef struct waiter waiter;
typedef struct task task;

// What one environment (the main thread or one worker) owns. Touched by that environment's thread only.
typedef struct {
  bool main_thread;            // the process's first thread, where signals go first: signal(7)
  napi_ref data_view;          // the DataView constructor, kept before any program could replace it
  napi_threadsafe_function results; // created at the first futexWaitAsync
  waiter *waiters;             // threads that are waiting
  uint32_t holding;            // how many of them keep the event loop alive
  napi_threadsafe_function task_results; // created at the first task
  task *tasks;                 // blocking calls that run in threads of their own: task.c
  uint32_t last_task;          // the newest one's number
  char *records;               // messages between JavaScript and the kernel's queues: records.c; NULL before recordMemory()
  size_t records_size;
  napi_ref records_buffer;     // keeps that memory
} environment;

// --- environment.c
bool environment_create(napi_env env);
environment *environment_of(napi_env env);

// --- clock.c: milliseconds of CLOCK_MONOTONIC.
double clock_ms(void);

// --- args.c: arguments and errors. Each reader returns false with a JavaScript exception pending.
bool args_read(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool arg_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out);
bool arg_fd(napi_env env, napi_value value, int *out);
bool arg_boolean(napi_env env, napi_value value, const char *name, bool *out);
// Any number but NaN; what is negative or infinite is for ever.
bool arg_timeout(napi_env env, napi_value value, double *out);
// Reads at most `size` bytes with the final NUL; refuses a string that holds a NUL or is longer.
bool arg_string(napi_env env, napi_value value, const char *name, char *out, size_t size);
// The bytes behind an ArrayBuffer or a SharedArrayBuffer.
bool arg_buffer(napi_env env, napi_value value, void **data, size_t *length);
// Throws an Error with `code`, `errno` (negative, as Node has it) and `syscall`. Returns NULL, for `return throw_errno(…)`.
napi_value throw_errno(napi_env env, int error, const char *syscall);
// Throws an Error that no system call gave, with a code from errno(3).
napi_value throw_code(napi_env env, int error, const char *syscall, const char *message);

// --- mapping.c
napi_value naru_guard(napi_env env, napi_callback_info info);
napi_value naru_is_torn(napi_env env, napi_callback_info info);
napi_value naru_map(napi_env env, napi_callback_info info);
napi_value naru_unmap(napi_env env, napi_callback_info info);
napi_value naru_allocate(napi_env env, napi_callback_info info);
napi_value naru_file_size(napi_env env, napi_callback_info info);
napi_value naru_link_file(napi_env env, napi_callback_info info);
// Hands memory that munmap(2) gives back to JavaScript; on failure it is given back at once.
napi_value mapping_wrap(napi_env env, void *data, size_t size);
bool mapping_gives_shared(void);
typedef struct mapping mapping;
// Keeps the memory at `data` mapped although its buffer goes; NULL when it is not a mapping of ours.
mapping *mapping_hold(void *data);
void mapping_release(mapping *held);

// --- guard.c: what a file that another process makes shorter does to its mappings.
// False when all slots are taken.
bool guard_add(void *data, size_t size);
bool guard_torn(void *data);
// Before the memory is unmapped.
void guard_forget(void *data);

// How a sleep ended; between two slices WAIT_WOKEN says: go on.
typedef enum { WAIT_WOKEN, WAIT_CHANGED, WAIT_TIMEOUT, WAIT_INTERRUPTED, WAIT_STOPPED, WAIT_FAILED } wait_result;

// --- interruption.c: between begin and end, a signal that has a JavaScript handler interrupts the main thread.
void blocking_begin(napi_env env);
void blocking_end(napi_env env);
// `env`: a napi_env; for wait_in_slices() and its like.
wait_result blocking_stopped(void *env);

// --- futex.c
typedef struct {
  uint32_t *word;
  uint32_t expected;
  double timeout_ms; // negative: for ever
} wait_request;
// Reads (buffer, byteOffset, expected, timeoutMs).
bool wait_request_read(napi_env env, const napi_value *values, wait_request *out);
// Sleeps in slices; asks `stop` between them. WAIT_FAILED leaves the reason in errno.
wait_result wait_in_slices(const wait_request *request, wait_result (*stop)(void *), void *context);
const char *wait_result_name(wait_result result);
napi_value naru_futex_wait(napi_env env, napi_callback_info info);
napi_value naru_futex_wake(napi_env env, napi_callback_info info);
napi_value naru_yield_thread(napi_env env, napi_callback_info info);

// --- thread.c
// Starts a thread that waits for the addon. `open_signal`: the one signal that may reach it; 0 = none. Returns an errno.
int thread_start(pthread_t *thread, int open_signal, void *(*run)(void *), void *argument);

// --- waiter.c
napi_value naru_futex_wait_async(napi_env env, napi_callback_info info);

// --- lock.c, fifo.c, peer.c
napi_value naru_try_lock(napi_env env, napi_callback_info info);
napi_value naru_unlock(napi_env env, napi_callback_info info);
napi_value naru_duplicate(napi_env env, napi_callback_info info);
napi_value naru_make_fifo(napi_env env, napi_callback_info info);
napi_value naru_write_byte(napi_env env, napi_callback_info info);
napi_value naru_peer_credentials(napi_env env, napi_callback_info info);
napi_value naru_die_with_parent(napi_env env, napi_callback_info info);

// --- blocking.c: system calls that block the calling thread, and how they are interrupted.
// A real-time signal of ours: it has a handler that does nothing, and so ends a system call. 0 when none is free.
int interrupt_signal(void);
// One slice of a blocking call: at most about `slice_ms`, then EINTR or ETIMEDOUT.
typedef ssize_t (*blocking_slice)(void *context, double slice_ms);
// Repeats the slice until it gives something, the time is over, a signal came or the thread is to end. WAIT_FAILED leaves errno.
wait_result block_in_slices(napi_env env, double timeout_ms, blocking_slice slice, void *context, ssize_t *out);
// Repeats a call that does not wait a few times. @returns true when it gave something; after false the call that waits tells why
bool spin_briefly(blocking_slice attempt, void *context, ssize_t *out);

// --- records.c: many messages in one call, through memory that JavaScript and the addon share.
typedef struct {
  uint32_t length;
  uint32_t unused;
  int64_t type; // with `body` this is a struct msgbuf: msgop(2). A POSIX queue's priority stands here too.
  char body[];
} record;
enum { RECORD_HEAD = 16, RECORD_ALIGN = 8 };
// The record at `*at`, which moves behind it; NULL with an exception when it does not fit in the memory.
record *record_next(napi_env env, size_t *at);
// A record with room for so many bytes, or NULL when there is no room for it; does not move on.
record *record_room(napi_env env, size_t at, size_t bytes);
size_t record_size(size_t length);
// How many: a small integer, which costs JavaScript no object.
napi_value count_value(napi_env env, int64_t count);
bool naru_init_records(napi_env env, napi_value exports);

// --- system_v.c, system_v_wait.c
bool naru_init_system_v(napi_env env, napi_value exports);
bool naru_init_system_v_wait(napi_env env, napi_value exports);

// --- posix_mq.c, posix_mq_wait.c
bool naru_init_posix_mq(napi_env env, napi_value exports);
bool naru_init_posix_mq_wait(napi_env env, napi_value exports);

// --- task.c
// One try at something that blocks, for at most so long: WAIT_WOKEN (got it), WAIT_TIMEOUT or WAIT_FAILED (errno).
typedef wait_result (*blocking_call)(void *context, double slice_ms);
// In the calling thread, which notices the end of its worker and, if it is the main thread, signals. NULL with an exception.
napi_value task_run(napi_env env, const char *syscall, blocking_call call, void *context, double timeout_ms);
// In a thread of its own. `context` goes to `release`, always in the event loop's thread, when nobody needs it any more. Returns
// { id, promise }; the promise gives the name of the result, or rejects with errno as `syscall` gave it.
napi_value task_start(napi_env env, const char *syscall, blocking_call call, void *context, double timeout_ms,
                      void (*release)(void *context));
bool naru_init_tasks(napi_env env, napi_value exports);

// --- semaphore.c, shared_memory.c, signal.c, descriptor.c
bool naru_init_semaphores(napi_env env, napi_value exports);
bool naru_init_shared_memory(napi_env env, napi_value exports);
bool naru_init_signals(napi_env env, napi_value exports);
bool naru_init_descriptors(napi_env env, napi_value exports);

// --- watch.c, pipe.c
bool naru_init_watches(napi_env env, napi_value exports);
bool naru_init_pipes(napi_env env, napi_value exports);
#define NARU_METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}
// All of a table of properties.
#define NARU_DEFINE(env, exports, table) \
  (napi_define_properties(env, exports, sizeof table / sizeof table[0], table) == napi_ok)
// A new array of numbers.
napi_value numbers_value(napi_env env, const double *numbers, size_t count);

#endif
