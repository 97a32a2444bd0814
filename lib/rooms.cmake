# The rooms of lib/, in dependency order. Each is one shared library, plumb_<room>; a room may include headers of the
# rooms it links and of no other (tests/lint/includes.py holds that).
# By header and library, not by FindHDF5, which needs a C compiler and runs h5cc.
find_path(HDF5_INCLUDE_DIR hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
find_library(HDF5_LIBRARY NAMES hdf5 hdf5_serial PATH_SUFFIXES hdf5/serial REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
# Debian builds cpp-httplib as a library, and its Request has a member more if that library knows OpenSSL; elsewhere it is a header.
find_path(HTTPLIB_INCLUDE_DIR httplib.h REQUIRED)
find_library(HTTPLIB_LIBRARY NAMES cpp-httplib)
set(HTTPLIB_DEFINITIONS "")
if(HTTPLIB_LIBRARY)
  get_filename_component(httplib_folder ${HTTPLIB_LIBRARY} DIRECTORY)
  set(httplib_pc ${httplib_folder}/pkgconfig/cpp-httplib.pc)
  if(EXISTS ${httplib_pc})
    file(STRINGS ${httplib_pc} httplib_flags REGEX "DCPPHTTPLIB_OPENSSL_SUPPORT")
    if(httplib_flags)
      set(HTTPLIB_DEFINITIONS CPPHTTPLIB_OPENSSL_SUPPORT)
    endif()
  endif()
endif()
find_path(STB_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb REQUIRED)

# Thin headers that nearly every file includes, parsed once. A target with the same flags reuses it.
if(NOT EXISTS ${CMAKE_BINARY_DIR}/pch.cpp)  # written again it would be compiled again, at every configure
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "")
endif()
add_library(pch_plain OBJECT ${CMAKE_BINARY_DIR}/pch.cpp)
target_link_libraries(pch_plain PRIVATE nlohmann_json::nlohmann_json)
target_precompile_headers(pch_plain PRIVATE <cstdint> <functional> <map> <memory> <optional> <string> <vector>
  <nlohmann/json.hpp>)

if(PLUMB_TORCH)
  # LibTorch by include and library folders, not by its CMake package: the package of a CUDA LibTorch asks for the CUDA
  # toolkit, which nothing here needs. The user's own (Torch_DIR, CMAKE_PREFIX_PATH) comes before .deps/.
  set(torch_hints)
  if(Torch_DIR)
    list(APPEND torch_hints ${Torch_DIR}/../../..)
  endif()
  find_path(TORCH_INCLUDE_DIR ATen/ATen.h HINTS ${torch_hints} PATH_SUFFIXES include)
  if(NOT TORCH_INCLUDE_DIR)
    find_path(TORCH_INCLUDE_DIR ATen/ATen.h PATHS ${CMAKE_SOURCE_DIR}/.deps/torch PATH_SUFFIXES include NO_DEFAULT_PATH)
  endif()
  if(NOT TORCH_INCLUDE_DIR)
    message(FATAL_ERROR "LibTorch not found: run share/setup, or pass -DCMAKE_PREFIX_PATH=/path/to/libtorch")
  endif()
  get_filename_component(TORCH_ROOT ${TORCH_INCLUDE_DIR}/.. ABSOLUTE)
  set(TORCH_LIBRARY_DIR ${TORCH_ROOT}/lib)
  message(STATUS "LibTorch: ${TORCH_ROOT}")
  add_library(torch_headers INTERFACE)
  target_include_directories(torch_headers SYSTEM INTERFACE ${TORCH_INCLUDE_DIR}
    ${TORCH_INCLUDE_DIR}/torch/csrc/api/include)
  target_link_directories(torch_headers INTERFACE ${TORCH_LIBRARY_DIR})
  set(torch_libs torch torch_cpu c10)
  if(EXISTS ${TORCH_LIBRARY_DIR}/libtorch_cuda.so)
    list(APPEND torch_libs torch_cuda c10_cuda)
  endif()
  # no-as-needed: torch_cuda registers its kernels when loaded, nothing refers to it by symbol.
  target_link_libraries(torch_headers INTERFACE -Wl,--push-state,--no-as-needed ${torch_libs} -Wl,--pop-state)
  target_link_options(torch_headers INTERFACE -Wl,-rpath,${TORCH_LIBRARY_DIR} -Wl,-rpath-link,${TORCH_LIBRARY_DIR})

  # torch/torch.h costs 16 s a file even precompiled (PCH of 750 MB); ATen and autograd cost 6 s. We use only these.
  if(NOT EXISTS ${CMAKE_BINARY_DIR}/pch_torch.cpp)
    file(WRITE ${CMAKE_BINARY_DIR}/pch_torch.cpp "")
  endif()
  add_library(pch_torch OBJECT ${CMAKE_BINARY_DIR}/pch_torch.cpp)
  target_link_libraries(pch_torch PRIVATE torch_headers nlohmann_json::nlohmann_json)
  target_precompile_headers(pch_torch PRIVATE <ATen/ATen.h> <ATen/Parallel.h> <torch/csrc/autograd/autograd.h>
    <nlohmann/json.hpp>)
endif()

# share/schema and share/layout as C++ string literals: build/generated/share_{schema,layout}.inc (lib/io/schema.cpp).
foreach(folder schema layout)
  file(GLOB json_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/share/${folder}/*.json)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${json_files})
  set(rows "")
  foreach(json_file ${json_files})
    get_filename_component(name ${json_file} NAME_WE)
    file(READ ${json_file} text)
    string(APPEND rows "{\"${name}\", R\"json(${text})json\"},\n")
  endforeach()
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/generated/share_${folder}.inc CONTENT "${rows}")
endforeach()

# plumb_room(NAME [TORCH] [LINK room-or-library...]): lib/NAME/**.cpp -> plumb_NAME
function(plumb_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "LINK" ${ARGN})
  if(ROOM_TORCH AND NOT PLUMB_TORCH)
    return()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*.cpp)
  if(NOT sources)  # room still being written
    set(sources ${CMAKE_BINARY_DIR}/pch.cpp)
  endif()
  add_library(plumb_${name} SHARED ${sources})
  # DEFINE_SYMBOL off: a per-target macro would make the precompiled header unusable.
  set_target_properties(plumb_${name} PROPERTIES DEFINE_SYMBOL "" POSITION_INDEPENDENT_CODE OFF
    INSTALL_RPATH "$ORIGIN;${TORCH_LIBRARY_DIR}")
  if(NOT PLUMB_SANITIZE)  # a registry row without its file fails here, and not when a command opens the library
    target_link_options(plumb_${name} PRIVATE -Wl,-z,defs)
  endif()
  target_include_directories(plumb_${name} PUBLIC ${CMAKE_SOURCE_DIR}/lib)
  target_link_libraries(plumb_${name} PUBLIC ${ROOM_LINK} nlohmann_json::nlohmann_json)
  if(ROOM_TORCH)
    target_link_libraries(plumb_${name} PUBLIC torch_headers)
    target_precompile_headers(plumb_${name} REUSE_FROM pch_torch)
  else()
    target_precompile_headers(plumb_${name} REUSE_FROM pch_plain)
  endif()
endfunction()

plumb_room(core LINK OpenSSL::Crypto Threads::Threads)
plumb_room(io LINK plumb_core)
plumb_room(feedback LINK plumb_io)
plumb_room(cli LINK plumb_io)
plumb_room(report LINK plumb_io)
plumb_room(nn TORCH LINK plumb_io)
plumb_room(diffusion TORCH LINK plumb_nn)
plumb_room(rewards TORCH LINK plumb_diffusion)
plumb_room(metrics TORCH LINK plumb_rewards)
plumb_room(align TORCH LINK plumb_metrics plumb_feedback)
target_include_directories(plumb_io PRIVATE ${CMAKE_BINARY_DIR}/generated)
target_include_directories(plumb_io SYSTEM PUBLIC ${HDF5_INCLUDE_DIR} PRIVATE ${STB_INCLUDE_DIR})
target_link_libraries(plumb_io PUBLIC ${HDF5_LIBRARY} PRIVATE JPEG::JPEG ZLIB::ZLIB)
target_include_directories(plumb_feedback SYSTEM PRIVATE ${HTTPLIB_INCLUDE_DIR})
target_link_libraries(plumb_feedback PRIVATE Threads::Threads)
if(HTTPLIB_LIBRARY)
  target_link_libraries(plumb_feedback PRIVATE ${HTTPLIB_LIBRARY})
endif()
set_source_files_properties(lib/feedback/web_server.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_DEFINITIONS "${HTTPLIB_DEFINITIONS}")
target_link_libraries(plumb_cli PRIVATE CLI11::CLI11 ${CMAKE_DL_LIBS})

# What --version --json tells, for lib/cli/version.cpp alone.
set(PLUMB_TORCH_VERSION "")
foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h torch/version.h)
  if(PLUMB_TORCH AND EXISTS ${TORCH_INCLUDE_DIR}/${header})
    file(STRINGS ${TORCH_INCLUDE_DIR}/${header} lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
    string(REPLACE ";" "." PLUMB_TORCH_VERSION "${numbers}")
    break()
  endif()
endforeach()
add_custom_target(git_commit BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/git_commit.h
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${CMAKE_BINARY_DIR}/generated/git_commit.h
          -P ${CMAKE_SOURCE_DIR}/share/tools/git_commit.cmake)
add_dependencies(plumb_cli git_commit)
target_include_directories(plumb_cli PRIVATE ${CMAKE_BINARY_DIR}/generated)
set_source_files_properties(lib/cli/version.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
  COMPILE_DEFINITIONS "PLUMB_TORCH_VERSION=\"${PLUMB_TORCH_VERSION}\"")
