// A prompt's weights: "(fox:1.3)", "((fox))", "[fox]". The text comes apart into pieces of one weight each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct PromptPiece {
  std::string text;
  float weight = 1;
  bool ends_chunk = false;  // no text, but BREAK: what follows begins a new chunk of tokens
  auto operator<=>(const PromptPiece&) const = default;
};
using PromptPieces = std::vector<PromptPiece>;

// As AUTOMATIC1111's web UI: round brackets multiply by 1.1, or by the number after a colon, square ones divide by 1.1;
// brackets in each other multiply; those left open close at the end; \( \) \[ \] \\ are text, another backslash is
// dropped. Neighbours of one weight are one piece. Unlike there, BREAK within brackets is a break as well.
PromptPieces a1111_pieces(std::string_view text);

// As ComfyUI: round brackets multiply by 1.1; a number after a bracket's last colon replaces all weights around it;
// square ones are text; \( and \) are text.
PromptPieces comfy_pieces(std::string_view text);

// Both throw UsageError where too many brackets are open at once, or a weight is beyond +-kMaxWeight. Their time is
// linear in the text.
inline constexpr float kMaxWeight = 1000;

}  // namespace inkstone
