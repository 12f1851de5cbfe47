# Cross-building for 64-bit Arm with Debian's compiler. Headers and libraries come from build/sysroot-aarch64, which
# tools/aarch64.sh fills; programs of that processor run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

get_filename_component(CMAKE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-aarch64 ABSOLUTE)
# A core of ARMv8.2 without SVE, as the Kunpeng 920 is; and 56 GiB of addresses, for qemu keeps a record of each page of
# what the program reserves: the terabyte that backend/cpu/workspace.cpp asks for first would take 6 GiB and 15 s.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu neoverse-n1 -R 0xE00000000 -L ${CMAKE_SYSROOT})

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)  # programs that the build itself runs are this machine's
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
