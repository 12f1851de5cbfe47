#include "base/environment.h"

#include <cstdlib>
#include <iterator>

namespace inkstone {
namespace {

// clang-format off
constexpr VariableInfo kVariables[] = {
    {Variable::kIsa, "INKSTONE_ISA", "chooses the CPU kernels' instruction set: portable, avx2 or avx512", "backend/cpu/kernels/kernels.cpp"},
    {Variable::kProducts, "INKSTONE_PRODUCTS", "chooses the CPU's convolutions and linears: own or onednn", "backend/cpu/product_algorithm.cpp"},
    {Variable::kCache, "INKSTONE_CACHE", "is the folder of what Inkstone keeps: om/ and hashes/", "base/cache_folder.cpp"},
    {Variable::kAtc, "INKSTONE_ATC", "is the program ATC, which is then looked for nowhere else", "atc/finder.cpp"},
    {Variable::kAscendCl, "INKSTONE_ASCENDCL", "is the library AscendCL, which is then looked for nowhere else", "backend/ascend/library.cpp"},
    {Variable::kDcmiLibrary, "INKSTONE_DCMI_LIBRARY", "is the driver's library DCMI, which is then looked for nowhere else", "backend/ascend/dcmi.cpp"},
    {Variable::kNpuSmi, "INKSTONE_NPU_SMI", "is the program npu-smi, which is then looked for nowhere else", "backend/ascend/npu_smi.cpp"},
    {Variable::kStepTimeout, "INKSTONE_STEP_TIMEOUT", "is the seconds that one run on an NPU may take", "backend/ascend/device.cpp"},
    {Variable::kVerify, "INKSTONE_VERIFY", "as 1 compares each .om file with its SHA-256 before it is loaded", "backend/ascend/om_check.cpp"},
    {Variable::kAscendToolkitHome, "ASCEND_TOOLKIT_HOME", "is CANN's folder, as its set_env.sh says", "atc/finder.cpp backend/ascend/library.cpp backend/ascend/versions.cpp"},
    {Variable::kAscendHomePath, "ASCEND_HOME_PATH", "is CANN's folder, as its set_env.sh says", "atc/finder.cpp backend/ascend/library.cpp backend/ascend/versions.cpp"},
    {Variable::kAscendOppPath, "ASCEND_OPP_PATH", "shows by being set that CANN's set_env.sh was sourced", "atc/finder.cpp backend/devices.cpp backend/ascend/library.cpp"},
    {Variable::kHfHubCache, "HF_HUB_CACHE", "is Hugging Face's folder of downloaded models", "hub/cache.cpp"},
    {Variable::kHuggingfaceHubCache, "HUGGINGFACE_HUB_CACHE", "is HF_HUB_CACHE by its name of before 2023", "hub/cache.cpp"},
    {Variable::kHfHome, "HF_HOME", "is Hugging Face's folder; hub/ in it has the models", "hub/cache.cpp"},
    {Variable::kHfEndpoint, "HF_ENDPOINT", "is the hub that inkstone pull asks, in place of https://huggingface.co", "hub/access.cpp"},
    {Variable::kHfHubOffline, "HF_HUB_OFFLINE", "as 1, true, yes or on keeps inkstone pull from the network", "hub/access.cpp"},
    {Variable::kHfToken, "HF_TOKEN", "is a token of an account on the hub, for models that ask for one", "hub/access.cpp"},
    {Variable::kHuggingFaceHubToken, "HUGGING_FACE_HUB_TOKEN", "is HF_TOKEN by its older name", "hub/access.cpp"},
    {Variable::kHfTokenPath, "HF_TOKEN_PATH", "is a file with such a token, in place of HF_HOME/token", "hub/access.cpp"},
    {Variable::kXdgCacheHome, "XDG_CACHE_HOME", "is the folder of all programs' caches, in place of ~/.cache", "base/cache_folder.cpp hub/cache.cpp"},
    {Variable::kHome, "HOME", "is the user's folder, where caches and CANN may lie", "atc/finder.cpp backend/ascend/library.cpp backend/ascend/versions.cpp base/cache_folder.cpp hub/cache.cpp"},
    {Variable::kPath, "PATH", "lists the folders in which ATC is looked for", "atc/finder.cpp"},
    {Variable::kLdLibraryPath, "LD_LIBRARY_PATH", "lists the loader's folders, to which ATC's process gets one more", "atc/finder.cpp"},
    {Variable::kTerm, "TERM", "as dumb, or unset, means no progress bar and no previews; else it tells which images the terminal shows", "app/progress.cpp app/preview_view.cpp"},
    {Variable::kTermProgram, "TERM_PROGRAM", "tells which images the terminal shows", "app/preview_view.cpp"},
    {Variable::kLcTerminal, "LC_TERMINAL", "as iTerm2 tells that the terminal is iTerm2, through ssh too", "app/preview_view.cpp"},
    {Variable::kKittyWindowId, "KITTY_WINDOW_ID", "shows by being set that the terminal is kitty", "app/preview_view.cpp"},
    {Variable::kTmux, "TMUX", "shows by being set that tmux stands between, which passes no images on", "app/preview_view.cpp"},
    {Variable::kColumns, "COLUMNS", "is the terminal's width where the terminal does not tell", "app/machine.cpp"},
    {Variable::kGompSpinCount, "GOMP_SPINCOUNT", "is how long idle OpenMP threads spin; set, Inkstone leaves it alone", "app/machine.cpp"},
    {Variable::kOmpWaitPolicy, "OMP_WAIT_POLICY", "is how idle OpenMP threads wait; set, Inkstone leaves them alone", "app/machine.cpp"},
};
// clang-format on

constexpr bool is_in_order() {
  for (size_t i = 0; i < std::size(kVariables); ++i)
    if (static_cast<size_t>(kVariables[i].variable) != i) return false;
  return true;
}
static_assert(is_in_order());

std::optional<std::string> read(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace

std::span<const VariableInfo> environment_variables() { return kVariables; }

const char* name_of(Variable variable) { return kVariables[static_cast<size_t>(variable)].name; }

std::optional<std::string> environment(Variable variable) { return read(name_of(variable)); }

std::optional<std::string> nonempty_environment(Variable variable) {
  std::optional<std::string> value = environment(variable);
  if (value && value->empty()) value.reset();
  return value;
}

std::optional<std::string> flag_environment(const std::string& name) { return read(name.c_str()); }

}  // namespace inkstone
