// A model is found where people keep models, and what is not found is said with the way to get it.
#include "hub/find_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "hub/cache.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kVariables[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"};

class FindModel : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable : kVariables) {
      if (const char* value = std::getenv(variable)) had_[variable] = value;
      ::unsetenv(variable);
    }
    ::setenv("HF_HUB_CACHE", (folder_ / "cache").c_str(), 1);
  }
  void TearDown() override {
    for (const char* variable : kVariables)
      if (had_.contains(variable))
        ::setenv(variable, had_[variable].c_str(), 1);
      else
        ::unsetenv(variable);
  }

  void write(const fs::path& path, const std::string& text = "{}") {
    fs::create_directories(path.parent_path());
    write_file(path, std::as_bytes(std::span(text)));
  }
  fs::path repository() const { return folder_ / "cache/models--stable-diffusion-v1-5--stable-diffusion-v1-5"; }
  fs::path add_snapshot(const std::string& commit) {
    const fs::path snapshot = repository() / "snapshots" / commit;
    write(snapshot / "model_index.json");
    return snapshot;
  }
  static std::string error_of(const std::string& model) {
    try {
      return "found " + find_model(model).string();
    } catch (const Error& error) {
      return error.what();
    }
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
  std::map<std::string, std::string> had_;
};

TEST_F(FindModel, a_folder_is_itself) {
  write(folder_ / "mine/model_index.json");
  EXPECT_EQ(find_model((folder_ / "mine").string()), folder_ / "mine");
  EXPECT_EQ(find_model(INKSTONE_SOURCE_DIR "/demo/model"), INKSTONE_SOURCE_DIR "/demo/model");
}

TEST_F(FindModel, the_cache_is_where_the_variables_say) {
  EXPECT_EQ(hub_cache(), folder_ / "cache");
  ::unsetenv("HF_HUB_CACHE");
  ::setenv("HOME", "/h", 1);
  EXPECT_EQ(hub_cache(), "/h/.cache/huggingface/hub");
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(hub_cache(), "/x/huggingface/hub");
  ::setenv("HF_HOME", "/f", 1);
  EXPECT_EQ(hub_cache(), "/f/hub");
  ::setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
  EXPECT_EQ(hub_cache(), "/old");
  ::setenv("HF_HUB_CACHE", "/new", 1);
  EXPECT_EQ(hub_cache(), "/new");
}

TEST_F(FindModel, main_is_what_its_reference_says) {
  const fs::path old = add_snapshot("aaaa"), now = add_snapshot("bbbb");
  write(repository() / "refs/main", "bbbb");
  write(repository() / "refs/fp16", "aaaa\n");
  EXPECT_EQ(find_model("stable-diffusion-v1-5/stable-diffusion-v1-5"), now);
  EXPECT_EQ(find_model("stable-diffusion-v1-5/stable-diffusion-v1-5@main"), now);
  EXPECT_EQ(find_model("stable-diffusion-v1-5/stable-diffusion-v1-5@fp16"), old);
  EXPECT_EQ(find_model("stable-diffusion-v1-5/stable-diffusion-v1-5@aaaa"), old);
  EXPECT_THAT(error_of("stable-diffusion-v1-5/stable-diffusion-v1-5@v9"),
              AllOf(HasSubstr("has no snapshot of v9"), HasSubstr("aaaa/, bbbb/"),
                    HasSubstr("`inkstone pull stable-diffusion-v1-5/stable-diffusion-v1-5@v9`")));
}

TEST_F(FindModel, the_only_snapshot_needs_no_reference) {
  const fs::path only = add_snapshot("aaaa");
  EXPECT_EQ(find_model("stable-diffusion-v1-5/stable-diffusion-v1-5"), only);
  add_snapshot("bbbb");
  EXPECT_THAT(error_of("stable-diffusion-v1-5/stable-diffusion-v1-5"), HasSubstr("has no snapshot of main"));
}

