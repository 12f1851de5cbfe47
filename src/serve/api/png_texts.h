// The texts of a PNG from a client: its chunks are walked, no pixel is looked at. Every text chunk
// counts, also one that is broken, and so does all that is unpacked of it.
#pragma once

#include <string_view>

#include "base/given_file.h"
#include "base/image.h"
#include "base/json_fwd.h"

namespace inkstone::serve {

// tEXt, zTXt and iTXt, as UTF-8. Throws ApiFault 400 for what is no PNG, 422 for more than 256 text
// chunks or 1 MiB of texts; a text that does not unpack is left out. Only for the event thread.
TextChunks png_texts(std::string_view png);

// The same of any picture: of other formats than PNG the parameters alone, which stand in their EXIF. Throws ApiFault 400
// for what is none.
TextChunks picture_texts(const GivenFile& picture);

// "parameters" as AUTOMATIC1111 reads them: Prompt, Negative prompt, and each "Steps: 20" of the
// last line by its name, at most 256.
JsonObject infotext_json(std::string_view infotext);

}  // namespace inkstone::serve
