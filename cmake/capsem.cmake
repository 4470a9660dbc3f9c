# How every part of capsem is built: flags, the layer rules, and the functions the folders use.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

find_program(CCACHE ccache)
if(CCACHE)
  # Relative to the checkout, so that a second clone finds what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true
      ${CCACHE})
endif()

# A new compiler has to rebuild everything; ninja itself only sees the command line, so the
# compiler's hash is put there.
file(REAL_PATH ${CMAKE_CXX_COMPILER} CAPSEM_COMPILER)
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-prog-name=cc1plus
                OUTPUT_VARIABLE CAPSEM_CC1PLUS OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(EXISTS "${CAPSEM_CC1PLUS}")
  set(CAPSEM_COMPILER ${CAPSEM_CC1PLUS})
endif()
file(SHA256 ${CAPSEM_COMPILER} CAPSEM_COMPILER_HASH)
string(SUBSTRING ${CAPSEM_COMPILER_HASH} 0 16 CAPSEM_COMPILER_HASH)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CAPSEM_COMPILER})

add_library(capsem_flags INTERFACE)
target_compile_options(capsem_flags INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers -Werror)
target_compile_definitions(capsem_flags INTERFACE CAPSEM_COMPILER=0x${CAPSEM_COMPILER_HASH})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports both of these for correct std::string and coroutine code at -O2.
  target_compile_options(capsem_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()

find_program(MOLD mold)
if(MOLD)
  target_link_options(capsem_flags INTERFACE -fuse-ld=mold)
endif()

add_library(capsem_host_flags INTERFACE)
target_link_libraries(capsem_host_flags INTERFACE capsem_flags)
if(CAPSEM_SANITIZE)
  target_compile_options(capsem_host_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(capsem_host_flags INTERFACE -fsanitize=address,undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes the frame of a coroutine, which Asio allocates itself, for a mismatch.
    target_compile_options(capsem_host_flags INTERFACE -Wno-mismatched-new-delete)
  endif()
endif()
if(CAPSEM_FUZZ)
  target_compile_options(capsem_host_flags INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  target_link_options(capsem_host_flags INTERFACE -fsanitize=address,undefined)
endif()

# Host executables: few shared libraries, as the relocations of each take longer than all that
# `capsem initrd pack` does when nothing has changed. A sanitizer's runtime wraps shared ones.
add_library(capsem_program_flags INTERFACE)
target_link_libraries(capsem_program_flags INTERFACE capsem_host_flags)
if(NOT CAPSEM_SANITIZE AND NOT CAPSEM_FUZZ)
  target_link_options(capsem_program_flags INTERFACE
    -static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,--as-needed)
endif()

# capsem_archives(RESULT NAME...): the static archives libNAME.a of the development packages.
function(capsem_archives result)
  set(archives "")
  foreach(name IN LISTS ARGN)
    find_library(CAPSEM_ARCHIVE_${name} lib${name}.a REQUIRED)
    list(APPEND archives ${CAPSEM_ARCHIVE_${name}})
  endforeach()
  set(${result} ${archives} PARENT_SCOPE)
endfunction()

# Guest binaries: one static file each, as small as the compiler makes it, since the guest
# unpacks them at every boot.
add_library(capsem_guest_flags INTERFACE)
target_link_libraries(capsem_guest_flags INTERFACE capsem_flags)
target_compile_options(capsem_guest_flags INTERFACE
  -Os -g0 -fno-pie -ffunction-sections -fdata-sections)
target_link_options(capsem_guest_flags INTERFACE -static -no-pie -s -Wl,--gc-sections)
foreach(archive libc.a libstdc++.a libgcc_eh.a)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${archive}
                  OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  list(APPEND CAPSEM_GUEST_ARCHIVES ${path})
endforeach()

# The names of the built guest programs, a line each: those that lie in the build folder's guest/.
set(CAPSEM_GUEST_NAMES ${CMAKE_BINARY_DIR}/guest-programs)

# Which folder may include which: the table of docs/architecture.md. A folder sees the headers of
# those it links and of no other.
set(CAPSEM_LAYER_base "")
set(CAPSEM_LAYER_async base)
set(CAPSEM_LAYER_cpio base)
set(CAPSEM_LAYER_codec base)
set(CAPSEM_LAYER_manifest base)
set(CAPSEM_LAYER_initrd base cpio codec manifest)
set(CAPSEM_LAYER_assets base cpio codec manifest initrd)
set(CAPSEM_LAYER_tar base)
set(CAPSEM_LAYER_wire base)
set(CAPSEM_LAYER_vsock base async)
set(CAPSEM_LAYER_vm base async)
set(CAPSEM_LAYER_prepare base codec manifest initrd assets)
set(CAPSEM_LAYER_api base)
set(CAPSEM_LAYER_audit base)
set(CAPSEM_LAYER_host base async wire api audit vsock vm)
set(CAPSEM_LAYER_client base async tar wire api)
set(CAPSEM_LAYER_guest base wire manifest tar)
set(CAPSEM_LAYER_cli base async cpio tar codec manifest initrd assets wire api audit vsock vm prepare host client)

function(capsem_layer_target target layer)
  set(root ${CMAKE_BINARY_DIR}/include/${layer})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${layer} ${root}/${layer} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${root})
endfunction()

# capsem_library(LAYER [PART NAME] [GUEST] SOURCES ... [LAYERS ...] [PUBLIC ...] [PRIVATE ...])
# The library of the folder src/LAYER, or, as LAYER_NAME, of a part that not all who use it need. LAYERS: the folders it links, checked against the table.
# PUBLIC and PRIVATE: libraries from outside. GUEST: built a second time, as LAYER_guest, for
# guest binaries.
function(capsem_library layer)
  cmake_parse_arguments(arg "GUEST" "PART" "SOURCES;LAYERS;PUBLIC;PRIVATE" ${ARGN})
  foreach(used IN LISTS arg_LAYERS)
    if(NOT used IN_LIST CAPSEM_LAYER_${layer})
      message(FATAL_ERROR "src/${layer} may not use src/${used}: see docs/architecture.md")
    endif()
  endforeach()
  set(variants host)
  if(arg_GUEST)
    list(APPEND variants guest)
  endif()
  foreach(variant IN LISTS variants)
    set(suffix "")
    if(variant STREQUAL "guest")
      set(suffix "_guest")
    endif()
    set(target capsem_${layer}${suffix})
    if(arg_PART)
      set(target capsem_${layer}_${arg_PART}${suffix})
    endif()
    add_library(${target} STATIC ${arg_SOURCES})
    capsem_layer_target(${target} ${layer})
    target_link_libraries(${target} PRIVATE capsem_${variant}_flags PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
    foreach(used IN LISTS arg_LAYERS)
      target_link_libraries(${target} PUBLIC capsem_${used}${suffix})
    endforeach()
  endforeach()
endfunction()

# capsem_host_program(NAME SOURCES ... LAYERS ...)
# An executable of the host, in the build folder's bin/.
function(capsem_host_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LAYERS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE capsem_program_flags)
  foreach(layer IN LISTS arg_LAYERS)
    target_link_libraries(${name} PRIVATE capsem_${layer})
  endforeach()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# capsem_test(NAME SOURCES ... LAYERS ... [LIBRARIES ...])
# A GoogleTest program whose every TEST is one ctest test with the label "unit".
function(capsem_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LAYERS;LIBRARIES" ${ARGN})
  set(target ${name}_test)
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE capsem_host_flags GTest::gmock GTest::gtest_main ${arg_LIBRARIES})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  foreach(layer IN LISTS arg_LAYERS)
    target_link_libraries(${target} PRIVATE capsem_${layer})
  endforeach()
  gtest_discover_tests(${target} TEST_PREFIX ${name}. PROPERTIES LABELS unit TIMEOUT 120
                       DISCOVERY_TIMEOUT 60)
endfunction()

# capsem_guest_program(FOLDER SOURCES ... [LAYERS ...] [PRIVATE ...])
# The code of the guest binary in src/guest/FOLDER: a library, so that tests on the host can link
# it, built a second time for the guest. It defines `int run(int argc, char** argv)` in
# capsem::guest::FOLDER (with _ for -); guest.toml decides which binary it becomes.
function(capsem_guest_program folder)
  set_property(GLOBAL APPEND PROPERTY CAPSEM_GUEST_PROGRAMS ${folder})
  cmake_parse_arguments(arg "" "" "SOURCES;LAYERS;PRIVATE" ${ARGN})
  foreach(used IN LISTS arg_LAYERS)
    if(NOT used IN_LIST CAPSEM_LAYER_guest)
      message(FATAL_ERROR "src/guest/${folder} may not use src/${used}: see docs/architecture.md")
    endif()
  endforeach()
  foreach(variant host guest)
    set(suffix "")
    if(variant STREQUAL "guest")
      set(suffix "_guest")
    endif()
    set(target capsem_guest_${folder}${suffix})
    add_library(${target} STATIC ${arg_SOURCES})
    capsem_layer_target(${target} guest)
    target_link_libraries(${target} PRIVATE capsem_${variant}_flags ${arg_PRIVATE})
    foreach(used IN LISTS arg_LAYERS)
      target_link_libraries(${target} PUBLIC capsem_${used}${suffix})
    endforeach()
  endforeach()
endfunction()
