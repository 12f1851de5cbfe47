// SDXL's second model in a request: the operator's, which nobody asked for, and one that is asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

struct RefinerServer : FakeServer {
  RefinerServer() {
    service.card.traits.sdxl = true;
    ModelCard refiner = service.card;
    refiner.name = refiner.file = "refiner";
    refiner.traits.refiner = true;
    service.others.push_back({"refiner", {"/models/refiner", ""}, refiner, {}, {}});
    settings.folders.refiner = "/models/refiner";
    service.models();  // so that its list keeps its place
  }
  const Order& drawn(const std::string& body) {
    ask({"POST", "/generate", body});
    return service.last().order;
  }
};

TEST(Refiner, of_the_operator_finishes_what_has_a_place_for_it_and_refuses_nothing) {
  RefinerServer server;
  EXPECT_TRUE(server.drawn(R"({"prompt": "p"})").refiner.has_value());
  EXPECT_GT(server.service.last().order.images.at(0)->end_call, 0);
  for (const char* body : {R"({"prompt": "p", "hires": 2})", R"({"prompt": "p", "num_inference_steps": 1})",
                           R"({"prompt": "p", "refiner": "none"})"}) {
    const size_t before = server.service.orders.size();
    const Order& order = server.drawn(body);
    ASSERT_EQ(server.service.orders.size(), before + 1) << body;
    EXPECT_FALSE(order.refiner.has_value()) << body;
    EXPECT_EQ(order.images.at(0)->end_call, -1) << body;
  }
}

TEST(Refiner, that_is_asked_for_and_has_no_place_is_refused) {
  RefinerServer server;
  const auto refused = [&](const char* body) {
    const auto exchange = server.ask({"POST", "/generate", body});
    EXPECT_EQ(exchange->answer->status, 400u) << body;
    return std::string(exchange->json().at("error").at("message").as_string());
  };
  EXPECT_THAT(refused(R"({"prompt": "p", "hires": 2, "refiner": "refiner"})"), HasSubstr("leave one of them out"));
  EXPECT_THAT(refused(R"({"prompt": "p", "num_inference_steps": 1, "refiner_start": 0.5})"),
              HasSubstr("none of 1 step"));
  EXPECT_TRUE(server.service.orders.empty());
}

}  // namespace
}  // namespace inkstone::serve
