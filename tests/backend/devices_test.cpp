// What is said of this machine's devices. The NPUs are those of a fake libdcmi.so
// (tests/backend/fake), never hardware.
#include "backend/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/ascend/dcmi.h"
#include "backend/ascend/survey.h"
#include "backend/ascend/versions.h"
#include "backend/scoped_environment.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr uint64_t kMib = uint64_t{1} << 20;

class NpuTest : public testing::Test {
 protected:
  NpuTest() {
    environment_.set("INKSTONE_DCMI_LIBRARY", INKSTONE_FAKE_DCMI);
    environment_.set("INKSTONE_NPU_SMI", (root_.path() / "npu-smi").string());
    environment_.set("HOME", (root_.path() / "home").string());
    for (const char* name : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_OPP_PATH", "FAKE_DCMI_CHIP",
                             "FAKE_DCMI_CARDS", "FAKE_DCMI_FAIL", "FAKE_DCMI_HEALTH", "FAKE_DCMI_NOISE"})
      environment_.unset(name);
  }

  std::vector<NpuChip> chips() {
    Dcmi dcmi;
    EXPECT_EQ(dcmi.open(), Dcmi::State::kReady) << dcmi.absence().because;
    return dcmi.chips();
  }

  ScopedEnvironment environment_;
  ScratchFolder root_;
};

using DcmiTest = NpuTest;
using Survey = NpuTest;
using Versions = NpuTest;
using Devices = NpuTest;

TEST_F(DcmiTest, a_310p_card_has_two_chips_and_what_it_lacks_is_unset) {
  const std::vector<NpuChip> found = chips();
  ASSERT_EQ(found.size(), 2u);  // its controller is none
  const NpuChip& chip = found[0];
  EXPECT_EQ(chip.card, 5);
  EXPECT_EQ(chip.soc, "Ascend310P3-fake");
  EXPECT_EQ(chip.bus_id, "0000:c1:00.0");
  EXPECT_EQ(chip.memory_total, 21527 * kMib);
  EXPECT_EQ(chip.memory_used, 1527 * kMib);
  EXPECT_EQ(chip.ai_core_percent, 63);
  EXPECT_EQ(chip.vector_percent, std::nullopt);
  EXPECT_EQ(chip.temperature_c, 42);
  EXPECT_EQ(chip.power_w, 15.8);  // its card's
  EXPECT_EQ(chip.health, "OK");
  EXPECT_EQ(chip.health_code, 0u);
  EXPECT_THAT(chip.faults, IsEmpty());
  EXPECT_THAT(chip.unread, IsEmpty());
  ASSERT_EQ(chip.processes.size(), 1u);
  EXPECT_EQ(chip.processes[0].id, 4321);
  EXPECT_EQ(chip.processes[0].memory, 3072 * kMib);
  EXPECT_EQ(found[1].chip, 1);
  EXPECT_EQ(found[1].index, 1);
}

TEST_F(DcmiTest, a_910b_has_hbm_and_vector_cores_and_a_meter_of_its_own) {
  environment_.set("FAKE_DCMI_CHIP", "910B4");
  const NpuChip chip = chips().at(0);
  EXPECT_EQ(chip.soc, "Ascend910B4-fake");
  EXPECT_EQ(chip.memory_total, 32768 * kMib);
  EXPECT_EQ(chip.memory_used, 2858 * kMib);
  EXPECT_EQ(chip.vector_percent, 7);
  EXPECT_EQ(chip.power_w, 88.9);
}

TEST_F(DcmiTest, health_has_a_name_its_code_and_the_faults) {
  const struct {
    const char *code, *name;
  } rows[] = {{"0", "OK"},       {"1", "warning"}, {"2", "alarm"},
              {"3", "critical"}, {"4", "unknown"}, {"0xffffffff", "unknown"}};
  for (const auto& [code, name] : rows) {
    environment_.set("FAKE_DCMI_HEALTH", code);
    EXPECT_EQ(chips().at(0).health, name) << code;
  }
  EXPECT_THAT(chips().at(0).faults, ElementsAre(0x80e01801u));
}

