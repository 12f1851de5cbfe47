// A worker over a real socket pair, in a thread: what it draws is what the engine draws alone,
// whatever the company, and whatever goes wrong ends where it belongs.
#include "serve/worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/image.h"
#include "diffusion/generate.h"
#include "diffusion/preview_vae.h"
#include "sanitized.h"
#include "serve/wire/packet.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::filesystem::path kDemo = std::filesystem::path(INKSTONE_SOURCE_DIR) / "demo" / "model";

std::unique_ptr<Engine> engine_with(Pipeline model, size_t budget = 0) {
  EngineOptions options;
  options.precision = Precision::kFp32;
  options.memory_budget = budget;
  return std::make_unique<Engine>(std::move(model), options);
}

std::unique_ptr<Engine> demo_engine() { return engine_with(Pipeline::open(kDemo)); }

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

class Served {
 public:
  explicit Served(
      WorkerSettings settings = {}, bool wait_for_hello = true, ShelfModels models = {}, size_t budget = 0,
      const std::function<Pipeline()>& open = [] { return Pipeline::open(kDemo); }) {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both), 0);
    gateway_ = Descriptor(both[0]);
    // A test that waits for what never comes fails.
    const timeval patience{60, 0};
    setsockopt(gateway_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    thread_ = std::thread([this, socket = both[1], settings, models = std::move(models), budget, open]() mutable {
      const Descriptor worker(socket);
      EngineShelf shelf(engine_with(open(), budget), std::move(models));
      try {
        code_ = serve_commands(worker.get(), shelf, {}, settings);
      } catch (const Error&) {
        code_ = 2;
      }
    });
    if (wait_for_hello) hello_ = std::get<Hello>(report());
  }
  ~Served() { leave(); }

  int leave() {
    gateway_ = Descriptor();
    if (thread_.joinable()) thread_.join();
    return code_;
  }
  int join() {
    thread_.join();
    return code_;
  }
  const Hello& hello() const { return hello_; }
  int socket() const { return gateway_.get(); }
  WorkerReport report() { return receive_report(gateway_.get()).value(); }
  WorkerReport ask(const WorkerCommand& command) {
    send_command(gateway_.get(), command);
    return report();
  }
  Started start(JobId job, const ImageRequest& request) {
    return std::get<Started>(ask(StartCommand{job, request, {}}));
  }
  Stepped step(std::vector<JobId> jobs, std::vector<JobId> previews = {}) {
    return std::get<Stepped>(ask(StepCommand{std::move(jobs), std::move(previews)}));
  }
  Image finish(JobId job) { return std::get<Finished>(ask(FinishCommand{job})).image; }
  JobFault refusal(const WorkerCommand& command) { return std::get<Failed>(ask(command)).fault; }
  Image draw(JobId job, const ImageRequest& request) {
    const int calls = start(job, request).calls;
    for (int call = 0; call < calls; ++call) EXPECT_TRUE(step({job}).faults.empty());
    return finish(job);
  }

 private:
  Descriptor gateway_;
  std::atomic<int> code_{-1};
  std::thread thread_;
  Hello hello_;
};

ImageRequest request(const std::string& prompt, uint64_t seed, const std::string& scheduler = "", int steps = 3) {
  ImageRequest r;
  r.prompt = prompt;
  r.seed = seed;
  r.steps = steps;
  if (!scheduler.empty()) r.scheduler = scheduler;
  r.guidance_scale = 3;
  r.width = r.height = 64;
  return r;
}

Image alone(const ImageRequest& request) {
  static const std::unique_ptr<Engine> engine = demo_engine();
  return generate(*engine, engine->resolve(request)).image;
}