TEST_F(FindModel, a_reference_does_not_lead_out_of_the_cache) {
  add_snapshot("aaaa");
  write(folder_ / "cache/model_index.json");
  write(repository() / "refs/main", "../..");
  EXPECT_THAT(error_of("stable-diffusion-v1-5/stable-diffusion-v1-5"), HasSubstr("has no snapshot of main"));
  for (const char* revision : {"../..", "/etc", ""})
    EXPECT_THAT(error_of("stable-diffusion-v1-5/stable-diffusion-v1-5@" + std::string(revision)),
                HasSubstr("is not a branch, tag or commit"));
}

TEST_F(FindModel, what_is_not_there_is_said_with_the_way_to_get_it) {
  EXPECT_THAT(error_of("stable-diffusion-v1-5/stable-diffusion-v1-5"),
              AllOf(HasSubstr(repository().string()),
                    HasSubstr("get it with `inkstone pull stable-diffusion-v1-5/stable-diffusion-v1-5`")));
  for (const char* name : {"/no/such/folder", "no_such_folder", "a/b/c", "../x", "a/..", "/a"})
    EXPECT_THAT(error_of(name),
                AllOf(HasSubstr("there is no model folder " + std::string(name)), HasSubstr("diffusers' layout")));
  EXPECT_THROW(find_model(""), UsageError);
}

TEST_F(FindModel, an_address_is_not_fetched_and_the_way_to_get_it_is_said) {
  const std::string id = "stable-diffusion-v1-5/stable-diffusion-v1-5";
  for (const char* rest : {"", "/tree/main", "?library=diffusers", "/resolve/main/v1-5-pruned.safetensors"})
    EXPECT_THAT(error_of("https://huggingface.co/" + id + rest),
                AllOf(HasSubstr("nothing is fetched"), HasSubstr("`inkstone pull " + id + "`"),
                      HasSubstr("and name it " + id)));
  for (const char* url :
       {"https://civitai.com/models/4384", "https://huggingface.co/", "https://hf.co/y", "://", "https://hf.co/..//"})
    EXPECT_THAT(error_of(url), AllOf(HasSubstr("nothing is fetched"), HasSubstr("name their folder"))) << url;
}

TEST_F(FindModel, a_half_downloaded_snapshot_is_called_that) {
  write(repository() / "snapshots/aaaa/unet/config.json");
  EXPECT_THAT(error_of("stable-diffusion-v1-5/stable-diffusion-v1-5"),
              AllOf(HasSubstr("it holds unet/"), HasSubstr("incomplete"), HasSubstr("`inkstone pull ")));
}

TEST_F(FindModel, a_folder_of_another_layout_is_said_with_what_it_holds) {
  write(folder_ / "other/v1-5.safetensors");
  write(folder_ / "other/notes.txt");
  EXPECT_THAT(error_of((folder_ / "other").string()),
              AllOf(HasSubstr("has no model_index.json (it holds notes.txt, v1-5.safetensors)"),
                    HasSubstr("name the file itself")));
  fs::create_directories(folder_ / "empty");
  EXPECT_THAT(error_of((folder_ / "empty").string()), HasSubstr("is empty"));
}

TEST_F(FindModel, a_file_of_weights_may_be_a_model) {
  for (const char* name : {"v1-5.safetensors", "v1-5.ckpt", "v1-5.pt", "v1-5.pth", "v1-5.bin"}) {
    write(folder_ / name);
    EXPECT_EQ(find_model((folder_ / name).string()), folder_ / name);
  }
}

TEST_F(FindModel, another_file_is_not_a_model) {
  write(folder_ / "v1-5.gguf");
  write(folder_ / "model_index.json");
  EXPECT_THAT(error_of((folder_ / "v1-5.gguf").string()),
              AllOf(HasSubstr("is a file"), HasSubstr("GGUF is not read, get the model as safetensors")));
  EXPECT_THAT(error_of((folder_ / "model_index.json").string()), HasSubstr("name the folder it lies in"));
}

}  // namespace
}  // namespace inkstone
