// What the addon's files share. One file per facility of the kernel; module.c ties them together.
#ifndef NARU_H
#define NARU_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <node_api.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Must equal INTERFACE_VERSION in src/native/index.ts.
#define NARU_INTERFACE_VERSION 4

// Longest uninterrupted sleep. Between two slices a waiter looks whether its thread is to end.
#define NARU_SLICE_MS 50

typedef struct waiter waiter;

// What one environment (the main thread or one worker) owns. Touched by that environment's thread only.
typedef struct {
  bool main_thread;            // the process's first thread, where signals go first: signal(7)
  napi_ref data_view;          // the DataView constructor, kept before any program could replace it
  napi_threadsafe_function results; // created at the first futexWaitAsync
  waiter *waiters;             // threads that are waiting
  uint32_t holding;            // how many of them keep the event loop alive
} environment;

// --- args.c: arguments and errors. Each reader returns false with a JavaScript exception pending.
bool args_read(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool arg_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out);
bool arg_fd(napi_env env, napi_value value, int *out);
bool arg_boolean(napi_env env, napi_value value, const char *name, bool *out);
// Reads at most `size` bytes with the final NUL; refuses a string that holds a NUL or is longer.
bool arg_string(napi_env env, napi_value value, const char *name, char *out, size_t size);
// The bytes behind an ArrayBuffer or a SharedArrayBuffer.
bool arg_buffer(napi_env env, napi_value value, void **data, size_t *length);
environment *environment_of(napi_env env);
// Throws an Error with `code`, `errno` (negative, as Node has it) and `syscall`. Returns NULL, for `return throw_errno(…)`.
napi_value throw_errno(napi_env env, int error, const char *syscall);
// Throws an Error that no system call gave, with a code from errno(3).
napi_value throw_code(napi_env env, int error, const char *syscall, const char *message);

// --- mapping.c
napi_value naru_map(napi_env env, napi_callback_info info);
napi_value naru_unmap(napi_env env, napi_callback_info info);
napi_value naru_allocate(napi_env env, napi_callback_info info);
napi_value naru_file_size(napi_env env, napi_callback_info info);
bool mapping_gives_shared(void);
typedef struct mapping mapping;
// Keeps the memory at `data` mapped although its buffer goes; NULL when it is not a mapping of ours.
mapping *mapping_hold(void *data);
void mapping_release(mapping *held);

// --- futex.c
typedef enum { WAIT_WOKEN, WAIT_CHANGED, WAIT_TIMEOUT, WAIT_INTERRUPTED, WAIT_STOPPED, WAIT_FAILED } wait_result;
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

// --- waiter.c
napi_value naru_futex_wait_async(napi_env env, napi_callback_info info);

// --- lock.c, fifo.c, peer.c
napi_value naru_try_lock(napi_env env, napi_callback_info info);
napi_value naru_unlock(napi_env env, napi_callback_info info);
napi_value naru_duplicate(napi_env env, napi_callback_info info);
napi_value naru_make_fifo(napi_env env, napi_callback_info info);
napi_value naru_write_byte(napi_env env, napi_callback_info info);
napi_value naru_peer_credentials(napi_env env, napi_callback_info info);

#endif