TEST_F(DcmiTest, what_fails_is_noted_and_unset_and_what_is_not_supported_is_not_noted) {
  const struct {
    const char *fail, *note;
  } rows[] = {{"dcmi_get_device_temperature=-8006", "temperature: DCMI -8006 (timeout)"},
              {"dcmi_get_device_memory_info_v3=-8005", "memory: DCMI -8005 (inner error)"},
              {"dcmi_get_device_health=-8002", "health: DCMI -8002 (not permitted)"},
              {"dcmi_mcu_get_power_info=-8010", "card power: DCMI -8010 (message not sent)"},
              {"dcmi_get_device_utilization_rate=-4711", "AI core: DCMI -4711 (unknown error)"}};
  for (const auto& [fail, note] : rows) {
    environment_.set("FAKE_DCMI_FAIL", fail);
    EXPECT_THAT(chips().at(0).unread, ElementsAre(note));
  }
  environment_.set(
      "FAKE_DCMI_FAIL",
      "dcmi_get_device_temperature=-8255,dcmi_get_device_memory_info_v3=-8013,dcmi_get_device_health=-8255,"
      "dcmi_mcu_get_power_info=-8013,dcmi_get_device_utilization_rate=-8255");
  const NpuChip chip = chips().at(0);
  EXPECT_THAT(chip.unread, IsEmpty());
  EXPECT_EQ(chip.temperature_c, std::nullopt);
  EXPECT_EQ(chip.memory_total, std::nullopt);
  EXPECT_EQ(chip.health, "");
  EXPECT_EQ(chip.health_code, std::nullopt);
  EXPECT_EQ(chip.power_w, std::nullopt);
  EXPECT_EQ(chip.ai_core_percent, std::nullopt);
}

TEST_F(DcmiTest, values_that_no_chip_has_are_unset) {
  environment_.set("FAKE_DCMI_NOISE", "1");
  for (const char* name : {"310P3", "910B4"}) {
    environment_.set("FAKE_DCMI_CHIP", name);
    const NpuChip chip = chips().at(0);
    EXPECT_EQ(chip.name, std::string(32, '?'));
    EXPECT_EQ(chip.memory_total, std::nullopt);
    EXPECT_EQ(chip.memory_used, std::nullopt);
    EXPECT_EQ(chip.ai_core_percent, std::nullopt);
    EXPECT_EQ(chip.vector_percent, std::nullopt);
    EXPECT_EQ(chip.temperature_c, std::nullopt);
    EXPECT_EQ(chip.power_w, std::nullopt);
    EXPECT_THAT(chip.faults, IsEmpty());
    EXPECT_LE(chip.processes.size(), 256u);
  }
}

TEST_F(DcmiTest, a_chip_that_another_container_holds_is_listed_with_the_reason) {
  environment_.set("FAKE_DCMI_FAIL", "second_chip=-8005");
  const std::vector<NpuChip> found = chips();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].unusable_because, "");
  EXPECT_THAT(found[1].unusable_because, HasSubstr("-8005"));
  EXPECT_THAT(found[1].unusable_way_out, HasSubstr("another container"));
}

TEST_F(DcmiTest, refusals_say_what_to_do) {
  const struct {
    const char *fail, *because, *way_out;
  } rows[] = {
      {"dcmi_init=-8005", "dcmi_init failed: -8005 (inner error)", "another container"},
      {"dcmi_init=-8002", "-8002 (not permitted)", "HwHiAiUser"},
      {"dcmi_init=-8012", "-8012 (not ready)", "try again"},
      {"dcmi_get_card_list=-8008", "dcmi_get_card_list failed: -8008 (no such device)", "--device=/dev/davinci0"},
      {"dcmi_get_card_list=-8013", "-8013 (not supported in a container)", "on the host"}};
  for (const auto& [fail, because, way_out] : rows) {
    environment_.set("FAKE_DCMI_FAIL", fail);
    Dcmi dcmi;
    dcmi.open();
    EXPECT_THAT(dcmi.chips(), IsEmpty());
    EXPECT_THAT(dcmi.absence().because, HasSubstr(because));
    EXPECT_THAT(dcmi.absence().way_out, HasSubstr(way_out));
  }
}

