// From an order to its pictures: what the desk promises while no worker dies.
#include <gtest/gtest.h>

#include "serve/gateway/house.h"

namespace inkstone {
namespace {

TEST(Orders, a_picture_comes_as_its_request_gives_it_alone) {
  House house({quick_settings()});
  ASSERT_TRUE(house.ready());
  ASSERT_NE(house.gateway.model(), nullptr);
  const OrderState* order = house.place("a fox");
  ASSERT_NE(order, nullptr);
  EXPECT_EQ(order->id.size(), 32u);
  EXPECT_EQ(house.end_of(order), "done");
  EXPECT_TRUE(as_alone(*order));
  EXPECT_EQ(order->pictures[0].call, 3);
  EXPECT_EQ(house.gateway.figures().done, 1);
}

}  // namespace
}  // namespace inkstone
