# The environment of every session: programs of capsem are found before all others.
case ":$PATH:" in
:/capsem/bin:*) ;;
*) PATH="/capsem/bin:$PATH" ;;
esac
export PATH
export LANG=C.UTF-8
export EDITOR=vim
export PAGER=less
export LESS=-R
