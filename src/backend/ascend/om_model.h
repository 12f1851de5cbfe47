// One `.om` file: its sizes and its ports as the manifest names them. It is loaded into our memory,
// and unloaded when others need the memory.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "atc/manifest.h"
#include "backend/ascend/device.h"

namespace inkstone::ascend {

// The buffers of a run's inputs or outputs, in the file's order. Made once; only the addresses
// change.
class Dataset {
 public:
  Dataset(Device& device, size_t buffers);
  ~Dataset();
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
  void point(size_t at, std::byte* memory, size_t bytes);
  Opaque get() const { return dataset_; }

 private:
  void destroy() noexcept;

  Device& device_;
  Opaque dataset_ = nullptr;
  std::vector<Opaque> buffers_;
};

struct OmPort {
  size_t at = 0;  // in the file's own order
  // Size of its buffer, for the largest gear.
  size_t bytes = 0;
};

// All methods but the simple getters must be called on the device's owner thread.
class OmModel {
 public:
  // Asks for the sizes; loads nothing.
  OmModel(Device& device, std::filesystem::path path, const GraphRecord& record);
  ~OmModel();
  OmModel(const OmModel&) = delete;
  OmModel& operator=(const OmModel&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const GraphRecord& record() const { return record_; }
  size_t work_bytes() const { return work_bytes_; }
  size_t weight_bytes() const { return weight_bytes_; }
  bool loaded() const { return loaded_; }

  // Throws AclError if memory is short, Error if the file is not what the manifest says. `work` is
  // shared with other models.
  void load(std::byte* work, size_t work_bytes);
  void unload() noexcept;

  // Known after the first load.
  const std::vector<OmPort>& inputs() const { return inputs_; }  // in the manifest's order
  const std::vector<OmPort>& outputs() const { return outputs_; }
  const std::optional<OmPort>& gear_input() const { return gear_input_; }
  size_t file_inputs() const { return inputs_.size() + (gear_input_ ? 1 : 0); }

  void execute(const Dataset& inputs, const Dataset& outputs, const Gear& gear);  // queued

 private:
  void read_ports();
  void read_ports(Opaque desc);
  size_t find_input(Opaque desc, const std::string& name) const;
  size_t find_output(Opaque desc, size_t index) const;
  void check_port(const Port& port, const Dims& dims, int type, size_t bytes, bool exact) const;
  bool geared() const { return record_.gears.size() > 1; }

  Device& device_;
  std::filesystem::path path_;
  const GraphRecord& record_;
  size_t work_bytes_ = 0, weight_bytes_ = 0;
  std::byte* weights_ = nullptr;
  ModelId id_ = 0;
  bool loaded_ = false;
  std::vector<OmPort> inputs_, outputs_;
  std::optional<OmPort> gear_input_;
};

}  // namespace inkstone::ascend
