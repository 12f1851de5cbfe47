#include "serve/api/picture_links.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/picture_file.h"

namespace inkstone {
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

std::string PictureLinks::add(const OrderState& order, size_t picture) {
  const std::string file = unguessable() + "." + std::string(format_name(order.order.format));
  links_.put(file, {order.id, order.order.client, picture});
  return "/v1/files/img/" + file;
}

HttpReply PictureLinks::fetch(Desk& desk, const std::string& file) {
  const Link* link = links_.find(file);
  const OrderState* order = link ? desk.find(link->id, link->client) : nullptr;
  if (!order || !order->pictures[link->picture].file)
    refuse(404, "not_found", "there is no such picture here, or it is no longer kept");
  return picture_reply(*order, link->picture);
}

std::string own_url(const HttpRequest& request) {
  const std::string_view host = request.header("host");
  const bool secure = request.header("x-forwarded-proto") == "https";
  return is_host(host) ? (secure ? "https://" : "http://") + std::string(host) : "";
}

}  // namespace inkstone
