// Several models through one gateway: each image is its model's, whatever is in the workers' memory;
// files that cannot be run are left out; a rescan takes what is new.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "serve/gateway/gateway_fixture.h"
#include "serve/gateway/model_list.h"
#include "serve/gateway/worker/simulated_image.h"

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Files whose names alone count here: the simulated worker opens none.
struct ModelFolder {
  fs::path path = fs::temp_directory_path() / ("inkstone_models_" + std::to_string(getpid()));
  fs::path loras = path / "loras_";
  ModelFolder() {
    fs::remove_all(path);
    fs::create_directories(path / "models");
    fs::create_directories(loras / "below");
    for (const char* name : {"one", "two", "three"}) add(name);
    for (const char* name : {"style", "below/other"})
      std::ofstream(loras / (std::string(name) + ".safetensors")) << "l";
  }
  ~ModelFolder() { fs::remove_all(path); }
  void add(const std::string& name) const {
    std::ofstream(path / "models" / (name + ".safetensors")) << "weights of " << name;
  }
  FixtureOptions options(std::vector<std::string> flags = {}) const {
    FixtureOptions options{quick_settings(), std::move(flags)};
    options.settings.folders = {path / "models", loras};
    return options;
  }
};

std::vector<std::string> ready_names(const GatewayFixture& fixture) {
  std::vector<std::string> names;
  for (const ServedModel& model : fixture.gateway.models())
    if (model.card) names.push_back(model.name);
  return names;
}

bool all_read(GatewayFixture& fixture) {
  return fixture.until([&] {
    for (const ServedModel& model : fixture.gateway.models())
      if (!model.card && model.fault.empty()) return false;
    return !fixture.gateway.models().empty();
  });
}

TEST(Models, are_drawn_from_by_name_with_their_adapters_whatever_is_in_memory) {
  const ModelFolder folder;
  for (const char* keeps : {"keeps=1", "keeps=2", "keeps=9"}) {
    GatewayFixture fixture(folder.options({keeps, "load_ms=5", "step_ms=1"}));
    ASSERT_TRUE(fixture.ready());
    ASSERT_TRUE(all_read(fixture));
    EXPECT_THAT(ready_names(fixture), testing::ElementsAre("simulated", "one", "three", "two"));
    std::vector<const OrderState*> orders;
    const std::vector<std::string> names{"", "one", "two", "three"};
    for (int i = 0; i < 40; i++)
      orders.push_back(fixture.submit("image " + std::to_string(i), 3 + i % 4, [&](Order& order) {
        order.model = names[static_cast<size_t>(i * 7 % 4)];
        if (i % 3 == 1) order.adapters = {{"style", 0.5f, 1.0f}};
        if (i % 5 == 1) order.adapters.push_back({"other", 1, 1});
      }));
    for (const OrderState* order : orders) {
      ASSERT_EQ(fixture.end_of(order), "done");
      EXPECT_TRUE(as_alone(*order)) << order->order.model;
    }
  }
}

TEST(Models, that_are_not_there_or_cannot_be_run_are_refused_and_the_others_go_on) {
  const ModelFolder folder;
  folder.add("broken");
  folder.add("deadly");
  GatewayFixture fixture(folder.options());
  ASSERT_TRUE(all_read(fixture));
  EXPECT_THAT(ready_names(fixture), testing::ElementsAre("simulated", "one", "three", "two"));
  EXPECT_EQ(fixture.gateway.figures().worker_deaths, 2) << "of reading the deadly one, which another worker tries";
  for (const char* name : {"four", "broken", "deadly"}) {
    const Rejection refused = fixture.refused("x", 3, [&](Order& order) { order.model = name; });
    EXPECT_EQ(refused.code, "invalid");
    EXPECT_EQ(refused.field, "model");
  }
  const Rejection refused = fixture.refused("x", 3, [&](Order& order) { order.adapters = {{"stile", 1, 1}}; });
  EXPECT_THAT(refused.message, HasSubstr("did you mean style?"));
  EXPECT_THAT(refused.message, testing::Not(HasSubstr(folder.path.string())));
  EXPECT_EQ(fixture.end_of(fixture.submit("x", 3, [](Order& order) { order.model = "two"; })), "done");
}

