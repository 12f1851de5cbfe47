// Any form is parts within it or an ApiFault of 400; any JSON is cut into a rest and texts that lie in it.
#include <cstdint>
#include <cstdlib>

#include "serve/api/cut_texts.h"
#include "serve/api/fault.h"
#include "serve/api/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace inkstone::serve;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto within = [&](std::string_view part) {
    return part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size();
  };
  const size_t line = text.find('\n');
  const std::string type = "multipart/form-data; boundary=" + (size % 2 ? text.substr(0, line) : std::string("X"));
  try {
    for (const FormPart& part : parse_form(text, type))
      if (part.name.empty() || !within(part.content)) std::abort();
  } catch (const ApiFault& fault) {
    if (fault.error().status != 400) std::abort();
  }
  try {
    for (const std::string_view part : cut_texts(text, 1000).texts)
      if (!within(part)) std::abort();
  } catch (const ApiFault& fault) {
    if (fault.error().status != 413) std::abort();
  }
  return 0;
}
