// npu-smi's tables as several drivers print them (taken from public reports), and what is no such
// table.
#include "backend/ascend/npu_smi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "backend/ascend/program_output.h"
#include "backend/scoped_environment.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr uint64_t kMib = uint64_t{1} << 20;

constexpr const char* k910b = R"(
+------------------------------------------------------------------------------------------------+
| npu-smi 25.5.1                   Version: 25.5.1                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 108.2       50                0    / 0             |
| 0                         | 0000:C1:00.0  | 100         0    / 0          61811/ 65536         |
+===========================+===============+====================================================+
| 1     910B3               | Alarm         | NA          51                0    / 0             |
| 0                         | 0000:01:00.0  | 0           0    / 0          3132 / 65536         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 30012         | python3.10               | 58400                   |
| 0       0                 | 30013         | python3.10               | 95                      |
+===========================+===============+====================================================+
| No running processes found in NPU 1                                                            |
+===========================+===============+====================================================+
)";

constexpr const char* kDuo = R"(
+--------------------------------------------------------------------------------------------------------+
| npu-smi 23.0.0                                   Version: 23.0.0                                       |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 6       310P3                 | OK              | NA           52                0     / 0             |
| 0       0                     | 0000:84:00.0    | 3            1839 / 44280                            |
+-------------------------------+-----------------+------------------------------------------------------+
| 6       310P3                 | OK              | NA           53                0     / 0             |
| 1       1                     | 0000:84:00.0    | 0            1545/43693                              |
+===============================+=================+======================================================+
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Chip                  | Process id      | Process name             | Process memory(MB)        |
+===============================+=================+======================================================+
| 6       1                     | 77              | inkstone                 | 900                       |
+===============================+=================+======================================================+
)";

constexpr const char* k910 = R"(
| npu-smi 24.1.0                   Version: 24.1.0                                               |
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B                | Warning       | 70.0        34                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           1197 / 13553      1365 / 32768         |
)";

constexpr const char* kA3 = R"(
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
| 0     Ascend910           | OK            | 163.9       36                0    / 0             |
| 0     0                   | 0000:9D:00.0  | 0           0    / 0          3132 / 65536         |
| 0     Ascend910           | OK            | -           35                0    / 0             |
| 1     1                   | 0000:9F:00.0  | 0           0    / 0          2883 / 65536         |
)";

TEST(NpuSmi, reads_a_table_with_hbm) {
  const NpuSmiReport report = parse_npu_smi(k910b);
  EXPECT_EQ(report.version, "25.5.1");
  ASSERT_EQ(report.chips.size(), 2u);
  const NpuChip& chip = report.chips[0];
  EXPECT_EQ(chip.name, "910B3");
  EXPECT_EQ(chip.soc, "Ascend910B3");
  EXPECT_EQ(chip.bus_id, "0000:C1:00.0");
  EXPECT_EQ(chip.health, "OK");
  EXPECT_EQ(chip.power_w, 108.2);
  EXPECT_EQ(chip.temperature_c, 50);
  EXPECT_EQ(chip.ai_core_percent, 100);
  EXPECT_EQ(chip.vector_percent, std::nullopt);
  EXPECT_EQ(chip.memory_used, 61811 * kMib);  // "61811/ 65536": a space is missing
  EXPECT_EQ(chip.memory_total, 65536 * kMib);
  ASSERT_EQ(chip.processes.size(), 2u);
  EXPECT_EQ(chip.processes[0].id, 30012);
  EXPECT_EQ(chip.processes[0].name, "python3.10");
  EXPECT_EQ(chip.processes[0].memory, 58400 * kMib);
  const NpuChip& other = report.chips[1];
  EXPECT_EQ(other.card, 1);
  EXPECT_EQ(other.index, 1);
  EXPECT_EQ(other.health, "alarm");
  EXPECT_EQ(other.power_w, std::nullopt);  // "NA" is not 0
  EXPECT_TRUE(other.processes.empty());
}

