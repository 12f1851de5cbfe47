// A gateway with simulated workers, and someone who orders and watches.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "serve/gateway/gateway.h"
#include "support/scratch_folder.h"

namespace inkstone::serve {

// Counts what it is told, by stage.
class Watcher : public OrderWatcher {
 public:
  void changed(const OrderState& order, size_t image) override {
    told++;
    ends += order.ended();
    if (order.images[image].preview) previews++;
    if (then) then(order);
  }
  int told = 0, ends = 0, previews = 0;
  std::function<void(const OrderState&)> then;
};

struct FixtureOptions {
  ServeSettings settings{};
  std::vector<std::string> flags{};  // of each worker
};

class GatewayFixture {
 public:
  explicit GatewayFixture(FixtureOptions options = {});
  ~GatewayFixture();

  bool until(const std::function<bool()>& holds, double seconds = 20);
  void pass(double seconds);
  bool ready();
  const OrderState* submit(const std::string& prompt, int steps = 3, std::function<void(Order&)> change = {});
  Rejection refused(const std::string& prompt, int steps = 3, std::function<void(Order&)> change = {});
  bool ended(const OrderState* order) {
    return order && until([&] { return order->ended(); });
  }
  std::string end_of(const OrderState* order, size_t image = 0);  // "done", "cancelled", or its failure's code
  std::vector<int> pids() const;
  std::string counter();  // a fresh file's name, for "times:N:FILE"

  boost::asio::io_context events;
  Gateway gateway;

 private:
  const ScratchFolder folder_;
  int counters_ = 0;
};

ServeSettings quick_settings();
Order order_of(const std::string& prompt, int steps = 3);
// Changes what its first image asks.
void say(Order& order, const std::function<void(ImageRequest&)>& change);
// Whether each image is what its request gives alone.
bool as_alone(const OrderState& order);
int open_descriptors();
int children();  // processes, dead ones too

}  // namespace inkstone::serve
