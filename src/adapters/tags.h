// Adapters that a prompt names, as AUTOMATIC1111's web UI has them: <lora:style:0.8>.
#pragma once

#include <filesystem>
#include <span>
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

struct AdapterName {
  std::string name;            // of its file, without the extension
  std::filesystem::path path;  // below the folder's
  std::string state;           // file_state()
};
// The .safetensors files of a folder and of those below it, by name. Throws UsageError where it cannot
// be listed.
std::vector<AdapterName> adapters_in(const std::filesystem::path& folder);

// The one of that name. Throws UsageError if there is none, or more than one, or the name is a path.
// `where`: how messages call the folder.
const AdapterName& find_adapter(std::span<const AdapterName> adapters, const std::string& name,
                                const std::string& where);

// "style.safetensors", "style.safetensors:0.8", "style.safetensors:TEXT:UNET". Throws UsageError.
AdapterUse parse_adapter(std::string_view text);
std::string adapter_text(const AdapterUse& use);  // which parse_adapter() reads

std::string tag_text(const AdapterTag& tag);  // "<lora:style:0.8>"

}  // namespace inkstone
