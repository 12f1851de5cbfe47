// Addresses of the web.
#pragma once

#include <string>
#include <string_view>

namespace inkstone {

// "http" or "https"; "" if the text is no address with a host of one of these two.
std::string url_scheme(const std::string& url);
// "https://huggingface.co:443", all that decides who is asked: two addresses of one origin may share a secret. "" as above.
std::string url_origin(const std::string& url);
std::string url_host(const std::string& url);
// Where a redirect from `base` to `target` leads, which may be relative; "" if it is no address.
std::string url_resolved(const std::string& base, const std::string& target);
// All but letters, digits and -._~ as %XX; '/' stays if `keep_slash`.
std::string url_quoted(std::string_view text, bool keep_slash);

}  // namespace inkstone
