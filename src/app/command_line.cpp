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

std::string flag_names(const Setting& setting, Command command) {
  const std::string flag = std::string("--") + setting.name;
  if (setting.name == std::string_view("prompt")) return "prompt";
  if (setting.name == std::string_view("model") && command == Command::kInfo) return "model," + flag;
  if (setting.name == std::string_view("karras")) return flag + ",!--no-karras";
  return flag;
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
    given.option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (*setting.without_value) given.option->expected(0, 1)->default_str(setting.without_value);
  }
}

[[noreturn]] void refuse_extra(const Flags& flags, const std::string& extra) {
  const std::string command = command_name(flags.command);
  if (extra.size() > 1 && extra.front() == '-') {
    const std::string name = extra.substr(0, extra.find('='));
    std::vector<std::string> known{"--help"};
    for (const std::string& setting : setting_names(flags.command))
      if (setting != "prompt") known.push_back("--" + setting);
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

[[noreturn]] void refuse_command(const std::string& word) {
  if (word.size() > 1 && word.front() == '-')
    fail<UsageError>(INKSTONE_HERE, {"unknown flag ", word, " before the command (see inkstone --help)"});
  std::vector<std::string> known;
  for (Command command : kCommands)
    if (command != Command::kWorker) known.push_back(command_name(command));  // nobody means it
  const std::string meant = nearest(word, known);
  fail<UsageError>(INKSTONE_HERE, {"unknown command \"", word, "\": choose ", listed(known),
                                   meant.empty() ? "" : "; did you mean " + meant + "?"});
}

Options options_of(const Flags& flags) {
  Options options;
  for (const Flags::Given& given : flags.given) {
    if (given.option->count() == 0) continue;
    const Setting& setting = *given.setting;
    const std::string shown =
        setting.name == std::string_view("prompt") ? "the prompt" : std::string("--") + setting.name;
    if (*setting.value)
      assign(options, setting, given.text, shown + " " + given.text);
    else
      assign(options, setting, given.on ? "true" : "false", shown);
  }
  return options;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CLI::App root;
  bool help = false, version = false;
  root.set_help_flag();
  root.add_flag("-h,--help", help);
  root.add_flag("--version", version);
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
  if (version) return {std::string("inkstone ") + kVersion + "\n", false, {}, {}};
  for (const Flags& flags : commands) {
    if (!flags.app->parsed()) continue;
    if (flags.help) return {command_help(flags.command), false, {}, {}};
    if (const auto before = root.remaining(); !before.empty()) refuse_command(before.front());
    for (const std::string& extra : flags.app->remaining())
      if (extra != "--") refuse_extra(flags, extra);
    return {{}, false, flags.command, options_of(flags)};
  }
  if (const auto extra = root.remaining(); !extra.empty()) refuse_command(extra.front());
  return {general_help(), true, {}, {}};
}

}  // namespace inkstone
