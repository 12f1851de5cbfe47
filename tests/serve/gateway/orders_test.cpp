// From an order to its pictures: what the desk promises while no worker dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "serve/gateway/house.h"
#include "serve/gateway/worker/simulated_picture.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

using Flags = std::vector<std::string>;
const Flags kSlow{"step_ms=20"};

TEST(Orders, a_picture_comes_as_its_request_gives_it_alone) {
  House house({quick_settings()});
  ASSERT_TRUE(house.ready());
  ASSERT_NE(house.gateway.model(), nullptr);
  const OrderState* order = house.place("a fox");
  EXPECT_EQ(house.end_of(order), "done");
  EXPECT_TRUE(as_alone(*order));
  EXPECT_EQ(order->pictures[0].call, 3);
  EXPECT_GT(order->pictures[0].times.total, 0);
  EXPECT_EQ(house.gateway.figures().done, 1);
  EXPECT_EQ(house.gateway.figures().orders, 0);
}

TEST(Orders, ids_are_long_and_differ_and_are_known_to_their_client_alone) {
  House house({quick_settings()});
  ASSERT_TRUE(house.ready());
  std::set<std::string> ids;
  for (int i = 0; i < 50; i++) ids.insert(house.place("x")->id);
  EXPECT_EQ(ids.size(), 50u);
  EXPECT_THAT(*ids.begin(), testing::MatchesRegex("[0-9a-f]{32}"));
  EXPECT_NE(house.gateway.find(*ids.begin(), "ip:127.0.0.1"), nullptr);
  EXPECT_EQ(house.gateway.find(*ids.begin(), "ip:10.0.0.1"), nullptr);
  EXPECT_EQ(house.gateway.find("no such id", "ip:127.0.0.1"), nullptr);
  EXPECT_EQ(house.gateway.orders_of("ip:127.0.0.1").size(), 50u);
  EXPECT_TRUE(house.gateway.orders_of("ip:10.0.0.1").empty());
}

TEST(Orders, several_pictures_of_mixed_sizes_steps_and_guidance_are_each_as_alone) {
  for (const Batching mode : {Batching::kOff, Batching::kStatic, Batching::kStep}) {
    HouseOptions options{quick_settings(), {"step_ms=1"}};
    options.settings.batching = mode;
    House house(options);
    ASSERT_TRUE(house.ready());
    std::vector<const OrderState*> orders;
    for (int i = 0; i < 30; i++) {
      orders.push_back(house.place("picture " + std::to_string(i), 1 + i % 7, [&](Order& order) {
        order.pictures.push_back(order.pictures[0]);
        order.pictures[1].seed++;
        order.pictures[1].guidance = i % 3 ? 7 : 1;
        order.pictures[0].width = 32 + 32 * (i % 3);
        order.pictures[0].scheduler = i % 2 ? "pndm" : "euler";
        order.format = static_cast<PictureFormat>(i % 3);
      }));
      ASSERT_NE(orders.back(), nullptr);
    }
    for (const OrderState* order : orders) {
      EXPECT_EQ(house.end_of(order), "done");
      EXPECT_TRUE(as_alone(*order));
    }
  }
}

TEST(Orders, a_step_has_the_jobs_of_several_orders) {
  House house({quick_settings(), kSlow});
  ASSERT_TRUE(house.ready());
  std::vector<const OrderState*> orders;
  for (int i = 0; i < 4; i++) orders.push_back(house.place("x", 8));
  for (const OrderState* order : orders) EXPECT_EQ(house.end_of(order), "done");
  const Histogram rows = house.gateway.figures().rows_per_step;
  EXPECT_GT(rows.sum / static_cast<double>(rows.counts.back()), 4);
}

TEST(Orders, watchers_see_steps_previews_and_one_end) {
  House house({quick_settings(), kSlow});
  ASSERT_TRUE(house.ready());
  Watcher watcher;
  const OrderState* order = house.place("x", 10, [](Order& asked) { asked.previews = true; });
  house.gateway.watch(*order, watcher);
  EXPECT_EQ(watcher.told, 0);
  EXPECT_EQ(house.end_of(order), "done");
  house.until([&] { return watcher.ends > 0; });
  EXPECT_GE(watcher.told, 10);
  EXPECT_GE(watcher.previews, 1);
  EXPECT_EQ(watcher.ends, 1);
  EXPECT_EQ(house.gateway.figures().watchers, 0);
  EXPECT_GT(order->pictures[0].preview_call, 0);

  Watcher late;  // is told of the end all the same
  house.gateway.watch(*order, late);
  EXPECT_EQ(late.told, 0);
  EXPECT_TRUE(house.until([&] { return late.ends == 1; }));
}

