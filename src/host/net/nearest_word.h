// What somebody may have meant who wrote a word that is none of those known.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace capsem::host::net {

// The known word that takes the fewest changes of a letter to come to; empty when that is no near
// one.
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known);

// "write 'port'; there are name, port and host", for an error's advice.
std::string advice_on_word(std::string_view word, std::span<const std::string_view> known);

}  // namespace capsem::host::net
