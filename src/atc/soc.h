// The chips that ATC compiles for, by the names that ATC takes, and other names that people use.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace inkstone {

struct Soc {
  // As --soc_version takes it and aclrtGetSocName() returns it.
  const char* name;
  const char* family;   // chips that share kernels
  int memory_gb;        // of one chip
  bool bf16;            // whether its kernels know the type
  const char* sold_as;  // the card or machine
};

std::span<const Soc> known_socs();
const Soc* soc_named(std::string_view name);  // by its exact name, or nullptr

// `asked` is a name, or "auto" for `detected`: the name that AscendCL or npu-smi gives this
// machine's chip ("Ascend910B4", "910B4", "": none). Throws UsageError with the name that was
// probably meant.
const Soc& choose_soc(const std::string& asked, const std::string& detected);

}  // namespace inkstone
