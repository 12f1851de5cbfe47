// A configuration that is written is read back as it was.
#include "models/config_json.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

TEST(ConfigJson, says_what_the_files_of_all_fixtures_say) {
  int found = 0;
  for (const fs::path& root :
       {fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/models", fs::path(INKSTONE_SOURCE_DIR) / "demo"})
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      if (entry.path().filename() != "config.json") continue;
      const std::string source = entry.path().string(), kind = entry.path().parent_path().filename().string();
      const Json json = read_json(entry.path());
      SCOPED_TRACE(source);
      ++found;
      if (kind == "unet") {
        const UnetConfig config = unet_config(json, source);
        EXPECT_EQ(unet_config(Json(unet_json(config)), source), config);
      } else if (kind.starts_with("vae")) {
        const VaeConfig config = vae_config(json, source);
        EXPECT_EQ(vae_config(Json(vae_json(config)), source), config);
      } else {
        const ClipConfig config = clip_config(json, source);
        EXPECT_EQ(clip_config(Json(clip_json(config)), source), config);
      }
    }
  EXPECT_GT(found, 15);
}

// As published files have them.
TEST(ConfigJson, is_short_where_levels_are_alike) {
  const JsonObject sd1 = unet_json({});
  EXPECT_EQ(sd1.at("attention_head_dim"), 8);
  EXPECT_EQ(sd1.at("transformer_layers_per_block"), 1);
  EXPECT_FALSE(sd1.contains("reverse_transformer_layers_per_block"));
  UnetConfig xl;
  xl.channels = {320, 640, 1280};
  xl.blocks = {2, 2, 2};
  xl.depth = {0, 2, 10};
  xl.up_depth = {10, 2, 0};
  xl.mid_depth = 10;
  xl.heads = {5, 10, 20};
  EXPECT_EQ(unet_json(xl).at("transformer_layers_per_block"), (JsonArray{1, 2, 10}));
  EXPECT_EQ(unet_json(xl).at("attention_head_dim"), (JsonArray{5, 10, 20}));
}

}  // namespace
}  // namespace inkstone
