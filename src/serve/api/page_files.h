// The files of src/serve/web.
#pragma once

#include "base/embedded_file.h"

namespace inkstone::serve {

std::span<const EmbeddedFile> page_files();

}  // namespace inkstone::serve
