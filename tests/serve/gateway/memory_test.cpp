// Memory that is short ends an order or a worker, never the server.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <utility>

#include "serve/failing_new.h"
#include "serve/gateway/gateway_fixture.h"

namespace {

// How many allocations still succeed before one fails: of the test's thread, of all others.
thread_local int64_t allocations_left = -1;
std::atomic<int64_t> others_left = -1;
thread_local bool is_test = false;

bool fails() {
  if (is_test) return allocations_left >= 0 && allocations_left-- == 0;
  return others_left >= 0 && others_left-- == 0;
}

void* allocate(size_t size) {
  if (fails()) throw std::bad_alloc();
  return memory_of(size);
}

}  // namespace

namespace inkstone::serve {
namespace {

class GatewayMemory : public testing::Test {
 protected:
  GatewayMemory() { is_test = true; }
  ~GatewayMemory() override {
    allocations_left = others_left = -1;
    is_test = false;
  }

  // Nothing hangs about, and the next order is drawn.
  void goes_on(GatewayFixture& fixture, const std::string& where) {
    ASSERT_TRUE(fixture.until([&] { return fixture.gateway.figures().orders == 0; })) << where;
    const OrderState* next = fixture.submit("next");
    ASSERT_EQ(fixture.end_of(next), "done") << where;
    ASSERT_TRUE(as_alone(*next)) << where;
  }
};

TEST_F(GatewayMemory, whichever_allocation_of_an_order_fails_the_next_is_drawn) {
  GatewayFixture fixture({quick_settings()});
  ASSERT_TRUE(fixture.ready());
  bool placed = false;
  for (int64_t k = 0; k < 2000 && !placed; k++) {
    Order order = order_of("x");
    order.images.push_back(order.images[0]);
    order.idempotency = "key " + std::to_string(k);
    try {
      allocations_left = k;
      fixture.gateway.submit(std::move(order));
    } catch (const std::bad_alloc&) {
    }
    placed = std::exchange(allocations_left, -1) >= 0;
    if (k % 10 == 0 || placed) goes_on(fixture, "allocation " + std::to_string(k));
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(placed);
  EXPECT_EQ(fixture.gateway.figures().worker_deaths, 0);
}

TEST_F(GatewayMemory, whichever_allocation_of_the_event_loop_fails_it_goes_on) {
  GatewayFixture fixture({quick_settings()});
  ASSERT_TRUE(fixture.ready());
  bool all = false;
  for (int64_t k = 0; k < 5000 && !all; k += k < 30 ? 1 : 1 + k / 12) {
    const OrderState* order = fixture.submit("x");
    ASSERT_NE(order, nullptr);
    Watcher watcher;
    fixture.gateway.watch(*order, watcher);
    allocations_left = k;
    try {
      fixture.until([&] { return order->ended() && watcher.ends > 0; });
    } catch (const std::exception& error) {
      allocations_left = -1;
      FAIL() << "out of the event loop at allocation " << k << ": " << error.what();
    }
    all = std::exchange(allocations_left, -1) >= 0;
    EXPECT_TRUE(order->ended()) << k;
    EXPECT_EQ(watcher.ends, 1) << k;
    goes_on(fixture, "allocation " + std::to_string(k));
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(all);
}

TEST_F(GatewayMemory, whichever_allocation_of_the_encoders_fails_the_image_comes_or_fails) {
  GatewayFixture fixture({quick_settings()});
  ASSERT_TRUE(fixture.ready());
  bool all = false;
  for (int64_t k = 0; k < 300 && !all; k++) {
    const OrderState* order = fixture.submit("x");
    others_left = k;
    const std::string end = fixture.end_of(order);
    all = others_left.exchange(-1) >= 0;
    EXPECT_TRUE(end == "done" || end == "internal") << k << end;
    if (end == "done") {
      EXPECT_TRUE(as_alone(*order)) << k;
    }
  }
  EXPECT_TRUE(all);
  goes_on(fixture, "the encoders");
}

}  // namespace
}  // namespace inkstone::serve
