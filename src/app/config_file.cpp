#include "app/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "app/help.h"
#include "base/error.h"
#include "base/file.h"
#include "base/spelling.h"

namespace inkstone {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;

std::string place(const std::string& source, const toml::source_region& region) {
  return fmt::format("{}:{}:{}", source, region.begin.line, region.begin.column);
}

struct Kinds {  // of what a setting sets
  const char* operator()(const std::optional<std::string>&) const { return "a text in quotes"; }
  const char* operator()(const std::optional<std::vector<std::string>>&) const { return "a list of texts in quotes"; }
  const char* operator()(const std::optional<uint64_t>&) const { return "a whole number"; }
  const char* operator()(const std::optional<int>&) const { return "a whole number"; }
  const char* operator()(const std::optional<float>&) const { return "a number"; }
  const char* operator()(const std::optional<ByteSize>&) const {
    return "a text such as \"2GiB\", or a number of bytes";
  }
  const char* operator()(const std::optional<Interval>&) const { return "a text such as \"0.1,0.8\""; }
  const char* operator()(const std::optional<bool>&) const { return "true or false"; }
  const char* operator()(const std::optional<GivenFile>&) const { return "a file's name in quotes"; }
};

const char* kind_text(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  if (node.is_string()) return "a text";
  if (node.is_integer()) return "a whole number";
  if (node.is_floating_point()) return "a number with a fraction";
  if (node.is_boolean()) return "true or false";
  return "a date or time";
}

// The value as a flag would write it; nothing where its type does not fit.
struct TextOf {
  const toml::node& node;

  std::optional<std::string> quoted() const {
    if (const auto* value = node.as_string()) return value->get();
    return {};
  }
  std::optional<std::string> whole() const {
    if (const auto* value = node.as_integer()) return std::to_string(value->get());
    return {};
  }
  std::optional<std::string> operator()(const std::optional<std::string>&) const { return quoted(); }
  std::optional<std::string> operator()(const std::optional<std::vector<std::string>>&) const {
    const auto* list = node.as_array();
    if (!list) return quoted();
    std::string lines;
    for (const toml::node& one : *list) {
      if (!one.is_string()) return {};
      lines += one.as_string()->get() + "\n";
    }
    return lines;
  }
  std::optional<std::string> operator()(const std::optional<Interval>&) const { return quoted(); }
  std::optional<std::string> operator()(const std::optional<GivenFile>&) const { return quoted(); }
  std::optional<std::string> operator()(const std::optional<uint64_t>&) const { return whole(); }
  std::optional<std::string> operator()(const std::optional<int>&) const { return whole(); }
  std::optional<std::string> operator()(const std::optional<float>&) const {
    if (const auto* value = node.as_floating_point()) return fmt::format("{}", value->get());
    return whole();
  }
  std::optional<std::string> operator()(const std::optional<ByteSize>&) const {
    return node.is_string() ? quoted() : whole();
  }
  std::optional<std::string> operator()(const std::optional<bool>&) const {
    if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
    return {};
  }
};

constexpr Command kConfigured[] = {Command::kGenerate, Command::kServe};

bool of_another(const std::string& name, Command command) {
  return std::ranges::any_of(kConfigured, [&](Command other) {
    const Setting* setting = other == command ? nullptr : find_setting(other, name);
    return setting && setting->in_file;
  });
}

struct Target {
  Options& options;
  Command command;
  bool flat;                 // keys of other commands may stand there too
  Options nearer = options;  // what nearer sources said
  std::set<const Setting*> had = {};
};

// Whether a nearer source said something that takes this one's place.
bool overruled(const Setting& setting, const Options& nearer) {
  const std::string_view name = setting.name;
  if (name == "prompt" || name == "count") return nearer.prompts.has_value();
  return name == "prompts" && (nearer.request.prompt || nearer.count);
}

void apply_entry(const toml::key& key, const toml::node& node, const std::string& source, Target& target) {
  const std::string name(key.str());
  Options& options = target.options;
  const Setting* setting = find_setting(target.command, name);
  if (!setting || !setting->in_file) {
    if (target.flat && of_another(name, target.command)) return;
    const std::vector<std::string> known = setting_names(target.command, true);
    const std::string meant = nearest(name, known_names(target.command, true));
    fail<UsageError>(INKSTONE_HERE, {place(source, key.source()), ": unknown key \"", name, "\"",
                                     meant.empty() ? "; keys are " + listed(known) : "; did you mean " + meant + "?"});
  }
  INKSTONE_CHECK_USAGE(target.had.insert(setting).second, place(source, key.source()), ": ", name,
                       " stands there by another name too (inkstone calls it ", setting->name, ")");
  const std::optional<std::string> text = visit_target(options, *setting, TextOf{node});
  INKSTONE_CHECK_USAGE(text, place(source, node.source()), ": ", name, " must be ",
                       visit_target(options, *setting, Kinds{}), ", not ", kind_text(node));
  Options checked = options;
  assign(checked, *setting, *text, fmt::format("{}: {} = {}", place(source, node.source()), name, *text));
  if (!is_set(options, *setting) && !overruled(*setting, target.nearer)) options = std::move(checked);
}

// The size last: width and height are nearer, and fill what it would.
void apply_entries(const toml::table& table, const std::string& source, Target& target) {
  for (const bool size : {false, true})
    for (const auto& [key, value] : table) {
      const bool own_table = target.flat && std::ranges::any_of(kConfigured, [&name = key](Command command) {
                               return name.str() == command_name(command);
                             });
      if (!own_table && (key.str() == "size") == size) apply_entry(key, value, source, target);
    }
}

}  // namespace

void apply_config(std::string_view text, const std::string& source, Options& options, Command command) {
  toml::table table;
  try {
    table = toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    fail<UsageError>(INKSTONE_HERE, {place(source, error.source()), ": ", error.description()});
  }
  // A table of its own is nearer than the flat keys around it.
  for (const Command other : kConfigured) {
    const char* name = command_name(other);
    const toml::node* node = table.get(name);
    if (!node) continue;
    INKSTONE_CHECK_USAGE(node->is_table(), place(source, node->source()), ": ", name, " must be a table, [", name, "]");
    if (other != command) continue;
    Target target{options, command, false};
    apply_entries(*node->as_table(), source, target);
  }
  Target target{options, command, true};
  apply_entries(table, source, target);
}

void apply_config_file(const std::filesystem::path& path, Options& options, Command command) {
  apply_config(read_file(path, kMaxBytes), path.string(), options, command);
}

}  // namespace inkstone
