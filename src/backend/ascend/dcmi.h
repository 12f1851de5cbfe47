// DCMI, libdcmi.so of the Ascend driver, opened at run time: it tells the chips and their state
// without CANN. INKSTONE_DCMI_LIBRARY names the one file to open instead, for tests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/ascend/dcmi_api.h"
#include "backend/ascend/npu_chip.h"

namespace inkstone {

// "-8005 (inner error)", and what to do about it.
std::string dcmi_error_text(int code);
std::string dcmi_way_out(int code);

class Dcmi {
 public:
  enum class State { kNoLibrary, kRefused, kReady };

  // Opens and initialises the library, once. It stays open, because drivers do not expect to be
  // closed.
  State open();
  const NpuAbsence& absence() const { return absence_; }  // where it is not ready
  // Whether a file was found, even if it could not be loaded.
  bool found() const { return !path_.empty(); }

  // Those that the driver shows to this process; with no chip, absence() says why.
  std::vector<NpuChip> chips();
  std::string driver_version() const;  // "" where it is not given

 private:
  State refuse(std::string because, std::string way_out);
  NpuChip read(int card, int chip, int index) const;
  void read_memory(NpuChip& chip) const;
  void read_power(NpuChip& chip) const;
  void read_health(NpuChip& chip) const;
  void read_processes(NpuChip& chip) const;

  bool ready_ = false;
  void* library_ = nullptr;
  std::string path_;
  dcmi::Functions call_;
  NpuAbsence absence_;
};

}  // namespace inkstone
