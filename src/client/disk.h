// The disk of a VM with a name: a sparse file with an ext4 file system, made once and never again.
// What is wrong with one is an error; nothing that is read of it makes it a new disk.
#pragma once

#include <filesystem>
#include <string>

#include "api/types.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

// The program that makes the file system, in PATH or where administrators' programs are. kNotFound,
// with the package to install, when it is nowhere.
Result<std::filesystem::path> find_mke2fs();

// Makes one of `size_bytes` in `directory`, whole or not at all.
Result<api::Disk> make_disk(const std::filesystem::path& directory, std::uint64_t size_bytes);

// Opens the one in `directory` to read and write. It must be `disk`: this user's file, of its size,
// with its file system; and no QEMU may use it, for the end of one it waits. What is in there a
// guest wrote, so nothing but the superblock is looked at here: the guest has it checked before it
// mounts it (guest/init/disk.h).
Result<Fd> open_disk(const std::filesystem::path& directory, const api::Disk& disk);

// Copies the one in `from` to the directory `to`, which has none: shares its blocks where the file
// system can, else copies what is not a hole.
Result<> copy_disk(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace capsem::client
