// A model's card: what its files say, and the hash of its U-Net, which is kept until the file
// changes.
#include "serve/worker/describe_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/digest.h"

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("inkstone_card_" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

std::string file_hash(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return sha256(text.str());
}

TEST(ModelCard, says_what_the_files_say) {
  const fs::path demo = fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model";
  const Pipeline model = Pipeline::open(demo);
  const ModelCard card = describe_model(model, "");
  EXPECT_EQ(card.name, model.name());
  EXPECT_EQ(card.hash, file_hash(demo / "unet" / "diffusion_pytorch_model.safetensors"));
  EXPECT_EQ(scheduler_config(card.traits).kind, SchedulerKind::kPndm);
  EXPECT_EQ(card.traits.width, model.traits.width);
  EXPECT_EQ(card.traits.size_multiple, 4);
  EXPECT_EQ(card.traits.scheduler_file.find('/'), std::string::npos) << "clients are told no path";
  EXPECT_EQ(card.tokens, 77);
  EXPECT_GT(card.parameters, 1'000'000);
  EXPECT_GT(card.created, 0);
  EXPECT_FALSE(card.traits.distilled);
}

TEST(ModelCard, keeps_the_hash_until_the_file_changes) {
  const Folder folder;
  const fs::path copy = folder.path / "copy", cache = folder.path / "cache";
  fs::copy(fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model", copy, fs::copy_options::recursive);
  const Pipeline model = Pipeline::open(copy);
  const std::string hash = describe_model(model, cache).hash;
  fs::path entry;
  for (const auto& file : fs::directory_iterator(cache)) entry = file.path();
  ASSERT_FALSE(entry.empty());
  std::ofstream(entry) << std::string(64, 'a');
  EXPECT_EQ(describe_model(model, cache).hash, std::string(64, 'a'));  // taken from there
  std::ofstream(entry) << std::string(64, 'x');
  EXPECT_EQ(describe_model(model, cache).hash, hash);  // not a hash
  std::ofstream(entry) << std::string(64, 'a');
  fs::last_write_time(copy / "unet" / "diffusion_pytorch_model.safetensors", fs::file_time_type::clock::now());
  EXPECT_EQ(describe_model(model, cache).hash, hash);  // another time of change
  EXPECT_EQ(describe_model(model, "/proc/no/such/folder").hash, hash);
}

}  // namespace
}  // namespace inkstone::serve
