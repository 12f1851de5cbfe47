#include "app/environment.h"

#include "base/environment.h"
#include "base/error.h"

namespace inkstone {

std::string variable_of(const Setting& setting) {
  std::string name = "INKSTONE_";
  for (const char* c = setting.name; *c; ++c) name += *c == '-' ? '_' : static_cast<char>(*c >= 'a' ? *c - 32 : *c);
  return name;
}

void apply_environment(Command command, Options& options) {
  for (const Setting& setting : settings()) {
    const bool named = (setting.commands & bit(command)) && (setting.in_file || setting.name == std::string("config"));
    if (!named || is_set(options, setting)) continue;
    const std::optional<std::string> text = flag_environment(variable_of(setting));
    if (!text) continue;
    const std::string subject = variable_of(setting) + "=" + *text;
    INKSTONE_CHECK_USAGE(*setting.value || *text == "true" || *text == "false", subject, ": must be true or false");
    assign(options, setting, *text, subject);
  }
}

}  // namespace inkstone
