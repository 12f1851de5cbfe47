// From an order to its images: what the service promises while no worker dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/image_file.h"
#include "serve/gateway/gateway_fixture.h"
#include "serve/gateway/worker/simulated_image.h"

namespace inkstone::serve {
namespace {

using Flags = std::vector<std::string>;
const Flags kSlow{"step_ms=20"};

TEST(Orders, a_image_comes_as_its_request_gives_it_alone) {
  GatewayFixture fixture({quick_settings()});
  ASSERT_TRUE(fixture.ready());
  ASSERT_EQ(fixture.gateway.models().size(), 1u);
  const OrderState* order = fixture.submit("a fox");
  EXPECT_EQ(fixture.end_of(order), "done");
  EXPECT_TRUE(as_alone(*order));
  EXPECT_EQ(order->images[0].call, 3);
  EXPECT_GT(order->images[0].times.total, 0);
  EXPECT_EQ(fixture.gateway.figures().done, 1);
  EXPECT_EQ(fixture.gateway.figures().orders, 0);
}

TEST(Orders, ids_are_long_and_differ_and_are_known_to_their_client_alone) {
  GatewayFixture fixture({quick_settings()});
  ASSERT_TRUE(fixture.ready());
  std::set<std::string> ids;
  for (int i = 0; i < 50; i++) ids.insert(fixture.submit("x")->id);
  EXPECT_EQ(ids.size(), 50u);
  EXPECT_THAT(*ids.begin(), testing::MatchesRegex("[0-9a-f]{32}"));
  EXPECT_NE(fixture.gateway.find(*ids.begin(), "ip:127.0.0.1"), nullptr);
  EXPECT_EQ(fixture.gateway.find(*ids.begin(), "ip:10.0.0.1"), nullptr);
  EXPECT_EQ(fixture.gateway.find("no such id", "ip:127.0.0.1"), nullptr);
  EXPECT_EQ(fixture.gateway.orders_of("ip:127.0.0.1").size(), 50u);
  EXPECT_TRUE(fixture.gateway.orders_of("ip:10.0.0.1").empty());
}

TEST(Orders, who_waits_is_told_as_others_end_before) {
  FixtureOptions options{quick_settings(), kSlow};
  options.settings.batching = Batching::kOff;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  for (int i = 0; i < 2; i++) fixture.submit("before", 30);
  const OrderState* last = fixture.submit("last", 30);
  std::vector<int> places;
  Watcher watcher;
  watcher.then = [&](const OrderState& order) {
    if (order.images[0].stage == Stage::kQueued) places.push_back(order.position);
  };
  fixture.gateway.watch(*last, watcher);
  EXPECT_EQ(fixture.end_of(last), "done");
  EXPECT_THAT(places, testing::Contains(1)) << "of two, once one has ended";
}

TEST(Orders, several_images_of_mixed_sizes_steps_and_guidance_are_each_as_alone) {
  for (const Batching mode : {Batching::kOff, Batching::kStatic, Batching::kStep}) {
    FixtureOptions options{quick_settings(), {"step_ms=1"}};
    options.settings.batching = mode;
    GatewayFixture fixture(options);
    ASSERT_TRUE(fixture.ready());
    std::vector<const OrderState*> orders;
    for (int i = 0; i < 30; i++) {
      orders.push_back(fixture.submit("image " + std::to_string(i), 1 + i % 7, [&](Order& order) {
        Order other = order;
        say(other, [i](ImageRequest& request) {
          ++*request.seed;
          request.guidance_scale = i % 3 ? 7 : 1;
        });
        say(order, [i](ImageRequest& request) {
          request.width = 32 + 32 * (i % 3);
          request.scheduler = i % 2 ? "pndm" : "euler";
        });
        order.images.push_back(other.images[0]);
        order.format = static_cast<ImageFormat>(i % 3);
      }));
      ASSERT_NE(orders.back(), nullptr);
    }
    for (const OrderState* order : orders) {
      EXPECT_EQ(fixture.end_of(order), "done");
      EXPECT_TRUE(as_alone(*order));
    }
  }
}

TEST(Orders, a_step_has_the_jobs_of_several_orders) {
  GatewayFixture fixture({quick_settings(), kSlow});
  ASSERT_TRUE(fixture.ready());
  std::vector<const OrderState*> orders;
  for (int i = 0; i < 4; i++) orders.push_back(fixture.submit("x", 8));
  for (const OrderState* order : orders) EXPECT_EQ(fixture.end_of(order), "done");
  const Histogram rows = fixture.gateway.figures().rows_per_step;
  EXPECT_GT(rows.sum / static_cast<double>(rows.counts.back()), 4);
}

TEST(Orders, watchers_see_steps_previews_and_one_end) {
  GatewayFixture fixture({quick_settings(), kSlow});
  ASSERT_TRUE(fixture.ready());
  Watcher watcher;
  const OrderState* order = fixture.submit("x", 10, [](Order& asked) { asked.previews = true; });
  fixture.gateway.watch(*order, watcher);
  EXPECT_EQ(watcher.told, 0);
  EXPECT_EQ(fixture.end_of(order), "done");
  fixture.until([&] { return watcher.ends > 0; });
  EXPECT_GE(watcher.told, 10);
  EXPECT_GE(watcher.previews, 1);
  EXPECT_EQ(watcher.ends, 1);
  EXPECT_EQ(fixture.gateway.figures().watchers, 0);
  EXPECT_GT(order->images[0].preview_call, 0);

  // Is told of the end all the same.
  Watcher late;
  fixture.gateway.watch(*order, late);
  EXPECT_EQ(late.told, 0);
  EXPECT_TRUE(fixture.until([&] { return late.ends == 1; }));
}

TEST(Orders, seconds_left_and_position_are_foretold) {
  GatewayFixture fixture({quick_settings(), {"step_ms=30"}});
  ASSERT_TRUE(fixture.ready());
  const OrderState* first = fixture.submit("first", 20);
  const OrderState* second = fixture.submit("second", 20);
  EXPECT_EQ(fixture.gateway.find(second->id, "ip:127.0.0.1")->position, 1);
  EXPECT_TRUE(fixture.until([&] { return first->images[0].call == 10; }));
  EXPECT_GT(first->images[0].seconds_left, 0.1);
  EXPECT_LT(first->images[0].seconds_left, 3);
  EXPECT_EQ(fixture.end_of(first), "done");
  EXPECT_EQ(fixture.end_of(second), "done");
  EXPECT_EQ(second->position, 0);
}

struct CancelAt {
  const char* name;
  Stage stage;
  int call;
};

TEST(Orders, are_cancelled_in_every_phase_and_neighbours_go_on) {
  const CancelAt moments[] = {{"before it begins", Stage::kQueued, 0}, {"encode", Stage::kEncode, 0},
                              {"first step", Stage::kDenoise, 0},      {"a step", Stage::kDenoise, 2},
                              {"last step", Stage::kDenoise, 5},       {"decode", Stage::kDecode, 6}};
  GatewayFixture fixture({quick_settings(), {"step_ms=5", "encode_ms=5", "decode_ms=10"}});
  ASSERT_TRUE(fixture.ready());
  for (const CancelAt& moment : moments) {
    const OrderState* neighbour = fixture.submit("neighbour", 12);
    const OrderState* order = fixture.submit("cancelled", 6);
    const ImageState& image = order->images[0];
    ASSERT_TRUE(fixture.until([&] { return image.stage == moment.stage && image.call >= moment.call; })) << moment.name;
    EXPECT_TRUE(fixture.gateway.cancel(*order)) << moment.name;
    EXPECT_EQ(image.stage, Stage::kCancelled) << moment.name;
    EXPECT_FALSE(fixture.gateway.cancel(*order)) << "twice, " << moment.name;
    EXPECT_EQ(fixture.end_of(neighbour), "done") << moment.name;
    EXPECT_TRUE(as_alone(*neighbour)) << moment.name;
    EXPECT_EQ(image.stage, Stage::kCancelled) << moment.name;
    EXPECT_FALSE(fixture.gateway.cancel(*neighbour)) << "after its end";
  }
  const ServiceFigures figures = fixture.gateway.figures();
  EXPECT_EQ(figures.cancelled, 6);
  EXPECT_EQ(figures.done, 6);
  EXPECT_EQ(figures.orders, 0);
  EXPECT_EQ(figures.worker_deaths, 0);
}

TEST(Orders, a_cancel_frees_rows_at_the_next_step) {
  FixtureOptions options{quick_settings(), kSlow};
  options.settings.max_batch = 1;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  const OrderState* long_one = fixture.submit("x", 200);
  const OrderState* next = fixture.submit("y", 2);
  fixture.until([&] { return long_one->images[0].call > 2; });
  fixture.gateway.cancel(*long_one);
  EXPECT_EQ(fixture.end_of(next), "done");
  EXPECT_LT(next->images[0].times.total, 2);
}

TEST(Orders, one_that_does_not_stay_goes_with_its_last_watcher) {
  GatewayFixture fixture({quick_settings(), kSlow});
  ASSERT_TRUE(fixture.ready());
  Watcher one, two;
  const OrderState* leaves = fixture.submit("x", 100, [](Order& order) { order.stays = false; });
  const OrderState* stays = fixture.submit("y", 5);
  for (const OrderState* order : {leaves, stays}) {
    fixture.gateway.watch(*order, one);
    fixture.gateway.watch(*order, two);
    fixture.gateway.unwatch(*order, one);
    EXPECT_FALSE(order->ended());
    fixture.gateway.unwatch(*order, two);
    fixture.gateway.unwatch(*order, two);
  }
  EXPECT_EQ(leaves->images[0].stage, Stage::kCancelled);
  EXPECT_EQ(fixture.end_of(stays), "done");
}

TEST(Orders, cut_short_gives_the_image_as_it_is) {
  GatewayFixture fixture({quick_settings(), kSlow});
  ASSERT_TRUE(fixture.ready());
  const OrderState* order = fixture.submit("x", 200);
  const OrderState* waiting = fixture.submit("y", 200);
  ASSERT_TRUE(fixture.until([&] { return order->images[0].call == 4; }));
  EXPECT_TRUE(fixture.gateway.cut_short(*order));
  EXPECT_EQ(fixture.end_of(order), "done");
  const ImageState& image = order->images[0];
  EXPECT_TRUE(image.cut_short);
  EXPECT_GE(image.call, 4);
  EXPECT_LE(image.call, 6);
  EXPECT_EQ(*image.file, image_file(simulated_image(order->order.images[0]->said(), image.call), ImageFormat::kPng, 95,
                                    image.parameters));
  EXPECT_FALSE(fixture.gateway.cut_short(*order));
  fixture.gateway.cut_short(*waiting);
  EXPECT_EQ(fixture.end_of(waiting), "done");
}

TEST(Orders, a_deadline_that_passes_ends_what_waits) {
  GatewayFixture fixture({quick_settings(), {"step_ms=10"}});
  ASSERT_TRUE(fixture.ready());
  EXPECT_EQ(fixture.refused("x", 200, [](Order& order) { order.deadline = 0.5; }).code, "deadline");
  EXPECT_EQ(fixture.refused("x", 3, [](Order& order) { order.deadline = -1; }).code, "deadline");
  const OrderState* kept = fixture.submit("slow@step:1 slow@step:2", 5, [](Order& order) { order.deadline = 0.3; });
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(fixture.end_of(kept), "deadline");
  EXPECT_TRUE(kept->images[0].failure.again);
  EXPECT_EQ(fixture.end_of(fixture.submit("in time", 3, [](Order& order) { order.deadline = 10; })), "done");
}

TEST(Orders, an_idempotency_key_stands_for_one_order_of_one_client) {
  GatewayFixture fixture({quick_settings(), kSlow});
  ASSERT_TRUE(fixture.ready());
  Order order = order_of("x");
  order.idempotency = "key";
  const OrderState* first = fixture.gateway.submit(order).order;
  const SubmitResult again = fixture.gateway.submit(order);
  EXPECT_EQ(again.order, first);
  EXPECT_TRUE(again.repeated);
  Order other = order;
  other.asked = "something else";
  EXPECT_EQ(fixture.gateway.submit(other).rejection.code, "conflict");
  other.client = "ip:10.0.0.1";
  const SubmitResult elsewhere = fixture.gateway.submit(other);
  EXPECT_FALSE(elsewhere.repeated);
  EXPECT_EQ(fixture.end_of(first), "done");
  EXPECT_EQ(fixture.gateway.submit(order).order, first) << "its result is kept";

  order.idempotency = "cancelled";
  const OrderState* cancelled = fixture.gateway.submit(order).order;
  fixture.gateway.cancel(*cancelled);
  EXPECT_NE(fixture.gateway.submit(order).order, cancelled) << "there is nothing to give for it";
  EXPECT_EQ(fixture.gateway.figures().rejected.size(), 1u);
}

TEST(Orders, are_refused_for_what_they_ask_with_the_field) {
  FixtureOptions options{quick_settings()};
  options.settings.max_steps = 50;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  struct Row {
    const char* field;
    std::function<void(Order&)> change;
  };
  const Row rows[] = {
      {"n", [](Order& order) { order.images.clear(); }},
      {"n", [](Order& order) { order.images.resize(17, order.images[0]); }},
  };
  for (const Row& row : rows) {
    const Rejection rejection = fixture.refused("x", 3, row.change);
    EXPECT_EQ(rejection.code, "invalid");
    EXPECT_EQ(rejection.field, row.field);
    EXPECT_FALSE(rejection.message.empty());
  }
  EXPECT_EQ(fixture.gateway.figures().orders, 0);
}

TEST(Orders, quotas_bound_a_client_and_the_queue_and_all_images_are_admitted_or_none) {
  FixtureOptions options{quick_settings(), kSlow};
  options.settings.max_per_client = 5;
  options.settings.max_queue = 8;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  const auto many = [](int count, const char* client) {
    return [count, client](Order& order) {
      order.client = client;
      order.images.resize(static_cast<size_t>(count), order.images[0]);
    };
  };
  EXPECT_EQ(fixture.refused("x", 3, many(6, "a")).code, "quota");
  EXPECT_EQ(fixture.gateway.figures().orders, 0);
  const OrderState* five = fixture.submit("x", 3, many(5, "a"));
  ASSERT_NE(five, nullptr);
  EXPECT_EQ(fixture.refused("x", 3, many(1, "a")).code, "quota");
  const Rejection full = fixture.refused("x", 3, many(4, "b"));
  EXPECT_EQ(full.code, "queue_full");
  EXPECT_GT(full.retry_after, 0);
  EXPECT_NE(fixture.submit("x", 3, many(3, "b")), nullptr);
  EXPECT_EQ(fixture.end_of(five, 4), "done");
  EXPECT_NE(fixture.submit("x", 3, many(1, "a")), nullptr);
}

TEST(Orders, overload_is_refused_at_once_and_what_was_admitted_ends) {
  FixtureOptions options{quick_settings(), {"step_ms=2"}};
  options.settings.max_queue = 64;
  options.settings.max_wait = 5;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  std::vector<const OrderState*> orders;
  int refused = 0;
  for (int i = 0; i < 600; i++) {
    const SubmitResult submitted = fixture.gateway.submit(order_of("x" + std::to_string(i)));
    if (submitted.order) orders.push_back(submitted.order);
    EXPECT_TRUE(submitted.order || submitted.rejection.retry_after > 0);
    refused += !submitted.order;
    if (i % 10 == 0) fixture.pass(0.002);
  }
  EXPECT_GT(refused, 100);
  EXPECT_GE(orders.size(), 64u);
  for (const OrderState* order : orders) EXPECT_EQ(fixture.end_of(order), "done");
}

TEST(Orders, what_would_wait_too_long_is_refused) {
  FixtureOptions options{quick_settings(), {"step_ms=100"}};
  options.settings.max_wait = 3;
  options.settings.max_batch = 1;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  const OrderState* first = fixture.submit("long", 200);
  ASSERT_NE(first, nullptr) << "an idle server takes any order";
  const Rejection rejection = fixture.refused("x", 3);
  EXPECT_EQ(rejection.code, "too_long");
  EXPECT_NE(rejection.message.find("the limit is 3 s (--max-wait)"), std::string::npos) << rejection.message;
  EXPECT_GT(rejection.retry_after, 0);
  fixture.gateway.cancel(*first);
}

TEST(Orders, where_no_worker_can_start_any_more_they_are_refused_and_those_let_in_end) {
  const std::string broken = "/tmp/inkstone_broken_" + std::to_string(getpid());
  FixtureOptions options{quick_settings(), {"never_if:" + broken}};
  options.settings.max_wait = 1;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  std::ofstream(broken) << "now";
  kill(fixture.pids()[0], SIGKILL);
  ASSERT_TRUE(fixture.until([&] { return fixture.gateway.figures().workers[0].state != "ready"; }));
  const OrderState* let_in = fixture.submit("x");
  ASSERT_NE(let_in, nullptr);
  EXPECT_EQ(fixture.end_of(let_in), "not_ready");
  EXPECT_TRUE(fixture.until([&] { return fixture.gateway.figures().workers[0].restarts >= 4; }));
  EXPECT_EQ(fixture.refused("y").code, "not_ready");
  std::filesystem::remove(broken);
  ASSERT_TRUE(fixture.ready());
  EXPECT_EQ(fixture.end_of(fixture.submit("z")), "done");
}

TEST(Orders, are_kept_for_a_while_and_so_many_bytes_alone) {
  FixtureOptions options{quick_settings()};
  options.settings.kept_seconds = 1;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  const OrderState* order = fixture.submit("x");
  const std::string id = order->id;
  EXPECT_EQ(fixture.end_of(order), "done");
  EXPECT_GT(fixture.gateway.figures().kept_bytes, 64 * 64 * 3);
  EXPECT_TRUE(fixture.until([&] { return !fixture.gateway.find(id, "ip:127.0.0.1"); }, 10));
  EXPECT_EQ(fixture.gateway.figures().kept_bytes, 0);

  FixtureOptions small{quick_settings()};
  small.settings.max_kept_bytes = 50000;
  GatewayFixture other(small);
  ASSERT_TRUE(other.ready());
  std::vector<std::string> ids;
  for (int i = 0; i < 6; i++) {
    const OrderState* kept = other.submit("x");
    ids.push_back(kept->id);
    ASSERT_TRUE(other.ended(kept));
  }
  EXPECT_TRUE(other.until([&] { return other.gateway.figures().kept_bytes <= 50000; }, 10));
  EXPECT_EQ(other.gateway.find(ids[0], "ip:127.0.0.1"), nullptr);
  EXPECT_NE(other.gateway.find(ids[5], "ip:127.0.0.1"), nullptr);
}

TEST(Orders, one_image_beside_a_client_with_64_comes_after_about_one_of_them) {
  FixtureOptions options{quick_settings(), {"step_ms=5"}};
  options.settings.max_batch = 1;
  options.settings.max_wait = 3;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  std::vector<const OrderState*> many;
  Rejection refused;
  while (refused.code.empty() && many.size() < 64) {
    SubmitResult submitted = fixture.gateway.submit(order_of("x", 20));
    if (submitted.order) many.push_back(submitted.order);
    refused = submitted.rejection;
  }
  EXPECT_EQ(refused.code, "too_long") << many.size();
  ASSERT_GT(many.size(), 8u);
  ASSERT_TRUE(fixture.until([&] { return many[0]->images[0].call > 3; }));
  const OrderState* one = fixture.submit("one", 20, [](Order& order) { order.client = "ip:10.0.0.1"; });
  ASSERT_NE(one, nullptr) << "the wait of the others is theirs";
  EXPECT_LE(one->position, 2);
  EXPECT_EQ(fixture.end_of(one), "done");
  EXPECT_LE(std::ranges::count_if(many, [](const OrderState* order) { return order->ended(); }), 3);
  EXPECT_EQ(fixture.gateway.find(many.back()->id, "ip:127.0.0.1")->position,
            static_cast<int>(many.size()) - 1 -
                static_cast<int>(std::ranges::count_if(many, [](const OrderState* order) { return order->ended(); })));
}

TEST(Orders, higher_priorities_go_first) {
  FixtureOptions options{quick_settings(), {"step_ms=10"}};
  options.settings.max_batch = 1;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  const OrderState* low = fixture.submit("low", 20, [](Order& order) { order.priority = Priority::kLow; });
  ASSERT_TRUE(fixture.until([&] { return low->images[0].call > 1; }));
  const OrderState* high = fixture.submit("high", 20, [](Order& order) { order.priority = Priority::kHigh; });
  EXPECT_EQ(fixture.end_of(high), "done");
  EXPECT_FALSE(low->ended());
  EXPECT_EQ(fixture.end_of(low), "done");
}

TEST(Orders, a_watcher_may_unwatch_cancel_and_place_while_it_is_told) {
  GatewayFixture fixture({quick_settings(), kSlow});
  ASSERT_TRUE(fixture.ready());
  Watcher watcher;
  const OrderState* other = fixture.submit("other", 100);
  const OrderState* submitted = nullptr;
  const OrderState* order = fixture.submit("x", 100, [](Order& asked) { asked.stays = false; });
  watcher.then = [&](const OrderState& state) {
    if (state.images[0].call < 2 || submitted) return;
    fixture.gateway.cancel(*other);
    submitted = fixture.submit("new", 2);
    fixture.gateway.unwatch(state, watcher);
  };
  fixture.gateway.watch(*order, watcher);
  EXPECT_EQ(fixture.end_of(order), "cancelled");
  EXPECT_EQ(fixture.end_of(other), "cancelled");
  EXPECT_EQ(fixture.end_of(submitted), "done");
}

}  // namespace
}  // namespace inkstone::serve
