#include "app/environment.h"

#include <cstdlib>

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
    const char* text = named && !is_set(options, setting) ? std::getenv(variable_of(setting).c_str()) : nullptr;
    if (!text) continue;
    const std::string subject = variable_of(setting) + "=" + text;
    INKSTONE_CHECK_USAGE(*setting.value || text == std::string("true") || text == std::string("false"), subject,
                         ": must be true or false");
    assign(options, setting, text, subject);
  }
}

}  // namespace inkstone
