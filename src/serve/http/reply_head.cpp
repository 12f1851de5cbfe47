#include "serve/http/reply_head.h"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>
#include <ctime>
#include <string_view>

#include "base/error.h"

namespace inkstone::http {
namespace {

using boost::beast::iequals;

void add(std::string& text, std::string_view name, std::string_view value) {
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_'; };
  INKSTONE_CHECK(!name.empty() && std::ranges::all_of(name, letter), "a header's name must be letters, digits and '-'");
  INKSTONE_CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos, "the header ", name,
                 " has a line's end or NUL in its value");
  text.append(name).append(": ").append(value).append("\r\n");
}

std::string date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 40> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace

std::string reply_head(const Reply& reply, const ReplyHead& head) {
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(reply.headers, [&](const auto& header) { return iequals(header.first, name); });
  };
  const std::string_view reason(boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(reply.status)));
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + ' ';
  text.append(reason).append("\r\n");
  text.reserve(512);
  add(text, "Date", date());
  add(text, "Server", "inkstone");
  add(text, "X-Content-Type-Options", "nosniff");
  add(text, "x-request-id", head.request_id);
  if (!has("cache-control")) add(text, "Cache-Control", "no-store");
  const bool events = reply.content_type.starts_with("text/event-stream");
  if (events && !has("x-accel-buffering")) add(text, "X-Accel-Buffering", "no");
  for (const auto& [name, value] : reply.headers) add(text, name, value);
  if (!head.origin.empty()) {
    add(text, "Access-Control-Allow-Origin", head.origin);
    add(text, "Access-Control-Expose-Headers", "x-request-id, retry-after, location");
    add(text, "Vary", "Origin");
  }
  const bool bodiless = reply.status == 204 || reply.status == 304;
  if (!bodiless && !reply.content_type.empty()) add(text, "Content-Type", reply.content_type);
  if (!bodiless && head.length) add(text, "Content-Length", std::to_string(*head.length));
  if (!bodiless && head.chunked) add(text, "Transfer-Encoding", "chunked");
  if (!head.keep_alive)
    add(text, "Connection", "close");
  else if (head.version == 10)
    add(text, "Connection", "keep-alive");
  return text += "\r\n";
}

}  // namespace inkstone::http
