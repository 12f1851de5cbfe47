// What add_a1111_routes adds: txt2img and what goes with it, the lists, and png-info.
#pragma once

#include <functional>
#include <memory>

#include "serve/api/a1111_options.h"
#include "serve/api/api.h"

namespace inkstone::serve {

struct A1111State {
  ApiContext& context;
  A1111Options options;
};
using A1111Body = std::function<void(A1111State&, const http::ExchangePtr&)>;
void add_a1111_route(http::Router& router, const std::shared_ptr<A1111State>& state, const char* method,
                     const char* name, A1111Body body, bool pictures = false);

void add_a1111_lists(http::Router& router, const std::shared_ptr<A1111State>& state);
void add_a1111_progress(http::Router& router, const std::shared_ptr<A1111State>& state);  // progress, interrupt, skip
void add_a1111_png_info(http::Router& router, const std::shared_ptr<A1111State>& state);

}  // namespace inkstone::serve