TEST(NpuSmi, reads_a_card_of_two_chips_without_hbm) {
  const NpuSmiReport report = parse_npu_smi(kDuo);
  ASSERT_EQ(report.chips.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(report.chips[i].card, 6);
    EXPECT_EQ(report.chips[i].chip, i);
    EXPECT_EQ(report.chips[i].index, i);
    EXPECT_EQ(report.chips[i].soc, "Ascend310P3");
    EXPECT_EQ(report.chips[i].temperature_c, 52 + i);
    EXPECT_EQ(report.chips[i].power_w, std::nullopt);
  }
  EXPECT_EQ(report.chips[0].ai_core_percent, 3);
  EXPECT_EQ(report.chips[0].memory_used, 1839 * kMib);
  EXPECT_EQ(report.chips[1].memory_used, 1545 * kMib);
  EXPECT_EQ(report.chips[1].memory_total, 43693 * kMib);
  EXPECT_TRUE(report.chips[0].processes.empty());
  ASSERT_EQ(report.chips[1].processes.size(), 1u);
  EXPECT_EQ(report.chips[1].processes[0].id, 77);
}

TEST(NpuSmi, of_two_memories_takes_the_one_that_holds_models) {
  const NpuSmiReport report = parse_npu_smi(k910);
  ASSERT_EQ(report.chips.size(), 1u);
  EXPECT_EQ(report.chips[0].memory_used, 1365 * kMib);
  EXPECT_EQ(report.chips[0].memory_total, 32768 * kMib);
  EXPECT_EQ(report.chips[0].health, "warning");
}

TEST(NpuSmi, reads_chips_with_physical_numbers_and_no_rules_between) {
  const NpuSmiReport report = parse_npu_smi(kA3);
  ASSERT_EQ(report.chips.size(), 2u);
  EXPECT_EQ(report.chips[1].chip, 1);
  EXPECT_EQ(report.chips[1].bus_id, "0000:9F:00.0");
  EXPECT_EQ(report.chips[1].power_w, std::nullopt);
  EXPECT_EQ(report.chips[1].memory_used, 2883 * kMib);
}

TEST(NpuSmi, finds_the_error_where_there_is_no_table) {
  const NpuSmiReport report =
      parse_npu_smi("DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\ndcmi module initialize failed. ret is -8005");
  EXPECT_TRUE(report.chips.empty());
  EXPECT_EQ(report.error, -8005);
  EXPECT_EQ(parse_npu_smi("ret is -8").error, std::nullopt);
  EXPECT_EQ(parse_npu_smi("ret is -80000000000005").error, std::nullopt);
}

TEST(NpuSmi, hostile_text_gives_no_wrong_values) {
  const std::string head = "| NPU Name | Health | Power(W) |\n| Chip | Bus-Id | AICore(%) Memory-Usage(MB) |\n";
  const struct {
    const char *name_row, *chip_row;
  } rows[] = {
      {"| 0 310P3 | OK | 1e999 nan 0/0 |", "| 0 0 | 0000:01:00.0 | 101 5 / 3 |"},
      {"| 0 310P3 | OK | -5 99999999999999 / |", "| 0 0 | 0000:01:00.0 | -1 99999999999999999999 / 1 |"},
      {"| 0 310P3 | OK | inf inf |", "| 0 0 | 0000:01:00.0 | / / / / |"},
      {"| 0 310P3 | OK | |", "| 0 0 | 0000:01:00.0 | |"},
  };
  for (const auto& [name_row, chip_row] : rows) {
    const NpuSmiReport report = parse_npu_smi(head + name_row + "\n" + chip_row + "\n");
    ASSERT_EQ(report.chips.size(), 1u) << name_row;
    const NpuChip& chip = report.chips[0];
    EXPECT_EQ(chip.power_w, std::nullopt) << name_row;
    EXPECT_EQ(chip.temperature_c, std::nullopt) << name_row;
    EXPECT_EQ(chip.ai_core_percent, std::nullopt) << chip_row;
    EXPECT_EQ(chip.memory_used, std::nullopt) << chip_row;
  }
  for (const std::string text : {"", "|", "||||", "| |\n| / |", "| 0 x | y |", "| 0 0 | 0000:01:00.0 | 1 2 / 3 |",
                                 "| 99999999999 310P3 | OK | 1 |\n| 0 0 | NA | 1 |", "| NPU |\n| 0"})
    EXPECT_TRUE(parse_npu_smi(text).chips.empty()) << text;
}

