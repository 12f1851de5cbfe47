#include "app/console.h"

#include <boost/json/serialize.hpp>

#include "app/signals.h"
#include "base/json.h"

namespace inkstone {

void print_json(const JsonObject& object) {
  result_is_printed();
  write_output(json_text(object) + "\n");
}

}  // namespace inkstone
