#include "app/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

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

const char* kind_text(const Member& member) {
  struct Kinds {
    const char* operator()(std::optional<std::string> Options::*) const { return "a text in quotes"; }
    const char* operator()(std::optional<uint64_t> Options::*) const { return "a whole number"; }
    const char* operator()(std::optional<int> Options::*) const { return "a whole number"; }
    const char* operator()(std::optional<float> Options::*) const { return "a number"; }
    const char* operator()(std::optional<ByteSize> Options::*) const {
      return "a text such as \"2GiB\", or a number of bytes";
    }
    const char* operator()(std::optional<Interval> Options::*) const { return "a text such as \"0.1,0.8\""; }
    const char* operator()(std::optional<bool> Options::*) const { return "true or false"; }
  };
  return std::visit(Kinds{}, member);
}

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
std::optional<std::string> text_of(const toml::node& node, const Member& member) {
  const bool text = std::holds_alternative<std::optional<std::string> Options::*>(member);
  const bool interval = std::holds_alternative<std::optional<Interval> Options::*>(member);
  const bool size = std::holds_alternative<std::optional<ByteSize> Options::*>(member);
  const bool number = std::holds_alternative<std::optional<float> Options::*>(member);
  const bool flag = std::holds_alternative<std::optional<bool> Options::*>(member);
  if (const auto* value = node.as_string(); value && (text || size || interval)) return value->get();
  if (const auto* value = node.as_integer(); value && !text && !flag && !interval) return std::to_string(value->get());
  if (const auto* value = node.as_floating_point(); value && number) return fmt::format("{}", value->get());
  if (const auto* value = node.as_boolean(); value && flag) return value->get() ? "true" : "false";
  return {};
}

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
  bool flat;  // keys of other commands may stand there too
};

void apply_entry(const toml::key& key, const toml::node& node, const std::string& source, const Target& target) {
  const std::string name(key.str());
  Options& options = target.options;
  const Setting* setting = find_setting(target.command, name);
  if (!setting || !setting->in_file) {
    if (target.flat && of_another(name, target.command)) return;
    const std::vector<std::string> known = setting_names(target.command, true);
    const std::string meant = nearest(name, known);
    fail<UsageError>(INKSTONE_HERE, {place(source, key.source()), ": unknown key \"", name, "\"",
                                     meant.empty() ? "; keys are " + listed(known) : "; did you mean " + meant + "?"});
  }
  const std::optional<std::string> text = text_of(node, setting->member);
  INKSTONE_CHECK_USAGE(text, place(source, node.source()), ": ", name, " must be ", kind_text(setting->member),
                       ", not ", kind_text(node));
  Options checked = options;
  assign(checked, *setting, *text, fmt::format("{}: {} = {}", place(source, node.source()), name, *text));
  if (!is_set(options, *setting)) options = std::move(checked);
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
    for (const auto& [key, value] : *node->as_table()) apply_entry(key, value, source, {options, command, false});
  }
  for (const auto& [key, value] : table) {
    const bool own_table =
        std::ranges::any_of(kConfigured, [&name = key](Command c) { return name.str() == command_name(c); });
    if (!own_table) apply_entry(key, value, source, {options, command, true});
  }
}

void apply_config_file(const std::filesystem::path& path, Options& options, Command command) {
  apply_config(read_file(path, kMaxBytes), path.string(), options, command);
}

}  // namespace inkstone
