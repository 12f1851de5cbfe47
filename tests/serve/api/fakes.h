// A service without workers and exchanges without sockets: the tests say what happens to an order,
// and read what a client would.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "serve/api/api.h"

namespace inkstone::serve {

class FakeImageService : public ImageService {
 public:
  FakeImageService();
  SubmitResult submit(Order order) override;
  const OrderState* find(std::string_view id, std::string_view client) override;
  std::vector<const OrderState*> orders_of(std::string_view client) override;
  void watch(const OrderState& order, OrderWatcher& watcher) override;
  void unwatch(const OrderState& order, OrderWatcher& watcher) override;
  bool cancel(const OrderState& order) override;
  bool cut_short(const OrderState& order) override;
  const std::vector<ServedModel>& models() const override;
  const std::vector<AdapterName>* adapters() const override { return adapter_folder ? &*adapter_folder : nullptr; }
  void rescan(std::function<void()> done) override {
    rescans++;
    done();
  }
  ServiceFigures figures() const override { return told_figures; }
  double now() const override { return 0; }

  // What happens to the order that came last, or to its image of that number.
  OrderState& last() { return orders.back(); }
  void step(size_t image = 0, int calls = 1, bool preview = false);
  void finish(size_t image, const std::string& file);
  // With files "image 0", "image 1", ...
  void finish_all();
  // Earlier orders ended: so many are left before it.
  void move_to(int position);
  void fail(size_t image, const std::string& code, bool again = false);

  bool ready = true;
  ModelCard card;                   // of the default
  std::vector<ServedModel> others;  // besides it
  std::optional<std::vector<AdapterName>> adapter_folder;
  int rescans = 0;
  ServiceFigures told_figures;
  std::optional<Rejection> rejection;  // of the next orders
  std::list<OrderState> orders;
  std::vector<std::pair<std::string, OrderWatcher*>> watchers;  // by order id
  int cuts = 0, cancels = 0;

 private:
  OrderState& known(const OrderState& order);
  void tell(OrderState& order, size_t image);
  mutable std::vector<ServedModel> models_;
};

class FakeExchange : public http::Exchange {
 public:
  const http::Request& request() const override { return asked; }
  void reply(http::Reply with) override;
  void begin_stream(http::Reply head) override;
  void write(std::string_view chunk) override { stream += chunk; }
  void end_stream() override { ended = true; }
  size_t unsent() const override { return waiting; }
  void on_gone(std::function<void()> gone) override { gone_ = std::move(gone); }
  void disconnect();  // as a client does

  // Of a stream: the data of all events of that name.
  std::vector<Json> events(const std::string& name) const;
  Json json() const;  // of the answer
  std::string header(const std::string& name) const;

  http::Request asked;
  std::optional<http::Reply> answer;
  // The answer's body where it is shared; its reader is done when this is gone.
  std::shared_ptr<const std::string> sent;
  std::string stream;
  bool streaming = false, ended = false;
  size_t waiting = 0;

 private:
  std::function<void()> gone_;
};

struct Ask {
  std::string method = "GET", path = "/";
  std::string body{};  // JSON
  std::vector<std::pair<std::string, std::string>> query{}, headers{};
  std::string client = "ip:127.0.0.1";
  std::string prefix{};  // below which the client sees the server
};

struct FakeServer {
  FakeServer();
  ~FakeServer();  // whoever still waits disconnects
  std::shared_ptr<FakeExchange> ask(const Ask& ask);

  FakeImageService service;
  ServeSettings settings;
  http::Figures http;
  ApiContext context{service, settings, [this] { return http; }};
  http::Router router;
  std::vector<std::weak_ptr<FakeExchange>> exchanges;
};

std::string message_of(const Json& own_or_openai_error);

}  // namespace inkstone::serve
