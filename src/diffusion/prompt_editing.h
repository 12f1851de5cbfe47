// Prompts that change while an image is made, as in AUTOMATIC1111's web UI: "[cat:dog:0.5]", "[dog:3]", "[cat::3]" and
// "[cat|dog]", in each other and in weights.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct EditedPrompt {
  std::vector<std::string> texts;  // distinct, in the order in which they come up
  std::vector<int> of_step;        // of each step the index in `texts`
};

// What is left of the brackets is weights. "[a:b:N]" is a in the first N steps, then b; an N with a point is a part of
// all steps. "[a|b]" is a in steps 1, 3, ... and b in the others. A bracket that closes nothing, or that holds colons
// which say nothing, is text, and so are those around it. A prompt with a bar outside of square brackets, or with a
// backslash before nothing, has no editing at all: so does the web UI read it.
// Throws UsageError where more than `max_texts` come up, or too many brackets are open at once. The time is linear in
// the prompt, times the steps at which it changes.
EditedPrompt edited_prompt(std::string_view prompt, int steps, size_t max_texts);

}  // namespace inkstone
