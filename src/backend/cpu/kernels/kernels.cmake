# The CPU kernels: the variant sources are compiled once for each instruction set, in a namespace of that name.
# Only these files know the processor's family; everything else in kernels/ is plain C++.
set(kernels ${CMAKE_CURRENT_LIST_DIR})
set(variant_sources ${kernels}/variant.cpp ${kernels}/attention.cpp ${kernels}/elementwise.cpp ${kernels}/norm.cpp
    ${kernels}/product.cpp ${kernels}/linear.cpp ${kernels}/convolution.cpp ${kernels}/winograd.cpp
    ${kernels}/winograd_input.cpp ${kernels}/winograd_product.cpp ${kernels}/winograd_result.cpp)
set(processor_sources ${kernels}/processor_x86.cpp ${kernels}/peak_x86.cpp ${kernels}/processor_other.cpp)

get_target_property(sources inkstone_backend_cpu SOURCES)
list(REMOVE_ITEM sources ${variant_sources} ${processor_sources})
set_property(TARGET inkstone_backend_cpu PROPERTY SOURCES ${sources})

# inkstone_kernels(ISA lanes bf16 dot_format lanes_header flags...): bits depend on the variant, so a*b+c may be fused here.
function(inkstone_kernels isa lanes bf16 dot_format lanes_header)
  add_library(inkstone_kernels_${isa} OBJECT ${variant_sources})
  target_include_directories(inkstone_kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(inkstone_kernels_${isa} PRIVATE INKSTONE_ISA=${isa} INKSTONE_LANES=${lanes}
    INKSTONE_BF16=${bf16} INKSTONE_LANES_HEADER="backend/cpu/kernels/${lanes_header}"
    INKSTONE_DOT_FORMAT="backend/cpu/kernels/${dot_format}")
  # -O3 in every build: an inline function that is not inlined could be shared by the linker between variants.
  target_compile_options(inkstone_kernels_${isa} PRIVATE -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math
                         ${ARGN} $<$<BOOL:${INKSTONE_PLAIN_KERNELS}>:-fno-sanitize=all>)
  target_sources(inkstone_backend_cpu PRIVATE $<TARGET_OBJECTS:inkstone_kernels_${isa}>)
endfunction()

inkstone_kernels(portable 4 false dot_format_plain.h lanes_portable.h)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  inkstone_kernels(avx2 8 false dot_format_plain.h lanes_avx2.h -mavx2 -mfma -mf16c)
  inkstone_kernels(avx512 16 true dot_format_avx512.h lanes_avx512.h -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl
                   -mavx512bf16 -mprefer-vector-width=512)
  target_sources(inkstone_backend_cpu PRIVATE ${kernels}/processor_x86.cpp ${kernels}/peak_x86.cpp)
else()
  target_sources(inkstone_backend_cpu PRIVATE ${kernels}/processor_other.cpp)
endif()