TEST_F(DcmiTest, a_driver_that_was_not_ready_is_asked_again) {
  Dcmi dcmi;
  environment_.set("FAKE_DCMI_FAIL", "dcmi_init=-8012");
  EXPECT_EQ(dcmi.open(), Dcmi::State::kRefused);
  environment_.set("FAKE_DCMI_FAIL", "");
  EXPECT_EQ(dcmi.open(), Dcmi::State::kReady);
  EXPECT_EQ(dcmi.chips().size(), 2u);
}

TEST_F(DcmiTest, a_library_that_is_missing_or_damaged_says_so) {
  environment_.set("INKSTONE_DCMI_LIBRARY", (root_.path() / "libdcmi.so").string());
  Dcmi missing;
  EXPECT_EQ(missing.open(), Dcmi::State::kNoLibrary);
  EXPECT_FALSE(missing.found());
  root_.write("libdcmi.so", "not a library");
  Dcmi damaged;
  EXPECT_EQ(damaged.open(), Dcmi::State::kNoLibrary);
  EXPECT_TRUE(damaged.found());
  EXPECT_THAT(damaged.absence().because, HasSubstr("cannot load " + (root_.path() / "libdcmi.so").string()));
  environment_.set("INKSTONE_DCMI_LIBRARY", "libpthread.so.0");  // loads, and is another
  Dcmi other;
  EXPECT_EQ(other.open(), Dcmi::State::kRefused);
  EXPECT_THAT(other.absence().because, HasSubstr("lacks dcmi_init"));
}

TEST_F(Survey, no_card_in_the_driver_asks_for_the_device_files) {
  environment_.set("FAKE_DCMI_CARDS", "0");
  Dcmi dcmi;
  const NpuSurvey survey = survey_npus(dcmi, {}, root_.path());
  EXPECT_THAT(survey.chips, IsEmpty());
  EXPECT_THAT(survey.absence.because, HasSubstr("shows no card to this process"));
  EXPECT_THAT(survey.absence.way_out, HasSubstr("--device=/dev/davinci0"));
}

TEST_F(Survey, without_the_library_npu_smi_is_asked_and_with_it_is_not) {
  root_.write("npu-smi",
              "#!/bin/sh\necho '| npu-smi 25.5.1 Version: 25.5.1 |'\necho '| 0 910B4 | OK | 88.9 39 0 / 0 |'\n"
              "echo '| 0 | 0000:C2:00.0 | 1 0 / 0 2858 / 32768 |'\n");
  std::filesystem::permissions(root_.path() / "npu-smi", std::filesystem::perms::owner_all);
  Dcmi with;
  EXPECT_EQ(survey_npus(with, {}, root_.path()).source, "DCMI");
  environment_.set("INKSTONE_DCMI_LIBRARY", (root_.path() / "none.so").string());
  Dcmi without;
  const NpuSurvey survey = survey_npus(without, {}, root_.path());
  EXPECT_EQ(survey.source, "npu-smi");
  EXPECT_EQ(survey.driver_version, "25.5.1");
  ASSERT_EQ(survey.chips.size(), 1u);
  EXPECT_EQ(survey.chips[0].soc, "Ascend910B4");
  root_.write("npu-smi", "#!/bin/sh\necho dcmi module initialize failed. ret is -8005\n");
  std::filesystem::permissions(root_.path() / "npu-smi", std::filesystem::perms::owner_all);
  EXPECT_THAT(survey_npus(without, {}, root_.path()).absence.because,
              HasSubstr("npu-smi says that DCMI failed: -8005"));
}

TEST_F(Survey, without_driver_the_traces_of_one_decide_the_advice) {
  environment_.set("INKSTONE_DCMI_LIBRARY", (root_.path() / "none.so").string());
  Dcmi dcmi;
  const NpuAbsence nothing = survey_npus(dcmi, {}, root_.path()).absence;
  EXPECT_THAT(nothing.because, StartsWith("no Ascend card and no Ascend driver here"));
  const NpuAbsence card = survey_npus(dcmi, {"0000:c1:00.0"}, root_.path()).absence;
  EXPECT_THAT(card.because, HasSubstr("on the PCI bus (0000:c1:00.0)"));
  EXPECT_THAT(card.way_out, StartsWith("install the Ascend driver and firmware"));
  root_.write("dev/davinci_manager", "");
  const NpuAbsence not_mounted = survey_npus(dcmi, {"0000:c1:00.0"}, root_.path()).absence;
  EXPECT_THAT(not_mounted.because, HasSubstr("its libdcmi.so is not"));
  EXPECT_THAT(not_mounted.way_out, HasSubstr("mount /usr/local/Ascend/driver"));
}

