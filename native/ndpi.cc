// The ndpi addon: nDPI's detection for JavaScript.
#include "addon.h"

#include <ndpi_api.h>

using namespace nfstream;

namespace {
napi_value Version(napi_env env, napi_callback_info) { return String(env, ndpi_revision(), NAPI_AUTO_LENGTH); }
}  // namespace

NAPI_MODULE_INIT() {
  if (!SetContract(env, exports) || !SetFunction(env, exports, "version", Guard<Version>)) return nullptr;
  return exports;
}
