// The files of a request in one sealed memory file, which all of its jobs and their workers share. It is
// not copied again: a StartCommand carries its descriptor.
#pragma once

#include <cstddef>
#include <vector>

#include "diffusion/image_request.h"

namespace inkstone::serve {

// Puts them there, in the order of a message's fields. Throws Error where memory is short.
void spool(ImageRequest& request);
std::vector<const GivenFile*> files_of(const ImageRequest& request);
size_t file_bytes(const ImageRequest& request);

}  // namespace inkstone::serve
