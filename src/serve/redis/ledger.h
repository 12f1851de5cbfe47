// ledger.lua, as it goes to the server.
#pragma once

#include "base/embedded_file.h"

namespace inkstone::serve {

std::span<const EmbeddedFile> ledger_files();

}  // namespace inkstone::serve
