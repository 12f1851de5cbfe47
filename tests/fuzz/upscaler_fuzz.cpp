// An upscaler's tensors of any names and shapes: refused with an Error in one line, or opened with a
// configuration that its tensors bear out.
#include <fuzzer/FuzzedDataProvider.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "upscale/tiny_upscaler.h"
#include "upscale/upscaler.h"

using namespace inkstone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("upscaler_fuzz_" + std::to_string(getpid()) + ".safetensors");
  FuzzedDataProvider fuzz(data, size);
  EsrganConfig config;
  config.channels = fuzz.ConsumeIntegralInRange(1, 5), config.growth = fuzz.ConsumeIntegralInRange(1, 3);
  config.blocks = fuzz.ConsumeIntegralInRange(0, 1), config.doublings = fuzz.ConsumeIntegralInRange(0, 4);
  config.unshuffle = 1 << fuzz.ConsumeIntegralInRange(0, 3);
  const EsrganNaming naming{fuzz.ConsumeBool() ? "" : "params_ema.", fuzz.ConsumeIntegralInRange(0, 2)};
  // Every so many tensors, one is changed.
  const int rare = fuzz.ConsumeIntegralInRange(1, 200);
  const auto change = [&](StoredTensor& tensor) {
    if (fuzz.ConsumeIntegralInRange(0, rare) || !fuzz.remaining_bytes()) return;
    switch (fuzz.ConsumeIntegralInRange(0, 3)) {
      case 0: return tensor.name.clear();
      case 1: return static_cast<void>(tensor.name += 'x');
      case 2:
        return static_cast<void>(tensor.shape[fuzz.ConsumeIntegralInRange<size_t>(0, tensor.shape.size() - 1)] =
                                     fuzz.ConsumeIntegralInRange<int64_t>(0, 40));
      case 3: return tensor.shape.pop_back();
    }
  };
  std::ofstream(file, std::ios::binary) << upscaler_file(config, naming, change, /*zeros=*/true);
  try {
    const Upscaler upscaler = Upscaler::open(file);
    const EsrganConfig& found = upscaler.config();
    if (found.channels < 1 || found.growth < 1 || found.factor() < 1 || upscaler.weights().specs().empty())
      std::abort();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  std::filesystem::remove(file);
  return 0;
}