TEST_F(Versions, keys_are_found_in_any_case_and_order) {
  EXPECT_EQ(version_in("a=1\nVersion = \"25.0.rc1.1\"\r\nversion=2\n", {"version"}), "25.0.rc1.1");
  EXPECT_EQ(version_in("b=2\na=1", {"a", "b"}), "1");
  EXPECT_EQ(version_in("version\n=\n==\n", {"version"}), "");
  EXPECT_EQ(version_in("version=\x1b[31m", {"version"}), "?[31m");
}

TEST_F(Versions, cann_is_read_where_set_env_points_and_else_where_installers_put_it) {
  EXPECT_EQ(installed_cann(root_.path()).version, "");
  const std::string latest = "usr/local/Ascend/ascend-toolkit/latest/";
  root_.write(latest + "version.cfg", "# version: 1.0\ntoolkit_running_version=[1.84.22.1.220:8.0.RC3]\n");
  EXPECT_EQ(installed_cann(root_.path()).version, "8.0.RC3");
  root_.write(latest + "aarch64-linux/ascend_toolkit_install.info",
              "package_name=Ascend-cann-toolkit\nversion=8.1.RC1\n");
  EXPECT_EQ(installed_cann(root_.path()).version, "8.1.RC1");
  root_.write("home/Ascend/cann/x86_64-linux/ascend_nnrt_install.info", "version=8.2\n");
  EXPECT_EQ(installed_cann(root_.path()).version, "8.1.RC1");
  root_.write("usr/local/Ascend/cann/x86_64-linux/ascend_toolkit_install.info", "version=8.5.0\n");
  EXPECT_EQ(installed_cann(root_.path()).version, "8.5.0");
  environment_.set("ASCEND_HOME_PATH", (root_.path() / "home/Ascend/cann").string());
  const InstalledVersion found = installed_cann(root_.path());
  EXPECT_EQ(found.version, "8.2");
  EXPECT_EQ(found.file, root_.path() / "home/Ascend/cann/x86_64-linux/ascend_nnrt_install.info");
}

TEST_F(Versions, the_drivers_file_stands_in_where_dcmi_is_silent) {
  root_.write("usr/local/Ascend/driver/version.info", "Version=25.0.rc1.1\nascendhal_version=7.35\n");
  Dcmi dcmi;
  EXPECT_EQ(survey_npus(dcmi, {}, root_.path()).driver_version, "25.0.rc1.1-fake");
  environment_.set("FAKE_DCMI_FAIL", "dcmi_get_driver_version=-8255");
  EXPECT_EQ(survey_npus(dcmi, {}, root_.path()).driver_version, "25.0.rc1.1");
}

TEST_F(Devices, every_kind_has_an_entry_and_absent_ones_say_why) {
  environment_.set("FAKE_DCMI_CARDS", "0");
  const std::vector<DeviceStatus> devices = device_status(root_.path());
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[0].name, "cpu");
  EXPECT_TRUE(devices[0].present);
  EXPECT_GT(devices[0].memory_total.value_or(0), devices[0].memory_free.value_or(0));
  EXPECT_GT(devices[0].memory_free.value_or(0), 0u);
  EXPECT_THAT(devices[0].description, HasSubstr("thread"));
  EXPECT_EQ(devices[0].temperature_c, std::nullopt);
  EXPECT_EQ(devices[1].name, "cuda:0");
  EXPECT_EQ(devices[2].name, "npu:0");
  for (size_t i : {1, 2}) {
    EXPECT_FALSE(devices[i].present);
    EXPECT_NE(devices[i].absent_because, "");
    EXPECT_NE(devices[i].way_out, "");
  }
  EXPECT_THAT(devices[1].absent_because, AllOf(HasSubstr("no CUDA backend"), HasSubstr("no NVIDIA card")));
}

