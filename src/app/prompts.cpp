#include "app/prompts.h"

#include <sstream>

#include "adapters/tags.h"
#include "app/machine.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr size_t kMaxBytes = size_t{16} << 20;

// What Windows' editors and shells write before a text is no part of it.
std::string without_mark(std::string text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text.starts_with(kMark)) text.erase(0, kMark.size());
  return text;
}

std::string read_prompt(std::string prompt) {
  if (prompt != "-") return prompt;
  prompt = without_mark(read_input(kMaxBytes));
  while (!prompt.empty() && (prompt.back() == '\n' || prompt.back() == '\r')) prompt.pop_back();
  return prompt;
}

}  // namespace

std::vector<std::string> prompt_lines(const std::string& text, const std::string& subject) {
  std::istringstream lines(without_mark(text));
  std::vector<std::string> prompts;
  for (std::string line; std::getline(lines, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) prompts.push_back(line);
  }
  INKSTONE_CHECK_USAGE(!prompts.empty(), subject, ": no prompt in it; write one a line");
  return prompts;
}

std::vector<std::string> read_prompts(const Options& options) {
  const std::optional<std::string>& prompt = options.request.prompt;
  INKSTONE_CHECK_USAGE(prompt || options.prompts,
                       "no prompt: say what to draw, inkstone generate \"a fox on a teal background\"");
  if (!options.prompts) return {clean_utf8(read_prompt(*prompt))};

  const std::string& file = *options.prompts;
  INKSTONE_CHECK_USAGE(!prompt, "--prompts ", file, " and the prompt \"", *prompt, "\": give one of the two");
  INKSTONE_CHECK_USAGE(!options.count, "--prompts ", file, " and --count ", options.count.value_or(0),
                       ": each line is an image; write a line twice for two images of it");
  const std::string text = file == "-" ? read_input(kMaxBytes) : read_file(file, kMaxBytes);
  std::vector<std::string> prompts = prompt_lines(text, "--prompts " + file);
  for (std::string& line : prompts) line = clean_utf8(line);
  return prompts;
}

void take_adapter_tags(std::vector<std::string>& prompts, Options& options) {
  if (!options.lora_dir) return;
  std::vector<AdapterTag> first;
  for (size_t i = 0; i < prompts.size(); ++i) {
    TaggedPrompt prompt = take_tags(prompts[i]);
    prompts[i] = std::move(prompt.text);
    if (i == 0) first = std::move(prompt.tags);
    INKSTONE_CHECK_USAGE(i == 0 || prompt.tags == first, "--prompts ", options.prompts.value_or(""), ": image ", i + 1,
                         " asks for other adapters than the first; put its line into a file of its own");
  }
  if (first.empty()) return;
  const std::vector<AdapterName> adapters = adapters_in(*options.lora_dir);
  for (const AdapterTag& tag : first) {
    if (!options.loras) options.loras.emplace();
    const AdapterName& found = find_adapter(adapters, tag.name, *options.lora_dir);
    options.loras->push_back(adapter_text({found.path.string(), tag.text, tag.unet}));
  }
}

}  // namespace inkstone
