#include "diffusion/prompt_editing.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "diffusion/prompt_words.h"

namespace inkstone {
namespace {

struct EditNode;
using EditText = std::vector<EditNode>;

// Text as it stands, or a choice between texts.
struct EditNode {
  std::string_view text{};
  std::vector<EditText> choices{};
  double when = 0;       // the number of an edit: in steps, or a part of them
  bool is_part = false;  // of all steps
  bool edit = false;     // two choices: before and after `when`; else they take turns
};

// What is between a bracket and the one that closes it.
struct OpenBracket {
  size_t at;                    // in the prompt
  std::vector<EditText> parts;  // between its separators
  char separator = 0;           // ':' or '|', once there was one
  bool mixed = false;           // there were both
};

class EditParser {
 public:
  explicit EditParser(std::string_view prompt) : prompt_(prompt) {}

  // Nothing where the prompt has no editing at all.
  std::optional<EditText> parse() {
    for (size_t at = 0; at < prompt_.size(); ++at) {
      const char c = prompt_[at];
      if (c == '\\') {
        if (at + 1 >= prompt_.size() || prompt_[at + 1] == '\n') return {};
        add_text(at, 2);
        ++at;
      } else if (c == '(' || c == '[') {
        check_open_brackets(open_.size() + 1);
        open_.push_back({at, std::vector<EditText>(1)});
      } else if (c == ')' || c == ']') {
        if (!close(at) && has_bar_) return {};
      } else if (c == '|') {
        if (open_.empty() || prompt_[open_.back().at] != '[') return {};
        separate(c);
      } else if (c == ':' && !open_.empty()) {
        separate(c);
      } else {
        add_text(at, 1);
      }
    }
    give_up_open();
    if (has_bar_) return {};
    return std::move(whole_);
  }

 private:
  EditText& place() { return open_.empty() ? whole_ : open_.back().parts.back(); }

  void add_text(size_t at, size_t length) {
    EditText& to = place();
    const auto joins = [&](const EditNode& last) {
      return last.choices.empty() && last.text.data() + last.text.size() == prompt_.data() + at;
    };
    if (!to.empty() && joins(to.back()))
      to.back().text = {to.back().text.data(), to.back().text.size() + length};
    else
      to.push_back({prompt_.substr(at, length)});
  }

  void separate(char separator) {
    OpenBracket& open = open_.back();
    open.mixed |= open.separator && open.separator != separator;
    open.separator = separator;
    open.parts.emplace_back();
  }

  // All open brackets are text, and so are their separators.
  void give_up_open() {
    std::vector<OpenBracket> open = std::move(open_);
    open_.clear();
    for (OpenBracket& bracket : open) {
      has_bar_ |= bracket.separator == '|' || bracket.mixed;
      add_text(bracket.at, 1);
      for (size_t i = 0; i < bracket.parts.size(); ++i) {
        if (i) whole_.push_back({":"});
        std::ranges::move(bracket.parts[i], std::back_inserter(whole_));
      }
    }
  }

  // False where the bracket, and all that are open, are text.
  bool close(size_t at) {
    std::optional<EditNode> node;
    const bool pairs = !open_.empty() && prompt_[open_.back().at] == (prompt_[at] == ')' ? '(' : '[');
    if (pairs) {
      OpenBracket& open = open_.back();
      const bool weight = open.parts.size() == 1 || (prompt_[at] == ')' && open.parts.size() == 2);
      if (weight) return close_weight(at), true;
      if (prompt_[at] == ']') node = choice_of(open);
    }
    if (!node) {
      give_up_open();
      add_text(at, 1);
      return false;
    }
    open_.pop_back();
    place().push_back(std::move(*node));
    return true;
  }

  // The brackets stay.
  void close_weight(size_t at) {
    OpenBracket open = std::move(open_.back());
    open_.pop_back();
    add_text(open.at, 1);
    EditText& to = place();
    for (size_t i = 0; i < open.parts.size(); ++i) {
      if (i) to.push_back({":"});
      std::ranges::move(open.parts[i], std::back_inserter(to));
    }
    add_text(at, 1);
  }

  static std::optional<EditNode> choice_of(OpenBracket& open) {
    if (open.mixed) return {};
    EditNode node;
    if (open.separator == '|') {
      node.choices = std::move(open.parts);
      return node;
    }
    const EditText& last = open.parts.back();
    if (open.parts.size() > 3 || last.size() != 1 || !last[0].choices.empty()) return {};
    const std::string_view written = trimmed(last[0].text);
    const std::optional<double> number = signed_number(written);
    if (!number) return {};
    node.edit = true;
    node.when = *number;
    node.is_part = written.find('.') != written.npos;
    open.parts.pop_back();
    if (open.parts.size() == 1) node.choices.emplace_back();
    std::ranges::move(open.parts, std::back_inserter(node.choices));
    return node;
  }

  std::string_view prompt_;
  EditText whole_;
  std::vector<OpenBracket> open_;
  bool has_bar_ = false;  // outside of square brackets
};

// The last step, from 1, that is before the edit.
int last_before(const EditNode& node, int steps) {
  const double when = node.is_part ? node.when * steps : node.when;
  return static_cast<int>(std::clamp(when, 0.0, static_cast<double>(steps)));
}

// The steps, from 0, at which the text may change.
void collect_changes(const EditText& text, int steps, std::set<int>& changes) {
  for (const EditNode& node : text) {
    if (node.edit) {
      if (const int last = last_before(node, steps); last < steps) changes.insert(last);
    } else if (!node.choices.empty() && changes.size() < static_cast<size_t>(steps)) {
      for (int step = 1; step < steps; ++step) changes.insert(step);
    }
    for (const EditText& choice : node.choices) collect_changes(choice, steps, changes);
  }
}

void append_at(const EditText& text, int step, int steps, std::string& to) {
  for (const EditNode& node : text) {
    if (node.choices.empty()) {
      to += node.text;
      continue;
    }
    const size_t chosen =
        node.edit ? step >= last_before(node, steps) : static_cast<size_t>(step) % node.choices.size();
    append_at(node.choices[chosen], step, steps, to);
  }
}

}  // namespace

EditedPrompt edited_prompt(std::string_view prompt, int steps, size_t max_texts) {
  EditedPrompt edited;
  const std::optional<EditText> parsed = EditParser(prompt).parse();
  std::set<int> changes{0};
  if (parsed) collect_changes(*parsed, steps, changes);
  std::map<std::string, int> known;
  for (auto change = changes.begin(); change != changes.end(); ++change) {
    std::string text;
    if (parsed)
      append_at(*parsed, *change, steps, text);
    else
      text = prompt;
    const auto [place, is_new] = known.try_emplace(text, static_cast<int>(known.size()));
    INKSTONE_CHECK_USAGE(known.size() <= max_texts, "the prompt changes into more than ", max_texts,
                         " different ones: fewer [a|b] and [a:b:N], or fewer steps, are needed");
    if (is_new) edited.texts.push_back(std::move(text));
    const auto next = std::next(change);
    edited.of_step.resize(static_cast<size_t>(next == changes.end() ? steps : *next), place->second);
  }
  return edited;
}

}  // namespace inkstone
