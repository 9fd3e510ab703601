# A malloc to be preloaded that counts the heap of every thread and knows nothing of plans: what predicted memory is held
# against, by scripts/cpu_accuracy and a test. Sanitizers bring a malloc of their own.
if(NOT ISO_SANITIZE)
  add_library(heap_hook MODULE ${PROJECT_SOURCE_DIR}/tests/executor/heap_hook.cc)
  target_compile_options(heap_hook PRIVATE ${ISO_WARNINGS} -fno-builtin)  # else calloc becomes a call to itself
  set_target_properties(heap_hook PROPERTIES PREFIX "")
endif()

function(iso_heap_tests)
  if(TARGET heap_hook)
    add_test(NAME "executor: the heap of every rank holds within 2% of what was predicted"
             COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/executor/heap_test.py $<TARGET_FILE_DIR:isochrone>)
  endif()
endfunction()
