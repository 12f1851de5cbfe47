// Where images go, and whether they can be written there: found out before the work is done.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace inkstone {

std::string name_of_prompt(std::string_view prompt);  // "A red apple!" -> "a-red-apple"; "image" where nothing is left

// `out` names a file, which is overwritten, or a folder (or nothing: this one), in which the name is made of prompt and seed and gets
// a number where it is taken. With `several` images the seed is added to a file's name. A link stands for what it leads to, there or not.
std::filesystem::path image_path(const std::optional<std::string>& out, std::string_view prompt, uint64_t seed,
                                 bool several);

bool names_folder(const std::string& out);  // --out: nothing, a folder that is there, or what ends in /
// FOLDER of FOLDER/, where it is not there and its own folder is. What is wrong with it is said by check_writable().
void make_last_folder(const std::string& out);

// Throws where a file of about that many bytes cannot be written there: no such folder, no permission, no space, not a file.
void check_writable(const std::filesystem::path& path, uint64_t bytes);
// The same, and where one is there that --no-clobber keeps.
void check_output_file(const std::filesystem::path& path, uint64_t bytes, bool no_clobber);

}  // namespace inkstone