TEST_F(Devices, cuda_says_whether_a_card_is_there) {
  root_.write("sys/bus/pci/devices/0000:17:00.0/vendor", "0x10de\n");
  root_.write("sys/bus/pci/devices/0000:17:00.0/class", "0x030200\n");
  EXPECT_THAT(device_status(root_.path())[1].absent_because, HasSubstr("(0000:17:00.0) without its driver"));
  root_.write("proc/driver/nvidia/gpus/0000:17:00.0/information", "Model: \t\t NVIDIA A10\nIRQ: 3\n");
  const DeviceStatus cuda = device_status(root_.path())[1];
  EXPECT_THAT(cuda.absent_because, AllOf(StartsWith("this build has no CUDA backend"), HasSubstr("NVIDIA A10")));
  EXPECT_FALSE(cuda.present);
}

TEST_F(Devices, npus_are_shown_with_versions_and_as_simulated) {
  const std::vector<DeviceStatus> devices = device_status(root_.path());
  ASSERT_EQ(devices.size(), 4u);
  const DeviceStatus& npu = devices[3];
  EXPECT_EQ(npu.name, "npu:1");
  EXPECT_TRUE(npu.present);
  EXPECT_TRUE(npu.simulated);
  EXPECT_EQ(npu.source, "DCMI");
  EXPECT_EQ(npu.driver_version, "25.0.rc1.1-fake");
  EXPECT_EQ(npu.description, "card 5, chip 1");
  EXPECT_EQ(npu.memory_free, 20000 * kMib);
  EXPECT_EQ(npu.memory_used_by_us, std::nullopt);
  EXPECT_EQ(npu.largest_free_block, std::nullopt);
  EXPECT_THAT(npu.notes, ElementsAre(StartsWith("no CANN toolkit was found")));
}

TEST_F(Devices, a_toolkit_that_is_not_sourced_is_noted) {
  root_.write("usr/local/Ascend/ascend-toolkit/set_env.sh", "");
  root_.write("usr/local/Ascend/ascend-toolkit/latest/x86_64-linux/ascend_toolkit_install.info", "version=8.1.RC1\n");
  const DeviceStatus npu = device_status(root_.path())[2];
  EXPECT_EQ(npu.cann_version, "8.1.RC1");
  EXPECT_THAT(npu.notes, ElementsAre("CANN is not set up in this shell: source " +
                                     (root_.path() / "usr/local/Ascend/ascend-toolkit/set_env.sh").string()));
  environment_.set("ASCEND_OPP_PATH", "/somewhere/opp");
  EXPECT_THAT(device_status(root_.path())[2].notes, IsEmpty());
}

TEST_F(Devices, the_worst_health_does_not_hide_a_device) {
  environment_.set("FAKE_DCMI_HEALTH", "3");
  const DeviceStatus npu = device_status(root_.path())[2];
  EXPECT_TRUE(npu.present);
  EXPECT_EQ(npu.health, "critical");
  EXPECT_EQ(npu.health_code, 3u);
  EXPECT_THAT(npu.faults, ElementsAre(0x80e01801u));
}

TEST(Fragmentation, is_the_free_share_outside_the_largest_block) {
  EXPECT_EQ(fragmentation(100, 100), 0);
  EXPECT_EQ(fragmentation(25, 100), 0.75);
  EXPECT_EQ(fragmentation(0, 100), 1);
  EXPECT_EQ(fragmentation(0, 0), 0);
  EXPECT_EQ(fragmentation(200, 100), 0);  // taken at two moments
}

TEST(Soc, is_the_name_that_the_compiler_takes) {
  EXPECT_EQ(soc_of("310P3"), "Ascend310P3");
  EXPECT_EQ(soc_of("Ascend910B4"), "Ascend910B4");
  EXPECT_EQ(soc_of("Ascend910", "9382"), "Ascend910_9382");
  EXPECT_EQ(soc_of("910B3", "910B3"), "Ascend910B3");
  EXPECT_EQ(soc_of(""), "");
}

}  // namespace
}  // namespace inkstone