TEST(Worker, says_what_it_is_and_how_fast_it_may_be) {
  Served served({3, 256, 256 * 128, {}});
  const Hello& hello = served.hello();
  EXPECT_EQ(hello.device, "cpu");
  EXPECT_EQ(hello.precision, "fp32");
  EXPECT_EQ(hello.max_jobs, 3);
  EXPECT_EQ(hello.model.limits.max_side, 256);
  EXPECT_EQ(hello.model.limits.max_pixels, 256 * 128);
  ASSERT_EQ(hello.times.size(), 1u);
  EXPECT_TRUE(hello.times[0].estimated) << "nothing has run yet";
  ASSERT_EQ(hello.times[0].steps.size(), 1u);
  for (const BatchTime& time : hello.times[0].steps) EXPECT_GT(time.seconds, 0);
  EXPECT_GT(hello.times[0].encode_seconds, 0);
  EXPECT_GT(hello.times[0].decode_seconds, 0);
  ASSERT_FALSE(hello.memory.empty());
  EXPECT_THAT(hello.memory[0], HasSubstr("3 images"));
  EXPECT_GT(hello.figures.memory_used, 0u);
  EXPECT_EQ(hello.figures.health, "ok");
  EXPECT_EQ(served.leave(), 0);
}

TEST(Worker, plans_its_memory_for_the_images_that_pay) {
  Served all({4, 256, 256 * 128, {}});
  std::string asked;
  Served few({4, 256, 256 * 128, {}, [&](const Hello& hello) {
                asked = hello.device + " " + hello.precision + " " + hello.description;
                return 2;
              }});
  EXPECT_EQ(asked, "cpu fp32 " + all.hello().description) << "what a curve is kept by is known by then";
  EXPECT_EQ(few.hello().max_jobs, 2);
  EXPECT_THAT(few.hello().memory[0], HasSubstr("2 images (more do not pay here)"));
  EXPECT_THAT(all.hello().memory[0], HasSubstr("4 images of"));
  const auto planned = [](const Served& served) { return std::stol(served.hello().memory[0]); };
  if (!kSanitized) {  // these multiply the process's own bytes, which count
    EXPECT_LT(planned(few), planned(all));
  }
  EXPECT_EQ(few.leave(), 0);
  EXPECT_EQ(all.leave(), 0);
}

TEST(Worker, draws_the_same_image_as_the_engine_alone) {
  Served served;
  std::vector<ImageRequest> requests{request("a fox", 1), request("a bee", 2, "euler-ancestral", 2),
                                     request("a fox", 3, "dpm++-2m", 4), request("", UINT64_MAX, "ddim", 1)};
  requests[1].guidance_scale = 1;
  requests[2].karras = true;
  requests[2].negative_prompt = "a dog";
  requests[3].eta = 0.5f;
  requests[3].width = 96;
  for (size_t i = 0; i < requests.size(); ++i)
    EXPECT_EQ(served.draw(i, requests[i]).rgb, alone(requests[i]).rgb) << "request " << i;
}

TEST(Worker, draws_the_same_images_in_any_company) {
  Served served({3, 128, 128 * 128, {}});
  std::vector<ImageRequest> requests;
  const char* schedulers[] = {"", "euler-ancestral", "ddim", "unipc"};
  // More than have their keys in memory at a time.
  for (int i = 0; i < 9; ++i) {
    requests.push_back(request("prompt " + std::to_string(i % 7), 100 + i, schedulers[i % 4], 2 + i % 3));
    if (i % 4 == 3) requests.back().guidance_scale = 1;
  }
  requests[1].prompt = "a [(fox:1.3)|bee] BREAK two dogs";
  requests[5].prompt = "a [fox:bee:1] BREAK two dogs BREAK";
  requests[6].clip_skip = 2;
  std::map<JobId, int> left;
  for (size_t i = 0; i < requests.size(); ++i) left[i] = served.start(i, requests[i]).calls;
  for (size_t turn = 0; !left.empty(); ++turn) {
    std::vector<JobId> batch;
    for (const auto& [job, calls] : left)
      if ((job + turn) % 3 != 0 || left.size() < 3) batch.push_back(job);
    EXPECT_TRUE(served.step(batch, batch).faults.empty());
    if (turn == 1) {
      send_command(served.socket(), DropCommand{{2, 77}});
      left.erase(2);
      std::erase(batch, 2);
    }
    for (const JobId job : batch)
      if (--left[job] == 0) {
        EXPECT_EQ(served.finish(job).rgb, alone(requests[job]).rgb) << "job " << job;
        left.erase(job);
      }
  }
  EXPECT_EQ(served.refusal(FinishCommand{2}).code, "internal");  // it was dropped
  EXPECT_EQ(served.draw(2, requests[2]).rgb, alone(requests[2]).rgb);
}

