// Where a model named on the command line lies: a folder, or a hub id in the local Hugging Face cache. Nothing is downloaded.
#pragma once

#include <filesystem>
#include <string>

namespace inkstone {

// A folder in diffusers' layout (it has a model_index.json), or a hub id ("owner/name", "owner/name@revision") looked up in
// $HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub, the first that is set.
// A folder that exists wins. Throws Error that says what was looked for and how to get it.
std::filesystem::path find_model(const std::string& folder_or_hub_id);

std::filesystem::path hub_cache();  // that folder, there or not

}  // namespace inkstone
