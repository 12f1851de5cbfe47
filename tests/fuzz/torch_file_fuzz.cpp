// Any bytes are weights that lie inside the file and can be copied, or an Error in one line. The
// first byte chooses what the fuzzer writes itself: the whole file, the pickle in a well-formed zip
// file, the numbers of well-formed tensors, or changes to a file that PyTorch wrote.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "changed_file.h"
#include "weights/built_torch_file.h"
#include "weights/parsed_tensors.h"

namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& stored_files() {
  static const std::vector<std::string> stored = [] {
    std::vector<fs::path> paths;
    for (const fs::directory_entry& entry : fs::directory_iterator(INKSTONE_SOURCE_DIR "/tests/fixtures/torch"))
      paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> files;
    for (const fs::path& path : paths) files.push_back(inkstone::read_file(path, 1 << 20));
    return files;
  }();
  return stored;
}

int64_t number(FuzzedDataProvider& fuzz) {
  return fuzz.ConsumeBool() ? fuzz.ConsumeIntegralInRange<int64_t>(0, 7) : fuzz.ConsumeIntegral<int64_t>();
}

// Tensors of a storage of 24 bytes.
std::string built_pickle(FuzzedDataProvider& fuzz) {
  static const char* const kTypes[] = {"FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "CharStorage"};
  static constexpr int64_t kElements[] = {6, 12, 12, 3, 24};
  std::vector<std::pair<std::string, std::string>> tensors;
  for (int i = fuzz.ConsumeIntegralInRange(0, 4); i >= 0; --i) {
    const size_t type = fuzz.ConsumeIntegralInRange<size_t>(0, 4);
    const int64_t elements = fuzz.ConsumeIntegralInRange(0, 7) ? kElements[type] : number(fuzz);
    std::vector<int64_t> shape, strides;
    for (int axis = fuzz.ConsumeIntegralInRange(0, 3); axis > 0; --axis) {
      shape.push_back(number(fuzz));
      strides.push_back(number(fuzz));
    }
    const std::string storage = inkstone::pickled_storage(kTypes[type], "0", elements);
    tensors.emplace_back(std::string(1, static_cast<char>('a' + i)),
                         inkstone::pickled_tensor(storage, number(fuzz), shape, strides));
  }
  return inkstone::whole_pickle(inkstone::pickled_dict(tensors));
}

void check(const std::string& file) {
  const auto bytes = std::as_bytes(std::span(file));
  size_t copied = 0;
  for (const inkstone::WeightView& view : inkstone::parse_tensors(bytes, "fuzz").tensors) {
    const bool inside = view.bytes.empty() || (view.bytes.data() >= bytes.data() &&
                                               view.bytes.data() + view.bytes.size() <= bytes.data() + bytes.size());
    const size_t size = inkstone::bytes(view.shape, view.type);
    if (!inside || (view.form.is_plain() && view.bytes.size() != size)) std::abort();
    if (!view.form.is_plain()) copied += size;
    if (copied > 2 * bytes.size()) std::abort();
    for (const inkstone::WeightView& read : {view, inkstone::transposed(view), inkstone::rows_of(view, 1, 2)}) {
      std::vector<std::byte> elements(inkstone::bytes(read.shape, read.type));
      inkstone::copy_elements(read, elements.data());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider fuzz(data, size);
  const int way = fuzz.ConsumeIntegralInRange(0, 3);
  try {
    check(way == 0   ? "PK" + fuzz.ConsumeRemainingBytesAsString()
          : way == 1 ? inkstone::built_torch_file(fuzz.ConsumeRemainingBytesAsString())
          : way == 2 ? inkstone::built_torch_file(built_pickle(fuzz))
                     : changed_file(fuzz, stored_files()));
  } catch (const inkstone::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
