// The devices there are. The one file that knows the folders of the backends.
#include <cstring>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "backend/reference/reference.h"
#include "base/error.h"

namespace inkstone {

std::vector<std::string> known_devices() { return {"cpu", "reference"}; }

void Backend::copy(const Tensor& from, size_t from_byte, Tensor& to, size_t to_byte, size_t size) {
  INKSTONE_CHECK(!from.on_device() && !to.on_device(), "a tensor of another device copied");
  std::memcpy(to.data() + to_byte, from.data() + from_byte, size);
}

std::unique_ptr<Backend> open_backend(const std::string& device, const BackendOptions&) {
  if (device == "cpu") return open_cpu_backend();
  if (device == "reference") return open_reference_backend();
  std::string known;
  for (const std::string& name : known_devices()) known += (known.empty() ? "" : ", ") + name;
  fail<UsageError>(INKSTONE_HERE, "unknown device \"", device, "\": this build has ", known);
}

}  // namespace inkstone
