# Makes a C++ source of files: cmake "-DFILES=a.html;b.js" -DOUT=page_files.cpp -P embed.cmake (see src/serve/api/page_files.h).
set(arrays "")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {${bytes}};\n")
  string(APPEND rows "    {\"${name}\", {reinterpret_cast<const char*>(kFile${number}), sizeof kFile${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "#include \"serve/api/page_files.h\"\n
namespace inkstone::serve {
namespace {\n
${arrays}
}  // namespace\n
std::span<const PageFile> page_files() {
  static const PageFile files[] = {\n${rows}  };
  return files;
}\n
}  // namespace inkstone::serve\n")
