// /docs: the document of /openapi.json as a page to read, without a script.
#pragma once

#include <string>

namespace inkstone::serve {

const std::string& docs_page();  // HTML, written once

}  // namespace inkstone::serve