// The short form of many thousands: after the first images there is no more in memory.
TEST(Worker, has_the_memory_of_its_first_images_for_good) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers keep what was freed";
  Served worker;
  auto draw = [&, next = JobId{1}](int images) mutable {
    for (int i = 0; i < images; ++i, ++next) {
      ImageRequest request;
      request.prompt = "image " + std::to_string(next);
      request.steps = 2;
      request.width = request.height = 16;
      request.guidance_scale = next % 2 ? 3.0F : 1.0F;
      request.seed = next;
      worker.draw(next, request);
    }
    malloc_trim(0);
    return resident_bytes();
  };
  constexpr int kUntilCachesAreFull = 30;  // the texts of 25 prompts are kept (stages.h), which are planned for
  const int64_t first = draw(kUntilCachesAreFull);
  EXPECT_LE(draw(50), first + (1 << 20));
}

TEST(Worker, ends_early_with_the_image_as_it_is) {
  Served served;
  const ImageRequest r = request("a fox", 1, "ddim", 4);
  served.start(1, r);
  for (int i = 0; i < 2; ++i) served.step({1});
  const Image early = served.finish(1);
  EXPECT_EQ(early.width, 64);
  const Image whole = alone(r);
  EXPECT_NE(early.rgb, whole.rgb);
  EXPECT_GT(psnr(early, whole), 15) << "the image as the step saw it, not its noise";
  EXPECT_EQ(served.refusal(FinishCommand{1}).code, "internal");
}

TEST(Worker, shows_small_images_of_what_comes) {
  Served served;
  ImageRequest r = request("a fox on a teal background", 42, "ddim", 6);
  r.width = 96;
  const Image right = alone(r);
  served.start(1, r);
  served.start(2, r);
  Image last;
  for (int call = 1; call <= 6; ++call) {
    const Stepped stepped = served.step({1, 2}, {2, 3});  // 3 is not there
    ASSERT_EQ(stepped.previews.size(), 1u);
    EXPECT_EQ(stepped.previews[0].job, 2u);
    EXPECT_EQ(stepped.previews[0].call, call);
    last = stepped.previews[0].image;
    EXPECT_EQ(last.width * right.height, last.height * right.width);
    EXPECT_LT(last.width, right.width);
  }
  EXPECT_EQ(served.finish(1).rgb, right.rgb);
  EXPECT_EQ(served.finish(2).rgb, right.rgb);
}

// They take a tenth of the time, so of two images that are watched one has its turn, then the other.
TEST(Worker, decodes_previews_in_turn_where_it_has_a_tiny_decoder) {
  Served served({}, true, {}, 0, [] {
    Pipeline model = Pipeline::open(kDemo);
    add_preview_vae(model,
                    std::filesystem::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/taesd/taesd_decoder.safetensors");
    return model;
  });
  const ImageRequest asked = request("a fox", 4, "euler", 40);
  const Image right = alone(asked);
  served.start(1, asked);
  served.start(2, asked);
  std::vector<JobId> seen;
  for (int call = 1; call <= 40; ++call) {
    const Stepped stepped = served.step({1, 2}, {1, 2});
    if (call == 1) {
      EXPECT_EQ(stepped.previews.size(), 1u);
    }
    for (const Preview& preview : stepped.previews) {
      EXPECT_EQ(preview.call, call);
      EXPECT_EQ(preview.image.width, right.width);
      EXPECT_EQ(preview.image.height, right.height);
      seen.push_back(preview.job);
    }
  }
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], 1 + i % 2);
  EXPECT_EQ(served.finish(1).rgb, right.rgb);
  EXPECT_EQ(served.finish(2).rgb, right.rgb);
}

