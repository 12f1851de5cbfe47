#include "serve/api/image_links.h"

#include <algorithm>

#include "base/image_file.h"
#include "base/random.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string ImageLinks::add(const OrderState& order, size_t image) {
  const std::string file = random_id(16) + "." + std::string(format_name(order.order.format));
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
  return is_host(host) ? request.scheme + "://" + std::string(host) + request.prefix : "";
}

}  // namespace inkstone::serve
