// The chips that ATC compiles for, under the names that it takes, and what people write instead of
// them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace inkstone {

struct Soc {
  // as --soc_version takes it and aclrtGetSocName() gives it
  const char* name;
  const char* family;   // that shares kernels
  int memory_gb;        // of one chip
  bool bf16;            // whether its kernels know the type
  const char* sold_as;  // the card or machine
};

std::span<const Soc> known_socs();
const Soc* soc_named(std::string_view name);  // exactly so; nullptr: no such chip

// `asked` is a name, or "auto" for `detected`: what AscendCL or npu-smi call the chip here
// ("Ascend910B4", "910B4", "": none). Throws UsageError with the name that was probably meant.
const Soc& choose_soc(const std::string& asked, const std::string& detected);

}  // namespace inkstone
