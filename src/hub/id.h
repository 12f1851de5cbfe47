// The name of a model on the Hugging Face hub: "owner/name" or "owner/name@revision".
#pragma once

#include <string>
#include <string_view>

namespace inkstone {

struct HubId {
  std::string owner, name;  // both empty: there is none
  std::string revision = "main";

  std::string model() const { return owner + "/" + name; }
  // As a command line takes it: with the revision if that is not main.
  std::string text() const { return model() + (revision == "main" ? "" : "@" + revision); }
};

// Empty if the text is no id. The revision is not checked: see is_revision().
HubId parse_hub_id(const std::string& text);
// The id in https://huggingface.co/OWNER/NAME/...; empty if there is none.
HubId hub_id_in_url(std::string_view url);

// A branch, tag or commit that can be part of a path: refs/pr/1, but not ../x.
bool is_revision(std::string_view text);
// Letters, digits, '-', '_' and '.', at most 96: an owner, a name, a commit, an etag. Never "." or "..".
bool is_hub_word(std::string_view text);
// A file's path in a repository that can be a path in a folder: relative, without "..", empty pieces, backslashes and
// control characters.
bool is_inner_path(std::string_view text);

}  // namespace inkstone
