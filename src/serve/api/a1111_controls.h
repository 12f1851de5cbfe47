// alwayson_scripts of AUTOMATIC1111's requests: the units of its ControlNet extension. Other scripts are refused by name.
#pragma once

#include "serve/api/fields.h"
#include "serve/api/request_reader.h"

namespace inkstone::serve {

// Throws ApiFault 422 for a script that asks for something that is not here.
void read_a1111_scripts(const Fields& fields, ImageRequest& image);

}  // namespace inkstone::serve
