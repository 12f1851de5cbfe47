// The files of a request in one sealed memory file, which all of its jobs and their workers share. It is
// not copied again: a StartCommand carries its descriptor.
#pragma once

#include <cstddef>
#include <vector>

#include "diffusion/image_request.h"

namespace inkstone::serve {

// Puts them there, in the order of a message's fields. Throws Error where memory is short.
void spool(ImageRequest& request);
// The descriptor of the memory file that it was put into, for as long as it has an owner; -1: it was not.
int memory_file_of(const GivenFile& file);
std::vector<const GivenFile*> files_of(const ImageRequest& request);
size_t file_bytes(const ImageRequest& request);

}  // namespace inkstone::serve
