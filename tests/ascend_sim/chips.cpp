#include "chips.h"

#include <algorithm>

namespace ascend_sim {

const std::vector<Chip>& chips() {
  static const std::vector<Chip> all = [] {
    std::vector<Chip> list;
    for (const char* bin : {"P3", "P5", "P7"})
      list.push_back({std::string("Ascend310") + bin, "Ascend310P", 8, 7, 21534, 16});
    list.push_back({"Ascend310P1", "Ascend310P", 10, 8, 21534, 16});
    for (const char* bin : {"B1", "B2", "B2C"})
      list.push_back({std::string("Ascend910") + bin, "Ascend910B", 24, 48, 65536, 192});
    list.push_back({"Ascend910B3", "Ascend910B", 20, 40, 65536, 192});
    list.push_back({"Ascend910B4", "Ascend910B", 20, 40, 32768, 96});
    list.push_back({"Ascend910B4-1", "Ascend910B", 20, 40, 32768, 168});
    for (const char* bin : {"9391", "9392", "9381", "9382", "9372", "9363"})
      list.push_back({std::string("Ascend910_") + bin, "Ascend910_93", 24, 48, 65536, 192});
    list.push_back({"Ascend910_9362", "Ascend910_93", 20, 40, 32768, 168});
    for (const char* bin : {"B1", "B2", "B3", "B4"})
      list.push_back({std::string("Ascend310") + bin, "Ascend310B", 1, 1, 32768, 4});
    for (const char* bin : {"A", "B", "ProA", "ProB", "PremiumA"})  // the first generation, "B" too
      list.push_back({std::string("Ascend910") + bin, "Ascend910", 30, 0, 32768, 32});
    return list;
  }();
  return all;
}

const Chip* find_chip(const std::string& name) {
  const auto chip = std::ranges::find(chips(), name, &Chip::name);
  return chip == chips().end() ? nullptr : &*chip;
}

}  // namespace ascend_sim
