// What one environment (the main thread or one worker) owns: made when the addon is loaded there, freed at its end.
#include "naru.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void environment_free(napi_env env, void *data, void *hint) {
  (void)hint;
  environment *own = data;
  if (own->data_view != NULL) napi_delete_reference(env, own->data_view);
  if (own->records_buffer != NULL) napi_delete_reference(env, own->records_buffer);
  free(own);
}

environment *environment_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

bool environment_create(napi_env env) {
  environment *own = calloc(1, sizeof *own);
  if (own == NULL) return false;
  if (napi_set_instance_data(env, own, environment_free, NULL) != napi_ok) {
    free(own);
    return false;
  }
  own->main_thread = syscall(SYS_gettid) == getpid();
  napi_value global, constructor;
  return napi_get_global(env, &global) == napi_ok &&
         napi_get_named_property(env, global, "DataView", &constructor) == napi_ok &&
         napi_create_reference(env, constructor, 1, &own->data_view) == napi_ok;
}
