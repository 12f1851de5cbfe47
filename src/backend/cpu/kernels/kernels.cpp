// The choice of a variant, once for a process.
#include "backend/cpu/kernels/kernels.h"

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace inkstone {
namespace {

const Kernels& choose() {
  const char* wanted = std::getenv("INKSTONE_ISA");
  if (!wanted || !*wanted) return *runnable_kernels().front();
  std::string names;
  for (const Kernels* table : runnable_kernels()) {
    if (std::string(table->name) == wanted) return *table;
    names += names.empty() ? table->name : std::string(", ") + table->name;
  }
  fail<UsageError>(INKSTONE_HERE, {"INKSTONE_ISA=", wanted, ": this processor runs ", names});
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace inkstone
