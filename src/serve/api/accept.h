// What a client wants as an answer, by its Accept header.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace inkstone::serve {

// The one of `offers` ("image/png") that the header ranks first; the first offer where there is no
// header or it takes anything; nothing where it takes none of them.
std::optional<std::string_view> accepted(std::string_view header, std::span<const std::string_view> offers);

bool prefers_async(std::string_view prefer_header);  // "respond-async" is among its words

}  // namespace inkstone::serve
