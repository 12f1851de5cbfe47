// The page: its files as they are, to whoever asks; and the APIs' description, as a page too. The browser is told
// to load nothing from anywhere else, to run no script that is written into the page, and to show
// it in no frame.
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "serve/api/api.h"
#include "serve/api/docs_page.h"
#include "serve/api/openapi.h"
#include "serve/api/page_files.h"

namespace inkstone::serve {
namespace {

constexpr std::string_view kPolicy =
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'";

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  if (name.ends_with(".webp")) return "image/webp";
  fail(INKSTONE_HERE, {"src/serve/web/", name, ": no type is known for it"});
}

std::string tag_of(std::string_view bytes) { return "\"" + sha256(bytes).substr(0, 16) + "\""; }

// The page as it stands below a path of a proxy: what it loads begins with that. Its scripts know
// where they were loaded from.
std::string below_prefix(std::string_view html, const std::string& prefix) {
  std::string text(html);
  for (const std::string_view link : {"href=\"/", "src=\"/"})
    for (size_t at = text.find(link); at != text.npos; at = text.find(link, at + link.size()))
      text.insert(at + link.size() - 1, prefix);
  return text;
}

void answer(http::Exchange& exchange, std::string_view type, std::string_view bytes, const std::string& tag) {
  const std::string& prefix = exchange.request().prefix;
  std::string body(bytes);
  std::string its_tag = tag;
  if (!prefix.empty() && type.starts_with("text/html")) its_tag = tag_of(body = below_prefix(bytes, prefix));
  http::Reply reply;
  reply.content_type = type;
  reply.headers = {{"content-security-policy", std::string(kPolicy)},
                   {"x-content-type-options", "nosniff"},
                   {"referrer-policy", "no-referrer"},
                   {"cross-origin-opener-policy", "same-origin"},
                   {"cache-control", "no-cache"},
                   {"etag", its_tag}};
  if (exchange.request().header("if-none-match") == its_tag) reply.status = 304;
  if (reply.status == 200) reply.body = std::move(body);
  exchange.reply(std::move(reply));
}

// `bytes` live as long as the program.
void add_file(http::Router& router, std::string path, std::string_view type, std::string_view bytes) {
  const std::string tag = tag_of(bytes);
  http::Route route;
  route.method = "GET";
  route.pattern = std::move(path);
  route.handler = [type, bytes, tag](const http::ExchangePtr& exchange) { answer(*exchange, type, bytes, tag); };
  route.open = true;
  router.add(std::move(route));
}

}  // namespace

void add_page_routes(http::Router& router, ApiContext&) {
  for (const EmbeddedFile& file : page_files())
    add_file(router, file.name == "index.html" ? "/" : "/" + std::string(file.name), type_of(file.name), file.bytes);
  add_file(router, "/docs", "text/html; charset=utf-8", docs_page());
  http::Route description;
  description.method = "GET";
  description.pattern = "/openapi.json";
  description.handler = [](const http::ExchangePtr& exchange) {
    http::Reply reply;
    reply.body = openapi_document(exchange->request().prefix);
    exchange->reply(std::move(reply));
  };
  description.open = true;
  router.add(std::move(description));
}

}  // namespace inkstone::serve