TEST(Worker, refuses_requests_that_cannot_run_in_words_for_the_client) {
  Served served({1, 256, 128 * 128, {}});
  const auto refusal = [&](auto change) {
    ImageRequest r = request("a fox", 1);
    change(r);
    const JobFault fault = served.refusal(StartCommand{1, r, {}});
    EXPECT_EQ(fault.code, "bad_request") << fault.message;
    EXPECT_EQ(fault.job, 1u);
    EXPECT_THAT(fault.message, Not(HasSubstr("/model")));
    return fault.message;
  };
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = 102; }), HasSubstr("width 102"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = r.height = 256; }), HasSubstr("at most 16384"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.height = -1; }), HasSubstr("height -1"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.steps = 0; }), HasSubstr("num_inference_steps 0"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.guidance_scale = 1001; }), HasSubstr("guidance"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.scheduler = "best"; }), HasSubstr("dpm++-2m"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.scheduler = "ddim", r.karras = true; }), HasSubstr("karras"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.eta = 0.5f; }), HasSubstr("eta"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.prompt = "a BREAK b BREAK c BREAK d"; }),
              HasSubstr("prompt: more than 225 tokens"));
  served.start(1, request("a fox", 1));
  EXPECT_EQ(served.refusal(StartCommand{1, request("a fox", 1), {}}).code, "internal");
  EXPECT_EQ(served.draw(2, request("a fox", 1)).rgb, alone(request("a fox", 1)).rgb);
}

TEST(Worker, warns_of_a_prompt_that_was_cut_whatever_its_characters) {
  Served served;
  std::string prompt;
  for (int i = 0; i < 300; ++i) prompt += "\xf0\x9f\xa6\x8a\xc3\xa9";
  ImageRequest plain = request(prompt, 1);
  plain.prompt_syntax = "plain";
  const Started started = served.start(1, plain);
  ASSERT_EQ(started.warnings.size(), 1u);
  EXPECT_THAT(started.warnings[0], HasSubstr("was cut"));
}

WorkerSettings spoiling(const std::string& prompt) {
  WorkerSettings settings;
  settings.sabotage.started = [prompt](const ImageRequest& request, Job& job) {
    if (request.prompt == prompt) job.latent.floats()[0] = std::numeric_limits<float>::quiet_NaN();
  };
  return settings;
}

TEST(Worker, a_nan_ends_its_own_job_alone) {
  Served served(spoiling("spoil me"));
  const ImageRequest good = request("a fox", 1), bad = request("spoil me", 2);
  served.start(1, good);
  served.start(2, bad);
  served.start(3, good);
  const Stepped first = served.step({1, 2, 3});
  ASSERT_EQ(first.faults.size(), 1u);
  EXPECT_EQ(first.faults[0].job, 2u);
  EXPECT_EQ(first.faults[0].code, "nan_output");
  EXPECT_THAT(first.faults[0].message, HasSubstr("NaN"));
  // 2 is forgotten, 3 stands there twice.
  const Stepped second = served.step({1, 2, 3, 3});
  ASSERT_EQ(second.faults.size(), 2u);
  EXPECT_EQ(second.faults[0].code, "internal");
  served.start(2, bad);
  EXPECT_EQ(served.refusal(FinishCommand{2}).code, "nan_output");  // the VAE's
  EXPECT_EQ(served.draw(4, good).rgb, alone(good).rgb);
}

