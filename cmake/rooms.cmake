set(standard_headers <algorithm> <array> <cmath> <functional> <map> <memory> <optional> <set> <span> <string> <utility> <variant> <vector>
    <boost/json/value.hpp>)

# A room (a module of the program) is a static library of the sources in src/NAME (see docs/design.md).
# inkstone_room(NAME [ROOMS rooms that it may include] [LINK libraries it hides])
function(inkstone_room name)
  cmake_parse_arguments(ROOM "" "" "ROOMS;LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  string(REPLACE "/" "_" target ${name})
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty_${target}.cpp "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty_${target}.cpp)
  endif()
  add_library(inkstone_${target} STATIC ${sources})
  target_include_directories(inkstone_${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ROOM_ROOMS PREPEND inkstone_)
  target_link_libraries(inkstone_${target} PUBLIC ${ROOM_ROOMS} PRIVATE ${ROOM_LINK})
  # Only CI's second build: without, each file stands on its own includes, which its first build sees to.
  if(INKSTONE_FUZZ AND name STREQUAL serve)
    target_precompile_headers(inkstone_serve PRIVATE ${standard_headers} <boost/asio/generic/stream_protocol.hpp>
                              <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/steady_timer.hpp>)
  elseif(INKSTONE_FUZZ AND name MATCHES "^(base|ir)$")
    target_precompile_headers(inkstone_${name} PRIVATE ${standard_headers})
  elseif(INKSTONE_FUZZ AND name MATCHES "^(weights|atc|diffusion)$")  # built for fuzzing, as base is
    target_precompile_headers(inkstone_${name} REUSE_FROM inkstone_base)
  elseif(INKSTONE_FUZZ AND name MATCHES "^(compile|models|onnx|backend/cpu|app)$")
    target_precompile_headers(inkstone_${target} REUSE_FROM inkstone_ir)
  endif()
endfunction()

# inkstone_tests(NAME LABEL label ROOMS rooms): one GoogleTest program of the sources in tests/NAME.
# Labels: any (runs everywhere), any-outside (the same; the room reads what comes from outside: CI runs these sanitized, the target
# `outside` builds them).
function(inkstone_tests name)
  cmake_parse_arguments(TEST "" "LABEL" "ROOMS;LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" target test_${name})
  add_executable(${target} ${sources})
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)  # each file of tests has helpers of its own
  list(TRANSFORM TEST_ROOMS PREPEND inkstone_)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE INKSTONE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${TEST_ROOMS} ${TEST_LINK} GTest::gtest GTest::gtest_main GTest::gmock)
  # Tests are to be compiled fast. Behind a precompiled header GCC 12's false alarms about std::string's own operator+ are heard.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1> $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>)
  if(name STREQUAL base)
    target_precompile_headers(${target} PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  else()
    target_precompile_headers(${target} REUSE_FROM test_base)
  endif()
  if(TEST_LABEL MATCHES outside)
    add_dependencies(outside ${target})
  endif()
  gtest_discover_tests(${target} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${TEST_LABEL} TIMEOUT 600
                       ENVIRONMENT "GOMP_SPINCOUNT=10000")
endfunction()
