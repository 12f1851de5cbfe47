// Lies of a worker end it before anything is computed with them.
#include "serve/gateway/worker_checks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "serve/gateway/worker/simulated_image.h"

namespace inkstone::serve {
namespace {

Hello honest() {
  Hello hello;
  hello.device = "cpu";
  hello.model = simulated_card();
  hello.times = {{64, 64, {{1, 0.1}}, 0.1, 0.2, true}};
  return hello;
}

TEST(WorkerChecks, every_number_of_a_hello_must_be_possible) {
  EXPECT_NO_THROW(check(honest()));
  const std::function<void(Hello&)> lies[] = {
      [](Hello& h) { h.model.traits.size_multiple = 0; },
      [](Hello& h) { h.model.traits.size_multiple = -8; },
      [](Hello& h) { h.model.traits.width = 0; },
      [](Hello& h) { h.model.traits.height = 1 << 30; },
      [](Hello& h) { h.model.traits.steps = 0; },
      [](Hello& h) { h.model.traits.guidance_scale = NAN; },
      [](Hello& h) { h.model.traits.scheduler = nullptr; },
      [](Hello& h) { h.model.traits.scheduler = std::make_shared<const Json>(7); },
      [](Hello& h) { h.model.limits.max_side = 0; },
      [](Hello& h) { h.model.limits.max_pixels = -1; },
      [](Hello& h) { h.model.limits.max_steps = 0; },
      [](Hello& h) { h.max_jobs = 0; },
      [](Hello& h) { h.max_jobs = 1 << 30; },
      [](Hello& h) { h.times.clear(); },
      [](Hello& h) { h.times[0].width = 0; },
      [](Hello& h) { h.times[0].height = -1; },
      [](Hello& h) { h.times[0].encode_seconds = 0; },
      [](Hello& h) { h.times[0].decode_seconds = 1e300; },
      [](Hello& h) { h.times[0].decode_seconds = NAN; },
      [](Hello& h) { h.times[0].steps.clear(); },
      [](Hello& h) { h.times[0].steps[0].batch_rows = 0; },
      [](Hello& h) { h.times[0].steps[0].batch_rows = 1 << 30; },
      [](Hello& h) { h.times[0].steps[0].seconds = -1; },
      [](Hello& h) {
        h.times[0].steps.push_back({1, 0.2});
      },
      [](Hello& h) { h.model.traits.guidance_scale = 1e9f; },
      [](Hello& h) { h.model.traits.width = -64; },
      [](Hello& h) { h.model.traits.steps = 1 << 30; },
      [](Hello& h) { h.model.limits.max_side = 1 << 30; },
      [](Hello& h) { h.max_jobs = -1; },
      [](Hello& h) { h.times[0].encode_seconds = NAN; },
      [](Hello& h) { h.times[0].steps[0].seconds = INFINITY; },
      [](Hello& h) {
        h.times.push_back(h.times[0]);
        h.times.back().height = 1 << 30;
      },
  };
  for (size_t i = 0; i < std::size(lies); ++i) {
    Hello hello = honest();
    lies[i](hello);
    EXPECT_THROW(check(hello), Error) << "lie " << i;
  }
}

TEST(WorkerChecks, an_answer_brings_the_pixels_that_were_asked_for_and_no_more) {
  EXPECT_EQ(max_pixel_bytes(StartCommand{}, 64, 32), 0u);
  EXPECT_EQ(max_pixel_bytes(StepCommand{{1, 2, 3}, {}}, 64, 32), 0u);
  EXPECT_EQ(max_pixel_bytes(StepCommand{{1, 2, 3}, {1, 2}}, 64, 32), 2u * 3 * 64 * 32);
  EXPECT_EQ(max_pixel_bytes(FinishCommand{1}, 64, 32), 3u * 64 * 32);
}

}  // namespace
}  // namespace inkstone::serve
