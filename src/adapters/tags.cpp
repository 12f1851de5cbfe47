#include "adapters/tags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/spelling.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr float kMaxStrength = 100;  // in size; people use up to 2

std::optional<float> strength_of(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) <= kMaxStrength)) return {};
  return value;
}

std::vector<std::string_view> pieces_of(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    pieces.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return pieces;
}

// What stands between "<lora:" and ">".
AdapterTag tag_of(std::string_view inside, std::string_view whole) {
  const std::vector<std::string_view> pieces = pieces_of(inside);
  AdapterTag tag{std::string(pieces[0])};
  std::optional<float> text, unet;
  int unnamed = 0;
  bool good = !tag.name.empty();
  for (size_t i = 1; i < pieces.size(); ++i) {
    std::string_view piece = pieces[i];
    std::optional<float>* to = unnamed == 0 ? &text : unnamed == 1 ? &unet : nullptr;
    if (piece.starts_with("te="))
      to = &text, piece.remove_prefix(3);
    else if (piece.starts_with("unet="))
      to = &unet, piece.remove_prefix(5);
    else
      ++unnamed;
    if (to) *to = strength_of(piece);
    good = good && to && *to;
  }
  INKSTONE_CHECK_USAGE(
      good, "the prompt's ", shown(whole),
      ": write <lora:NAME>, <lora:NAME:STRENGTH> or <lora:NAME:TEXT:UNET>, strengths from -100 to 100");
  tag.text = text.value_or(1);
  tag.unet = unet.value_or(tag.text);
  return tag;
}

std::string number_text(float value) {
  char text[32];
  return {text, std::to_chars(text, std::end(text), value).ptr};
}

}  // namespace

TaggedPrompt take_tags(std::string_view prompt) {
  TaggedPrompt result;
  while (!prompt.empty()) {
    const size_t lora = prompt.find("<lora:"), begin = std::min(lora, prompt.find("<lyco:"));
    const size_t end = begin == prompt.npos ? begin : prompt.find('>', begin);
    result.text += prompt.substr(0, end == prompt.npos ? end : begin);
    if (end == prompt.npos) break;
    constexpr size_t kStart = 6;  // "<lora:"
    result.tags.push_back(
        tag_of(prompt.substr(begin + kStart, end - begin - kStart), prompt.substr(begin, end + 1 - begin)));
    prompt.remove_prefix(end + 1);
  }
  return result;
}

std::vector<AdapterName> adapters_in(const fs::path& folder) {
  std::vector<AdapterName> found;
  std::error_code error, ignored;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".safetensors" && at->is_regular_file(ignored))
      found.push_back({at->path().stem().string(), at->path(), file_state(at->path())});
  INKSTONE_CHECK_USAGE(!error, folder.string(), ": cannot be listed: ", error.message());
  std::ranges::sort(found, {}, [](const AdapterName& adapter) { return std::tie(adapter.name, adapter.path); });
  return found;
}

const AdapterName& find_adapter(std::span<const AdapterName> adapters, const std::string& name,
                                const std::string& where) {
  INKSTONE_CHECK_USAGE(name.find_first_of("/\\") == name.npos && name != "." && name != "..", "<lora:", shown(name),
                       ">: an adapter is named by its file in ", where, " without its extension, not by a path");
  std::vector<std::string> names;
  std::vector<const AdapterName*> found;
  for (const AdapterName& adapter : adapters) {
    names.push_back(adapter.name);
    if (adapter.name == name) found.push_back(&adapter);
  }
  const std::string meant = found.empty() ? nearest(name, names) : "";
  INKSTONE_CHECK_USAGE(!found.empty(), "<lora:", shown(name), ">: there is no ", shown(name), ".safetensors in ", where,
                       meant.empty() ? "" : "; did you mean " + shown(meant) + "?");
  INKSTONE_CHECK_USAGE(found.size() == 1, "<lora:", shown(name), ">: ", where, " has ", found.size(),
                       " files of this name; rename one");
  return *found[0];
}

AdapterUse parse_adapter(std::string_view text) {
  AdapterUse use{std::string(text)};
  std::optional<float> last, first;
  size_t colon = text.rfind(':');
  if (colon != text.npos) last = strength_of(text.substr(colon + 1));
  if (last) {
    use.path = text.substr(0, colon);
    use.text = use.unet = *last;
    colon = use.path.rfind(':');
    if (colon != use.path.npos) first = strength_of(std::string_view(use.path).substr(colon + 1));
  }
  if (first) {
    use.path.resize(colon);
    use.text = *first;
  }
  INKSTONE_CHECK_USAGE(!use.path.empty(), "--lora ", shown(text),
                       ": write FILE, FILE:STRENGTH or FILE:TEXT_STRENGTH:UNET_STRENGTH");
  return use;
}

std::string adapter_text(const AdapterUse& use) {
  return use.path + ":" + number_text(use.text) + ":" + number_text(use.unet);
}

std::string tag_text(const AdapterTag& tag) {
  const std::string text = number_text(tag.text);
  return "<lora:" + tag.name + ":" + text + (tag.unet == tag.text ? "" : ":" + number_text(tag.unet)) + ">";
}

}  // namespace inkstone
