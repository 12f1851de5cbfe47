// The simulated `npu-smi info`: form (a) of docs/ascend.md for chips with HBM, form (b) for the
// others.
#include <cstdio>
#include <cstring>

#include "chips.h"
#include "settings.h"

int main(int argc, char** argv) {
  using namespace ascend_sim;
  if (argc != 2 || std::strcmp(argv[1], "info") != 0)
    return std::fprintf(stderr, "npu-smi [simulated]: only \"info\" is simulated\n"), 1;
  Settings settings = Settings::from_environment();
  if (const int code = outcome_of(settings, "npu-smi").code)
    return std::printf("dcmi module initialize failed. ret is %d\n", code), 1;
  const Chip& chip = *find_chip(settings.soc);
  const long total =
      settings.memory_bytes ? static_cast<long>(settings.memory_bytes >> 20) : static_cast<long>(chip.memory_mb);
  const char* bar =
      "+---------------------------+---------------+----------------------------------------------------+\n";
  std::printf(
      "+------------------------------------------------------------------------------------------------+\n"
      "| npu-smi 25.0.rc1(simulated)      Version: 25.0.rc1(simulated)                                  |\n%s",
      bar);
  std::printf("| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|\n");
  if (chip.has_hbm())
    std::printf(
        "| Chip                      | Bus-Id        | AICore(%%)   Memory-Usage(MB)  HBM-Usage(MB)        |\n");
  else
    std::printf(
        "| Chip  Device              | Bus-Id        | AICore(%%)   Memory-Usage(MB)                       |\n");
  std::printf("+===========================+===============+====================================================+\n");
  for (int i = 0; i < settings.devices; ++i) {
    std::printf("| %-5d %-19s | OK            | %-11s %-17d 0    / 0             |\n", i, chip.name.c_str() + 6,
                chip.has_hbm() ? "91.2" : "15.8", 42);
    if (chip.has_hbm())
      std::printf("| %-25d | 0000:%02X:00.0  | 0           0    / 0          %-5ld/ %-5ld         |\n", 0, 0xC1 + i,
                  total < 3400 ? total : 3400, total);
    else
      std::printf("| %-5d %-19d | 0000:%02X:00.0  | 0           %-5ld/ %-5ld                           |\n", 0, i,
                  0x82 + i, total < 1074 ? total : 1074, total);
    std::printf("%s", bar);
  }
  std::printf(
      "| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |\n"
      "| No running processes found in NPU 0                                                            |\n%s",
      bar);
  return 0;
}
