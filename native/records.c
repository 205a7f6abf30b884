// Messages between JavaScript and the kernel's queues: one piece of memory for each thread, in which records lie one behind the other.
// One call moves as many as fit, and none of them costs a JavaScript object here. Used within one call only.
#include "naru.h"

static size_t aligned(size_t size) {
  return (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

size_t record_size(size_t length) {
  return RECORD_HEAD + aligned(length);
}

record *record_room(napi_env env, size_t at, size_t bytes) {
  const environment *own = environment_of(env);
  if (own->records == NULL || at + RECORD_HEAD > own->records_size || bytes > own->records_size - RECORD_HEAD - at) return NULL;
  return (record *)(own->records + at);
}

record *record_next(napi_env env, size_t *at) {
  record *it = record_room(env, *at, 0);
  if (it != NULL && record_room(env, *at, it->length) != NULL) {
    *at += record_size(it->length);
    return it;
  }
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "a record is longer than the memory it lies in");
  return NULL;
}

napi_value count_value(napi_env env, int64_t count) {
  napi_value value;
  return napi_create_uint32(env, (uint32_t)count, &value) == napi_ok ? value : NULL;
}

// recordMemory(buffer): the memory that all later calls of this thread use. It must never be detached.
static napi_value record_memory(napi_env env, napi_callback_info info) {
  napi_value value;
  napi_ref reference;
  void *data;
  size_t length;
  if (!args_read(env, info, 1, &value) || !arg_buffer(env, value, &data, &length)) return NULL;
  if (napi_create_reference(env, value, 1, &reference) != napi_ok) return NULL;
  environment *own = environment_of(env);
  if (own->records_buffer != NULL) napi_delete_reference(env, own->records_buffer);
  own->records_buffer = reference;
  own->records = data;
  own->records_size = length;
  return NULL;
}

bool naru_init_records(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      {"recordMemory", NULL, record_memory, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  return napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties) == napi_ok;
}