TEST(Worker, a_step_that_finds_no_memory_moves_nobody_and_a_lone_job_is_told) {
  WorkerSettings settings;
  settings.sabotage.stepping = [](size_t jobs) {
    if (jobs == 3) throw std::bad_alloc();
    if (jobs == 2) throw Error("no memory at /secret/path", "", Error::Kind::kOutOfMemory);
  };
  Served served(settings);
  const ImageRequest r = request("a fox", 1, "ddim", 1);
  for (const JobId job : {1, 2, 3}) served.start(job, r);
  EXPECT_TRUE(std::holds_alternative<DidNotFit>(served.ask(StepCommand{{1, 2, 3}, {}})));
  EXPECT_TRUE(std::holds_alternative<DidNotFit>(served.ask(StepCommand{{1, 2}, {}})));
  for (const JobId job : {1, 2, 3}) {
    EXPECT_TRUE(served.step({job}).faults.empty());
    EXPECT_EQ(served.finish(job).rgb, alone(r).rgb);
  }
  settings.sabotage.stepping = [](size_t) { throw Error("no memory at /secret", "", Error::Kind::kOutOfMemory); };
  Served other(settings);
  other.start(1, r);
  const Stepped stepped = other.step({1});
  ASSERT_EQ(stepped.faults.size(), 1u);
  EXPECT_EQ(stepped.faults[0].code, "out_of_memory");
  EXPECT_THAT(stepped.faults[0].message, Not(HasSubstr("secret")));
}

TEST(Worker, what_it_cannot_explain_is_told_without_its_words) {
  WorkerSettings settings;
  settings.sabotage.stepping = [](size_t) { throw Error("/secret/file: bad"); };
  Served served(settings);
  served.start(1, request("a fox", 1));
  served.start(2, request("a fox", 2));
  const Stepped stepped = served.step({1, 2});
  ASSERT_EQ(stepped.faults.size(), 2u);
  for (const JobFault& fault : stepped.faults) {
    EXPECT_EQ(fault.code, "internal");
    EXPECT_THAT(fault.message, Not(HasSubstr("secret")));
  }
}

TEST(Worker, leaves_where_its_device_is_lost) {
  WorkerSettings settings;
  settings.sabotage.stepping = [](size_t) { throw Error("the card is gone", "", Error::Kind::kDeviceLost); };
  Served served(settings);
  served.start(1, request("a fox", 1));
  EXPECT_THAT(std::get<Unusable>(served.ask(StepCommand{{1}, {}})).message, HasSubstr("the card is gone"));
  EXPECT_EQ(served.join(), 1);
}

TEST(Worker, that_cannot_begin_says_why) {
  Served served({1, 3, 9, {}}, false);
  EXPECT_THAT(std::get<Unusable>(served.report()).message, HasSubstr("at least"));
  EXPECT_EQ(served.join(), 2);
}

TEST(Worker, leaves_where_the_orders_are_not_to_be_understood) {
  Served served;
  send_packet(served.socket(), "{\"jump\":{}}");
  EXPECT_THAT(std::get<Unusable>(served.report()).message, HasSubstr("jump"));
  EXPECT_EQ(served.join(), 1);
}

TEST(Worker, leaves_at_whatever_moment_the_gateway_does) {
  const ImageRequest r = request("a fox", 1, "ddim", 1);
  const std::vector<WorkerCommand> commands{StartCommand{1, r, {}}, StepCommand{{1}, {1}}, FinishCommand{1}};
  Served(WorkerSettings{}, false).leave();  // before it said hello
  for (size_t told = 0; told <= commands.size(); ++told)
    for (const bool hears : {true, false}) {
      if (kSanitized && hears != (told % 2 == 0)) continue;
      Served served;
      for (size_t i = 0; i < told; ++i) {
        send_command(served.socket(), commands[i]);
        if (hears) served.report();
      }
      const int code = served.leave();
      EXPECT_TRUE(code == 0 || (!hears && told > 0 && code == 1)) << told << " commands, code " << code;
    }
}

