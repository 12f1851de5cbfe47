#include "serve/api/picture_links.h"

#include <algorithm>

#include "base/random.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string PictureLinks::add(const OrderState& order, size_t picture) {
  const std::string file = random_id(16) + "." + std::string(format_name(order.order.format));
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
