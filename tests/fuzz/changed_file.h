// A stored file with some bytes changed, or cut.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <string>
#include <vector>

inline std::string changed_file(FuzzedDataProvider& fuzz, const std::vector<std::string>& stored) {
  std::string file = stored[fuzz.ConsumeIntegralInRange<size_t>(0, stored.size() - 1)];
  while (fuzz.remaining_bytes() > 2) {
    const size_t at = fuzz.ConsumeIntegralInRange<size_t>(0, file.size() - 1);
    if (fuzz.ConsumeIntegralInRange(0, 15) == 0)
      file.resize(at + 1);
    else
      file[at] = fuzz.ConsumeIntegral<char>();
  }
  return file;
}