TEST(Orders, seconds_left_and_position_are_foretold) {
  House house({quick_settings(), {"step_ms=30"}});
  ASSERT_TRUE(house.ready());
  const OrderState* first = house.place("first", 20);
  const OrderState* second = house.place("second", 20);
  EXPECT_EQ(house.gateway.find(second->id, "ip:127.0.0.1")->position, 1);
  EXPECT_TRUE(house.until([&] { return first->pictures[0].call == 10; }));
  EXPECT_GT(first->pictures[0].seconds_left, 0.1);
  EXPECT_LT(first->pictures[0].seconds_left, 3);
  EXPECT_EQ(house.end_of(first), "done");
  EXPECT_EQ(house.end_of(second), "done");
  EXPECT_EQ(second->position, 0);
}

struct CancelAt {
  const char* name;
  Stage stage;
  int call;
};

TEST(Orders, are_cancelled_in_every_phase_and_neighbours_go_on) {
  const CancelAt moments[] = {{"before it begins", Stage::kQueued, 0}, {"text", Stage::kText, 0},
                              {"first step", Stage::kSteps, 0},        {"a step", Stage::kSteps, 2},
                              {"last step", Stage::kSteps, 5},         {"pixels", Stage::kPixels, 6}};
  House house({quick_settings(), {"step_ms=5", "text_ms=5", "vae_ms=10"}});
  ASSERT_TRUE(house.ready());
  for (const CancelAt& moment : moments) {
    const OrderState* neighbour = house.place("neighbour", 12);
    const OrderState* order = house.place("cancelled", 6);
    const PictureState& picture = order->pictures[0];
    ASSERT_TRUE(house.until([&] { return picture.stage == moment.stage && picture.call >= moment.call; }))
        << moment.name;
    EXPECT_TRUE(house.gateway.cancel(*order)) << moment.name;
    EXPECT_EQ(picture.stage, Stage::kCancelled) << moment.name;
    EXPECT_FALSE(house.gateway.cancel(*order)) << "twice, " << moment.name;
    EXPECT_EQ(house.end_of(neighbour), "done") << moment.name;
    EXPECT_TRUE(as_alone(*neighbour)) << moment.name;
    EXPECT_EQ(picture.stage, Stage::kCancelled) << moment.name;
    EXPECT_FALSE(house.gateway.cancel(*neighbour)) << "after its end";
  }
  const ServiceFigures figures = house.gateway.figures();
  EXPECT_EQ(figures.cancelled, 6);
  EXPECT_EQ(figures.done, 6);
  EXPECT_EQ(figures.orders, 0);
  EXPECT_EQ(figures.worker_deaths, 0);
}

TEST(Orders, a_cancel_frees_rows_at_the_next_step) {
  HouseOptions options{quick_settings(), kSlow};
  options.settings.most_batch = 1;
  House house(options);
  ASSERT_TRUE(house.ready());
  const OrderState* long_one = house.place("x", 200);
  const OrderState* next = house.place("y", 2);
  house.until([&] { return long_one->pictures[0].call > 2; });
  house.gateway.cancel(*long_one);
  EXPECT_EQ(house.end_of(next), "done");
  EXPECT_LT(next->pictures[0].times.total, 2);
}

TEST(Orders, one_that_does_not_stay_goes_with_its_last_watcher) {
  House house({quick_settings(), kSlow});
  ASSERT_TRUE(house.ready());
  Watcher one, two;
  const OrderState* leaves = house.place("x", 100, [](Order& order) { order.stays = false; });
  const OrderState* stays = house.place("y", 5);
  for (const OrderState* order : {leaves, stays}) {
    house.gateway.watch(*order, one);
    house.gateway.watch(*order, two);
    house.gateway.unwatch(*order, one);
    EXPECT_FALSE(order->ended());
    house.gateway.unwatch(*order, two);
    house.gateway.unwatch(*order, two);
  }
  EXPECT_EQ(leaves->pictures[0].stage, Stage::kCancelled);
  EXPECT_EQ(house.end_of(stays), "done");
}

TEST(Orders, cut_short_gives_the_picture_as_it_is) {
  House house({quick_settings(), kSlow});
  ASSERT_TRUE(house.ready());
  const OrderState* order = house.place("x", 200);
  const OrderState* waiting = house.place("y", 200);
  ASSERT_TRUE(house.until([&] { return order->pictures[0].call == 4; }));
  EXPECT_TRUE(house.gateway.cut_short(*order));
  EXPECT_EQ(house.end_of(order), "done");
  const PictureState& picture = order->pictures[0];
  EXPECT_TRUE(picture.cut_short);
  EXPECT_GE(picture.call, 4);
  EXPECT_LE(picture.call, 6);
  EXPECT_EQ(*picture.file, picture_file(simulated_picture(picture.request, picture.call), PictureFormat::kPng, 95,
                                        picture.parameters));
  EXPECT_FALSE(house.gateway.cut_short(*order));
  house.gateway.cut_short(*waiting);
  EXPECT_EQ(house.end_of(waiting), "done");
}