TEST(Models, that_come_and_go_are_seen_at_a_rescan) {
  const ModelFolder folder;
  GatewayFixture fixture(folder.options());
  ASSERT_TRUE(all_read(fixture));
  const std::string before = fixture.gateway.models().at(1).file.state;
  folder.add("new");
  fs::remove(folder.path / "models" / "two.safetensors");
  std::ofstream(folder.path / "models" / "one.safetensors") << "others";
  EXPECT_THAT(ready_names(fixture), testing::ElementsAre("simulated", "one", "three", "two"));
  int told = 0;
  for (int i = 0; i < 3; i++) fixture.gateway.rescan([&] { told++; });
  EXPECT_TRUE(fixture.until([&] { return told == 3; }));
  ASSERT_TRUE(all_read(fixture));
  EXPECT_THAT(ready_names(fixture), testing::ElementsAre("simulated", "new", "one", "three"));
  EXPECT_NE(fixture.gateway.models().at(2).file.state, before);
  EXPECT_EQ(fixture.end_of(fixture.submit("x", 3, [](Order& order) { order.model = "new"; })), "done");
  EXPECT_EQ(fixture.refused("x", 3, [](Order& order) { order.model = "two"; }).field, "model");
}

TEST(Models, are_drawn_from_though_workers_die) {
  const ModelFolder folder;
  FixtureOptions options = folder.options({"keeps=1", "load_ms=3", "step_ms=3"});
  options.settings.workers = 2;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  ASSERT_TRUE(all_read(fixture));
  std::vector<const OrderState*> orders;
  const std::vector<std::string> names{"one", "two", "three"};
  for (int i = 0; i < 30; i++)
    orders.push_back(fixture.submit("image " + std::to_string(i), 5,
                                    [&](Order& order) { order.model = names[static_cast<size_t>(i) % 3]; }));
  for (int i = 0; i < 3; i++) {
    fixture.pass(0.05);
    const std::vector<int> pids = fixture.pids();
    if (!pids.empty()) kill(pids[0], SIGKILL);
  }
  for (const OrderState* order : orders) {
    EXPECT_EQ(fixture.end_of(order), "done");
    EXPECT_TRUE(as_alone(*order)) << order->order.model;
  }
}

TEST(Models, keys_of_variants_name_the_model_and_tell_files_apart) {
  const ModelFolder folder;
  boost::asio::io_context events;
  ModelList list(events, {folder.path / "models", folder.loras});
  const ServedModel* one = list.find("one");
  ASSERT_NE(one, nullptr);
  const Variant plain = list.variant_of(*one, {}), styled = list.variant_of(*one, {{"style", 0.5f, 0.5f}});
  EXPECT_EQ(shown_variant(styled.key), "one <lora:style:0.5>");
  EXPECT_EQ(model_of_variant(styled.key), "one");
  EXPECT_EQ(shown_variant(plain.key), "one");
  EXPECT_FALSE(plain.same_weights(styled));
  std::ofstream(folder.loras / "style.safetensors") << "changed";
  const auto work = boost::asio::make_work_guard(events);
  bool told = false;
  list.rescan([&] { told = true; });
  for (int i = 0; i < 1000 && !told; i++) {
    events.restart();
    events.run_one_for(std::chrono::milliseconds(20));
  }
  ASSERT_TRUE(told);
  EXPECT_NE(list.variant_of(*list.find("one"), {{"style", 0.5f, 0.5f}}).key, styled.key);
  EXPECT_EQ(list.variant_of(*list.find("one"), {}).key, plain.key);
}

}  // namespace
}  // namespace inkstone::serve
