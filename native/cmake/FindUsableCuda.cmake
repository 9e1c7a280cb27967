# Sets KODEC_CUDA_USABLE. With KODEC_CUDA=ON that is not asked: what is wrong then shows in the build.
if(KODEC_CUDA STREQUAL "ON")
  set(KODEC_CUDA_USABLE ON)
  return()
endif()
if(NOT KODEC_CUDA STREQUAL "AUTO")
  message(FATAL_ERROR "KODEC_CUDA must be AUTO, ON or OFF, not '${KODEC_CUDA}'")
endif()
if(NOT KODEC_CUDA_FOUND)
  # A project of its own, built in a process of its own: an unsupported host compiler, a missing
  # library or an architecture too new are found out without failing here.
  message(STATUS "Looking for a CUDA compiler that works")
  set(arguments -G ${CMAKE_GENERATOR} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER})
  foreach(name CMAKE_MAKE_PROGRAM CMAKE_CUDA_COMPILER CMAKE_CUDA_HOST_COMPILER CMAKE_CUDA_FLAGS)
    if(DEFINED ${name})
      list(APPEND arguments -D${name}=${${name}})
    endif()
  endforeach()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/cuda_check)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_SOURCE_DIR}/cmake/cuda_check -B ${folder} ${arguments}
    RESULT_VARIABLE status OUTPUT_VARIABLE log ERROR_VARIABLE log)
  if(status EQUAL 0)
    execute_process(
      COMMAND ${CMAKE_COMMAND} --build ${folder}
      RESULT_VARIABLE status OUTPUT_VARIABLE log ERROR_VARIABLE log)
  endif()
  if(status EQUAL 0)
    # Failures are not kept: a compiler may be installed later.
    set(KODEC_CUDA_FOUND ON CACHE INTERNAL "Whether a CUDA compiler works")
  else()
    file(REMOVE_RECURSE ${folder})
    file(WRITE ${folder}.log "${log}")
    message(STATUS "No CUDA compiler that works (${folder}.log), so no module _cuda")
  endif()
endif()
set(KODEC_CUDA_USABLE ${KODEC_CUDA_FOUND})
