#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <list>

#include "app/help.h"
#include "base/error.h"
#include "base/spelling.h"
#include "base/version.h"

namespace inkstone {
namespace {

struct Flags {  // what CLI11 fills for one command: texts, of which assign() makes values
  struct Given {
    const Setting* setting;
    CLI::Option* option;
    std::string text;
    bool on = false;
  };
  Command command;
  CLI::App* app = nullptr;
  std::list<Given> given;  // CLI11 keeps references into it
  bool help = false;
};

std::string version_text() { return std::string("inkstone ") + kVersion + "\n"; }

// {"--guidance", "--guidance-scale", "--guidance_scale", "-x"}: all that is taken for a setting.
std::vector<std::string> flags_of(const Setting& setting) {
  std::vector<std::string> flags;
  std::vector<std::string> words = aliases_of(setting);
  words.insert(words.begin(), setting.name);
  for (const std::string& word : words) {
    flags.push_back((word.size() > 1 ? "--" : "-") + word);
    std::string underscored = word;
    std::ranges::replace(underscored, '-', '_');
    if (underscored != word) flags.push_back("--" + underscored);
  }
  return flags;
}

// The same as CLI11 reads it, with what may stand without a flag.
std::string flag_names(const Setting& setting, Command command) {
  std::string names;
  for (const std::string& flag : flags_of(setting)) names += (names.empty() ? "" : ",") + flag;
  if (setting.name == positional_of(command)) return std::string(setting.name) + "," + names;
  if (setting.name == std::string_view("karras")) return names + ",!--no-karras";
  return names;
}

bool is_list(const Setting& setting) {
  const Member* member = std::get_if<Member>(&setting.target);
  return member && std::holds_alternative<std::optional<std::vector<std::string>> Options::*>(*member);
}

void add_flags(Flags& flags, CLI::App& root, Command command) {
  flags.command = command;
  flags.app = root.add_subcommand(command_name(command));
  flags.app->set_help_flag();
  flags.app->add_flag("-h,--help", flags.help);
  flags.app->allow_extras();
  for (const Setting& setting : settings()) {
    if (!(setting.commands & bit(command))) continue;
    Flags::Given& given = flags.given.emplace_back(Flags::Given{&setting, nullptr, {}, false});
    const std::string names = flag_names(setting, command);
    given.option = *setting.value ? flags.app->add_option(names, given.text) : flags.app->add_flag(names, given.on);
    // assign() takes a list's values as lines
    given.option->multi_option_policy(is_list(setting) ? CLI::MultiOptionPolicy::Join
                                                       : CLI::MultiOptionPolicy::TakeLast);
    if (is_list(setting) && setting.name == positional_of(command)) given.option->expected(-1);
    if (*setting.without_value) given.option->expected(0, 1)->default_str(setting.without_value);
  }
}

[[noreturn]] void refuse_extra(const Flags& flags, const std::string& extra) {
  const std::string command = command_name(flags.command);
  if (extra.size() > 1 && extra.front() == '-') {
    const std::string name = extra.substr(0, extra.find('='));
    std::vector<std::string> known{"--help"};
    for (const std::string& known_name : known_names(flags.command)) known.push_back("--" + known_name);
    const std::string meant = nearest(name, known);
    fail<UsageError>(INKSTONE_HERE, {"unknown flag ", name, meant.empty() ? "" : "; did you mean " + meant + "?",
                                     " (inkstone ", command, " --help lists them all)"});
  }
  const bool prompt = flags.command == Command::kGenerate;
  fail<UsageError>(INKSTONE_HERE,
                   {"unexpected argument \"", extra, "\"",
                    prompt ? ": put the whole prompt in quotes" : " (see inkstone " + command + " --help)"});
}

// "--steps: 1 required TEXT missing" and the like, in our words.
[[noreturn]] void refuse(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string flag = text.substr(0, text.find(':'));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) && flag.rfind("--", 0) == 0) {
    const bool missing = text.find("missing") != std::string::npos || text.find("required") != std::string::npos;
    fail<UsageError>(INKSTONE_HERE, {flag, missing ? " needs a value" : ": " + text.substr(flag.size() + 2)});
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error))
    fail<UsageError>(INKSTONE_HERE, {text, " (a switch stands alone or as --flag=true|false)"});
  fail<UsageError>(INKSTONE_HERE, {text});
}

