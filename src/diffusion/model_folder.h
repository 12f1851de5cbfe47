// The models that lie in a folder, found by their files' names alone: nothing is opened.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace inkstone {

// Of a folder in diffusers' layout its name, of a file its name without the extension, of a folder
// in the hub's cache its id there: "owner/name".
std::string model_name(const std::filesystem::path& path);

// Which files these are, and whether they are still the same: a digest of the place, size, time of
// change and inode of a file, or of all files below a folder. Throws Error where one cannot be read.
std::string files_state(const std::filesystem::path& place);

struct ListedModel {
  std::string name;
  std::filesystem::path path;
  std::string state;  // files_state()
};

struct ModelListing {
  std::vector<ListedModel> models;  // by name
  // What lies there and is none of them, and why, a line each.
  std::vector<std::string> left_out;
};

// Files of weights (.safetensors, .ckpt, .pt, .pth, .bin) and folders with a model_index.json, in
// the folder or at most four folders below it; none within a model's folder, and none whose name
// begins with a dot. Of two with one name the first by path stands. Throws Error where the folder
// cannot be listed.
ModelListing models_in(const std::filesystem::path& folder);

}  // namespace inkstone
