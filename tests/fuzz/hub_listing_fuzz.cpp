// What a hub says is a listing whose paths stay inside a folder, and whose names are plain, or an Error.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "hub/id.h"
#include "hub/listing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const inkstone::HubListing listing = inkstone::parse_hub_listing(text, "fuzz");
    if (!inkstone::is_hub_word(listing.commit)) std::abort();
    for (const inkstone::HubFile& file : listing.files)
      if (!inkstone::is_inner_path(file.path) || !inkstone::is_hub_word(file.digest)) std::abort();
  } catch (const inkstone::Error& error) {
    if (std::string(error.what()).rfind("fuzz", 0) != 0) std::abort();
  }
  const inkstone::HubId id = inkstone::parse_hub_id(text);
  if (!id.name.empty() && (!inkstone::is_hub_word(id.owner) || !inkstone::is_hub_word(id.name))) std::abort();
  inkstone::hub_id_in_url(text);
  return 0;
}
