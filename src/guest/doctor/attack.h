// What the checks of protection are made of. An attack is done for real; should it succeed, it
// undoes at once what it did, and the check fails.
#pragma once

#include <functional>
#include <initializer_list>
#include <span>
#include <string>

#include "guest/doctor/check.h"

namespace capsem::guest::doctor {

// What the attacks are aimed at.
struct Target {
  std::string program;  // an executable entry
  std::string data;     // a file that nobody executes
};

// By entries of the table; empty paths where it has none.
Target choose_target(const manifest::Manifest& manifest);

// 0 when a system call that returned `result` succeeded, else errno.
int error_of(long result);

// The verdict on an attack that ended with `error`: it has to be one of `refusals`. 0 is success;
// any other error means that the attack came further than it should have.
Outcome judge(int error, std::span<const int> refusals);

// The errors by which a read-only file system, and a missing capability, refuse.
std::span<const int> read_only_refusals();
std::span<const int> permission_refusals();
// The same, or there is nothing at this path.
std::span<const int> missing_refusals();

// A directory of its own in `parent`, removed at the end with the files in it.
class Scratch {
 public:
  explicit Scratch(const char* parent);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Empty when it could not be made.
  const std::string& path() const { return path_; }
  // The path of a new empty file, or directory, in it.
  std::string file(const char* name) const;
  std::string directory(const char* name) const;

 private:
  std::string path_;
};

enum class Namespaces {
  kSame,
  kMountCopy,  // a copy of the mounts, where that may be made: what is done to it ends with it
  kUser,       // a user namespace of its own with root in it, and a copy of the mounts
};

// Runs `attack` in a child process. With `meanwhile`, it is called on the attack's outcome while
// the child still holds its namespaces. A child that dies, or is not done in time, fails; one that
// may not have a user namespace is refused, and so passes.
Outcome in_child(Namespaces namespaces, const std::function<Outcome()>& attack,
                 const std::function<Outcome(Outcome)>& meanwhile = {});

// The tables of the group "protection", each in a file of its own.
void add_file_attacks(Items& items, const Guest& guest);
void add_mount_attacks(Items& items, const Guest& guest);
void add_process_attacks(Items& items, const Guest& guest);
void add_device_attacks(Items& items, const Guest& guest);
void add_kernel_attacks(Items& items, const Guest& guest);
void add_network_attacks(Items& items, const Guest& guest);
void add_capability_checks(Items& items, const Guest& guest);

}  // namespace capsem::guest::doctor
