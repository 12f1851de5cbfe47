// What a worker does on a card before it is ready.
#include "serve/worker/measuring.h"

#include <gtest/gtest.h>

#include "ascend/simulated_card.h"

namespace inkstone {
namespace {

// The export has programs for 1, 2 and 4 jobs. One and two are always measured, and three is next.
TEST(Traffic, a_worker_measures_batches_that_have_no_program) {
  const SimulatedCard card;
  auto npu = npu_engine();
  npu->reserve({4, 64, 64 * 64});
  serve::LatentColours colours;
  const serve::ShapeTimes times = serve::measure(*npu, 4, 1e6, colours);
  ASSERT_GE(times.steps.size(), 3u);
  for (size_t i = 0; i < times.steps.size(); ++i) EXPECT_EQ(times.steps[i].batch_rows, 2 * (static_cast<int>(i) + 1));
}

}  // namespace
}  // namespace inkstone
