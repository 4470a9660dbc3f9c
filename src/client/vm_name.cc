#include "client/vm_name.h"

#include <array>
#include <random>
#include <string_view>

namespace capsem::client {
namespace {

constexpr std::array<std::string_view, 32> kHow = {
    "amber", "bold",  "brisk", "calm",   "clear", "crisp",  "dry",   "eager",
    "early", "even",  "fair",  "fresh",  "fond",  "glad",   "grand", "green",
    "keen",  "kind",  "late",  "light",  "loud",  "mild",   "neat",  "plain",
    "proud", "quick", "quiet", "silver", "slow",  "steady", "warm",  "wise"};
constexpr std::array<std::string_view, 32> kWhat = {
    "badger", "bear",  "beetle", "crane", "deer",    "dove",  "eagle", "falcon",
    "finch",  "fox",   "gecko",  "gull",  "hare",    "hawk",  "heron", "ibis",
    "jay",    "koala", "lark",   "lynx",  "marten",  "mole",  "moose", "newt",
    "otter",  "owl",   "raven",  "robin", "sparrow", "stork", "swift", "wren"};

}  // namespace

std::string invented_vm_name() {
  std::random_device random;
  auto pick = [&](const auto& words) { return std::string(words.at(random() % words.size())); };
  return pick(kHow) + "-" + pick(kWhat);
}

}  // namespace capsem::client
