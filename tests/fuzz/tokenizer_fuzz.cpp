// Any prompt under a small vocabulary becomes ids of that vocabulary, and the rest of it is quoted;
// any text of merges is a tokenizer or an Error.
#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "diffusion/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizer = inkstone::Tokenizer::from_merges(
      "#version: 0.2\ni n\nt h\na n\nr e\na r\nth e</w>\na a\naa aa\na a</w>\naa aa</w>\n\u00e6 \u00b0\ns t\n< |\n");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const inkstone::Tokens tokens = tokenizer.encode(text);
  const auto known = [](int32_t id) { return id >= 0 && id < tokenizer.vocabulary(); };
  if (tokens.ids.size() != 77 || tokens.used < 2 || tokens.used > 77) std::abort();
  if (!std::all_of(tokens.ids.begin(), tokens.ids.end(), known)) std::abort();
  if (!tokens.cut.empty() && (tokens.used != 77 || text.find(tokens.cut) == text.npos)) std::abort();
  try {
    inkstone::Tokenizer::from_merges(text).encode(text);
  } catch (const inkstone::Error&) {
  }
  return 0;
}
