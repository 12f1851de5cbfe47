// Which hub is asked, and as whom.
#pragma once

#include <string>

namespace inkstone {

struct HubAccess {
  std::string endpoint;      // "https://huggingface.co", without a slash at its end
  std::string token;         // "": none. It goes to the endpoint alone, and into no text
  std::string token_source;  // where the token was found, or is looked for, for errors
};

// From HF_ENDPOINT, HF_TOKEN and the file that `hf auth login` writes. Throws UsageError for an endpoint that is no
// address, for a token that cannot be one, and if HF_HUB_OFFLINE is set.
HubAccess hub_access();

}  // namespace inkstone
