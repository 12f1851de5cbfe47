// Adapters that a prompt names, as AUTOMATIC1111's web UI has them: <lora:style:0.8>.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/adapter_set.h"

namespace inkstone {

struct AdapterTag {
  std::string name;
  float text = 1, unet = 1;
  bool operator==(const AdapterTag&) const = default;
};
struct TaggedPrompt {
  std::string text;  // without the tags
  std::vector<AdapterTag> tags;
};
// <lora:NAME>, <lora:NAME:STRENGTH>, <lora:NAME:TEXT:UNET>, <lora:NAME:te=TEXT:unet=UNET>; lyco is the same.
// Without a strength for the U-Net, the text's is its own. Throws UsageError naming a tag that is none.
TaggedPrompt take_tags(std::string_view prompt);

// The file of that name without its extension, in the folder or one below it. Throws UsageError if there
// is none, or more than one, or the name is a path.
std::filesystem::path find_adapter(const std::filesystem::path& folder, const std::string& name);

// "style.safetensors", "style.safetensors:0.8", "style.safetensors:TEXT:UNET". Throws UsageError.
AdapterUse parse_adapter(std::string_view text);
std::string adapter_text(const AdapterUse& use);  // which parse_adapter() reads

std::string tag_text(const AdapterTag& tag);  // "<lora:style:0.8>"

}  // namespace inkstone
