// Links to pictures that need no key: who has one may see the picture, and nobody can guess one. The last few thousand.
#pragma once

#include <string>
#include <string_view>

#include "diffusion/lru_cache.h"
#include "serve/desk.h"
#include "serve/http/http.h"

namespace inkstone {

class PictureLinks {
 public:
  // "/v1/files/img/{32 hex digits}.png"
  std::string add(const OrderState& order, size_t picture);
  // Throws ApiFault 404 where there is no such link or the desk has forgotten its picture.
  HttpReply fetch(Desk& desk, const std::string& file);

 private:
  struct Link {
    std::string id, client;
    size_t picture = 0;
  };
  LruCache<std::string, Link> links_{4096};
};

// "http://HOST", as the request's client calls this server; "" where it does not.
std::string own_url(const HttpRequest& request);

}  // namespace inkstone
