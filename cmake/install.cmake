# An installation: bin/capsem, and in lib/capsem its helper, the guest set and the assets it runs
# with. The tool finds them from its own place; nothing of the checkout is needed.
set(root lib/capsem)

install(TARGETS capsem RUNTIME DESTINATION bin)
install(TARGETS capsem-build-assets RUNTIME DESTINATION ${root})
install(FILES ${CMAKE_SOURCE_DIR}/guest.toml DESTINATION ${root})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/guest DESTINATION ${root}
        PATTERN __pycache__ EXCLUDE PATTERN ".*" EXCLUDE)
install(CODE "
  if(\"${CMAKE_SOURCE_DIR}/guest.toml\" IS_NEWER_THAN \"${CAPSEM_GUEST_NAMES}\")
    message(FATAL_ERROR \"guest.toml has changed since the guest programs were built: build them first, with 'ninja guest'\")
  endif()
  set(programs \"\${CMAKE_INSTALL_PREFIX}/${root}/programs\")
  file(REMOVE_RECURSE \"\$ENV{DESTDIR}\${programs}\")
  file(STRINGS \"${CAPSEM_GUEST_NAMES}\" names)
  list(TRANSFORM names PREPEND \"${CMAKE_BINARY_DIR}/guest/\")
  file(INSTALL \${names} DESTINATION \"\${programs}\" USE_SOURCE_PERMISSIONS)")
install(CODE "
  if(NOT EXISTS \"${CMAKE_SOURCE_DIR}/assets/x86_64/assets.json\")
    message(FATAL_ERROR \"there are no assets to install: run 'capsem build-assets' first\")
  endif()")
install(DIRECTORY ${CMAKE_SOURCE_DIR}/assets/x86_64 DESTINATION ${root}/assets
        FILES_MATCHING PATTERN vmlinu* PATTERN modules.img PATTERN rootfs.squashfs PATTERN assets.json)

# The manual page and the completion of shells, as the tool itself describes its commands.
function(capsem_reference format directory file)
  set(made ${CMAKE_BINARY_DIR}/share/${directory}/${file})
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/${directory})
  add_custom_command(OUTPUT ${made} COMMAND capsem reference ${format} > ${made} DEPENDS capsem)
  add_custom_target(reference-${format} ALL DEPENDS ${made})
  install(FILES ${made} DESTINATION share/${directory})
endfunction()
capsem_reference(man man/man1 capsem.1)
capsem_reference(bash bash-completion/completions capsem)
capsem_reference(zsh zsh/site-functions _capsem)
