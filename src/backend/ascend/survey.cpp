#include "backend/ascend/survey.h"

#include <unistd.h>

#include <cerrno>

#include "backend/ascend/npu_smi.h"
#include "backend/ascend/versions.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPassOn =
    "in a container pass on --device=/dev/davinci0 --device=/dev/davinci_manager --device=/dev/devmm_svm "
    "--device=/dev/hisi_hdc and mount /usr/local/Ascend/driver and /usr/local/dcmi from the host";

// The driver's control device. A process that may not open it gets nothing from the driver.
fs::path manager(const fs::path& root) { return root / "dev/davinci_manager"; }

bool is_forbidden(const fs::path& file) { return access(file.c_str(), R_OK | W_OK) != 0 && errno == EACCES; }

NpuAbsence without_library(const std::vector<std::string>& cards_on_bus, const fs::path& root) {
  std::error_code ignored;
  if (fs::exists(manager(root), ignored))
    return {"the Ascend driver's device files are here (/dev/davinci_manager), its libdcmi.so is not",
            "in a container mount /usr/local/Ascend/driver and /usr/local/dcmi from the host; else install the Ascend "
            "driver anew"};
  if (!cards_on_bus.empty())
    return {"an Ascend card is on the PCI bus (" + cards_on_bus.front() +
                "), its driver is not here: no /dev/davinci_manager, no libdcmi.so",
            std::string("install the Ascend driver and firmware; ") + kPassOn};
  return {"no Ascend card and no Ascend driver here: none on the PCI bus, no /dev/davinci_manager, no libdcmi.so",
          std::string("on a machine that has a card install the Ascend driver; ") + kPassOn};
}

}  // namespace

NpuSurvey survey_npus(Dcmi& dcmi, const std::vector<std::string>& cards_on_bus, const fs::path& root) {
  NpuSurvey survey;
  const Dcmi::State state = dcmi.open();
  if (state == Dcmi::State::kReady) {
    survey.chips = dcmi.chips();
    survey.source = "DCMI";
    survey.driver_version = dcmi.driver_version();
  }
  survey.absence = dcmi.absence();
  if (state == Dcmi::State::kNoLibrary) {
    NpuSmiRun smi = run_npu_smi();
    if (smi.report) {
      survey.chips = std::move(smi.report->chips);
      survey.source = "npu-smi";
      survey.driver_version = smi.report->version;
    } else if (!smi.program.empty()) {
      survey.absence = smi.absence;
    } else if (!dcmi.found()) {
      survey.absence = without_library(cards_on_bus, root);
    }
  }
  if (survey.driver_version.empty()) survey.driver_version = installed_driver(root).version;
  if (!survey.chips.empty())
    survey.absence = {};
  else if (is_forbidden(manager(root)))
    survey.absence.way_out = "this user may not open /dev/davinci_manager: " + dcmi_way_out(dcmi::kNotPermitted);
  return survey;
}

}  // namespace inkstone
