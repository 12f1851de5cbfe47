// Links to images that need no key. Nobody can guess one. The last few thousand are kept.
#pragma once

#include <string>
#include <string_view>

#include "diffusion/lru_cache.h"
#include "serve/http/http.h"
#include "serve/jobs/image_service.h"

namespace inkstone::serve {

class ImageLinks {
 public:
  // "/v1/files/img/{32 hex digits}.png"
  std::string add(const OrderState& order, size_t image);
  // Throws ApiFault 404 where there is no such link or the service has forgotten its image.
  http::Reply fetch(ImageService& service, const std::string& file);

 private:
  struct Link {
    std::string id, client;
    size_t image = 0;
  };
  LruCache<std::string, Link> links_{4096};
};

// "http://HOST" or "https://HOST/inkstone", as the request's client calls this server; "" where it does not.
std::string own_url(const http::Request& request);

}  // namespace inkstone::serve