Variant variant_of(const std::filesystem::path& path, const std::string& key) { return {key, {path.string(), ""}, {}}; }

ShelfModels any_model() {
  ShelfModels models;
  models.open = [](const Variant& variant, const MakeRoom& make_room) {
    Pipeline model = Pipeline::open(variant.model.path.empty() ? kDemo.string() : variant.model.path);
    AdapterSet set;
    for (const VariantAdapter& adapter : variant.adapters) set.push_back({adapter.path, adapter.text, adapter.unet});
    if (!set.empty()) merge(model, set, 0, make_room);
    return model;
  };
  return models;
}

const std::filesystem::path kFixtures = std::filesystem::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";
const std::filesystem::path kTiny = kFixtures / "models" / "tiny-sd15";

Image drawn_alone(Pipeline model, const ImageRequest& request) {
  const auto engine = engine_with(std::move(model));
  return generate(*engine, engine->resolve(request)).image;
}

TEST(WorkerModels, each_image_is_that_of_its_model_and_adapters) {
  Served served({2, 64, 64 * 64, {}}, true, any_model());
  ImageRequest tiny = request("a fox", 3);
  tiny.width = tiny.height = 32;
  Variant styled = variant_of(kTiny, "styled");
  styled.adapters = {{(kFixtures / "adapters" / "lora.safetensors").string(), "", 1, 0.5f}};
  const ImageRequest demo = request("a fox", 1);
  served.start(1, demo);
  const auto begin = [&](JobId job, const Variant& variant) {
    return std::get<Started>(served.ask(StartCommand{job, tiny, variant}));
  };
  const Started plain = begin(2, variant_of(kTiny, "tiny"));
  ASSERT_TRUE(plain.loaded);
  EXPECT_THAT(plain.loaded->keys, testing::ElementsAre("tiny"));
  EXPECT_GT(plain.loaded->seconds, 0);
  EXPECT_EQ(plain.adapter_tags, "");
  const Started with = begin(3, styled);
  EXPECT_EQ(with.adapter_tags, "<lora:lora:1:0.5>");
  EXPECT_THAT(with.adapter_hashes, HasSubstr("lora: "));
  EXPECT_FALSE(begin(4, styled).loaded) << "it is there";
  for (int call = 0; call < plain.calls; ++call)
    for (const std::vector<JobId>& jobs : {std::vector<JobId>{1}, std::vector<JobId>{2}, std::vector<JobId>{3, 4}})
      ASSERT_TRUE(served.step(jobs).faults.empty());
  EXPECT_EQ(served.finish(1).rgb, alone(demo).rgb);
  const Image right = drawn_alone(Pipeline::open(kTiny), tiny),
              right_styled = drawn_alone(any_model().open(styled, {}), tiny);
  EXPECT_EQ(served.finish(2).rgb, right.rgb);
  EXPECT_EQ(served.finish(3).rgb, right_styled.rgb);
  EXPECT_EQ(served.finish(4).rgb, right_styled.rgb);
  EXPECT_NE(right.rgb, right_styled.rgb);
}

TEST(WorkerModels, take_turns_in_a_memory_for_one_and_jobs_go_on_where_they_were) {
  if (kSanitized) GTEST_SKIP() << "its own bytes are many times as many";
  const Capacity capacity{2, 64, 64 * 64, 3};
  const auto probe = demo_engine();
  const EnginePlan plan = probe->reserve(capacity);
  const size_t one = plan.peak_bytes - plan.program_bytes, budget = plan.peak_bytes + one / 2;
  EngineShelf shelf(engine_with(Pipeline::open(kDemo), budget), any_model());
  shelf.reserve(capacity);
  int left = 0;
  shelf.on_leaving([&](Engine&) { left++; });
  // The same model by three names.
  const Variant variants[] = {variant_of("", "a"), variant_of(kDemo / ".", "b"), variant_of(kDemo / "." / ".", "c")};
  for (int round = 0; round < 2; ++round)
    for (const Variant& variant : variants) {
      shelf.of(variant);
      const auto news = shelf.news();
      ASSERT_TRUE(news);
      EXPECT_THAT(news->keys, testing::ElementsAre(variant.key));
    }
  EXPECT_EQ(left, 5) << "all but the first are brought in for another";
}

