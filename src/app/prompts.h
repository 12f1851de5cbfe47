// What is to be drawn: one prompt, or the lines of a file.
#pragma once

#include <string>
#include <vector>

#include "app/options.h"

namespace inkstone {

// The lines that are not blank, without the spaces at their ends. Throws UsageError that begins with
// `subject` if there is none.
std::vector<std::string> prompt_lines(const std::string& text, const std::string& subject);

// PROMPT, or the lines of --prompts, as UTF-8. Either may be -, which is standard input. Throws
// UsageError if there is none of them, or both.
std::vector<std::string> read_prompts(const Options& options);

// With --lora-dir, takes the tags <lora:NAME:M> out of the prompts, and adds their files to --lora's. All
// images of a command have one set of adapters: UsageError naming the line that asks for another.
void take_adapter_tags(std::vector<std::string>& prompts, Options& options);

}  // namespace inkstone
