# The commands of ./dev, for those who have `just`.

run *ARGS:
    @./dev run "$@"

build-assets *ARGS:
    @./dev build-assets "$@"

test *ARGS:
    @./dev test "$@"

set positional-arguments