TEST(NpuSmi, names_are_made_printable_and_numbers_of_rows_limited) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "| 1 \x1b[31m\xff" + std::string(500, 'x') + " | OK | 1 |\n| 0 0 | NA | 1 |\n";
  const NpuSmiReport report = parse_npu_smi(text);
  EXPECT_EQ(report.chips.size(), 256u);
  EXPECT_EQ(report.chips[0].name.substr(0, 7), "?[31m?x");
  EXPECT_EQ(report.chips[0].name.size(), 64u);
}

class NpuSmiProgram : public testing::Test {
 protected:
  void write(const std::string& script) {
    folder_.write("npu-smi", "#!/bin/sh\n" + script);
    std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
    environment_.set("INKSTONE_NPU_SMI", path());
  }
  std::string path() const { return (folder_.path() / "npu-smi").string(); }

  ScratchFolder folder_;
  ScopedEnvironment environment_;
};

TEST_F(NpuSmiProgram, is_run_with_its_one_argument) {
  folder_.write("table", k910b);
  write("[ \"$*\" = info ] && cat " + (folder_.path() / "table").string() + "\n");
  const NpuSmiRun run = run_npu_smi();
  ASSERT_TRUE(run.report) << run.absence.because;
  EXPECT_EQ(run.report->chips.size(), 2u);
}

TEST_F(NpuSmiProgram, its_failures_have_a_reason_and_a_way_out) {
  write("echo 'dcmi module initialize failed. ret is -8005'; exit 1\n");
  const NpuSmiRun held = run_npu_smi();
  EXPECT_FALSE(held.report);
  EXPECT_THAT(held.absence.because, HasSubstr("-8005 (inner error)"));
  EXPECT_THAT(held.absence.way_out, HasSubstr("another container"));
  write("exit 3\n");
  EXPECT_THAT(run_npu_smi().absence.because, HasSubstr("no chip in a form that we know (exit code 3)"));
  environment_.set("INKSTONE_NPU_SMI", (folder_.path() / "none").string());
  EXPECT_EQ(run_npu_smi().program, "");
}

// A line with a process's number. One that has ended is in state Z or X as long as nobody waits for it.
bool is_running(const std::string& line) {
  const std::string stat = text_of(fs::path("/proc") / line.substr(0, line.find('\n')) / "stat");
  const size_t state = stat.rfind(") ");
  return state != stat.npos && stat[state + 2] != 'Z' && stat[state + 2] != 'X';
}

TEST_F(NpuSmiProgram, is_stopped_with_all_that_it_started) {
  const fs::path told = folder_.path() / "child";
  write("sleep 3000 & echo $! > " + told.string() + "\nsleep 3000\n");
  int limit = 150;
  ProgramOutput late;
  do {  // a busy machine may take longer to come so far
    limit *= 2;
    late = program_output({path()}, limit, 1 << 20);
  } while (text_of(told).empty());
  EXPECT_EQ(late.problem, "took more than " + std::to_string(limit) + " ms and was stopped");
  EXPECT_EQ(late.exit_code, 128 + 9);
  while (is_running(text_of(told))) std::this_thread::yield();
  write("while :; do echo 0123456789; done\n");
  const ProgramOutput flood = program_output({path()}, 30000, 1 << 20);
  EXPECT_EQ(flood.problem, "printed more than 1048576 bytes and was stopped");
  EXPECT_EQ(flood.text.size(), size_t{1} << 20);
  write("exec >&- 2>&-; sleep 3000\n");  // closes its output and stays
  EXPECT_EQ(program_output({path()}, 300, 1 << 20).problem, "took more than 300 ms and was stopped");
}

TEST_F(NpuSmiProgram, output_and_exit_code_come_back_and_no_shell_is_between) {
  write("echo \"$1\"; echo error >&2; cat; exit 7\n");
  const ProgramOutput output = program_output({path(), "$HOME; `x`"}, 10000, 1 << 20);
  EXPECT_EQ(output.text, "$HOME; `x`\nerror\n");
  EXPECT_EQ(output.problem, "");
  EXPECT_EQ(output.exit_code, 7);
  EXPECT_THAT(program_output({"/no/such/program"}, 1000, 100).problem, HasSubstr("could not be started"));
}

}  // namespace
}  // namespace inkstone