TEST(Orders, a_deadline_that_passes_ends_what_waits) {
  House house({quick_settings(), {"step_ms=10"}});
  ASSERT_TRUE(house.ready());
  EXPECT_EQ(house.refused("x", 200, [](Order& order) { order.deadline = 0.5; }).code, "deadline");
  EXPECT_EQ(house.refused("x", 3, [](Order& order) { order.deadline = -1; }).code, "deadline");
  const OrderState* kept = house.place("slow@step:1 slow@step:2", 5, [](Order& order) { order.deadline = 0.3; });
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(house.end_of(kept), "deadline");
  EXPECT_TRUE(kept->pictures[0].failure.again);
  EXPECT_EQ(house.end_of(house.place("in time", 3, [](Order& order) { order.deadline = 10; })), "done");
}

TEST(Orders, an_idempotency_key_stands_for_one_order_of_one_client) {
  House house({quick_settings(), kSlow});
  ASSERT_TRUE(house.ready());
  Order order = order_of("x");
  order.idempotency = "key";
  const OrderState* first = house.gateway.place(order).order;
  const Placed again = house.gateway.place(order);
  EXPECT_EQ(again.order, first);
  EXPECT_TRUE(again.repeated);
  Order other = order;
  other.pictures[0].seed = 7;
  EXPECT_EQ(house.gateway.place(other).rejection.code, "conflict");
  other.client = "ip:10.0.0.1";
  const Placed elsewhere = house.gateway.place(other);
  EXPECT_FALSE(elsewhere.repeated);
  EXPECT_EQ(house.end_of(first), "done");
  EXPECT_EQ(house.gateway.place(order).order, first) << "its result is kept";

  order.idempotency = "cancelled";
  const OrderState* cancelled = house.gateway.place(order).order;
  house.gateway.cancel(*cancelled);
  EXPECT_NE(house.gateway.place(order).order, cancelled) << "there is nothing to give for it";
  EXPECT_EQ(house.gateway.figures().rejected.size(), 1u);
}

TEST(Orders, are_refused_for_what_they_ask_with_the_field) {
  HouseOptions options{quick_settings()};
  options.settings.most_steps = 50;
  House house(options);
  ASSERT_TRUE(house.ready());
  struct Row {
    const char* field;
    std::function<void(Order&)> change;
  };
  const Row rows[] = {
      {"width", [](Order& order) { order.pictures[0].width = 65; }},
      {"width", [](Order& order) { order.pictures[0].width = 0; }},
      {"height", [](Order& order) { order.pictures[0].height = 264; }},
      {"height", [](Order& order) { order.pictures[0].height = -8; }},
      {"steps", [](Order& order) { order.pictures[0].steps = 51; }},
      {"steps", [](Order& order) { order.pictures[0].steps = 0; }},
      {"scheduler", [](Order& order) { order.pictures[0].scheduler = "no such"; }},
      {"prompt", [](Order& order) { order.pictures[0].prompt.assign(100000, 'x'); }},
      {"n", [](Order& order) { order.pictures.clear(); }},
      {"n", [](Order& order) { order.pictures.resize(17, order.pictures[0]); }},
  };
  for (const Row& row : rows) {
    const Rejection rejection = house.refused("x", 3, row.change);
    EXPECT_EQ(rejection.code, "invalid");
    EXPECT_EQ(rejection.field, row.field);
    EXPECT_FALSE(rejection.message.empty());
  }
  EXPECT_EQ(house.gateway.figures().orders, 0);
}

TEST(Orders, quotas_bound_a_client_and_the_queue_and_all_pictures_are_let_in_or_none) {
  HouseOptions options{quick_settings(), kSlow};
  options.settings.most_per_client = 5;
  options.settings.most_queue = 8;
  House house(options);
  ASSERT_TRUE(house.ready());
  const auto many = [](int count, const char* client) {
    return [count, client](Order& order) {
      order.client = client;
      order.pictures.resize(static_cast<size_t>(count), order.pictures[0]);
    };
  };
  EXPECT_EQ(house.refused("x", 3, many(6, "a")).code, "quota");
  EXPECT_EQ(house.gateway.figures().orders, 0);
  const OrderState* five = house.place("x", 3, many(5, "a"));
  ASSERT_NE(five, nullptr);
  EXPECT_EQ(house.refused("x", 3, many(1, "a")).code, "quota");
  const Rejection full = house.refused("x", 3, many(4, "b"));
  EXPECT_EQ(full.code, "queue_full");
  EXPECT_GT(full.retry_after, 0);
  EXPECT_NE(house.place("x", 3, many(3, "b")), nullptr);
  EXPECT_EQ(house.end_of(five, 4), "done");
  EXPECT_NE(house.place("x", 3, many(1, "a")), nullptr);
}

