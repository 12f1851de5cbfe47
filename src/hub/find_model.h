// Finds the model that a command line names: a folder, or a Hugging Face model id in the local
// cache. Nothing is downloaded.
#pragma once

#include <filesystem>
#include <string>

namespace inkstone {

// A file of all weights (.safetensors, .ckpt, .pt, .pth, .bin), a folder in diffusers' layout (it
// has a model_index.json), or a hub id ("owner/name", "owner/name@revision") looked up in
// hub_cache(). If there is a folder of that name, it is taken. Throws Error that says what was
// looked for and how to get it.
std::filesystem::path find_model(const std::string& folder_or_hub_id);

}  // namespace inkstone
