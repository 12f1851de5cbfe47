// Chooses a variant, once in a process.
#include "backend/cpu/kernels/kernels.h"

#include <string>

#include "base/environment.h"
#include "base/error.h"

namespace inkstone::kernels {
namespace {

const Table& choose() {
  const std::optional<std::string> wanted = nonempty_environment(Variable::kIsa);
  if (!wanted) return *runnable_tables().front();
  std::string names;
  for (const Table* each : runnable_tables()) {
    if (*wanted == each->name) return *each;
    names += names.empty() ? each->name : std::string(", ") + each->name;
  }
  fail<UsageError>(INKSTONE_HERE, {"INKSTONE_ISA=", *wanted, ": this processor runs ", names});
}

}  // namespace

const Table& table() {
  static const Table& chosen = choose();
  return chosen;
}

}  // namespace inkstone::kernels
