// Which files of a folder are models, and how they are called: by names alone.
#include "diffusion/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("inkstone_folder_" + std::to_string(getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  void add(const fs::path& name, const std::string& text = "x") const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
  }
};

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const ListedModel& model : models_in(folder).models) names.push_back(model.name);
  return names;
}

TEST(FolderOfModels, lists_files_and_folders_by_name_and_nothing_within_a_model) {
  const Folder folder;
  for (const char* name :
       {"b.safetensors", "a.v1.ckpt", "notes.txt", ".hidden.safetensors", ".cache/c.safetensors",
        "sd15/model_index.json", "sd15/unet/diffusion_pytorch_model.safetensors", "xl/deep/d.safetensors",
        "1/2/3/4/e.pt", "1/2/3/4/5/f.pt", "models--owner--name/snapshots/0123/model_index.json"})
    folder.add(name);
  EXPECT_THAT(names_in(folder.path), testing::ElementsAre("a.v1", "b", "d", "e", "owner/name", "sd15"));
}

TEST(FolderOfModels, of_two_with_one_name_the_first_stands_and_the_other_is_said) {
  const Folder folder;
  folder.add("x/one.safetensors");
  folder.add("one.ckpt");
  const ModelListing listing = models_in(folder.path);
  ASSERT_EQ(listing.models.size(), 1u);
  EXPECT_EQ(listing.models[0].path, folder.path / "one.ckpt");
  ASSERT_EQ(listing.left_out.size(), 1u);
  EXPECT_THAT(listing.left_out[0], HasSubstr("x/one.safetensors"));
  EXPECT_THAT(listing.left_out[0], HasSubstr("rename one"));
}

TEST(FolderOfModels, a_link_has_its_own_name_and_a_folder_called_model_its_parents) {
  const Folder folder;
  folder.add("fox/model/model_index.json");
  folder.add("sd15/model_index.json");
  folder.add("one.safetensors");
  fs::create_symlink(folder.path / "sd15", folder.path / "mine");
  fs::create_symlink(folder.path / "fox" / "model", folder.path / "a");
  fs::create_symlink(folder.path / "one.safetensors", folder.path / "two.safetensors");
  EXPECT_THAT(names_in(folder.path), testing::ElementsAre("a", "fox", "mine", "one", "sd15", "two"));
  EXPECT_EQ(model_name(folder.path / "sd15" / "."), "sd15");
  EXPECT_EQ(model_name(folder.path / "sd15" / ""), "sd15");
  EXPECT_EQ(model_name(folder.path / "fox" / ".." / "sd15"), "sd15");
}

TEST(FolderOfModels, a_state_changes_with_any_file) {
  const Folder folder;
  folder.add("m/model_index.json");
  folder.add("m/unet/u.safetensors");
  const std::string before = files_state(folder.path / "m");
  EXPECT_EQ(files_state(folder.path / "m"), before);
  folder.add("m/unet/u.safetensors", "xy");
  const std::string longer = files_state(folder.path / "m");
  EXPECT_NE(longer, before);
  folder.add("m/vae/v.safetensors");
  EXPECT_NE(files_state(folder.path / "m"), longer);
  EXPECT_THROW(files_state(folder.path / "absent"), Error);
}

TEST(FolderOfModels, that_cannot_be_listed_is_an_error_and_a_link_to_nothing_a_line) {
  const Folder folder;
  EXPECT_THROW(models_in(folder.path / "absent"), Error);
  folder.add("one.safetensors");
  fs::create_symlink("nowhere.safetensors", folder.path / "gone.safetensors");
  const ModelListing listing = models_in(folder.path);
  EXPECT_EQ(listing.models.size(), 1u);
  ASSERT_EQ(listing.left_out.size(), 1u);
  EXPECT_THAT(listing.left_out[0], HasSubstr("gone.safetensors"));
}

}  // namespace
}  // namespace inkstone
