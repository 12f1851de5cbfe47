# Makes a C++ source of files, as a function of base/embedded_file.h's: cmake "-DFILES=a.html;b.js" -DFUNCTION=inkstone::serve::page_files
# -DHEADER=serve/api/page_files.h -DOUT=page_files.cpp -P embed.cmake.
set(arrays "")
set(rows "")
set(number 0)
string(REGEX REPLACE ".*::" "" own ${FUNCTION})  # several such sources may be compiled as one
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND arrays "constexpr unsigned char k_${own}_${number}[] = {${bytes}};\n")
  string(APPEND rows "    {\"${name}\", {reinterpret_cast<const char*>(k_${own}_${number}), sizeof k_${own}_${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "#include \"${HEADER}\"\n
namespace {\n
${arrays}
}  // namespace\n
std::span<const inkstone::EmbeddedFile> ${FUNCTION}() {
  static const inkstone::EmbeddedFile files[] = {\n${rows}  };
  return files;
}\n")
