#include "serve/api/image_links.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/images/image_file.h"

namespace inkstone::serve {
namespace {

std::string unguessable() {
  std::array<unsigned char, 16> bytes{};
  INKSTONE_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "no random numbers for a link");
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string ImageLinks::add(const OrderState& order, size_t image) {
  const std::string file = unguessable() + "." + std::string(format_name(order.order.format));
  links_.put(file, {order.id, order.order.client, image});
  return "/v1/files/img/" + file;
}

http::Reply ImageLinks::fetch(ImageService& service, const std::string& file) {
  const Link* link = links_.find(file);
  const OrderState* order = link ? service.find(link->id, link->client) : nullptr;
  if (!order || !order->images[link->image].file)
    refuse(404, "not_found", "there is no such image here, or it is no longer kept");
  return image_reply(*order, link->image);
}

std::string own_url(const http::Request& request) {
  const std::string_view host = request.header("host");
  const bool secure = request.header("x-forwarded-proto") == "https";
  return is_host(host) ? (secure ? "https://" : "http://") + std::string(host) : "";
}

}  // namespace inkstone::serve
