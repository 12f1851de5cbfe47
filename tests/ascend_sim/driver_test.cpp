// DCMI and npu-smi.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

extern "C" {
int dcmi_init();
int dcmi_get_card_list(int* number, int* list, int length);
int dcmi_get_device_temperature(int card, int device, int* celsius);
int dcmi_get_device_power_info(int card, int device, int* tenths);
int dcmi_get_driver_version(char* version, unsigned int length);
}

TEST(Dcmi, answers_after_init_and_says_that_it_is_simulated) {
  int number = 0, list[16], value = 0;
  char version[64];
  ASSERT_EQ(dcmi_init(), 0);
  ASSERT_EQ(dcmi_get_card_list(&number, list, 16), 0);
  EXPECT_EQ(number, 1);
  EXPECT_EQ(dcmi_get_device_temperature(0, 0, &value), 0);
  EXPECT_GT(value, 0);
  EXPECT_EQ(dcmi_get_device_temperature(3, 0, &value), -8008);
  ASSERT_EQ(dcmi_get_driver_version(version, sizeof version), 0);
  EXPECT_NE(std::string(version).find("simulated"), std::string::npos);
}

TEST(NpuSmi, prints_the_form_of_its_chip) {
  const auto output = [](const char* soc) {
    std::string text;
    FILE* pipe = popen(
        (std::string("INKSTONE_ASCEND_SIM=soc=") + soc + " '" ASCEND_SIM_FOLDER "/bin/npu-smi' info").c_str(), "r");
    for (char piece[512]; const size_t n = fread(piece, 1, sizeof piece, pipe);) text.append(piece, n);
    pclose(pipe);
    return text;
  };
  EXPECT_NE(output("Ascend910B3").find("HBM-Usage(MB)"), std::string::npos);
  EXPECT_NE(output("Ascend310P3").find("Chip  Device"), std::string::npos);
  EXPECT_NE(output("Ascend310P3").find("21534"), std::string::npos);
}
