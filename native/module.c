// Registration: what the addon exports. Context-aware: no writable globals but the list of mappings (mapping.c, locked), their
// guards (guard.c) and the flags of the signal handlers (interruption.c, signal.c), so that any number of threads can load it.
#include "naru.h"

#define METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}
#define VALUE(name, value) {name, NULL, NULL, NULL, NULL, value, napi_enumerable, NULL}

NAPI_MODULE_INIT() {
  napi_value version, shared;
  if (!environment_create(env) || napi_create_uint32(env, NARU_INTERFACE_VERSION, &version) != napi_ok ||
      napi_get_boolean(env, mapping_gives_shared(), &shared) != napi_ok) {
    napi_throw_error(env, NULL, "Naru's addon could not start in this thread");
    return NULL;
  }
  const napi_property_descriptor properties[] = {
      VALUE("interfaceVersion", version),
      VALUE("hasSharedArrayBuffer", shared),
      METHOD("map", naru_map),
      METHOD("unmap", naru_unmap),
      METHOD("guard", naru_guard),
      METHOD("isTorn", naru_is_torn),
      METHOD("allocate", naru_allocate),
      METHOD("fileSize", naru_file_size),
      METHOD("linkFile", naru_link_file),
      METHOD("futexWait", naru_futex_wait),
      METHOD("futexWaitAsync", naru_futex_wait_async),
      METHOD("futexWake", naru_futex_wake),
      METHOD("yieldThread", naru_yield_thread),
      METHOD("tryLock", naru_try_lock),
      METHOD("unlock", naru_unlock),
      METHOD("duplicate", naru_duplicate),
      METHOD("makeFifo", naru_make_fifo),
      METHOD("writeByte", naru_write_byte),
      METHOD("peerCredentials", naru_peer_credentials),
      METHOD("dieWithParent", naru_die_with_parent),
  };
  if (napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties) != napi_ok) return NULL;
  if (!naru_init_records(env, exports)) return NULL;
  if (!naru_init_system_v(env, exports) || !naru_init_system_v_wait(env, exports)) return NULL;
  if (!naru_init_posix_mq(env, exports) || !naru_init_posix_mq_wait(env, exports)) return NULL;
  if (!naru_init_tasks(env, exports) || !naru_init_semaphores(env, exports) || !naru_init_shared_memory(env, exports) ||
      !naru_init_signals(env, exports) || !naru_init_descriptors(env, exports))
    return NULL;
  if (!naru_init_watches(env, exports) || !naru_init_pipes(env, exports)) return NULL;
  return exports;
}
