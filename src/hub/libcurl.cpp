#include "hub/libcurl.h"

#include <dlfcn.h>

#include <type_traits>

#include "base/error.h"

namespace inkstone {
namespace {

Libcurl load() {
  constexpr const char* kName = "libcurl.so.4";
  void* handle = dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  const char* error = handle ? nullptr : dlerror();
  INKSTONE_CHECK(handle, "nothing can be downloaded without ", kName, " (", error ? error : "it cannot be opened",
                 "): install Debian's package libcurl4");
  Libcurl curl{};
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    INKSTONE_CHECK(function, kName, " has no ", name, ": it is too old or damaged");
  };
  find(curl.global_init, "curl_global_init");
  find(curl.easy_init, "curl_easy_init");
  find(curl.easy_cleanup, "curl_easy_cleanup");
  find(curl.easy_reset, "curl_easy_reset");
  find(curl.easy_setopt, "curl_easy_setopt");
  find(curl.easy_getinfo, "curl_easy_getinfo");
  find(curl.easy_perform, "curl_easy_perform");
  find(curl.easy_strerror, "curl_easy_strerror");
  find(curl.slist_append, "curl_slist_append");
  find(curl.slist_free_all, "curl_slist_free_all");
  find(curl.url_new, "curl_url");
  find(curl.url_cleanup, "curl_url_cleanup");
  find(curl.url_get, "curl_url_get");
  find(curl.url_set, "curl_url_set");
  find(curl.free_text, "curl_free");
  return curl;
}

}  // namespace

const Libcurl& libcurl() {
  static const Libcurl curl = load();
  return curl;
}

}  // namespace inkstone
