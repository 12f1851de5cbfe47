// Any bytes are texts of bounded length or a fault; any text is infotext; base64 comes back as it
// was.
#include <cstdint>
#include <cstdlib>

#include "base/base64.h"
#include "base/json.h"
#include "serve/api/accept.h"
#include "serve/api/fault.h"
#include "serve/api/png_texts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace inkstone;
  using namespace inkstone::serve;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    size_t bytes = 0;
    for (const auto& [keyword, text] : png_texts(input)) bytes += text.size();
    if (bytes > (size_t{2} << 20)) std::abort();  // Latin-1 may double as UTF-8
  } catch (const ApiFault&) {
  }
  infotext_json(input);
  constexpr std::string_view kOffers[] = {"application/json", "image/png"};
  accepted(input, kOffers);
  prefers_async(input);
  if (unbase64(base64(input)) != input) std::abort();
  if (const auto bytes = unbase64(input); bytes && base64(*bytes) != input) std::abort();
  return 0;
}
