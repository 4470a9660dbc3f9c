// Boost.JSON itself, of which one file has to be made: Debian has its library in a package of its
// own, and its headers here.
#include <boost/json/src.hpp>