// All but the worker, which nobody means.
std::vector<std::string> shown_commands() {
  std::vector<std::string> names;
  for (Command command : kCommands)
    if (command != Command::kWorker) names.push_back(command_name(command));
  return names;
}

[[noreturn]] void refuse_command(const std::string& word) {
  if (word.size() > 1 && word.front() == '-')
    fail<UsageError>(INKSTONE_HERE, {"unknown flag ", word, " before the command (see inkstone --help)"});
  std::vector<std::string> known = shown_commands();
  known.insert(known.end(), {"help", "version"});
  const std::string meant = nearest(word, known);
  const bool prompt = word.find(' ') != std::string::npos || meant.empty();
  INKSTONE_CHECK_USAGE(!prompt, "unknown command \"", word, "\"; did you mean inkstone generate \"", word,
                       "\"? The commands are ", listed(known));
  fail<UsageError>(INKSTONE_HERE,
                   {"unknown command \"", word, "\": choose ", listed(known), "; did you mean ", meant, "?"});
}

// "help", "help COMMAND" and "version", as other programs have them.
std::optional<std::string> text_asked_by_word(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return {};
  if (arguments[0] == "version") return version_text();
  if (arguments[0] != "help") return {};
  if (arguments.size() == 1) return general_help();
  for (Command command : kCommands)
    if (arguments[1] == command_name(command)) return command_help(command);
  fail<UsageError>(INKSTONE_HERE,
                   {"there is no help on \"", arguments[1], "\"; commands are ", listed(shown_commands())});
}

// How the user called the setting: the last of its flags on the line.
std::string spelled(const Setting& setting, const std::vector<std::string>& arguments) {
  const std::vector<std::string> flags = flags_of(setting);
  std::string result = flags.front();
  for (const std::string& argument : arguments) {
    const std::string flag = argument.substr(0, argument.find('='));
    if (std::ranges::count(flags, flag)) result = flag;
  }
  return result;
}

Options options_of(const Flags& flags, const std::vector<std::string>& arguments) {
  Options options;
  for (const Flags::Given& given : flags.given) {
    if (given.option->count() == 0) continue;
    const Setting& setting = *given.setting;
    const bool prompt = setting.name == std::string_view("prompt");
    const std::string shown = prompt ? "the prompt" : spelled(setting, arguments);
    INKSTONE_CHECK_USAGE(!prompt || given.option->count() == 1, "there are two prompts, \"",
                         given.option->results().front(), "\" and \"", given.option->results().back(),
                         "\": give one, or a file with --prompts");
    if (*setting.value)
      assign(options, setting, given.text, shown + " " + given.text);
    else
      assign(options, setting, given.on ? "true" : "false", shown);
  }
  return options;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  if (const auto text = text_asked_by_word(arguments)) return {*text, false, {}, {}};
  CLI::App root;
  bool help = false, version = false;
  root.set_help_flag();
  root.add_flag("-h,--help", help);
  root.add_flag("-V,--version", version);
  root.allow_extras();
  root.require_subcommand(0, 1);
  std::array<Flags, std::size(kCommands)> commands;
  for (size_t i = 0; i < commands.size(); ++i) add_flags(commands[i], root, kCommands[i]);

  try {
    root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them last first
  } catch (const CLI::ParseError& error) {
    refuse(error);
  }

  if (help) return {general_help(), false, {}, {}};
  if (version) return {version_text(), false, {}, {}};
  for (const Flags& flags : commands) {
    if (!flags.app->parsed()) continue;
    if (flags.help) return {command_help(flags.command), false, {}, {}};
    if (const auto before = root.remaining(); !before.empty()) refuse_command(before.front());
    for (const std::string& extra : flags.app->remaining())
      if (extra != "--") refuse_extra(flags, extra);
    return {{}, false, flags.command, options_of(flags, arguments)};
  }
  if (const auto extra = root.remaining(); !extra.empty()) refuse_command(extra.front());
  return {general_help(), true, {}, {}};
}

}  // namespace inkstone
