#include "app/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const Options& options) {
  try {
    read_prompts(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Prompts, a_prompt_is_one_and_a_file_s_lines_are_one_each) {
  Options options;
  options.request.prompt = "a fox\na bee";
  EXPECT_THAT(read_prompts(options), ElementsAre("a fox\na bee"));
  const ScratchFolder folder;
  folder.write("prompts.txt",
               "\xEF\xBB\xBF"
               "a fox\r\n\n  \na bee\xff  \nlast");
  options = {};
  options.prompts = (folder.path() / "prompts.txt").string();
  EXPECT_THAT(read_prompts(options), ElementsAre("a fox", "a bee\xEF\xBF\xBD", "last"));
}

TEST(Prompts, what_cannot_be_is_refused_with_the_way_out) {
  Options options;
  EXPECT_THAT(refusal(options), HasSubstr("inkstone generate \"a fox"));
  options.prompts = "no/such/file";
  EXPECT_THAT(refusal(options), HasSubstr("no/such/file"));
  options.count = 2;
  EXPECT_THAT(refusal(options), HasSubstr("each line is an image"));
  options.request.prompt = "a bee";
  EXPECT_THAT(refusal(options), HasSubstr("give one of the two"));
  const ScratchFolder folder;
  folder.write("empty.txt", "\n \n");
  options = {};
  options.prompts = (folder.path() / "empty.txt").string();
  EXPECT_THAT(refusal(options), HasSubstr("empty.txt: no prompt in it"));
}

}  // namespace
}  // namespace inkstone
