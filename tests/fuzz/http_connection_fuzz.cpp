// Whatever a client sends, in whatever pieces: the server answers in HTTP or closes, and nothing of
// the connection is left. The first byte says how the rest is cut into pieces and whether the
// client reads its answers.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serve/http/connection.h"
#include "serve/support/log.h"

namespace {

using namespace inkstone::http;

std::vector<ExchangePtr>& held() {
  static std::vector<ExchangePtr> exchanges;
  return exchanges;
}

Router routes() {
  Router router;
  for (const char* method : {"GET", "POST"})
    router.add({method, "/{name}", [](const ExchangePtr& exchange) {
                  exchange->reply({200, "text/plain", "ok", {}});
                }});
  router.add({"GET", "/", [](const ExchangePtr& exchange) {
                exchange->begin_stream({200, "text/event-stream", "", {}});
                exchange->write(std::string(1000, 'x'));
                held().push_back(exchange);
              }});
  router.add({"GET", "/drop", [](const ExchangePtr&) {}});
  return router;
}

std::string drained(int descriptor) {
  std::string all;
  char buffer[65536];
  for (ssize_t size; (size = recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
    all.append(buffer, static_cast<size_t>(size));
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  inkstone::serve::set_log(true, inkstone::serve::LogLevel::kError);
  const uint8_t how = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  boost::asio::io_context events(1);
  Settings settings;
  settings.max_body = 100;
  settings.trusted_proxies = {"private"};
  settings.root_path = "/ink";
  const auto state = std::make_shared<ServerState>(events, settings, routes(), false);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  Connection::Socket socket(events, boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[0]);
  std::make_shared<Connection>(state, std::move(socket), Peer{"fuzz", true})->start();
  std::string answers;
  const size_t step = how % 16 ? how % 16 * 8u : bytes.size();
  for (size_t i = 0; i < bytes.size(); i += step) {
    if (send(ends[1], bytes.data() + i, std::min(step, bytes.size() - i), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    events.poll();
    if (how & 16) answers += drained(ends[1]);
    if (how & 32)
      for (const auto& exchange : std::exchange(held(), {})) exchange->end_stream();
  }
  answers += drained(ends[1]);
  if (!answers.empty() && !answers.starts_with("HTTP/1.1 ")) std::abort();
  close(ends[1]);
  events.poll();
  held().clear();
  events.poll();
  if (!state->connections.empty() || state->figures.exchanges || state->figures.connections) std::abort();
  return 0;
}