TEST(WorkerModels, jobs_of_one_that_had_to_go_end_in_the_same_image) {
  if (kSanitized) GTEST_SKIP() << "its own bytes are many times as many";
  const Capacity capacity{2, 64, 64 * 64, 3};
  const auto probe = demo_engine();
  const EnginePlan plan = probe->reserve(capacity);
  Served served({2, 64, 64 * 64, {}}, true, any_model(), plan.peak_bytes + (plan.peak_bytes - plan.program_bytes) / 2);
  const ImageRequest one = request("a fox", 1, "dpm++-2m", 4), two = request("a rocket", 2, "euler-ancestral", 4);
  const auto begin = [&](JobId job, const ImageRequest& request, const std::filesystem::path& path) {
    return std::get<Started>(served.ask(StartCommand{job, request, variant_of(path, path.string())}));
  };
  begin(1, one, kDemo / ".");
  const int calls = begin(2, two, kDemo / "." / ".").calls;
  int brought = 0;
  for (int call = 0; call < calls; ++call)
    for (const JobId job : {1, 2}) {
      const Stepped stepped = served.step({job}, {job});
      ASSERT_TRUE(stepped.faults.empty());
      brought += stepped.loaded.has_value();
    }
  EXPECT_GE(brought, 2 * calls - 1);
  EXPECT_EQ(served.finish(1).rgb, alone(one).rgb);
  EXPECT_EQ(served.finish(2).rgb, alone(two).rgb);
}

TEST(WorkerModels, what_cannot_be_run_is_told_and_harms_nobody) {
  Served served({2, 64, 64 * 64, {}}, true, any_model());
  const auto described = [&](const std::filesystem::path& path) {
    return std::get<Described>(served.ask(DescribeCommand{{path.string(), ""}}));
  };
  const Described tiny = described(kTiny);
  ASSERT_TRUE(tiny.card);
  EXPECT_EQ(tiny.card->name, "tiny-sd15");
  EXPECT_EQ(tiny.card->limits.max_pixels, 64 * 64);
  ASSERT_EQ(tiny.times.size(), 1u);
  EXPECT_GT(tiny.times[0].steps.at(0).seconds, 0);
  const Described none = described("/no/such/model.safetensors");
  EXPECT_FALSE(none.card);
  EXPECT_THAT(none.fault, HasSubstr("/no/such/model.safetensors"));
  const std::filesystem::path lora = kFixtures / "adapters" / "lora.safetensors";
  EXPECT_FALSE(described(lora).card);

  Variant other = variant_of(kDemo, "misfit");
  other.adapters = {{lora.string(), "", 1, 1}};
  const JobFault misfit = served.refusal(StartCommand{1, request("a fox", 1), other});
  EXPECT_EQ(misfit.code, "bad_request");
  EXPECT_THAT(misfit.message, HasSubstr("lora.safetensors"));
  EXPECT_THAT(misfit.message, Not(HasSubstr(kFixtures.string())));
  Variant changed = variant_of(kTiny, "changed");
  changed.model.state = "of another file";
  EXPECT_EQ(served.refusal(StartCommand{1, request("a fox", 1), changed}).code, "model_changed");
  EXPECT_EQ(served.draw(2, request("a fox", 1)).rgb, alone(request("a fox", 1)).rgb);
}

}  // namespace
}  // namespace inkstone::serve
