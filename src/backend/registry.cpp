// The known devices. This is the only file that knows the backends' folders.
#include <charconv>
#include <optional>

#include "backend/ascend/ascend.h"
#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "backend/reference/reference.h"
#include "base/error.h"

namespace inkstone {
namespace {

// "npu", "npu:0", "npu:1", ...
std::optional<int> npu_of(std::string_view device) {
  if (device == "npu") return 0;
  if (!device.starts_with("npu:")) return std::nullopt;
  int index = 0;
  const auto [end, error] = std::from_chars(device.data() + 4, device.data() + device.size(), index);
  if (error != std::errc() || end != device.data() + device.size() || index < 0) return std::nullopt;
  return index;
}

}  // namespace

std::vector<std::string> known_devices() { return {"cpu", "reference", "npu:N"}; }

std::unique_ptr<Backend> open_backend(const std::string& device, const BackendOptions& options) {
  if (device == "cpu") return open_cpu_backend();
  if (device == "reference") return open_reference_backend();
  if (const std::optional<int> index = npu_of(device)) return open_ascend_backend(*index, options);
  std::string known;
  for (const std::string& name : known_devices()) known += (known.empty() ? "" : ", ") + name;
  fail<UsageError>(INKSTONE_HERE, {"unknown device \"", device, "\": this build has ", known});
}

}  // namespace inkstone