TEST(Orders, overload_is_refused_at_once_and_what_was_let_in_ends) {
  HouseOptions options{quick_settings(), {"step_ms=2"}};
  options.settings.most_queue = 64;
  options.settings.most_wait = 5;
  House house(options);
  ASSERT_TRUE(house.ready());
  std::vector<const OrderState*> orders;
  int refused = 0;
  for (int i = 0; i < 600; i++) {
    const Placed placed = house.gateway.place(order_of("x" + std::to_string(i)));
    if (placed.order) orders.push_back(placed.order);
    EXPECT_TRUE(placed.order || placed.rejection.retry_after > 0);
    refused += !placed.order;
    if (i % 10 == 0) house.pass(0.002);
  }
  EXPECT_GT(refused, 100);
  EXPECT_GE(orders.size(), 64u);
  for (const OrderState* order : orders) EXPECT_EQ(house.end_of(order), "done");
}

TEST(Orders, what_would_wait_too_long_is_refused) {
  HouseOptions options{quick_settings(), {"step_ms=100"}};
  options.settings.most_wait = 3;
  House house(options);
  ASSERT_TRUE(house.ready());
  const Rejection rejection = house.refused("x", 200);
  EXPECT_EQ(rejection.code, "too_long");
  EXPECT_GT(rejection.retry_after, 0);
}

TEST(Orders, are_kept_for_a_while_and_so_many_bytes_alone) {
  HouseOptions options{quick_settings()};
  options.settings.kept_seconds = 1;
  House house(options);
  ASSERT_TRUE(house.ready());
  const OrderState* order = house.place("x");
  const std::string id = order->id;
  EXPECT_EQ(house.end_of(order), "done");
  EXPECT_GT(house.gateway.figures().kept_bytes, 64 * 64 * 3);
  EXPECT_TRUE(house.until([&] { return !house.gateway.find(id, "ip:127.0.0.1"); }, 10));
  EXPECT_EQ(house.gateway.figures().kept_bytes, 0);

  HouseOptions small{quick_settings()};
  small.settings.most_kept_bytes = 50000;
  House other(small);
  ASSERT_TRUE(other.ready());
  std::vector<std::string> ids;
  for (int i = 0; i < 6; i++) {
    const OrderState* kept = other.place("x");
    ids.push_back(kept->id);
    ASSERT_TRUE(other.ended(kept));
  }
  EXPECT_TRUE(other.until([&] { return other.gateway.figures().kept_bytes <= 50000; }, 10));
  EXPECT_EQ(other.gateway.find(ids[0], "ip:127.0.0.1"), nullptr);
  EXPECT_NE(other.gateway.find(ids[5], "ip:127.0.0.1"), nullptr);
}

TEST(Orders, higher_priorities_go_first) {
  HouseOptions options{quick_settings(), {"step_ms=10"}};
  options.settings.most_batch = 1;
  House house(options);
  ASSERT_TRUE(house.ready());
  const OrderState* low = house.place("low", 20, [](Order& order) { order.priority = Priority::kLow; });
  ASSERT_TRUE(house.until([&] { return low->pictures[0].call > 1; }));
  const OrderState* high = house.place("high", 20, [](Order& order) { order.priority = Priority::kHigh; });
  EXPECT_EQ(house.end_of(high), "done");
  EXPECT_FALSE(low->ended());
  EXPECT_EQ(house.end_of(low), "done");
}

TEST(Orders, a_watcher_may_unwatch_cancel_and_place_while_it_is_told) {
  House house({quick_settings(), kSlow});
  ASSERT_TRUE(house.ready());
  Watcher watcher;
  const OrderState* other = house.place("other", 100);
  const OrderState* placed = nullptr;
  const OrderState* order = house.place("x", 100, [](Order& asked) { asked.stays = false; });
  watcher.then = [&](const OrderState& state) {
    if (state.pictures[0].call < 2 || placed) return;
    house.gateway.cancel(*other);
    placed = house.place("new", 2);
    house.gateway.unwatch(state, watcher);
  };
  house.gateway.watch(*order, watcher);
  EXPECT_EQ(house.end_of(order), "cancelled");
  EXPECT_EQ(house.end_of(other), "cancelled");
  EXPECT_EQ(house.end_of(placed), "done");
}

}  // namespace
}  // namespace inkstone
