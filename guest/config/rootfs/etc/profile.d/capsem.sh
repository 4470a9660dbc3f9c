# The environment of every session: programs of capsem are found like any other.
case ":$PATH:" in
*:/capsem/bin:*) ;;
*) PATH="$PATH:/capsem/bin" ;;
esac
export PATH
export LANG=C.UTF-8
export EDITOR=vim
export PAGER=less
export LESS=-R
