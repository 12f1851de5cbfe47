// Any bytes are weights that lie inside the file, or an Error in one line. The first byte chooses
// how much of the file the fuzzer writes itself: all of it, the header's text, the numbers in a
// well-formed header, or a shard index.
#include <fuzzer/FuzzedDataProvider.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "weights/safetensors.h"
#include "weights/weights.h"

namespace {

namespace fs = std::filesystem;

std::string with_length(const std::string& header) {
  std::string text;
  for (size_t i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> (8 * i));
  return text + header;
}

// A header whose tensors mostly follow one another, with a lie here and there.
std::string built_file(FuzzedDataProvider& fuzz) {
  static const char* const kTypes[] = {"F32", "F16", "BF16", "I64", "F8_E4M3", "X"};
  std::string header = "{";
  uint64_t at = 0;
  for (int i = fuzz.ConsumeIntegralInRange(0, 6); i >= 0; --i) {
    const int64_t rows =
        fuzz.ConsumeBool() ? fuzz.ConsumeIntegralInRange<int64_t>(1, 8) : fuzz.ConsumeIntegral<int64_t>();
    const int64_t columns =
        fuzz.ConsumeBool() ? fuzz.ConsumeIntegralInRange<int64_t>(1, 8) : fuzz.ConsumeIntegral<int64_t>();
    const size_t type = fuzz.ConsumeIntegralInRange<size_t>(0, 5);
    const uint64_t begin = fuzz.ConsumeBool() ? at : fuzz.ConsumeIntegral<uint64_t>();
    const uint64_t size =
        static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns) * std::array{4, 2, 2, 8, 1, 1}[type];
    at = begin + (fuzz.ConsumeBool() ? size : fuzz.ConsumeIntegral<uint64_t>());
    const std::string name = fuzz.ConsumeBool() ? std::string(1, static_cast<char>('a' + i)) : "text_model.a.to_q.w";
    header += "\"" + name + "\":{\"dtype\":\"" + kTypes[type] + "\",\"shape\":[" + std::to_string(rows) + "," +
              std::to_string(columns) + "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(at) +
              "]}" + (i ? "," : "");
  }
  const uint64_t data = fuzz.ConsumeBool() ? at : fuzz.ConsumeIntegral<uint64_t>();
  return with_length(header + "}") + std::string(data % 4096, 'x');
}

const fs::path& folder() {
  static const fs::path path = fs::temp_directory_path() / ("inkstone_fuzz_" + std::to_string(::getpid()));
  static const bool made = fs::create_directories(path) && std::atexit([] { fs::remove_all(path); }) == 0;
  if (!made) std::abort();
  return path;
}

void write(const char* name, const std::string& text) {
  fs::remove(folder() / name);
  std::ofstream(folder() / name, std::ios::binary) << text;
}

void check_parse(const std::string& file) {
  const auto bytes = std::as_bytes(std::span(file));
  for (const inkstone::WeightView& view : inkstone::parse_safetensors(bytes, "fuzz").tensors) {
    const bool inside =
        view.bytes.data() >= bytes.data() && view.bytes.data() + view.bytes.size() <= bytes.data() + bytes.size();
    const size_t elements = static_cast<size_t>(inkstone::count(view.shape));
    if (!inside || view.bytes.size() != elements * inkstone::stored_element_bytes(view)) std::abort();
  }
}

void check_open_and_bind() {
  inkstone::Weights weights = inkstone::Weights::open(folder());
  for (const std::string& name : weights.names()) weights.release(name);
  for (const std::string& name : weights.names()) weights.check_finite(name);
  const std::vector<inkstone::WeightSpec> specs = {
      {"a", {2, 2}}, {"text_model.b", {1, 1}}, {"a.query.w", {2, 2, 1, 1}}};
  weights.bind(specs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider fuzz(data, size);
  const int way = fuzz.ConsumeIntegralInRange(0, 3);
  try {
    const std::string file = way == 0   ? fuzz.ConsumeRemainingBytesAsString()
                             : way == 1 ? with_length(fuzz.ConsumeRemainingBytesAsString())
                                        : built_file(fuzz);
    if (way == 3) {
      fs::remove(folder() / "model.safetensors");
      write("s.safetensors", file);
      write("model.safetensors.index.json",
            "{\"weight_map\":{\"a\":\"s.safetensors\"," + fuzz.ConsumeRemainingBytesAsString() + "}}");
    } else {
      check_parse(file);
      write("model.safetensors", file);
    }
    check_open_and_bind();
  } catch (const inkstone::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
